package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestBaton scans real .c1z files of one app in both formats: by which path everybody holds a workspace is what the
// connector's own template says, and a grant that the connector worked out itself is nobody's direct one.
func TestBaton(t *testing.T) {
	t.Parallel()
	root := os.Getenv("LAPSE_REALDATA")
	if root == "" {
		t.Skip("LAPSE_REALDATA names no folder of real data")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"people.csv": "id,name,status,start_at,end_at\n1,Somebody Else,active,2020-01-01,\n",
		"lapse.yaml": fmt.Sprintf(`sources:
- {uid: hr, type: file, roster: {end_date: last_day}, files: {people: {path: people.csv}}}
- {uid: old, type: baton, path: %[1]s/template.v1.c1z}
- {uid: new, type: baton, path: %[1]s/template.v3.c1z}
policies: {folders: [rules], enable: [TEST-02]}
`, filepath.Join(root, "c1z")),
		"rules/test/policy.rego": `# METADATA
# title: Workspace
# description: Everybody who holds the production workspace by any path.
# scope: package
# custom:
#   id: TEST-02
#   subject: account
#   severity: low
#   controls: ["CIS-8.1:5.4"]
#   action: none
#   assignee: security
#   needs: [grants]
package lapse.test.workspace

import rego.v2

findings contains {"message": sprintf("%s %v", [concat(" > ", grant.path), grant.direct]), "key": concat(" > ", grant.path)} if {
	some grant in input.grants
	grant.entitlement.name == "Production Workspace"
}
`,
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	counts := lapse(t, dir, "doctor", "old", "new", "--format", "csv")
	if n := strings.Count(counts, "4 accounts; 11 entitlements; 18 grants"); n != 2 {
		t.Errorf("the doctor says\n%s", counts)
	}
	lapse(t, dir, "scan", "--quiet", "--no-report", "--at", "2026-11-24")
	var found []struct {
		Policy  string `json:"policy"`
		Source  string `json:"source"`
		Subject string `json:"subject_id"`
		Message string `json:"message"`
	}
	out := lapse(t, dir, "findings", "list", "--format", "json", "--quiet", "--at", "2026-11-24")
	if err := json.Unmarshal([]byte(out), &found); err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, f := range found {
		if f.Policy == "TEST-02" {
			got[f.Source] = append(got[f.Source], f.Subject+": "+f.Message)
		}
	}
	want := []string{
		"user:alice.admin: Application Admin > Production Workspace Owner > Production Workspace false",
		"user:dave.developer: Application Admin > Production Workspace Owner > Production Workspace false",
		"user:svc.account.01: Production Workspace Owner > Production Workspace false",
		"user:ursula.user: Application User > Production Workspace Runner > Production Workspace false",
	}
	for _, source := range []string{"old", "new"} {
		slices.Sort(got[source])
		if !slices.Equal(got[source], want) {
			t.Errorf("%s: got\n%s\nwant\n%s", source, strings.Join(got[source], "\n"), strings.Join(want, "\n"))
		}
	}
}
