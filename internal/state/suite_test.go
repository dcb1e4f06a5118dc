package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/state/statetest"
)

func TestSQLite(t *testing.T) {
	suite(t, func(t *testing.T) Options { return Options{Path: filepath.Join(t.TempDir(), "lapse-data", "state.db")} })
}

func TestPostgres(t *testing.T) {
	server := statetest.StartPostgres(t)
	suite(t, func(t *testing.T) Options { return Options{URL: server.Database(t)} })
}

// suite is the contract of a database for decisions. Fresh gives an empty one.
func suite(t *testing.T, fresh func(*testing.T) Options) {
	tests := []struct {
		name string
		run  func(*testing.T, Options)
	}{
		{"Exceptions", testExceptions},
		{"ExceptionRefusals", testExceptionRefusals},
		{"ExceptionFile", testExceptionFile},
		{"ExceptionFileChanges", testExceptionFileChanges},
		{"ExceptionHistories", testExceptionHistories},
		{"Links", testLinks},
		{"People", testPeople},
		{"PeopleFile", testPeopleFile},
		{"Shrinks", testShrinks},
		{"Names", testNames},
		{"Plans", testPlans},
		{"Journal", testJournal},
		{"Stops", testStops},
		{"Reviews", testReviews},
		{"Sending", testSending},
		{"Outbox", testOutbox},
		{"Answers", testAnswers},
		{"AlteredNotices", testAlteredNotices},
		{"Schedule", testSchedule},
		{"Leavers", testLeavers},
		{"Ledger", testLedger},
		{"LedgerFaults", testLedgerFaults},
		{"AlteredDecisions", testAlteredDecisions},
		{"ConcurrentDecisions", testConcurrentDecisions},
		{"ConcurrentProcesses", testConcurrentProcesses},
		{"Killed", testKilled},
		{"ConcurrentOpen", testConcurrentOpen},
		{"NoHalfDecision", testNoHalfDecision},
		{"Settle", testSettle},
		{"NewerSchema", testNewerSchema},
		{"Leases", testLeases},
		{"LeaseLost", testLeaseLost},
		{"LeaseSerialises", testLeaseSerialises},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, fresh(t)) })
	}
}

var (
	night = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	alice = Actor{ID: "hr/1001", Name: "Alice Ardent"}
	bob   = Actor{ID: "hr/1002", Name: "Bob Brisk"}
)

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// open opens the database at a clock that starts at night.
func open(t *testing.T, o Options) (*State, *clock) {
	t.Helper()
	c := &clock{t: night}
	o.Clock, o.Version = c.now, "1.0.0"
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, c
}

// whole fails the test unless the ledger is whole, and returns its length.
func whole(t *testing.T, s *State) int64 {
	t.Helper()
	v, err := s.VerifyLedger(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !v.OK() {
		t.Fatalf("verify: %s", v)
	}
	return v.Entries
}

func kinds(t *testing.T, s *State) []string {
	t.Helper()
	var out []string
	for e, err := range s.Ledger(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e.Kind)
	}
	return out
}

func equal[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}

func wantErr(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %q", parts)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q doesn't say %q", err, p)
		}
	}
}

func accountScope(policy string, n int) Scope {
	return Scope{Policy: policy, SubjectKind: "account", Source: "corp-ad", SubjectID: fmt.Sprintf("guid-%d", n)}
}

func accepted(scope Scope, days int) Exception {
	return Exception{Scope: scope, Reason: "agreed with the auditor", Ticket: "SEC-7", Expires: night.AddDate(0, 0, days)}
}

func add(t *testing.T, s *State, e Exception) Exception {
	t.Helper()
	e, err := s.AddException(t.Context(), alice, e)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func testExceptions(t *testing.T, o Options) {
	s, c := open(t, o)
	finding := Scope{Fingerprint: strings.Repeat("ab", 32)}
	one := add(t, s, accepted(finding, 10))
	two := add(t, s, accepted(accountScope("DOR-01", 1), 20))
	if one.ID == "" || one.By != alice.ID || !one.Created.Equal(night) {
		t.Errorf("not completed: %+v", one)
	}

	list, err := s.Exceptions(t.Context(), night, ExceptionFilter{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "in force", list, []Exception{one, two})
	list, _ = s.Exceptions(t.Context(), night, ExceptionFilter{Policy: "DOR-01"})
	equal(t, "of one policy", list, []Exception{two})
	list, _ = s.Exceptions(t.Context(), night.AddDate(0, 0, 10), ExceptionFilter{})
	equal(t, "after the first expired", list, []Exception{two})
	list, _ = s.Exceptions(t.Context(), night.Add(-time.Second), ExceptionFilter{})
	equal(t, "before any was created", list, nil)

	c.add(time.Hour)
	revoked, err := s.RevokeException(t.Context(), bob, two.ID, "left the project")
	if err != nil {
		t.Fatal(err)
	}
	if revoked.RevokedBy != bob.ID || !revoked.Revoked.Equal(night.Add(time.Hour)) {
		t.Errorf("revoked: %+v", revoked)
	}
	list, _ = s.Exceptions(t.Context(), night.Add(59*time.Minute), ExceptionFilter{Policy: "DOR-01"})
	equal(t, "before it was revoked", list, []Exception{revoked})
	list, _ = s.Exceptions(t.Context(), night.Add(time.Hour), ExceptionFilter{Policy: "DOR-01"})
	equal(t, "after it was revoked", list, nil)
	list, _ = s.Exceptions(t.Context(), night.Add(time.Hour), ExceptionFilter{All: true})
	equal(t, "all", list, []Exception{one, revoked})

	if _, err := s.RevokeException(t.Context(), bob, two.ID, "again"); !errors.Is(err, ErrNotFound) {
		t.Errorf("revoked twice: %v", err)
	}
	if _, err := s.RevokeException(t.Context(), bob, "ex-none", "never was"); !errors.Is(err, ErrNotFound) {
		t.Errorf("revoked an unknown id: %v", err)
	}
	// The scope is free again, and an expired exception leaves its scope free too.
	add(t, s, accepted(two.Scope, 30))
	c.add(10 * 24 * time.Hour)
	add(t, s, accepted(finding, 40))
	equal(t, "kinds", kinds(t, s), []string{KindExceptionAdded, KindExceptionAdded, KindExceptionRevoked, KindExceptionAdded, KindExceptionAdded})
	whole(t, s)
}

func testExceptionRefusals(t *testing.T, o Options) {
	o.MaxException = 90 * 24 * time.Hour
	s, _ := open(t, o)
	add(t, s, accepted(Scope{Policy: "LIC-02", Department: "Straße"}, 30))
	change := func(f func(*Exception)) Exception {
		e := accepted(accountScope("DOR-01", 1), 30)
		f(&e)
		return e
	}
	tests := []struct {
		name string
		e    Exception
		say  string
	}{
		{"no reason", change(func(e *Exception) { e.Reason = " " }), "reason is missing"},
		{"no expiry", change(func(e *Exception) { e.Expires = time.Time{} }), "expiry is missing"},
		{"expired", change(func(e *Exception) { e.Expires = night }), "is past"},
		{"too long", change(func(e *Exception) { e.Expires = night.AddDate(0, 0, 91) }), "more than 90 days"},
		{"created later", change(func(e *Exception) { e.Created = night.Add(time.Second) }), "in the future"},
		{"no scope", change(func(e *Exception) { e.Scope = Scope{} }), "scope is missing"},
		{"whole policy by accident", change(func(e *Exception) { e.Scope = Scope{Policy: "DOR-01"} }), "written out"},
		{"subject without source", change(func(e *Exception) { e.Scope.Source = "" }), "kind, source and id"},
		{"kind unknown", change(func(e *Exception) { e.Scope.SubjectKind = "robot" }), "robot"},
		{"fingerprint and policy", change(func(e *Exception) { e.Scope.Fingerprint = strings.Repeat("ab", 32) }), "stands alone"},
		{"fingerprint too short", change(func(e *Exception) { e.Scope = Scope{Fingerprint: "ab"} }), "64"},
		{"invalid UTF-8", change(func(e *Exception) { e.Reason = "caf\xe9" }), "UTF-8"},
		{"NUL", change(func(e *Exception) { e.Ticket = "a\x00b" }), "control character"},
		{"folded twin", accepted(Scope{Policy: "LIC-02", Department: "STRASSE "}, 30), "already decided by hr/1001"},
	}
	for _, tt := range tests {
		_, err := s.AddException(t.Context(), alice, tt.e)
		if err == nil || !strings.Contains(err.Error(), tt.say) {
			t.Errorf("%s: got %v, want an error that says %q", tt.name, err, tt.say)
		}
	}
	if _, err := s.AddException(t.Context(), Actor{}, accepted(accountScope("DOR-01", 1), 30)); err == nil {
		t.Error("an actor without an id may decide")
	}
	if n := whole(t, s); n != 1 {
		t.Errorf("%d ledger entries, want 1: a refused decision left a trace", n)
	}
}

func testLinks(t *testing.T, o Options) {
	s, c := open(t, o)
	account, other := Ref{"corp-ad", "guid-1"}, Ref{"corp-ad", "guid-2"}
	jane, john := Ref{"hr", "10042"}, Ref{"hr", "10043"}
	link := func(v Verdict, a, p Ref) (Link, error) {
		return s.AddLink(t.Context(), alice, Link{Verdict: v, Account: a, Person: p, Reason: "asked the owner"})
	}
	is, err := link(Is, account, jane)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []Link{{Verdict: Is, Person: jane}, {Verdict: Is, Person: john}, {Verdict: IsNot, Person: jane}, {Verdict: Nobody}} {
		if _, err := link(l.Verdict, account, l.Person); !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), is.ID) {
			t.Errorf("%s %s beside a link: %v", l.Verdict, l.Person, err)
		}
	}
	not, err := link(IsNot, account, john)
	if err != nil {
		t.Fatalf("denying another person beside a link: %v", err)
	}
	nobody, err := link(Nobody, other, Ref{})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []Link{{Verdict: "maybe", Person: jane}, {Verdict: Is}, {Verdict: Nobody, Person: jane}} {
		if _, err := link(l.Verdict, Ref{"corp-ad", "guid-3"}, l.Person); err == nil {
			t.Errorf("accepted %+v", l)
		}
	}
	list, err := s.Links(t.Context(), LinkFilter{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "standing", list, []Link{is, not, nobody})

	c.add(time.Minute)
	removed, err := s.RemoveLink(t.Context(), bob, is.ID, "wrong person")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.RemoveLink(t.Context(), bob, is.ID, "again"); !errors.Is(err, ErrNotFound) {
		t.Errorf("removed twice: %v", err)
	}
	list, _ = s.Links(t.Context(), LinkFilter{Account: account})
	equal(t, "after removal", list, []Link{not})
	list, _ = s.Links(t.Context(), LinkFilter{Person: jane, All: true})
	equal(t, "with removed", list, []Link{removed})
	if removed.RemovedBy != bob.ID || !removed.Removed.Equal(night.Add(time.Minute)) {
		t.Errorf("removed: %+v", removed)
	}
	equal(t, "kinds", kinds(t, s), []string{KindLinkAdded, KindLinkAdded, KindLinkAdded, KindLinkRemoved})
	whole(t, s)
}

func testPeople(t *testing.T, o Options) {
	s, _ := open(t, o)
	j, err := s.JoinPeople(t.Context(), alice, Join{Records: []Ref{{"hr", "2"}, {"contractors", "C-9"}}, Reason: "converted"})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "sorted records", j.Records, []Ref{{"contractors", "C-9"}, {"hr", "2"}})
	if _, err := s.JoinPeople(t.Context(), alice, Join{ID: "p2", Records: []Ref{{"hr", "2"}, {"hr", "3"}}}); !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), j.ID) {
		t.Errorf("a record in two joins: %v", err)
	}
	if _, err := s.JoinPeople(t.Context(), alice, Join{ID: j.ID, Records: []Ref{{"hr", "4"}, {"hr", "3"}}}); !errors.Is(err, ErrExists) {
		t.Errorf("an id twice: %v", err)
	}
	for _, records := range [][]Ref{nil, {{"hr", "4"}}, {{"hr", "4"}, {"hr", "4"}}, {{"hr", "4"}, {"", "5"}}} {
		if _, err := s.JoinPeople(t.Context(), alice, Join{Records: records}); err == nil {
			t.Errorf("joined %v", records)
		}
	}
	joins, err := s.Joins(t.Context())
	if err != nil || len(joins) != 1 || joins[0].ID != j.ID || !slices.Equal(joins[0].Records, j.Records) {
		t.Errorf("joins: %v, %v", joins, err)
	}
	whole(t, s)
	if err := s.PartPeople(t.Context(), bob, j.ID, "two people after all"); err != nil {
		t.Fatal(err)
	}
	if err := s.PartPeople(t.Context(), bob, j.ID, "again"); !errors.Is(err, ErrNotFound) {
		t.Errorf("parted twice: %v", err)
	}
	if _, err := s.JoinPeople(t.Context(), alice, Join{ID: j.ID, Records: []Ref{{"hr", "2"}, {"hr", "3"}}}); err != nil {
		t.Errorf("joining anew: %v", err)
	}
	equal(t, "kinds", kinds(t, s), []string{KindPeopleJoined, KindPeopleParted, KindPeopleJoined})
	whole(t, s)
}

func testShrinks(t *testing.T, o Options) {
	s, c := open(t, o)
	a, err := s.AcceptShrink(t.Context(), alice, "hr", 900, "a subsidiary was sold")
	if err != nil {
		t.Fatal(err)
	}
	for _, miss := range []struct {
		source  string
		records int64
	}{{"hr", 899}, {"corp-ad", 900}} {
		if _, err := s.UseShrink(t.Context(), bob, miss.source, miss.records); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s with %d records passed: %v", miss.source, miss.records, err)
		}
	}
	used, err := s.UseShrink(t.Context(), bob, "hr", 905)
	if err != nil {
		t.Fatal(err)
	}
	if used.ID != a.ID || used.UsedFor != 905 || !used.Used.Equal(night) {
		t.Errorf("used: %+v", used)
	}
	if _, err := s.UseShrink(t.Context(), bob, "hr", 905); !errors.Is(err, ErrNotFound) {
		t.Errorf("used twice: %v", err)
	}
	c.add(time.Minute)
	if _, err := s.AcceptShrink(t.Context(), alice, "hr", 800, "another one"); err != nil {
		t.Fatal(err)
	}
	c.add(ShrinkLife)
	if _, err := s.UseShrink(t.Context(), bob, "hr", 800); !errors.Is(err, ErrNotFound) {
		t.Errorf("an old acceptance passed: %v", err)
	}
	if _, err := s.AcceptShrink(t.Context(), alice, "hr", 800, ""); err == nil {
		t.Error("accepted without a reason")
	}
	all, err := s.Shrinks(t.Context())
	if err != nil || len(all) != 2 || all[0] != used {
		t.Errorf("shrinks: %+v, %v", all, err)
	}
	equal(t, "kinds", kinds(t, s), []string{KindShrinkAccepted, KindShrinkUsed, KindShrinkAccepted})
	whole(t, s)
}

func testNames(t *testing.T, o Options) {
	s, _ := open(t, o)
	add(t, s, accepted(accountScope("DOR-01", 1), 30))
	if _, err := s.Record(t.Context(), bob, "scan.completed", map[string]any{"run": 412}); err != nil {
		t.Fatal(err)
	}
	names, err := s.Names(t.Context())
	if err != nil || len(names) != 2 || names[alice.ID] != alice.Name {
		t.Fatalf("names: %v, %v", names, err)
	}
	if err := s.EraseName(t.Context(), Actor{ID: bob.ID}, alice.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.EraseName(t.Context(), Actor{ID: bob.ID}, alice.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("erased twice: %v", err)
	}
	names, _ = s.Names(t.Context())
	if len(names) != 1 || names[alice.ID] != "" {
		t.Errorf("names after erasing: %v", names)
	}
	if n := whole(t, s); n != 3 {
		t.Errorf("%d entries, want 3", n)
	}
	var out strings.Builder
	if err := s.Export(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "Alice") || !strings.Contains(out.String(), alice.ID) {
		t.Errorf("the ledger holds a name, or no id:\n%s", out.String())
	}
	if o.Path == "" {
		return
	}
	files, _ := filepath.Glob(o.Path + "*")
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(content), "Ardent") {
			t.Errorf("%s still holds the erased name", filepath.Base(f))
		}
	}
}

func newestSchema(t *testing.T) int64 {
	t.Helper()
	steps, err := readMigrations(migrations)
	if err != nil {
		t.Fatal(err)
	}
	return steps[len(steps)-1].version
}

func testNewerSchema(t *testing.T, o Options) {
	s, _ := open(t, o)
	if v, err := s.Schema(t.Context()); err != nil || v != newestSchema(t) {
		t.Fatalf("schema %d, %v", v, err)
	}
	if _, err := s.w.Exec("INSERT INTO schema_version (version, name, binary_version, applied_at) VALUES (1007, '1007_plans', '2.3.0', 0)"); err != nil {
		t.Fatal(err)
	}
	o.Version = "1.0.0"
	_, err := Open(t.Context(), o)
	var newer *NewerSchemaError
	if !errors.As(err, &newer) || newer.Have != 1007 || newer.Know != newestSchema(t) {
		t.Fatalf("opened a newer schema: %v", err)
	}
	wantErr(t, err, "schema 1007", fmt.Sprintf("up to %d", newestSchema(t)), "use lapse 2.3.0 or newer")
}
