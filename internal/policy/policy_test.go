package policy

import (
	"testing"

	"github.com/lapse-audit/lapse/policies"
)

func shipped(t testing.TB, opts Options) *Pack {
	t.Helper()
	pack, err := Load(opts, Source{Name: "policies", FS: policies.FS})
	if err != nil {
		t.Fatal(err)
	}
	return pack
}
