package file

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/collect/collecttest"
)

// keeper is a sink that keeps all.
type keeper struct {
	records    []access.Record
	rejections []collect.Rejection
}

func (k *keeper) Put(r access.Record) error { k.records = append(k.records, r); return nil }
func (k *keeper) Reject(r collect.Rejection) error {
	k.rejections = append(k.rejections, r)
	return nil
}

func (k *keeper) reasons() []string {
	var out []string
	for _, r := range k.rejections {
		out = append(out, r.String())
	}
	return out
}

var now = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

// parse decodes a section of lapse.yaml.
func parse(t testing.TB, section string) Config {
	t.Helper()
	d := yaml.NewDecoder(strings.NewReader(strings.ReplaceAll(section, "\t", "  ")))
	d.KnownFields(true)
	var c Config
	if err := d.Decode(&c); err != nil {
		t.Fatalf("configuration: %v", err)
	}
	return c
}

// write puts files into a new folder.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func build(t testing.TB, dir, section string) *Collector {
	t.Helper()
	c := parse(t, section)
	k, err := New(c, Options{Base: dir, Now: func() time.Time { return now }, Roster: c.Files.People != nil, UID: "src"})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return k
}

func gather(t testing.TB, dir, section string) (*keeper, collect.Provenance, error) {
	t.Helper()
	var out keeper
	p, err := build(t, dir, section).Collect(t.Context(), &out)
	return &out, p, err
}

func at(s string) *time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	t = t.UTC()
	return &t
}

func yes() *bool { b := true; return &b }
func no() *bool  { b := false; return &b }

func same(t testing.TB, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

const accountsByName = "files: {accounts: {path: a.csv}}"

func TestAllKinds(t *testing.T) {
	dir := write(t, map[string]string{
		"accounts.csv": "ID,User Name,e-mail,Kind,Enabled,Last Login At,OU,MFA\r\n" +
			"1,ada,ada@x.test,human,yes,2026-01-02T03:04:05+02:00,\"Sales, \"\"EU\"\"\",\r\n" +
			"2 ,bob ,,SERVICE,0,Never,,true\r\n",
		"entitlements.json": `[{"id":"g1","name":"Admins","kind":"Group","privileged":true,"tags":["a","b"]},{"id":"g2","name":null}]`,
		"grants.csv":        "account_id;holder_entitlement_id;entitlement_id;granted_at\n1;;g1;2025-01-01\n;g1;g2;\n",
		"licenses.jsonl":    `{"sku":"E5","product":"Suite","cost_month":57.00,"currency":"usd","purchased":10}` + "\n\n",
		"seats.tsv":         "account\tproduct\tused\n1\tE5\t-\n",
		"usage.json":        `{"account_id":1,"last_used_at":1767225600}` + "\n" + `{"account_id":2,"sku":"E5","last_used_at":"never"}`,
	})
	out, prov, err := gather(t, dir, `
zone: Europe/Berlin
files:
  accounts: {path: accounts.csv, never: Never, attributes: {ou: OU}, columns: {id: ID, username: User Name, email: e-mail, kind: Kind, enabled: Enabled, last_login_at: Last Login At, mfa: MFA}}
  entitlements: {path: entitlements.json}
  grants: {path: grants.csv}
  licenses: {path: licenses.jsonl}
  seats: {path: seats.tsv, columns: {account_id: account, sku: product, last_used_at: used}, constant: {currency: EUR, cost_month: "12.5"}, never: ["-"]}
  usage: {path: usage.json, dates: unix, never: [never]}
`)
	if err != nil {
		t.Fatal(err)
	}
	ten := int64(10)
	same(t, out.reasons(), []string(nil))
	same(t, out.records, []access.Record{
		access.Account{ID: "1", Username: "ada", Email: "ada@x.test", Kind: access.KindHuman, Enabled: yes(), LastLoginAt: at("2026-01-02T01:04:05Z"), Attributes: map[string]string{"ou": `Sales, "EU"`}},
		access.Account{ID: "2", Username: "bob", Kind: access.KindService, Enabled: no(), NeverLoggedIn: yes(), MFA: yes()},
		access.Entitlement{ID: "g1", Name: "Admins", Kind: "group", Privileged: yes(), Tags: []string{"a", "b"}},
		access.Entitlement{ID: "g2"},
		access.License{SKU: "E5", Product: "Suite", CostMonth: "57.00", Currency: "USD", Purchased: &ten},
		access.Grant{HolderKind: access.HolderAccount, HolderID: "1", EntitlementID: "g1", GrantedAt: at("2024-12-31T23:00:00Z")},
		access.Grant{HolderKind: access.HolderEntitlement, HolderID: "g1", EntitlementID: "g2"},
		access.Seat{AccountID: "1", SKU: "E5", CostMonth: "12.5", Currency: "EUR", NeverUsed: yes()},
		access.Usage{AccountID: "1", LastUsedAt: at("2026-01-01T00:00:00Z")},
		access.Usage{AccountID: "2", SKU: "E5", NeverUsed: yes()},
	})
	same(t, prov.Reads, []string{"accounts", "entitlements", "licenses", "grants", "seats", "usage"})
	same(t, prov.Request, "accounts.csv, entitlements.json, licenses.jsonl, grants.csv, seats.tsv, usage.json")
	rows := map[string]int64{}
	for _, f := range prov.Files {
		rows[f.Name] = f.Rows
	}
	same(t, rows, map[string]int64{"accounts.csv": 2, "entitlements.json": 2, "grants.csv": 2, "licenses.jsonl": 1, "seats.tsv": 1, "usage.json": 2})
}

func TestPeopleDates(t *testing.T) {
	const head = "id,location,start_at,end_at\n"
	for _, c := range []struct{ name, roster, row, start, end string }{
		{"last day, by location", "{end_date: last_day, zone: Europe/Berlin, zones: {new york: America/New_York}}", "1,New York,2025-03-09,2025-03-09", "2025-03-09T05:00:00Z", "2025-03-10T04:00:00Z"},
		{"last day, other location", "{end_date: last_day, zone: Europe/Berlin, zones: {New York: America/New_York}}", "1,Bonn,2025-03-30,2025-03-30", "2025-03-29T23:00:00Z", "2025-03-30T22:00:00Z"},
		{"last day until the evening", `{end_date: last_day, end_time: "17:30", zone: Europe/Berlin}`, "1,,2025-01-01,2025-06-30", "2024-12-31T23:00:00Z", "2025-06-30T15:30:00Z"},
		{"first day off", "{end_date: first_day_off, zone: America/Los_Angeles}", "1,,2025-01-01,2025-11-03", "2025-01-01T08:00:00Z", "2025-11-03T08:00:00Z"},
		{"midnight stands for the date", "{end_date: last_day, zone: America/Los_Angeles}", "1,,2025-01-01 00:00:00,2025-06-30 00:00:00", "2025-01-01T08:00:00Z", "2025-07-01T07:00:00Z"},
		{"time of day", "{end_date: last_day, zone: America/Los_Angeles}", "1,,2025-01-01,2025-06-30 12:00", "2025-01-01T08:00:00Z", "2025-06-30T19:00:00Z"},
		{"an instant is taken as it is", "{end_date: last_day, zone: America/Los_Angeles}", "1,,2025-01-01T00:00:00Z,2025-06-30T00:00:00+00:00", "2025-01-01T00:00:00Z", "2025-06-30T00:00:00Z"},
		{"midnight is skipped", "{end_date: first_day_off, zone: America/Sao_Paulo}", "1,,2018-11-04,2018-11-04", "2018-11-04T03:00:00Z", "2018-11-04T03:00:00Z"},
		{"no end", "{end_date: last_day}", "1,,2025-01-01,9999-12-31", "2025-01-01T00:00:00Z", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, _, err := gather(t, write(t, map[string]string{"p.csv": head + c.row + "\n"}), "roster: "+c.roster+"\nfiles: {people: {path: p.csv}}")
			if err != nil {
				t.Fatal(err)
			}
			same(t, out.reasons(), []string(nil))
			p := out.records[0].(access.Person)
			want := access.Person{ID: "1", RecordID: "1", Location: p.Location, StartAt: at(c.start)}
			if c.end != "" {
				want.EndAt = at(c.end)
			}
			same(t, p, want)
		})
	}
}

// A roster must say what an end date is; guessing would disable people on their last morning.
func TestEndDateMustBeDeclared(t *testing.T) {
	_, _, err := gather(t, write(t, map[string]string{"p.csv": "id,end_at\n1,2025-01-01\n"}), "roster: {}\nfiles: {people: {path: p.csv}}")
	if !errors.Is(err, collect.ErrNoEndDate) || !strings.Contains(err.Error(), "p.csv line 2") {
		t.Errorf("error %v", err)
	}
}

func TestRejectedRows(t *testing.T) {
	for _, c := range []struct {
		name, section, file, want string
	}{
		{"empty id", accountsByName, "id,name\n,x\n9,ok\n", `a.csv line 2 column "id": the id is empty`},
		{"ragged", accountsByName, "id,name\n1,x,y\n9,ok\n", `a.csv line 2: has 3 columns, the header has 2`},
		{"flag", accountsByName, "id,enabled\n1,maybe\n9,1\n", `a.csv line 2 column "enabled": "maybe" is neither true nor false; say under values.enabled what it stands for`},
		{"kind", accountsByName, "id,kind\n1,robot\n9,human\n", `a.csv line 2 column "kind": "robot" is none of human, service, shared, guest, machine; say under values.kind what it stands for`},
		{"after a cell of two lines", accountsByName, "id,name,enabled\n9,\"two\nlines\",1\n1,x,maybe\n", `a.csv line 4 column "enabled": "maybe" is neither true nor false; say under values.enabled what it stands for`},
		{"bare quote", accountsByName, "id,name\n1,a\"b\n9,ok\n", `a.csv line 2: line 2, column 4: bare " in non-quoted-field`},
		{"date in no layout", accountsByName, "id,created_at\n1,03/04/2025\n9,2025-01-01\n", `a.csv line 2 column "created_at": "03/04/2025" fits none of the date layouts iso`},
		{"date in two layouts", "files: {accounts: {path: a.csv, dates: [us, eu]}}", "id,created_at\n1,03/04/2025\n9,31/12/2025\n", `a.csv line 2 column "created_at": "03/04/2025" is ambiguous: 2025-03-04 by us, 2025-04-03 by eu; list one of them`},
		{"no secret is shown", accountsByName, "id,created_at\n1,hunter2!\n9,2025-01-01\n", `a.csv line 2 column "created_at": a text of 8 characters fits none of the date layouts iso`},
		{"no date at all", "files: {accounts: {path: a.csv, dates: filetime}}", "id,created_at\n1,0\n9,133801632000000000\n", `a.csv line 2 column "created_at": "0" is no date by filetime: if it stands for never, list it under never`},
		{"filetime never", "files: {accounts: {path: a.csv, dates: filetime}}", "id,created_at\n1,9223372036854775807\n9,133801632000000000\n", `a.csv line 2 column "created_at": "9223372036854775807" is no date by filetime: if it stands for never, list it under never`},
		{"year", accountsByName, "id,created_at\n1,0001-01-01\n9,2025-01-01\n", `a.csv line 2 column "created_at": "0001-01-01": the year is outside 1900 to 2299; if it stands for never, list it under never`},
		{"invalid UTF-8", "files: {accounts: {path: a.csv, encoding: utf-8}}", "id,name\n1,J\xfcrgen\n9,ok\n", `a.csv line 2 column "name": not valid UTF-8, in the field at column 3`},
		{"never and a date", accountsByName, "id,last_login_at,never_logged_in\n1,2025-01-01,yes\n9,,\n", `a.csv line 2 column "never_logged_in": is true, and there is a last_login_at`},
		{"same row twice", accountsByName, "id,name\n9,x\n9,x\n", `a.csv line 3 column "id": the same row as a.csv line 2`},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, _, err := gather(t, write(t, map[string]string{"a.csv": c.file}), c.section)
			if err != nil {
				t.Fatal(err)
			}
			same(t, out.reasons(), []string{c.want})
			if len(out.records) == 0 || out.records[len(out.records)-1].(access.Account).ID != "9" {
				t.Errorf("reading did not go on: %v", out.records)
			}
		})
	}
}

// Two files that disagree: both rows are reported and neither is taken.
func TestDisagreeingFiles(t *testing.T) {
	dir := write(t, map[string]string{"a.csv": "id,enabled\n1,true\n2,true\n3,true\n", "b.csv": "enabled,id\nfalse,2\ntrue,3\ntrue,4\nyes,2\n"})
	out, _, err := gather(t, dir, "files: {accounts: {path: [a.csv, b.csv]}}")
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, r := range out.records {
		ids = append(ids, r.(access.Account).ID)
	}
	same(t, ids, []string{"1", "3", "4"})
	same(t, out.reasons(), []string{
		`a.csv line 3 column "id": b.csv line 2 has the same id and says something else: neither is taken`,
		`b.csv line 2 column "id": a.csv line 3 has the same id and says something else: neither is taken`,
		`b.csv line 3 column "id": the same row as a.csv line 4`,
		`b.csv line 5 column "id": a.csv line 3 has the same id and says something else: neither is taken`,
	})
}

func TestBrokenFiles(t *testing.T) {
	long := strings.Repeat("x", 3000)
	for _, c := range []struct{ name, section, file, text, want string }{
		{"missing", "files: {accounts: {path: b.csv}}", "a.csv", "id\n1\n", "b.csv: no such file or directory"},
		{"directory", `files: {accounts: {path: ., format: csv}}`, "a.csv", "id\n1\n", ".: is a directory: name a file, or say take: newest or all"},
		{"empty", accountsByName, "a.csv", "", "a.csv: is empty, without even a header"},
		{"only a BOM", accountsByName, "a.csv", "\ufeff", "a.csv: is empty, without even a header"},
		{"only a header", accountsByName, "a.csv", "id,name\n", "a.csv: has no rows: set allow_empty where that can be right"},
		{"no id", accountsByName, "a.csv", "login,full name\n1,x\n", "a.csv: has no column for id: it has login, full name; name the column under files.accounts.columns"},
		{"id not mapped", "files: {accounts: {path: a.csv, columns: {username: Login}}}", "a.csv", "Login\nx\n", "a.csv: has no column for id: it has Login; name the column under files.accounts.columns"},
		{"column missing", "files: {accounts: {path: a.csv, columns: {id: Acount ID}}}", "a.csv", "Account ID,x\n1,2\n", `a.csv: has no column "Acount ID": did you mean "Account ID"?`},
		{"column in another case", "files: {accounts: {path: a.csv, columns: {id: ID}}}", "a.csv", "id,x\n1,2\n", `a.csv: has no column "ID": did you mean "id"?`},
		{"column twice", accountsByName, "a.csv", "id,ID\n1,2\n", `a.csv: two columns are called id: "id" and "ID"`},
		{"Windows-1252", accountsByName, "a.csv", "id,name\n1,x\n2,J\xfcrgen\n", "a.csv: line 3, column 4: not valid UTF-8: if the file is an export of Windows, set encoding: windows-1252"},
		{"UTF-16 without BOM", accountsByName, "a.csv", "i\x00d\x00\n\x00", "a.csv: holds a NUL byte at byte 1: if it is UTF-16 without a byte order mark, set encoding: utf-16le"},
		{"delimiter", accountsByName, "a.csv", "id,a;b\n1,2;3\n", `a.csv: line 1: the header has as many ',' as ';': set delimiter`},
		{"quote never closed", "max_record: 1000\nfiles: {accounts: {path: a.csv}}", "a.csv", "id,name\n1,x\n2,\"" + strings.Repeat(long+"\n", 100), "a.csv: line 3: a row is longer than 1000 bytes (max_record): is a closing quote missing?"},
		{"quote not closed at the end", accountsByName, "a.csv", "id,name\n1,x\n2,\"abc\n3,y\n", "a.csv: line 3: the file ends in the middle of this row: it was cut off, or a closing quote is missing"},
		{"cut off in a quote", accountsByName, "a.csv", "id,name\n1,x\n2,\"ab", "a.csv: line 3: the file ends in the middle of this row: it was cut off, or a closing quote is missing"},
		{"cut off", accountsByName, "a.csv", "id,name,kind\n1,x,human\n2,ab", "a.csv: line 3: the file ends in the middle of this row: it was cut off"},
		{"JSON line cut off", "files: {accounts: {path: a.jsonl}}", "a.jsonl", "{\"id\":1}\n{\"id\":", "a.jsonl: line 2: the file ends in the middle of this row: it was cut off"},
		{"JSON cut off", "files: {accounts: {path: a.json}}", "a.json", "[{\"id\":1},\n{\"id\":2},\n{\"id\"", "a.json: line 3: the file ends in the middle of a row: it was cut off"},
		{"JSON array without end", "files: {accounts: {path: a.json}}", "a.json", "[{\"id\":1},\n{\"id\":2}\n", "a.json: line 3: the file ends in the middle of a row: it was cut off"},
		{"JSON syntax", "files: {accounts: {path: a.json}}", "a.json", "[{\"id\":1},\n{id:2}]", "a.json: line 2: not valid JSON: invalid character 'i' looking for beginning of object key string"},
		{"JSON and more", "files: {accounts: {path: a.json}}", "a.json", "[{\"id\":1}]\n[]", "a.json: line 2: there is more after the end of the array"},
		{"JSON path missing", "files: {accounts: {path: a.json, columns: {id: user.idd}}}", "a.json", `[{"user":{"id":1},"user.id":2}]`, `a.json: no row has "user.idd": did you mean "user.id"?`},
		{"JSON rows missing", "files: {accounts: {path: a.json, rows: data.users}}", "a.json", `{"data":{"people":[]}}`, `a.json: rows: there is no "data.users" in the document`},
		{"JSON rows is no array", "files: {accounts: {path: a.json, rows: data}}", "a.json", `{"data":{"people":[]}}`, `a.json: line 1: rows: want an array of objects`},
		{"JSON object around", "files: {accounts: {path: a.json}}", "a.json", `{"value":[{"id":1}]}`, "a.json: has no column for id: it has value; name the column under files.accounts.columns"},
		{"JSON too long", "max_record: 1000\nfiles: {accounts: {path: a.json}}", "a.json", `[{"id":1},{"id":"` + strings.Repeat(long, 100) + `"}]`, "a.json: line 1: a row is longer than 1000 bytes (max_record): is a closing quote missing?"},
		{"JSON line too long", "max_record: 1000\nfiles: {accounts: {path: a.jsonl}}", "a.jsonl", "{\"id\":1}\n" + strings.Repeat(long, 100), "a.jsonl: line 2: a row is longer than 1000 bytes (max_record): is a closing quote missing?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, _, err := gather(t, write(t, map[string]string{c.file: c.text}), c.section)
			switch {
			case err == nil:
				t.Fatalf("no error; records %v, rejections %v", out.records, out.reasons())
			case err.Error() != c.want:
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if len(out.records) > 0 && err != nil {
				t.Errorf("records of a broken file were passed on: %v", out.records)
			}
		})
	}
}

func TestEncodings(t *testing.T) {
	wide := func(order func(r rune) []byte, s string) string {
		var b []byte
		for _, r := range s {
			b = append(b, order(r)...)
		}
		return string(b)
	}
	little := func(r rune) []byte { return []byte{byte(r), byte(r >> 8)} }
	big := func(r rune) []byte { return []byte{byte(r >> 8), byte(r)} }
	const text = "id;name\r\n1;Jürgen €\r\n"
	for _, c := range []struct{ name, encoding, text string }{
		{"UTF-8", "auto", text},
		{"UTF-8 with BOM", "auto", "\ufeff" + text},
		{"UTF-8 with BOM, told", "utf-8", "\ufeff" + text},
		{"UTF-16 LE with BOM", "auto", wide(little, "\ufeff"+text)},
		{"UTF-16 BE with BOM", "auto", wide(big, "\ufeff"+text)},
		{"UTF-16 LE without BOM, told", "utf-16le", wide(little, text)},
		{"UTF-16 BE without BOM, told", "utf-16be", wide(big, text)},
		{"Windows-1252", "windows-1252", "id;name\r\n1;J\xfcrgen \x80\r\n"},
		{"spreadsheet", "auto", "sep=;\r\n" + text},
		{"Windows PowerShell", "auto", "#TYPE Selected.Microsoft.ActiveDirectory.Management.ADUser\r\n\"id\";\"name\"\r\n\"1\";\"Jürgen €\"\r\n"},
		{"blank rows at the end", "auto", text + ";\r\n;\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, _, err := gather(t, write(t, map[string]string{"a.csv": c.text}), "files: {accounts: {path: a.csv, encoding: "+c.encoding+"}}")
			if err != nil {
				t.Fatal(err)
			}
			same(t, out.reasons(), []string(nil))
			same(t, out.records, []access.Record{access.Account{ID: "1", Name: "Jürgen €"}})
		})
	}
	t.Run("UTF-16 cut off", func(t *testing.T) {
		out, _, err := gather(t, write(t, map[string]string{"a.csv": wide(little, "\ufeffid;name\n1;x\n2;y") + "z"}), accountsByName)
		if err != nil {
			t.Fatal(err)
		}
		same(t, out.reasons(), []string{`a.csv line 3 column "name": not valid in the file's encoding, in the field at column 3`})
	})
}

// Values that span the reader's buffers must come out whole.
// A stray quote makes one row of several: what it swallows counts line by line.
func TestStrayQuote(t *testing.T) {
	out, _, err := gather(t, write(t, map[string]string{"a.csv": "id,name\n1,\"x\n2,y\n3,\"z\"\n4,ok\n5,\"a\nb\",c\n6,\"two\nlines\"\n"}), accountsByName)
	if err != nil {
		t.Fatal(err)
	}
	same(t, out.records, []access.Record{access.Account{ID: "4", Name: "ok"}, access.Account{ID: "6", Name: "two\nlines"}})
	const stray = `line 4, column 3: extraneous or missing " in quoted-field`
	same(t, out.reasons(), []string{"a.csv line 2: " + stray, "a.csv line 3: " + stray, "a.csv line 4: " + stray,
		"a.csv line 6: has 3 columns, the header has 2", "a.csv line 7: has 3 columns, the header has 2"})
}

// A person with two employments and one id: the columns that tell them apart make the record's id.
func TestSeveralWorkerRecords(t *testing.T) {
	dir := write(t, map[string]string{"p.csv": "no,from,to\n1,2010-01-01,2012-01-01\n1,2020-01-01,\n"})
	out, _, err := gather(t, dir, "roster: {end_date: first_day_off}\nfiles: {people: {path: p.csv, columns: {id: no, record_id: [no, from], start_at: from, end_at: to}}}")
	if err != nil {
		t.Fatal(err)
	}
	same(t, out.records, []access.Record{
		access.Person{ID: "1", RecordID: "1 2010-01-01", StartAt: at("2010-01-01T00:00:00Z"), EndAt: at("2012-01-01T00:00:00Z")},
		access.Person{ID: "1", RecordID: "1 2020-01-01", StartAt: at("2020-01-01T00:00:00Z")},
	})
}

func TestGrantRejects(t *testing.T) {
	out, _, err := gather(t, write(t, map[string]string{"g.csv": "who,what,by,via,kind\n1,e,,,\n1,,,,\n1,e,2,,\n,e,,3,\n,e,,3,Account\n"}),
		"files: {grants: {path: g.csv, columns: {account_id: who, entitlement_id: what, holder_entitlement_id: by, holder_id: via, holder_kind: kind}}}")
	if err != nil {
		t.Fatal(err)
	}
	same(t, out.records, []access.Record{
		access.Grant{HolderKind: access.HolderAccount, HolderID: "1", EntitlementID: "e"},
		access.Grant{HolderKind: access.HolderAccount, HolderID: "3", EntitlementID: "e"},
	})
	same(t, out.reasons(), []string{
		`g.csv line 3 column "what": the id is empty`,
		`g.csv line 4 column "who": has more than one holder: fill one of account_id, holder_entitlement_id, holder_id`,
		`g.csv line 5 column "kind": empty: say account or entitlement`,
	})
}

func TestPrices(t *testing.T) {
	out, _, err := gather(t, write(t, map[string]string{"s.csv": "sku;cost_month;currency;purchased\na;57,00;eur;1\nb;1.000,00;EUR;1\nc;;Euro;1\nd;-1;EUR;1\ne;;;1.5\nf;12;;\n"}),
		"files: {licenses: {path: s.csv, decimal_comma: true}}")
	if err != nil {
		t.Fatal(err)
	}
	one := int64(1)
	same(t, out.records, []access.Record{access.License{SKU: "a", CostMonth: "57.00", Currency: "EUR", Purchased: &one}, access.License{SKU: "f", CostMonth: "12"}})
	same(t, out.reasons(), []string{
		`s.csv line 3 column "cost_month": not a price: write 57.00, or set decimal_comma where it is 57,00`,
		`s.csv line 4 column "currency": not three letters such as USD`,
		`s.csv line 5 column "cost_month": not a price: write 57.00, or set decimal_comma where it is 57,00`,
		`s.csv line 6 column "purchased": not a whole number`,
	})
}

func TestEndlessJSON(t *testing.T) {
	text := `[{"id":"` + strings.Repeat("x", 4<<20) + `"}]`
	_, _, err := gather(t, write(t, map[string]string{"a.json": text}), "files: {accounts: {path: a.json}}")
	if err == nil || err.Error() != "a.json: line 1: a row is longer than 1048576 bytes (max_record): is a closing quote missing?" {
		t.Errorf("error %v", err)
	}
}

// A line of 2 GB must neither fill the memory nor take the time to read it.
func TestEndlessLine(t *testing.T) {
	for name, head := range map[string]string{"header.csv": "id,", "row.csv": "id,name\n1,", "quoted.csv": "id,name\n1,\"", "a.jsonl": "{\"id\":\""} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, map[string]string{name: head + strings.Repeat("x", 8192)})
			if err := os.Truncate(filepath.Join(dir, name), 2<<30); err != nil { // the rest is a hole
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _, err := gather(t, dir, "files: {accounts: {path: "+name+", encoding: utf-8}}")
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), "a row is longer than 1048576 bytes (max_record)") || !strings.Contains(err.Error(), "line ") {
				t.Errorf("error %v", err)
			}
			if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 24 {
				t.Errorf("%d MiB were allocated", used)
			}
		})
	}
}

func TestManyRows(t *testing.T) {
	var b strings.Builder
	b.WriteString("id,name\n")
	for i := range 20000 {
		fmt.Fprintf(&b, "%d,\"é%s\"\n", i, strings.Repeat("ü", i%97))
	}
	out, _, err := gather(t, write(t, map[string]string{"a.csv": b.String()}), "max_record: 300\n"+accountsByName)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range out.records {
		if want := (access.Account{ID: fmt.Sprint(i), Name: "é" + strings.Repeat("ü", i%97)}); cmp.Diff(want, r) != "" {
			t.Fatalf("row %d is %+v", i, r)
		}
	}
	if len(out.records) != 20000 || len(out.rejections) != 0 {
		t.Errorf("%d records, %d rejections", len(out.records), len(out.rejections))
	}
}

func TestJSONPaths(t *testing.T) {
	dir := write(t, map[string]string{"a.json": `{"meta": {"rows": [9]}, "data": {"users": [
  {"user": {"id": 7, "mail": null}, "state": {"on": false}},
  {"user": {"id": 8, "mail": "x@y.test"}, "state": {"on": "ACTIVE"}},
  {"user": {"id": {"a": 1}}}
]}, "rest": []}`})
	out, _, err := gather(t, dir, `files: {accounts: {path: a.json, rows: data.users, columns: {id: user.id, email: user.mail, enabled: state.on}, values: {enabled: {true: [active]}}, attributes: {mail: user.mail}}}`)
	if err != nil {
		t.Fatal(err)
	}
	same(t, out.records, []access.Record{access.Account{ID: "7", Enabled: no()},
		access.Account{ID: "8", Email: "x@y.test", Enabled: yes(), Attributes: map[string]string{"mail": "x@y.test"}}})
	same(t, out.reasons(), []string{`a.json line 4 column "user.id": is an object: name the field in it with a dot`})
}

func TestWhereValuesAndNames(t *testing.T) {
	dir := write(t, map[string]string{"p.csv": "No|First|Last|State|Type\n1|Ada|Lovelace|A|Staff\n2|Bob||T|Staff\n3|Eve|X|L|Applicant\n4||Y||staff\n"})
	out, _, err := gather(t, dir, `
roster: {end_date: last_day}
files:
  people:
    path: p.csv
    columns: {id: No, employee_id: No, name: [First, Last], status: State}
    values: {status: {active: [a], ended: T, "": [L]}}
    where: {Type: STAFF}
`)
	if err != nil {
		t.Fatal(err)
	}
	same(t, out.reasons(), []string(nil))
	same(t, out.records, []access.Record{
		access.Person{ID: "1", RecordID: "1", EmployeeID: "1", Name: "Ada Lovelace", Status: access.PersonActive},
		access.Person{ID: "2", RecordID: "2", EmployeeID: "2", Name: "Bob", Status: access.PersonEnded},
		access.Person{ID: "4", RecordID: "4", EmployeeID: "4", Name: "Y"},
	})
}

func TestConfigFaults(t *testing.T) {
	for _, c := range []struct{ section, want string }{
		{"files: {}", "files: name at least one of people, accounts, entitlements, grants, licenses, seats, usage"},
		{"files: {people: {path: p.csv}}", "roster: is missing"},
		{"roster: {end_date: lastday, end_time: 5pm, zone: Berlin, zones: {x: Nowhere/At_All}}\nfiles: {people: {path: p.csv}}",
			"roster.end_date: \"lastday\" is neither last_day nor first_day_off\nroster.end_time: \"5pm\" is no time of day: write 17:30 or 24:00\nroster.zone: \"Berlin\" is no time zone known here: write a name such as Europe/Berlin\nroster.zones: x: \"Nowhere/At_All\" is no time zone known here"},
		{"files: {accounts: {path: a.csv, constant: {kind: humann}}}", `files.accounts.constant: kind: "humann" is none of human, service, shared, guest, machine`},
		{"files: {accounts: {path: a.csv, columns: {emial: E}}}", `files.accounts.columns: there is no field "emial": did you mean "email"?`},
		{"files: {accounts: {path: a.csv, columns: {enabled: [a, b]}}}", `files.accounts.columns: enabled is true or false`},
		{"files: {accounts: {path: a.xls}}", "files.accounts.format: .xls is not read: save it as .xlsx or as CSV"},
		{"files: {accounts: {path: a.csv, dates: [dd.mm.yyyy]}}", `files.accounts.dates: "dd.mm.yyyy" is no layout with year, month and day`},
		{"files: {accounts: {path: a.csv, dates: {name: iso}}}", `files.accounts.dates: name is a text`},
		{"files: {accounts: {path: a.csv, values: {kind: {robot: [r]}}}}", `files.accounts.values: kind: "robot" is none of human, service, shared, guest, machine`},
		{"files: {accounts: {path: a.csv, values: {kind: {human: [x], guest: X}}}}", `stands for both`},
		{"files: {accounts: {path: a.csv, encoding: latin1, delimiter: \"::\"}}", "files.accounts.encoding: \"latin1\" is none of auto, utf-8, utf-16le, utf-16be, windows-1252\nfiles.accounts.delimiter: \"::\" is not one character, tab or auto"},
	} {
		err := parse(t, c.section).Validate()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\ngot  %v\nwant %s", c.section, err, c.want)
		}
	}
}

func TestRosterFlag(t *testing.T) {
	if _, err := New(parse(t, accountsByName), Options{Roster: true, UID: "hr"}); err == nil || err.Error() != "files.people: is missing: hr is a roster" {
		t.Errorf("error %v", err)
	}
	if _, err := New(parse(t, "roster: {}\nfiles: {people: {path: p.csv}}"), Options{UID: "app"}); err == nil || err.Error() != "files.people: app is not a roster" {
		t.Errorf("error %v", err)
	}
}

// changing is a sink that writes to the file while it is read.
type changing struct {
	keeper
	change func()
}

func (c *changing) Put(r access.Record) error {
	if len(c.records) == 0 {
		c.change()
	}
	return c.keeper.Put(r)
}

func TestFileChangesWhileRead(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"appended": func(path string) error {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteString("99,x\n")
			return err
		},
		"truncated": func(path string) error { return os.Truncate(path, 20) },
		"touched":   func(path string) error { return os.Chtimes(path, time.Now(), time.Now().Add(time.Hour)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, map[string]string{"a.csv": "id,name\n1,x\n2,y\n" + strings.Repeat("3,z\n", 100000)})
			out := &changing{change: func() {
				if err := change(filepath.Join(dir, "a.csv")); err != nil {
					t.Fatal(err)
				}
			}}
			_, err := build(t, dir, accountsByName).Collect(t.Context(), out)
			if !errors.Is(err, errChanged) {
				t.Errorf("error %v, want %v", err, errChanged)
			}
		})
	}
}

func TestUnreadable(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root reads everything")
	}
	dir := write(t, map[string]string{"a.csv": "id\n1\n"})
	if err := os.Chmod(filepath.Join(dir, "a.csv"), 0); err != nil {
		t.Fatal(err)
	}
	if _, _, err := gather(t, dir, accountsByName); err == nil || err.Error() != "a.csv: permission denied" {
		t.Errorf("error %v", err)
	}
}

func TestMappingNamesTheConfiguration(t *testing.T) {
	seen := map[string]string{}
	for _, section := range []string{accountsByName, "files: {accounts: {path: a.csv, dates: us}}", "files: {accounts: {path: a.csv, where: {x: y}}}"} {
		m := build(t, ".", section).mapping()
		if was, ok := seen[m]; ok {
			t.Errorf("%s and %s have one mapping", was, section)
		}
		seen[m] = section
		if m != build(t, ".", section).mapping() {
			t.Error("the mapping is not the same twice")
		}
	}
}

func TestSuite(t *testing.T) {
	over := func(section string, files map[string]string) func(t testing.TB) collect.Collector {
		return func(t testing.TB) collect.Collector { return build(t, write(t, files), section) }
	}
	good := map[string]string{
		"p.csv": "id,start_at,end_at,title\n1,2020-01-01,,Dr hunter2\n2,2020-01-01,2021-01-01,\n",
		"a.csv": "id,last_login_at\na1,2024-02-03T04:05:06+07:00\n",
		"g.csv": "account_id,entitlement_id\na1,e1\n",
	}
	with := func(name, text string) map[string]string {
		m := maps.Clone(good)
		m[name] = text
		return m
	}
	const section = "roster: {end_date: last_day, zone: Europe/Berlin}\nfiles: {people: {path: p.csv}, accounts: {path: a.csv}, grants: {path: g.csv}}"
	collecttest.Run(t, collecttest.Spec{
		New:       over(section, good),
		Rejecting: over(section, with("a.csv", "id,enabled\na1,hunter2!\na2,no\n")),
		Broken: map[string]func(testing.TB) collect.Collector{
			"empty file":    over(section, with("g.csv", "")),
			"no id":         over(section, with("g.csv", "who,what\nhunter2,e\n")),
			"wrong bytes":   over(section, with("g.csv", "account_id,entitlement_id\na1,\xff\n")),
			"missing file":  over("files: {accounts: {path: b.csv}}", good),
			"endless quote": over("max_record: 100\nfiles: {accounts: {path: a.csv}}", with("a.csv", "id\n\""+strings.Repeat("hunter2", 1e5))),
		},
		Secrets: []string{"hunter2"},
	})
}

func TestCancelInALongFile(t *testing.T) {
	dir := write(t, map[string]string{"a.csv": "id\n" + strings.Repeat(",,,,,,\n", 1e6)})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := build(t, dir, accountsByName).Collect(ctx, &keeper{})
	if err != context.DeadlineExceeded {
		t.Errorf("error %v", err)
	}
}
