//go:build !((linux || darwin) && (amd64 || arm64) && !noembedded)

package chdb

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestUnavailable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	_, err := Open(t.Context(), Options{Dir: dir})
	for _, want := range []string{dir, "not available", "use a server"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
}
