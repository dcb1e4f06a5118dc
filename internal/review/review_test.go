package review

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/state"
)

func ptr[T any](v T) *T { return &v }

var start = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

func TestSuggest(t *testing.T) {
	old := func(g Grant) Grant {
		g.Status, g.GrantedDays = access.PersonActive, ptr(int64(400))
		return g
	}
	for _, tt := range []struct {
		name, want, evidence string
		hard                 int
		grant                Grant
	}{
		{"unknown use is not unused", "", "", 1, old(Grant{Person: "hr:1"})},
		{"a leaver", Revoke, "the person left 12 days ago", 1, Grant{Person: "hr:1", Status: access.PersonEnded, EndDays: ptr(int64(12))}},
		{"a leaver, though it was used today", Revoke, "has left", 0, Grant{Person: "hr:1", Status: access.PersonEnded, UsedDays: ptr(int64(0))}},
		{"never signed in and old", Revoke, "never signed in, and the grant is 400 days old", 0, old(Grant{Person: "hr:1", NeverSignedIn: ptr(true)})},
		{"never signed in and new", "", "", 0, Grant{Person: "hr:1", Status: access.PersonActive, KnownDays: ptr(int64(89)), NeverSignedIn: ptr(true)}},
		{"of unknown age", "", "", 0, Grant{Person: "hr:1", Status: access.PersonActive, NeverSignedIn: ptr(true)}},
		{"last used long ago", Revoke, "last used 120 days ago", 0, old(Grant{Person: "hr:1", UsedDays: ptr(int64(120)), SignInDays: ptr(int64(1))})},
		{"the account signed in long ago", Revoke, "not signed in to for more than 90 days", 0, old(Grant{Person: "hr:1", SignInDays: ptr(int64(200))})},
		{"the stamp may lag", "", "", 0, old(Grant{Person: "hr:1", SignInDays: ptr(int64(100)), SignInLag: ptr(int64(14))})},
		{"on leave", "", "", 0, Grant{Person: "hr:1", Status: access.PersonLeave, GrantedDays: ptr(int64(400)), UsedDays: ptr(int64(200))}},
		{"used this week", Approve, "used 3 days ago", 0, old(Grant{Person: "hr:1", UsedDays: ptr(int64(3))})},
		{"used this week and privileged", "", "", 1, old(Grant{Person: "hr:1", UsedDays: ptr(int64(3)), Privileged: ptr(true)})},
		{"rare among peers", "", "", 1, old(Grant{Person: "hr:1", UsedDays: ptr(int64(3)), PeerShare: ptr(0.05), Peers: ptr(int64(20))})},
		{"too few peers to say", Approve, "used today", 0, old(Grant{Person: "hr:1", UsedDays: ptr(int64(0)), PeerShare: ptr(0.05), Peers: ptr(int64(7))})},
		{"birthright", Approve, "by their job", 0, old(Grant{Person: "hr:1", Tags: []string{"Birthright"}, SignInDays: ptr(int64(2))})},
		{"birthright of a disabled account", "", "", 0, old(Grant{Person: "hr:1", Tags: []string{"birthright"}, SignInDays: ptr(int64(2)), Enabled: ptr(false)})},
		{"approved of late", Approve, "approved when it was granted 30 days ago", 0,
			Grant{Person: "hr:1", Status: access.PersonActive, Approved: ptr(true), GrantedDays: ptr(int64(30)), SignInDays: ptr(int64(2))}},
		{"nobody's", "", "", 1, Grant{UsedDays: ptr(int64(2))}},
		{"a service account's", Approve, "used 2 days ago", 0, Grant{Kind: access.KindService, UsedDays: ptr(int64(2))}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Defaults().Suggest(tt.grant)
			if got.Suggested != tt.want || !strings.Contains(got.Said(), tt.evidence) || tt.want == "" && len(got.Evidence) > 0 {
				t.Errorf("suggested %q (%s)", got.Suggested, got.Said())
			}
			if len(got.Hard) != tt.hard {
				t.Errorf("hard: %v, want %d reasons", got.Hard, tt.hard)
			}
		})
	}
}

func TestScope(t *testing.T) {
	for _, bad := range []string{"", "everything", "source=", "privileged=yes", "sorce=crm", "entitlement=[a", "all,source=crm"} {
		if s, err := ParseScope(strings.Split(bad, ",")); err == nil {
			t.Errorf("%q is taken for %+v", bad, s)
		}
	}
	g := Grant{Source: "crm", Entitlement: "cn=Admins/x", EntitlementName: "Admins", Tags: []string{"SOX"}, Department: "Sales", Manager: "hr:1", Privileged: ptr(true)}
	for terms, want := range map[string]bool{
		"all": true, "source=crm": true, "source=CRM": false, "source=hr,source=crm": true, "entitlement=adm*": true, "entitlement=*/x": true, "entitlement=Admin": false,
		"tag=sox": true, "tag=pci": false, "department=sales,privileged": true, "department=IT,privileged": false, "manager=hr:1": true, "privileged": true,
	} {
		s, err := ParseScope(strings.Split(terms, ","))
		if err != nil || s.Match(g) != want {
			t.Errorf("%s: %v, %v", terms, s.Match(g), err)
		}
		if again, err := ParseScope(strings.Split(s.String(), ",")); err != nil || again.String() != s.String() {
			t.Errorf("%s is written as %s, which reads otherwise: %v", terms, s, err)
		}
	}
	s, err := ParseScope([]string{"privileged", "department=Sales", "source=crm"})
	if err != nil || s.Match(Grant{Source: "crm", Department: "Sales", Person: "hr:1"}) {
		t.Errorf("what is not known to be privileged is taken for it: %v", err)
	}
	// What is left out for want of knowing is told apart from what is not meant.
	for why, g := range map[string]Grant{
		"whether they are privileged":                    {Source: "crm", Department: "Sales", Person: "hr:1"},
		"whose they are":                                 {Source: "crm", Privileged: ptr(true)},
		"whether they are privileged and whose they are": {Source: "crm"},
	} {
		if got := s.Unknown(g); got != why {
			t.Errorf("%+v: %q, want %q", g, got, why)
		}
	}
	for _, g := range []Grant{{Source: "erp"}, {Source: "crm", Privileged: ptr(false)}, {Source: "crm", Department: "IT", Person: "hr:1"}, {Source: "crm", Department: "Sales", Person: "hr:1", Privileged: ptr(true)}} {
		if got := s.Unknown(g); got != "" {
			t.Errorf("%+v: %q", g, got)
		}
	}
}

func TestOrder(t *testing.T) {
	set := Defaults()
	item := func(g Grant) Item { return Item{Grant: g, Suggestion: set.Suggest(g)} }
	items := []Item{
		item(Grant{Source: "a", Account: "1", Entitlement: "plain", Person: "hr:1", UsedDays: ptr(int64(1))}),
		item(Grant{Source: "z", Account: "2", Entitlement: "unknown", Person: "hr:1"}),
		item(Grant{Source: "z", Account: "3", Entitlement: "rare", Person: "hr:1", UsedDays: ptr(int64(1)), PeerShare: ptr(0.01), Peers: ptr(int64(100))}),
		item(Grant{Source: "z", Account: "4", Entitlement: "root", Person: "hr:1", UsedDays: ptr(int64(1)), Privileged: ptr(true)}),
	}
	Order(items)
	var got []string
	for _, i := range items {
		got = append(got, i.Entitlement)
	}
	if want := []string{"root", "rare", "unknown", "plain"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func decided(decision, by string, at time.Time, items ...int64) state.ReviewEvent {
	return state.ReviewEvent{Kind: state.ReviewDecided, Decision: decision, By: by, At: at, Items: items}
}

func TestStanding(t *testing.T) {
	c := New(state.Review{ID: "q4", At: start}, []string{"hr:1", "hr:1", "hr:2", "hr:2", "hr:2"}, []state.ReviewEvent{
		decided(Approve, "hr:1", start.Add(time.Hour), 1),
		decided(Revoke, "hr:9", start.Add(3*time.Hour), 2),
		{Kind: state.ReviewPassed, By: "hr:2", To: "hr:3", Items: []int64{3}},
		{Kind: state.ReviewSettled, By: "lapse", Reason: Gone, Items: []int64{4}},
	})
	if got := c.Waiting(""); !slices.Equal(got, []int64{3, 5}) {
		t.Errorf("%v wait", got)
	}
	if got := c.Waiting("hr:3"); !slices.Equal(got, []int64{3}) {
		t.Errorf("%v wait for whom it was passed on to", got)
	}
	if s, _ := c.Item(3); !slices.Equal(s.Passed, []string{"hr:2"}) {
		t.Errorf("%+v", s)
	}
	if got := c.Unplanned(false); !slices.Equal(got, []int64{2}) {
		t.Errorf("%v are to be planned", got)
	}
	c.Apply(state.ReviewEvent{Kind: state.ReviewPlanned, Plan: "plan-1", Items: []int64{2}})
	c.Apply(state.ReviewEvent{Kind: state.ReviewClosed, By: "u1", At: start.Add(24 * time.Hour), To: "security", Items: []int64{3, 5}})
	if len(c.Unplanned(false)) > 0 || len(c.Unplanned(true)) != 1 {
		t.Error("what is planned is planned again")
	}
	s := c.Summarise()
	if s.Progress != (Progress{Items: 5, Approved: 1, Revoked: 1, Settled: 1, Escalated: 2}) || s.Median != 3*time.Hour {
		t.Errorf("%+v", s)
	}
	if rate, ok := s.ApprovalRate(); !ok || rate != 0.5 {
		t.Errorf("approval rate %v", rate)
	}
	if s.Reviewers[0].Reviewer != "security" || s.Reviewers[0].Waiting() != 2 {
		t.Errorf("%+v", s.Reviewers)
	}
	if _, ok := c.Item(6); ok {
		t.Error("there is no sixth item")
	}
}

func TestSigns(t *testing.T) {
	first := make([]string, 400)
	var events []state.ReviewEvent
	for i := range first {
		first[i] = "hr:1"
		by, at, decision := "hr:1", start.Add(time.Duration(i)*300*time.Millisecond), Approve // 200 within a minute
		switch {
		case i >= 390:
			by, decision = "hr:3", Approve // few
		case i >= 380:
			by, decision = "hr:2", Revoke // says no, too
		case i >= 200:
			by, at = "hr:2", start.Add(time.Duration(i)*10*time.Minute) // takes their time
		}
		events = append(events, decided(decision, by, at, int64(i+1)))
	}
	got := New(state.Review{At: start}, first, events).Summarise().Signs
	if len(got) != 2 || got[0].Reviewer != "hr:1" || got[0].Text != "200 approvals within 60 seconds" || got[1].Text != "all 200 were approved, none revoked" {
		t.Errorf("%+v", got)
	}
}

func TestReviewed(t *testing.T) {
	items := []state.ReviewItem{
		{N: 1, Source: "crm", Account: "a", Entitlement: "whole", Holders: 2}, {N: 2, Source: "crm", Account: "b", Entitlement: "whole", Holders: 2},
		{N: 3, Source: "crm", Account: "a", Entitlement: "part", Holders: 9},
		{N: 4, Source: "crm", Account: "a", Entitlement: "late", Holders: 2}, {N: 5, Source: "crm", Account: "b", Entitlement: "late", Holders: 2},
		{N: 6, Source: "crm", Account: "c", Entitlement: "gone", Holders: 1},
	}
	c := New(state.Review{At: start}, make([]string, len(items)), []state.ReviewEvent{
		decided(Approve, "hr:1", start.Add(time.Hour), 1, 3, 4),
		{Kind: state.ReviewSettled, Reason: Gone, Items: []int64{2, 6}},
	})
	end := start.AddDate(0, 0, 14)
	if got := c.Reviewed(items, end); got != nil {
		t.Errorf("a review that is not closed is evidence: %v", got)
	}
	c.Apply(state.ReviewEvent{Kind: state.ReviewClosed, At: end, To: "security", Items: []int64{5}})
	if got := c.Reviewed(items, end.Add(-time.Hour)); got != nil {
		t.Errorf("a review is evidence before it was closed: %v", got)
	}
	whole := func(list []Reviewed) (out []string) {
		for _, r := range list {
			if r.Account == "" {
				out = append(out, r.Entitlement)
			}
		}
		return out
	}
	got := c.Reviewed(items, end)
	if len(got) != 4 || !slices.Equal(whole(got), []string{"whole"}) || !got[3].At.Equal(start.Add(time.Hour)) {
		t.Errorf("%+v", got)
	}
	// The security team decides what was escalated.
	c.Apply(decided(Revoke, "hr:s", end.Add(time.Hour), 5))
	if got := c.Reviewed(items, end.Add(2*time.Hour)); !slices.Equal(whole(got), []string{"whole", "late"}) {
		t.Errorf("%+v", got)
	}
}
