package policy

import (
	"testing"

	"github.com/lapse-audit/lapse/internal/access"
)

// By default exactly these are on.
func TestShippedDefaults(t *testing.T) {
	off := map[string]bool{"DOR-01": true, "DOR-03": true, "LIC-02": true, "PEER-01": true}
	exempt := map[string]bool{"DOR-01": true, "DOR-02": true, "DOR-03": true, "LIC-02": true}
	policies := shipped(t, Options{}).Policies()
	if len(policies) != 14 {
		t.Errorf("%d policies, want 14", len(policies))
	}
	for _, p := range policies {
		if p.Enabled == off[p.ID] {
			t.Errorf("%s: enabled is %v", p.ID, p.Enabled)
		}
		if (len(p.Exempt) == 1 && p.Exempt[0] == "leave") != exempt[p.ID] {
			t.Errorf("%s: exempt is %v", p.ID, p.Exempt)
		}
		if len(p.Controls) == 0 || p.Description == "" || p.Action == "" || p.Assignee == "" {
			t.Errorf("%s: %+v", p.ID, p)
		}
	}
}

// Every ended person's account is the matter of one of LVR-01 and LVR-04, never of both and never of neither.
func TestLeaverRulesShareNothingAndMissNothing(t *testing.T) {
	e := newEngine(t, shipped(t, Options{}), EngineOptions{})
	ev := e.NewEvaluator()
	for kind, want := range map[string]string{
		"contractor": "LVR-04", "vendor": "LVR-04", "temp": "LVR-04", "external": "LVR-04", "consultant": "LVR-04",
		"employee": "LVR-01", "intern": "LVR-01", "": "LVR-01",
	} {
		person := doc{"status": "ended", "hours_since_end": 100, "days_since_end": 4, "kind": kind}
		if kind == "" {
			delete(person, "kind")
		}
		got := evalAll(t, ev, access.SubjectAccount, accountRow(t, doc{"person": person}))
		if len(got) != 1 || got[0].Policy != want {
			t.Errorf("%q: %+v, want %s alone", kind, got, want)
		}
	}
	if f := e.Failures(); len(f) > 0 {
		t.Error(f)
	}
}

// An account about which nothing is known beyond its id gives no finding, and no rule claims to have judged it.
func TestUnknownIsNeitherFlaggedNorClean(t *testing.T) {
	e := newEngine(t, shipped(t, enableAll(t)), EngineOptions{})
	row := rowOf(t, access.SubjectAccount, doc{"source": doc{"uid": "app", "name": "App", "type": "file"}, "account": doc{"id": "1", "days_known": 400},
		"link": doc{"method": "none", "status": "unmatched"}})
	if got := evalAll(t, e.NewEvaluator(), access.SubjectAccount, row); len(got) > 0 {
		t.Errorf("%+v", got)
	}
	entitlement := rowOf(t, access.SubjectEntitlement, doc{"source": doc{"uid": "app", "name": "App", "type": "file"}, "entitlement": doc{"id": "1"}})
	if got := evalAll(t, e.NewEvaluator(), access.SubjectEntitlement, entitlement); len(got) > 0 {
		t.Errorf("%+v", got)
	}
	tallies := e.Tallies()
	if len(tallies) != 14 {
		t.Errorf("%d tallies, want 14", len(tallies))
	}
	for _, tally := range tallies {
		if tally.Evaluated > 0 {
			t.Errorf("%s claims to have judged it: %+v", tally.Policy, tally)
		}
	}
}
