package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/internal/access"
)

// shippedIDs are the rules that come with Lapse. An id that was once here stands for that rule for ever.
const shippedIDs = "AD-01 AD-02 AD-03 AD-04 AD-05 AD-06 AD-07 AD-08 AD-09 AD-10 BRK-01 DIS-01 DOR-01 DOR-02 DOR-03 DOR-04 EXT-01 EXT-02 JNR-01 LIC-01 LIC-02 LIC-03 LIC-04 LOC-01 LVR-01 LVR-02 LVR-03 LVR-04 LVR-05 LVR-06 LVR-07 LVR-08 LVR-09 MBX-01 MFA-01 MOV-01 ORP-01 ORP-02 ORP-03 PEER-01 PRV-01 PRV-02 PRV-03 PRV-04 PRV-05 REV-01 SHR-01 SOD-01 SRC-01 SVC-01 SVC-02 SVC-03"

// By default exactly the rules of the first day are on: what they flag needs nobody to explain why.
func TestShippedDefaults(t *testing.T) {
	on := strings.Fields("LVR-01 LVR-03 LVR-04 LVR-05 ORP-01 ORP-02 DOR-02 SVC-01 LIC-01 MFA-01")
	exempt := strings.Fields("DOR-01 DOR-02 DOR-03 DOR-04 LIC-02 EXT-01") // never LVR
	var ids []string
	for _, p := range shipped(t, Options{}).Policies() {
		ids = append(ids, p.ID)
		if p.Enabled != slices.Contains(on, p.ID) {
			t.Errorf("%s: enabled is %v", p.ID, p.Enabled)
		}
		if (len(p.Exempt) == 1 && p.Exempt[0] == "leave") != slices.Contains(exempt, p.ID) {
			t.Errorf("%s: exempt is %v", p.ID, p.Exempt)
		}
		if len(p.Controls) == 0 || p.Description == "" || p.Action == "" || p.Assignee == "" {
			t.Errorf("%s: %+v", p.ID, p)
		}
	}
	if got := strings.Join(ids, " "); got != shippedIDs {
		t.Errorf("the pack is\n%s, want\n%s", got, shippedIDs)
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
	judging := 0
	for _, p := range shipped(t, Options{}).Policies() {
		if p.Subject == access.SubjectAccount || p.Subject == access.SubjectEntitlement {
			judging++
		}
	}
	if len(tallies) != judging {
		t.Errorf("%d tallies, want %d", len(tallies), judging)
	}
	for _, tally := range tallies {
		if tally.Evaluated > 0 {
			t.Errorf("%s claims to have judged it: %+v", tally.Policy, tally)
		}
	}
}
