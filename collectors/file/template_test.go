package file

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/collect/collecttest"
)

func TestTemplates(t *testing.T) {
	want := map[string][]access.Record{
		"microsoft365": {
			access.Account{ID: "0b1c0001-0000-4000-8000-000000000001", Username: "ana@example.com", Name: "Ana Alba", Enabled: yes(), PasswordNeverExpires: no(), PasswordChangedAt: at("2026-05-01T08:00:00Z"), CreatedAt: at("2020-05-23T19:59:00Z")},
			access.Account{ID: "0b1c0001-0000-4000-8000-000000000002", Username: "bea@example.com", Name: "Blum, Bea", Enabled: no(), PasswordChangedAt: at("2025-01-01T08:00:00Z"), CreatedAt: at("2020-05-23T19:59:01Z")},
			access.Account{ID: "0b1c0001-0000-4000-8000-000000000003", Username: "room5@example.onmicrosoft.com", Name: "Room 5", Enabled: yes(), PasswordNeverExpires: yes(), CreatedAt: at("2021-01-01T00:00:00Z")},
			access.Seat{AccountID: "0b1c0001-0000-4000-8000-000000000001", SKU: "Microsoft 365 E3"},
			access.Seat{AccountID: "0b1c0001-0000-4000-8000-000000000001", SKU: "Visio Plan 2"},
			access.Seat{AccountID: "0b1c0001-0000-4000-8000-000000000002", SKU: "Microsoft 365 E3"},
		},
		"adobe": {
			access.Account{ID: "ana@example.com", Username: "ana", Email: "ana@example.com", Name: "Ana Alba", LocalLogin: no()},
			access.Account{ID: "bea@example.com", Username: "bea@example.com", Email: "bea@example.com", Name: "Bea Blum", LocalLogin: yes()},
			access.Account{ID: "cem@example.com", Username: "cem@example.com", Email: "cem@example.com", Name: "Cem Can", LocalLogin: yes()},
			access.Seat{AccountID: "ana@example.com", SKU: "Default All Apps plan - 100 GB configuration"},
			access.Seat{AccountID: "ana@example.com", SKU: "Default Acrobat Pro DC configuration"},
			access.Seat{AccountID: "bea@example.com", SKU: "Default Acrobat Pro DC configuration"},
		},
		"salesforce": {
			access.Account{ID: "005000000000001AAA", Username: "ana@example.com.crm", Email: "ana@example.com", Name: "Ana Alba", Enabled: yes(), CreatedAt: at("2020-01-02T00:00:00Z"), LastLoginAt: at("2026-11-20T17:45:00Z")},
			access.Account{ID: "005000000000002AAA", Username: "bea@example.com.crm", Email: "bea@example.com", Name: "Bea Blum", Enabled: no(), CreatedAt: at("2020-01-02T00:00:00Z")},
			access.Seat{AccountID: "005000000000001AAA", SKU: "Salesforce"},
			access.Seat{AccountID: "005000000000002AAA", SKU: "Salesforce Platform"},
		},
		"zoom": {
			access.Account{ID: "ana@example.com", Username: "ana@example.com", Email: "ana@example.com", Name: "Ana Alba", Enabled: yes(), CreatedAt: at("2020-01-02T00:00:00Z"), LastLoginAt: at("2026-11-20T17:45:30Z")},
			access.Account{ID: "bea@example.com", Username: "bea@example.com", Email: "bea@example.com", Name: "Bea Blum", Enabled: no(), CreatedAt: at("2020-01-02T00:00:00Z")},
			access.Account{ID: "cem@example.com", Username: "cem@example.com", Email: "cem@example.com", Name: "Cem Can", CreatedAt: at("2026-11-21T00:00:00Z")},
			access.Seat{AccountID: "ana@example.com", SKU: "Licensed"},
			access.Seat{AccountID: "cem@example.com", SKU: "Licensed"},
		},
	}
	for _, name := range Templates() {
		section := "template: " + name + "\npath: " + name + ".csv\n"
		if name == "salesforce" {
			section += "files: {accounts: {dates: us}}"
		}
		out, prov, err := gather(t, "testdata/templates", section)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		same(t, out.reasons(), []string(nil))
		same(t, out.records, want[name])
		tpl, err := LoadTemplate(name)
		if err != nil {
			t.Fatal(err)
		}
		if tpl.Title == "" || len(tpl.Documents) == 0 || len(tpl.Notes) == 0 || strings.Join(prov.Notes, "\n") != strings.Join(tpl.Notes, "\n") {
			t.Errorf("%s: title %q, documents %q, notes %q in the snapshot", name, tpl.Title, tpl.Documents, prov.Notes)
		}
	}
}

// What a user writes is laid over a template field by field.
func TestTemplateOverridden(t *testing.T) {
	dir := write(t, map[string]string{"u.csv": "Object Id,Mail,Licenses,Status\n1,a@x.test,E3;E5;E3,on\n2,b@x.test,none,off\n"})
	out, _, err := gather(t, dir, `
template: microsoft365
path: u.csv
coverage: {owner: full}
files: {accounts: {columns: {email: Mail, enabled: Status, created_at: []}, values: {enabled: {true: [on], false: [off]}}, constant: {kind: human, name: X}}, seats: {split: {sku: ";"}, values: {sku: {"": [none]}}}}`)
	if err != nil {
		t.Fatal(err)
	}
	same(t, out.reasons(), []string(nil))
	same(t, out.records, []access.Record{
		access.Account{ID: "1", Email: "a@x.test", Enabled: yes(), Kind: access.KindHuman, Name: "X"},
		access.Account{ID: "2", Email: "b@x.test", Enabled: no(), Kind: access.KindHuman, Name: "X"},
		access.Seat{AccountID: "1", SKU: "E3"}, access.Seat{AccountID: "1", SKU: "E5"},
	})
	for _, c := range []struct{ section, want string }{
		{"template: microsft365\npath: u.csv", `template: there is no "microsft365": did you mean "microsoft365"?`},
		{"template: zoom", "files.accounts.path: name a file\nfiles.seats.path: name a file"},
		{"path: u.csv\nfiles: {accounts: {path: u.csv}}", "path, take: go with a template; name the file of each table under files"},
		{"take: all\nfiles: {accounts: {path: u.csv}}", "path, take: go with a template; name the file of each table under files"},
		{"files: {seats: {path: u.csv, columns: {account_id: A, sku: B}, split: {sku: ''}}}", "files.seats.split: sku: say what parts the texts"},
		{"files: {seats: {path: u.csv, split: {sku: ';'}}}", "files.seats.split: sku: name its one column under columns"},
		{"files: {accounts: {path: u.csv, columns: {id: A, enabled: B}, split: {enabled: ';'}}}", "files.accounts.split: enabled is true or false"},
		{"manual: {}\nfiles: {accounts: {path: u.csv}}", "manual.every: say how often an export is due: 30d, 90d\nmanual.owner: say who makes the export"},
	} {
		if _, err := New(parse(t, c.section), Options{Base: dir}); err == nil || err.Error() != c.want {
			t.Errorf("%s\ngot  %v\nwant %s", c.section, err, c.want)
		}
	}
	_, _, err = gather(t, dir, "template: zoom\npath: u.csv")
	if err == nil || !strings.HasPrefix(err.Error(), "u.csv: has no column for id: it has Object Id, Mail, Licenses, Status") {
		t.Errorf("a file of another app: %v", err)
	}
}

func TestManual(t *testing.T) {
	dir := write(t, map[string]string{"u.csv": "id\n1\n", "u-2026-08-24.csv": "id\n1\n"})
	for _, c := range []struct{ table, stale, note string }{
		{"path: u.csv", "", "jo@x.test exports it by hand every 90d; the next one is due on 2027-02-20"},
		{"path: 'u-*.csv', take: newest", "the export of 2026-08-24 is 90 days old, and jo@x.test makes one every 90d: upload a new one", "jo@x.test exports it by hand every 90d; the next one is due on 2026-11-22"},
	} {
		made := now.Add(-24 * time.Hour)
		if err := os.Chtimes(dir+"/u.csv", made, made); err != nil {
			t.Fatal(err)
		}
		_, prov, err := gather(t, dir, "manual: {every: 90d, owner: jo@x.test}\nfiles: {accounts: {"+c.table+"}}")
		if err != nil {
			t.Fatal(err)
		}
		if prov.Stale != c.stale || strings.Join(prov.Notes, "|") != c.note {
			t.Errorf("%s: stale %q, notes %q", c.table, prov.Stale, prov.Notes)
		}
	}
	_, _, err := gather(t, dir, "manual: {every: 90d, owner: jo@x.test}\nfiles: {accounts: {path: none.csv}}")
	if want := "none.csv: no such file or directory (jo@x.test exports it by hand every 90d)"; err == nil || err.Error() != want {
		t.Errorf("never uploaded: %v", err)
	}
}

// Every format passes the suite.
func TestFormatsSuite(t *testing.T) {
	const good, bad = "id,enabled\na1,yes\na2,no\n", "id,enabled\na1,hunter2!\na2,no\n"
	sheet := func(t testing.TB, second string) string {
		return bookOf(t, inline([]string{"id", "enabled"}, []string{"a1", second}, []string{"a2", `<c t="b"><v>0</v></c>`}))
	}
	for name, format := range map[string]struct {
		table string
		text  func(t testing.TB, bad bool) string
	}{
		"a.csv.gz": {"", func(t testing.TB, broken bool) string {
			return gzipOf(t, map[bool]string{false: good, true: bad}[broken])
		}},
		"a.zip": {"member: '*.csv'", func(t testing.TB, broken bool) string {
			return zipOf(t, "hunter2/a.csv", map[bool]string{false: good, true: bad}[broken], "b.csv", "id\nb1\n")
		}},
		"a.xlsx": {"", func(t testing.TB, broken bool) string {
			return sheet(t, map[bool]string{false: "yes", true: "hunter2!"}[broken])
		}},
		"a.yaml": {"", func(t testing.TB, broken bool) string {
			return "- {id: a1, enabled: " + map[bool]string{false: "yes", true: "hunter2!"}[broken] + "}\n- {id: a2}\n"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			over := func(text func(t testing.TB) string) func(testing.TB) collect.Collector {
				return func(t testing.TB) collect.Collector {
					return build(t, write(t, map[string]string{name: text(t)}), "files: {accounts: {path: "+name+", "+format.table+"}}")
				}
			}
			secrets := []string{"hunter2!"}
			collecttest.Run(t, collecttest.Spec{
				New:       over(func(t testing.TB) string { return format.text(t, false) }),
				Rejecting: over(func(t testing.TB) string { return format.text(t, true) }),
				Broken: map[string]func(testing.TB) collect.Collector{
					"cut off": over(func(t testing.TB) string { text := format.text(t, false); return text[:len(text)-6] }),
					"nothing": over(func(testing.TB) string { return "\n" }),
				},
				Secrets: secrets,
			})
		})
	}
}
