package policy

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/lapse-audit/lapse/policies"
)

// TestMain lets the test binary be the process in which a Sandbox tries policies.
func TestMain(m *testing.M) {
	if os.Getenv("LAPSE_TRIAL") != "" {
		if err := ServeTrial(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func shipped(t testing.TB, opts Options) *Pack {
	t.Helper()
	pack, err := Load(opts, Source{Name: "policies", FS: policies.FS})
	if err != nil {
		t.Fatal(err)
	}
	return pack
}
