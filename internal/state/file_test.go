package state

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

const exceptionsYAML = `exceptions:
  - policy: DOR-01
    subject: {kind: account, source: corp-ad, id: 0042}
    reason: seasonal worker
    by: hr/1001
    ticket: SEC-1
    expires: 2027-03-31
  - id: ex-fixed
    finding: abababababababababababababababababababababababababababababababab
    reason: |
      two
      lines
    expires: 2027-01-01T00:00:00Z
  - policy: LIC-02
    department: R&D
    source: github
    reason: evaluation
    by: hr/7
    created: 2026-11-01T10:00:00+01:00
    expires: 2027-03-31
`

func importExceptions(t *testing.T, s *State, content string, o ImportOptions) ImportReport {
	t.Helper()
	o.Name = "exceptions.yaml"
	r, err := s.ImportExceptions(t.Context(), bob, strings.NewReader(content), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func testExceptionFile(t *testing.T, o Options) {
	s, c := open(t, o)
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	in := ImportOptions{Location: berlin}
	r := importExceptions(t, s, exceptionsYAML, in)
	if len(r.Added) != 3 || len(r.Changed)+len(r.Unchanged)+len(r.Missing)+len(r.Skipped) != 0 {
		t.Fatalf("first import: %+v", r)
	}
	list, err := s.Exceptions(t.Context(), night, ExceptionFilter{})
	if err != nil || len(list) != 3 {
		t.Fatalf("%d exceptions, %v", len(list), err)
	}
	finding, account, group := list[0], list[1], list[2]
	if finding.ID != "ex-fixed" || finding.By != bob.ID || finding.Reason != "two\nlines\n" {
		t.Errorf("finding: %+v", finding)
	}
	// The last day counts, to its end in Berlin, where it is summer by then.
	if account.Scope.SubjectID != "0042" || !account.Expires.Equal(time.Date(2027, 3, 31, 22, 0, 0, 0, time.UTC)) || account.By != "hr/1001" {
		t.Errorf("account: %+v", account)
	}
	if group.Scope.Department != "R&D" || !group.Created.Equal(time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)) {
		t.Errorf("group: %+v", group)
	}

	c.add(time.Hour)
	head, _ := s.Head(t.Context())
	if r := importExceptions(t, s, exceptionsYAML, in); len(r.Unchanged) != 3 || len(r.Added)+len(r.Changed)+len(r.Skipped) != 0 {
		t.Errorf("second import: %+v", r)
	}
	var one, two bytes.Buffer
	if err := ExportExceptions(&one, list); err != nil {
		t.Fatal(err)
	}
	if err := ExportExceptions(&two, []Exception{group, finding, account}); err != nil {
		t.Fatal(err)
	}
	if one.String() != two.String() {
		t.Errorf("the order shows:\n%s\n%s", one.String(), two.String())
	}
	if r := importExceptions(t, s, one.String(), ImportOptions{RemoveMissing: true}); len(r.Unchanged) != 3 || len(r.Removed) != 0 {
		t.Errorf("import of the export: %+v\n%s", r, one.String())
	}
	if now, _ := s.Head(t.Context()); now != head {
		t.Errorf("importing again moved the ledger from %d to %d", head.Seq, now.Seq)
	}
	whole(t, s)
}

func testExceptionFileChanges(t *testing.T, o Options) {
	s, c := open(t, o)
	importExceptions(t, s, exceptionsYAML, ImportOptions{})
	stays := add(t, s, accepted(accountScope("ORP-01", 9), 30))

	changed := strings.Replace(exceptionsYAML, "seasonal worker", "seasonal worker, returns", 1)
	r := importExceptions(t, s, changed, ImportOptions{})
	if len(r.Changed) != 1 || len(r.Unchanged) != 2 || len(r.Missing) != 1 || r.Missing[0] != stays.ID {
		t.Errorf("changed: %+v", r)
	}
	if r := importExceptions(t, s, changed, ImportOptions{}); len(r.Unchanged) != 3 {
		t.Errorf("changed, again: %+v", r)
	}
	if _, err := s.RevokeException(t.Context(), alice, "ex-fixed", "no longer"); err != nil {
		t.Fatal(err)
	}
	r = importExceptions(t, s, changed, ImportOptions{RemoveMissing: true})
	if len(r.Unchanged) != 2 || len(r.Removed) != 1 || r.Removed[0] != stays.ID || len(r.Skipped) != 1 {
		t.Errorf("revoked and missing: %+v", r)
	} else if k := r.Skipped[0]; k.Place != "exceptions.yaml:8:5" || !strings.Contains(k.Why, "revoked on 2026-11-23 by hr/1001") {
		t.Errorf("skipped: %+v", k)
	}
	c.add(200 * 24 * time.Hour)
	if r := importExceptions(t, s, strings.ReplaceAll(changed, "id: ex-fixed\n    ", ""), ImportOptions{}); len(r.Skipped) != 3 || len(r.Added) != 0 {
		t.Errorf("all expired: %+v", r)
	}
	equal(t, "kinds", kinds(t, s), []string{KindExceptionAdded, KindExceptionAdded, KindExceptionAdded, KindExceptionAdded, KindExceptionChanged, KindExceptionRevoked, KindExceptionRevoked})

	// All or nothing: the first entry is good, the second too late.
	_, err := s.ImportExceptions(t.Context(), bob, strings.NewReader(`exceptions:
  - {policy: A-1, source: x, reason: good, expires: 2027-12-01}
  - {policy: A-2, source: x, reason: too long, expires: 2037-12-01}
`), ImportOptions{Name: "late.yaml"})
	wantErr(t, err, "late.yaml:3:5: it expires on", "more than 366 days")
	if n := whole(t, s); n != 7 {
		t.Errorf("%d entries, want 7", n)
	}
}

func TestExceptionFileFaults(t *testing.T) {
	tests := []struct {
		name, content string
		say           []string
	}{
		{"syntax", "exceptions:\n  - policy: [\n", []string{"f.yaml: line "}},
		{"unknown key", "exceptions:\n  - policy: A\n    source: x\n    reson: typo\n", []string{`f.yaml:4:5: unknown key "reson": want one of by, created`}},
		{"unknown top key", "exception: []\n", []string{`f.yaml:1:1: unknown key "exception": want one of exceptions`}},
		{"key twice", "exceptions:\n  - policy: A\n    policy: B\n    source: x\n", []string{`f.yaml:3:5: the key "policy" is here twice`}},
		{"not a list", "exceptions: {}\n", []string{"f.yaml:1:13: want a list"}},
		{"not a mapping", "exceptions: [7]\n", []string{"f.yaml:1:14: want keys out of"}},
		{"bad date", "exceptions:\n  - {policy: A, source: x, expires: 31.3.2027}\n", []string{`f.yaml:2:37: want a date such as`, `"31.3.2027"`}},
		{"no scope", "exceptions:\n  - {reason: x}\n", []string{"f.yaml:2:5: the scope is missing"}},
		{"half a subject", "exceptions:\n  - {policy: A, subject: {kind: account}}\n", []string{"f.yaml:2:5: a subject needs"}},
		{"empty subject", "exceptions:\n  - {policy: A, source: x, subject: {}}\n", []string{"f.yaml:2:5: "}},
		{"empty subject alone", "exceptions:\n  - {policy: A, department: x, subject: {}}\n", []string{"f.yaml:2:5: a subject needs"}},
		{"subject without id", "exceptions:\n  - {policy: A, subject: {source: x}}\n", []string{"f.yaml:2:5: "}},
		{"source twice", "exceptions:\n  - {policy: A, source: x, subject: {kind: account, source: y, id: z}}\n", []string{"f.yaml:2:5: give the source once"}},
		{"alias", "exceptions:\n  - {policy: &a A, source: *a}\n", []string{"f.yaml:2:28: write the value out"}},
		{"null", "exceptions:\n  - {policy: A, source: ~}\n", []string{"f.yaml:2:25: want text"}},
		{"two documents", "exceptions: []\n---\nexceptions: []\n", []string{"f.yaml:", "second document"}},
		{"all at once", "exceptions:\n  - {policy: A, sauce: x}\n  - {policy: true, source: x}\n", []string{"f.yaml:2:17:", "f.yaml:3:14:"}},
		{"invalid UTF-8", "exceptions:\n  - {policy: caf\xe9, source: x}\n", []string{"f.yaml: "}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &yamlFile{name: "f.yaml"}
			f.exceptions(strings.NewReader(tt.content), time.UTC)
			wantErr(t, f.err(), tt.say...)
		})
	}
	for _, empty := range []string{"", "\n", "# nothing\n", "exceptions:\n", "exceptions: []\n"} {
		f := &yamlFile{name: "f.yaml"}
		if got := f.exceptions(strings.NewReader(empty), time.UTC); len(got) != 0 || f.err() != nil {
			t.Errorf("%q: %v, %v", empty, got, f.err())
		}
	}
}

func FuzzExceptionFile(f *testing.F) {
	f.Add(exceptionsYAML)
	f.Add("exceptions: [{policy: &a A, <<: *a}]")
	f.Add("a: &a [*a]")
	f.Fuzz(func(t *testing.T, content string) {
		file := &yamlFile{name: "f.yaml"}
		for _, e := range file.exceptions(strings.NewReader(content), time.UTC) {
			if file.err() == nil && e.Scope.validate() != nil {
				t.Errorf("let a bad scope through: %+v", e.Scope)
			}
		}
		file.people(strings.NewReader(content))
	})
}

const peopleYAML = `people:
  - id: p-1
    records:
      - {roster: hr, id: "10042"}
      - {roster: contractors, id: C-77}
    reason: converted in May
  - id: p-2
    records: [{roster: hr, id: 7}, {roster: hr, id: 007}]
`

func testPeopleFile(t *testing.T, o Options) {
	s, c := open(t, o)
	load := func(content string, remove bool) (ImportReport, error) {
		return s.ImportPeople(t.Context(), alice, strings.NewReader(content), ImportOptions{Name: "people.yaml", RemoveMissing: remove})
	}
	r, err := load(peopleYAML, false)
	if err != nil || len(r.Added) != 2 {
		t.Fatalf("first import: %+v, %v", r, err)
	}
	c.add(time.Hour)
	joins, err := s.Joins(t.Context())
	if err != nil || len(joins) != 2 {
		t.Fatalf("joins: %v, %v", joins, err)
	}
	equal(t, "records", joins[1].Records, []Ref{{"hr", "007"}, {"hr", "7"}})
	var out bytes.Buffer
	if err := ExportPeople(&out, joins); err != nil {
		t.Fatal(err)
	}
	for _, same := range []string{peopleYAML, out.String()} {
		if r, err := load(same, true); err != nil || len(r.Unchanged) != 2 || len(r.Removed) != 0 {
			t.Errorf("again: %+v, %v\n%s", r, err, same)
		}
	}
	if n := whole(t, s); n != 2 {
		t.Errorf("%d entries, want 2", n)
	}

	for _, tt := range []struct{ name, content, say string }{
		{"in two entries", "people:\n  - {id: a, records: [{roster: hr, id: 1}, {roster: hr, id: 2}]}\n  - {id: b, records: [{roster: hr, id: 2}, {roster: hr, id: 3}]}\n",
			"people.yaml:3:23: record hr:2 is here twice, first at people.yaml:2:44"},
		{"held outside the file", "people:\n  - {id: a, records: [{roster: hr, id: 1}, {roster: hr, id: 007}]}\n", "people.yaml:2:44: record hr:007 belongs to p-2, which is not in the file"},
		{"alone", "people:\n  - {id: a, records: [{roster: hr, id: 1}]}\n", "people.yaml:2:5: joining takes at least two"},
		{"id twice", "people:\n  - {id: a, records: [{roster: hr, id: 1}, {roster: hr, id: 2}]}\n  - {id: a, records: [{roster: hr, id: 3}, {roster: hr, id: 4}]}\n", "people.yaml:3:5: the id a is here twice, first at people.yaml:2:5"},
		{"no id", "people:\n  - {records: [{roster: hr, id: 1}, {roster: hr, id: 2}]}\n", "people.yaml:2:5: the id is missing"},
	} {
		_, err := load(tt.content, false)
		if err == nil || !strings.Contains(err.Error(), tt.say) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.say)
		}
	}

	// A record moves from one entry to another, and p-2 goes.
	moved := `people:
  - id: p-1
    records: [{roster: hr, id: "10042"}, {roster: hr, id: 7}]
  - id: p-3
    records: [{roster: contractors, id: C-77}, {roster: hr, id: 8}]
`
	if _, err := load(moved, false); err == nil {
		t.Error("took hr/7 from p-2, which stays")
	}
	r, err = load(moved, true)
	if err != nil || len(r.Changed) != 1 || len(r.Added) != 1 || len(r.Removed) != 1 {
		t.Errorf("moved: %+v, %v", r, err)
	}
	equal(t, "kinds", kinds(t, s), []string{KindPeopleJoined, KindPeopleJoined, KindPeopleParted, KindPeopleJoined, KindPeopleJoined})
	whole(t, s)
}
