package policy

import (
	"flag"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"

	"github.com/lapse-audit/lapse/policies"
)

var update = flag.Bool("update", false, "write files as they should be")

func TestShippedFormat(t *testing.T) {
	err := fs.WalkDir(policies.FS, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || path.Ext(name) != ".rego" {
			return err
		}
		text, err := fs.ReadFile(policies.FS, name)
		if err != nil {
			return err
		}
		clean, err := format.SourceWithOpts(name, text, format.Opts{RegoVersion: ast.RegoV1})
		if err != nil {
			return err
		}
		if *update {
			return os.WriteFile(filepath.Join("..", "..", "policies", filepath.FromSlash(name)), clean, 0o644)
		}
		if diff := cmp.Diff(string(clean), string(text)); diff != "" {
			t.Errorf("%s is not as opa fmt writes it (-want +got):\n%s", name, diff)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
