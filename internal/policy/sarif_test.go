package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/open-policy-agent/opa/v1/rego"
)

func TestSARIF(t *testing.T) {
	problems := []Problem{
		{File: "policies/acme/a.rego", Line: 3, Column: 2, Check: "unknown-not", Level: Warning, Message: "x", Instead: "y"},
		{File: "policies/acme/b.rego", Check: "syntax", Level: Error, Message: "<&>", Instead: "y"},
	}
	for name, list := range map[string][]Problem{"some": problems, "none": nil} {
		var b bytes.Buffer
		if err := WriteSARIF(&b, "v1.2.3", list); err != nil {
			t.Fatal(err)
		}
		var log struct {
			Runs []struct {
				Results []struct {
					RuleID    string `json:"ruleId"`
					Locations []struct {
						PhysicalLocation struct {
							ArtifactLocation struct{ URI string }
							Region           *struct{ StartLine, StartColumn int }
						}
					}
				}
			}
		}
		if err := json.Unmarshal(b.Bytes(), &log); err != nil {
			t.Fatal(err)
		}
		if len(log.Runs) != 1 || len(log.Runs[0].Results) != len(list) {
			t.Fatalf("%s: %s", name, b.String())
		}
		for i, r := range log.Runs[0].Results {
			at := r.Locations[0].PhysicalLocation
			if r.RuleID != list[i].Check || at.ArtifactLocation.URI != list[i].File || (at.Region != nil) != (list[i].Line > 0) {
				t.Errorf("%+v", r)
			}
		}
		matchesSARIF(t, b.Bytes())
	}
}

// matchesSARIF holds a log to the published schema, which LAPSE_REALDATA must hold if it is set.
func matchesSARIF(t *testing.T, log []byte) {
	t.Helper()
	data := os.Getenv("LAPSE_REALDATA")
	if data == "" {
		return
	}
	schema, err := os.ReadFile(filepath.Join(data, "schemas", "sarif", "sarif-2.1", "schema", "sarif-schema-2.1.0.json"))
	if err != nil {
		t.Fatal(err)
	}
	var input struct {
		Log    any `json:"log"`
		Schema any `json:"schema"`
	}
	if err := json.Unmarshal(log, &input.Log); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(schema, &input.Schema); err != nil {
		t.Fatal(err)
	}
	rs, err := rego.New(rego.Query("json.match_schema(input.log, input.schema)"), rego.Input(map[string]any{"log": input.Log, "schema": input.Schema}), rego.StrictBuiltinErrors(true)).Eval(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if got := rs[0].Expressions[0].Value.([]any); got[0] != true {
		t.Errorf("not SARIF: %v\n%s", got[1], log)
	}
}
