package state

import (
	"strings"
	"testing"
	"time"
)

func testExceptionHistories(t *testing.T, o Options) {
	s, c := open(t, o)
	crm := Scope{Policy: "DOR-01", Source: "crm"}
	add := func(scope Scope, days int) Exception {
		t.Helper()
		e, err := s.AddException(t.Context(), alice, Exception{Scope: scope, Reason: "season", Expires: c.now().AddDate(0, 0, days)})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	first := add(crm, 30)
	other := add(Scope{Policy: "DOR-01", Source: "erp"}, 10)
	// Accepted for longer by the file in git, and again when it had ended.
	longer := "exceptions: [{policy: DOR-01, source: crm, reason: season, expires: 2027-01-31}]"
	dry := importExceptions(t, s, longer, ImportOptions{DryRun: true, RemoveMissing: true})
	if len(dry.Changed) != 1 || len(dry.Removed) != 1 || len(dry.Diff) != 2 || dry.Diff[0].Before.Expires.Equal(dry.Diff[0].After.Expires) || dry.Diff[1].After != nil {
		t.Errorf("what would change: %+v", dry)
	}
	if all, err := s.Exceptions(t.Context(), c.now(), ExceptionFilter{}); err != nil || len(all) != 2 || !all[0].Expires.Equal(first.Expires) {
		t.Fatalf("a dry run changed something: %+v, %v", all, err)
	}
	importExceptions(t, s, longer, ImportOptions{})
	c.add(80 * 24 * time.Hour)
	second := add(crm, 30)
	c.add(80 * 24 * time.Hour) // long after that ended
	third, fourth := add(crm, 30), add(Scope{Policy: "DOR-01", Source: "erp"}, 10)

	got, err := s.ExceptionHistories(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		of   Exception
		want ExceptionHistory
	}{
		{"changed to last longer", first, ExceptionHistory{night, 1}}, {"gone on from another", second, ExceptionHistory{night, 2}},
		{"long after the other", third, ExceptionHistory{third.Created, 0}}, {"never renewed", other, ExceptionHistory{night, 0}},
		{"another one", fourth, ExceptionHistory{fourth.Created, 0}},
	} {
		if h := got[tt.of.ID]; h.Renewed != tt.want.Renewed || !h.Since.Equal(tt.want.Since) {
			t.Errorf("%s: %+v, want %+v", tt.name, h, tt.want)
		}
	}
	verified(t, s)
}

func TestEndedMatcher(t *testing.T) {
	scope := accountScope("DOR-01", 1)
	early := Exception{ID: "early", By: "hr:1", Scope: scope, Created: night.AddDate(0, 0, -20), Expires: night.AddDate(0, 0, -9)}
	late := Exception{ID: "late", By: "hr:2", Scope: scope, Created: night.AddDate(0, 0, -9), Expires: night.AddDate(0, 0, 9), Revoked: night, RevokedBy: "hr:3", RevokeReason: "over"}
	live := Exception{ID: "live", Scope: accountScope("DOR-01", 2), Created: night.AddDate(0, 0, -9), Expires: night.AddDate(0, 0, 9)}
	subject := func(s Scope) Subject {
		return Subject{Policy: s.Policy, Kind: s.SubjectKind, Source: s.Source, ID: s.SubjectID}
	}
	for _, list := range [][]Exception{{early, late, live}, {live, late, early}} {
		m := NewEndedMatcher(list, night.Add(time.Hour))
		if e, ok := m.Match(subject(scope)); !ok || e.ID != "late" || !strings.Contains(e.EndedBy(time.UTC), "late by hr:2 was ended on 2026-11-23 02:00 UTC by hr:3: over") {
			t.Errorf("%+v, %v", e, ok)
		}
		if e, ok := m.Match(subject(live.Scope)); ok {
			t.Errorf("%s has not ended", e.ID)
		}
	}
	if got := early.EndedBy(time.UTC); got != "early by hr:1 expired on 2026-11-14 02:00 UTC" {
		t.Error(got)
	}
}
