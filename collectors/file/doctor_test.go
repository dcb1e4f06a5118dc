package file

import (
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/internal/collect"
)

func TestExamine(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"csv":  {"a.csv": "id,user name,Last Seen\n1,x,2025-01-01\n"},
		"json": {"a.json": `[{"id": "1", "user name": "x", "Last Seen": "2025-01-01"}]`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, files)
			k := build(t, dir, "files: {accounts: {path: a."+name+"}}")
			_, advice, err := collect.Examine(t.Context(), k, collect.Options{Limits: collect.Limits{MaxRejected: 1}, Now: now})
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, a := range advice {
				if a.Missing {
					t.Errorf("%+v is missing", a)
				}
				lines = append(lines, a.What+": "+a.Detail)
			}
			got := strings.Join(lines, "\n")
			for _, want := range []string{
				"a." + name + ": 1 rows for accounts, last changed ",
				"a." + name + ": columns that nothing is made of: Last Seen; name them under files.accounts.columns or attributes",
				"fields of accounts without a column, which stay unknown: ",
			} {
				if !strings.Contains(got, want) {
					t.Errorf("lacks %q:\n%s", want, got)
				}
			}
			absent := lines[len(lines)-1]
			if strings.Contains(absent, " username,") || !strings.Contains(absent, "last_login_at") {
				t.Errorf("got %s", absent)
			}
		})
	}
}
