package policy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/access"
)

// paired is a policy that reads a table.
const paired = `# METADATA
# title: Forbidden names
# custom:
#   id: ACME-01
#   subject: account
#   severity: low
package lapse.acme.paired

import rego.v2

findings contains {"key": id, "message": why} if {
	some id, why in data.tables["ACME-01"].names
	input.account.username == id
}
`

const pairedSchema = `{"type": "object", "additionalProperties": false, "required": ["names"], "properties": {
  "names": {"type": "object", "additionalProperties": {"type": "string", "minLength": 3}}}}`

func pairedFiles(change map[string]string) fstest.MapFS {
	files := fstest.MapFS{}
	for name, text := range map[string]string{"paired/policy.rego": paired, "paired/data.yaml": "names:\n  ada: reserved\n", "paired/data.schema.json": pairedSchema} {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	for name, text := range change {
		files[name] = &fstest.MapFile{Data: []byte(text)}
		if text == "" {
			delete(files, name)
		}
	}
	return files
}

func TestTables(t *testing.T) {
	own := filepath.Join(t.TempDir(), "own.yaml")
	if err := os.WriteFile(own, []byte("names:\n  bea: ours\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	row := func(name string) access.Row { return accountRow(t, doc{"account": doc{"username": name}}) }
	hashes := map[string]bool{}
	for _, c := range []struct{ file, flags, passes string }{{"", "ada", "bea"}, {own, "bea", "ada"}} {
		opts := Options{}
		if c.file != "" {
			opts.Overrides = map[string]Override{"ACME-01": {Data: c.file}}
		}
		p, err := Load(opts, Source{Name: "acme", FS: pairedFiles(nil)})
		if err != nil {
			t.Fatal(err)
		}
		e := newEngine(t, p, EngineOptions{})
		ev := e.NewEvaluator()
		if got := evalAll(t, ev, access.SubjectAccount, row(c.flags)); len(got) != 1 || got[0].Key != c.flags {
			t.Errorf("%q: %s: %+v", c.file, c.flags, got)
		}
		if got := evalAll(t, ev, access.SubjectAccount, row(c.passes)); len(got) != 0 {
			t.Errorf("%q: %s: %+v", c.file, c.passes, got)
		}
		policy, _ := p.Policy("ACME-01")
		hashes[policy.Hash] = true
		if want := c.file; want != "" && policy.Table != want || want == "" && policy.Table != "acme/paired/data.yaml" {
			t.Errorf("Table is %s", policy.Table)
		}
		// The rule's tests are written for the table that came with it.
		if d := cmp.Diff(map[string]any{"ACME-01": map[string]any{"names": map[string]any{"ada": "reserved"}}}, tablesOf(p.policies, true)); d != "" {
			t.Error(d)
		}
	}
	if len(hashes) != 2 {
		t.Error("another table leaves the rule's hash as it is")
	}
}

func TestTablesRefused(t *testing.T) {
	schemaless := map[string]string{"paired/data.schema.json": ""}
	for name, c := range map[string]struct {
		files map[string]string
		own   string // text of the organisation's own file
		want  string
	}{
		"not YAML":                {map[string]string{"paired/data.yaml": "names:\n  ada: [x\n"}, "", "acme/paired/data.yaml:2: is not YAML: "},
		"empty":                   {map[string]string{"paired/data.yaml": "# nothing\n"}, "", "acme/paired/data.yaml:1: is empty"},
		"a list":                  {map[string]string{"paired/data.yaml": "- a\n"}, "", "acme/paired/data.yaml:1: is no map"},
		"two documents":           {map[string]string{"paired/data.yaml": "names: {ada: reserved}\n---\nnames: {}\n"}, "", "acme/paired/data.yaml:1: holds more than one YAML document"},
		"a key twice":             {map[string]string{"paired/data.yaml": "names:\n  ada: reserved\n  ada: again\n"}, "", "acme/paired/data.yaml:3: has the key ada twice"},
		"an alias":                {map[string]string{"paired/data.yaml": "names: &n {ada: reserved}\nmore: *n\n"}, "", "acme/paired/data.yaml:1: holds a YAML anchor or alias"},
		"no value":                {map[string]string{"paired/data.yaml": "names:\n  ada:\n"}, "", "acme/paired/data.yaml:2: has no value here"},
		"infinite":                {map[string]string{"paired/data.yaml": "names:\n  ada: .inf\n"}, "", "acme/paired/data.yaml:2: .inf is not a finite number"},
		"too large":               {map[string]string{"paired/data.yaml": "names: {ada: reserved}\n#" + strings.Repeat("x", maxTable)}, "", "acme/paired/data.yaml:1: is larger than 4 MiB"},
		"a misspelt key":          {map[string]string{"paired/data.yaml": "names:\n  ada: reserved\nnamse: {}\n"}, "", "acme/paired/data.yaml:3: has no key namse: did you mean names?"},
		"too short a value":       {map[string]string{"paired/data.yaml": "names:\n  ada: reserved\n  b.c: x\n"}, "", "acme/paired/data.yaml:3: names.b.c: String length must be greater than or equal to 3"},
		"the wrong type":          {map[string]string{"paired/data.yaml": "names:\n  ada: reserved\n  bea: 7\n"}, "", "acme/paired/data.yaml:3: names.bea: Invalid type. Expected: string, given: integer"},
		"a missing key":           {map[string]string{"paired/data.yaml": "{}\n"}, "", "acme/paired/data.yaml:1: the table: names is required"},
		"no schema":               {map[string]string{"paired/data.schema.json": "{\n\n]"}, "", "acme/paired/data.schema.json:3: is no JSON Schema"},
		"beside no rule":          {map[string]string{"other/data.yaml": "names: {}\n"}, "", "acme/other/data.yaml:1: there is no policy beside it"},
		"no table":                {map[string]string{"paired/data.yaml": "", "paired/data.schema.json": ""}, "", `acme/paired/policy.rego:12: data.tables["ACME-01"].names: there is no table: write acme/paired/data.yaml`},
		"a key that is not there": {map[string]string{"paired/data.yaml": "words: {}\n", "paired/data.schema.json": ""}, "", `acme/paired/policy.rego:12: data.tables["ACME-01"].names: acme/paired/data.yaml has no key names: want words`},
		"another rule's table":    {map[string]string{"paired/policy.rego": strings.Replace(paired, `tables["ACME-01"]`, `tables["ACME-02"]`, 1)}, "", `a policy reads its own table: write data.tables["ACME-01"]`},
		"own: misspelt":           {nil, "name:\n  bea: ours\n", "own.yaml:1: has no key name: did you mean names?"},
		"own: no schema":          {schemaless, "name:\n  bea: ours\n", "own.yaml:1: has no key names, which ACME-01 reads"},
		"own: not there":          {nil, "", "lapse.yaml: data of ACME-01: "},
		"own: nothing to replace": {map[string]string{"paired/data.yaml": "", "paired/data.schema.json": "", "paired/policy.rego": strings.Replace(paired, `some id, why in data.tables["ACME-01"].names`, `some id, why in {"a": "b"}`, 1)}, "names: {}", "lapse.yaml: ACME-01 has no table to be replaced by "},
	} {
		t.Run(name, func(t *testing.T) {
			opts := Options{}
			if strings.HasPrefix(name, "own") {
				own := filepath.Join(t.TempDir(), "own.yaml")
				if c.own != "" {
					if err := os.WriteFile(own, []byte(c.own), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				opts.Overrides = map[string]Override{"ACME-01": {Data: own, Place: "lapse.yaml"}}
			}
			_, err := Load(opts, Source{Name: "acme", FS: pairedFiles(c.files)})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func FuzzTable(f *testing.F) {
	f.Add([]byte("names:\n  ada: reserved\n"))
	f.Add([]byte("{\"names\": {\"a.b\": [1, 2.5, true, null]}}"))
	f.Add([]byte("names: &a [*a]\n"))
	f.Add([]byte("? [x]\n: y\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		files := pairedFiles(nil)
		files["paired/data.yaml"].Data = text
		if _, err := Load(Options{}, Source{Name: "acme", FS: files}); err == nil && len(text) == 0 {
			t.Error("an empty table was taken")
		}
	})
}
