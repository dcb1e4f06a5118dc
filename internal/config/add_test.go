package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const added = "# What it is.\n- uid: new # permanent\n  type: scim\n  url: https://FILL-IN\n"

func TestAddSource(t *testing.T) {
	for name, c := range map[string]struct{ file, want string }{
		"at the end": {
			"timezone: UTC\nsources:\n  - uid: a\n    type: file\n",
			"timezone: UTC\nsources:\n  - uid: a\n    type: file\n\n  # What it is.\n  - uid: new # permanent\n    type: scim\n    url: https://FILL-IN\n",
		},
		"before what follows, whose comment stays with it": {
			"sources:\n- uid: a\n  type: file\n  # of a\n\n# rules\npolicies: {}\n",
			"sources:\n- uid: a\n  type: file\n  # of a\n\n# What it is.\n- uid: new # permanent\n  type: scim\n  url: https://FILL-IN\n\n# rules\npolicies: {}\n",
		},
		"without a last line's end": {
			"sources:\n- uid: a\n  type: file",
			"sources:\n- uid: a\n  type: file\n\n# What it is.\n- uid: new # permanent\n  type: scim\n  url: https://FILL-IN\n",
		},
		"an empty list": {
			"sources:\npolicies: {}\n",
			"sources:\n\n  # What it is.\n  - uid: new # permanent\n    type: scim\n    url: https://FILL-IN\npolicies: {}\n",
		},
		"no list": {
			"timezone: UTC\n",
			"timezone: UTC\n\nsources:\n  # What it is.\n  - uid: new # permanent\n    type: scim\n    url: https://FILL-IN\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := AddSource("lapse.yaml", t.TempDir(), []byte(c.file), added)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
	for name, c := range map[string]struct{ file, want string }{
		"in brackets":   {"sources: [{uid: a, type: file}]\n", "lapse.yaml:1: sources: is written in brackets: add the section by hand"},
		"in braces":     {"{sources: [{uid: a, type: file}]}\n", "is written in braces"},
		"the same uid":  {"sources:\n- uid: new\n  type: file\n", `with the new source: lapse.yaml:6:1: sources: uid "new" stands already in line 2`},
		"broken before": {"souces:\n", `unknown key "souces": did you mean "sources"?`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := AddSource("lapse.yaml", t.TempDir(), []byte(c.file), added)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// A file keeps its mode, and one that can't be added to is left as it is.
func TestWriteSource(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "lapse.yaml")
	if err := os.WriteFile(path, []byte("sources:\n- uid: a\n  type: file\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := WriteSource(path, added); err != nil {
		t.Fatal(err)
	}
	if err := WriteSource(path, added); err == nil {
		t.Error("a uid was written twice")
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Sources) != 2 || c.Sources[1].UID != "new" {
		t.Errorf("sources %+v", c.Sources)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".lapse*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := WriteSource(filepath.Join(dir, "none.yaml"), added); err == nil || !strings.Contains(err.Error(), "lapse init") {
		t.Errorf("no file: %v", err)
	}
}
