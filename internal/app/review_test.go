package app

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/config"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/remediate"
	"github.com/lapse-audit/lapse/internal/review"
	"github.com/lapse-audit/lapse/internal/scan"
	"github.com/lapse-audit/lapse/internal/state"
)

// A step that a review decided needs no finding that still holds; it needs the account still to be the person's.
func TestReviewStepHolds(t *testing.T) {
	p := remediate.Plan{Kind: remediate.KindReview, Review: "q4"}
	step := remediate.Step{Source: "crm", Person: "hr:1", Change: access.Change{Action: access.ActionRevoke, Object: access.Object{Kind: access.HolderAccount, ID: "u1"}, Entitlement: "admin"},
		Why: []remediate.Why{{Policy: "review q4", Message: "item 1"}}}
	looked := remediate.Looked{Step: step, Live: access.Live{Account: &access.Account{ID: "u1"}}}
	document := func(person, method string) scan.Rechecked {
		return scan.Rechecked{Documents: map[finding.Subject]map[string]any{accountSubject("crm", "u1"): {
			"person": map[string]any{"id": person}, "link": map[string]any{"method": method}}}}
	}
	none := state.NewMatcher(nil, time.Time{})
	if why := holds(p, looked, document("hr:1", "email"), none); why != "" {
		t.Errorf("it does not hold: %s", why)
	}
	for name, found := range map[string]scan.Rechecked{
		"another person's": document("hr:2", "email"), "linked by a user name alone": document("hr:1", "username"), "not judged": {},
	} {
		if holds(p, looked, found, none) == "" {
			t.Errorf("it holds for an account that is %s", name)
		}
	}
	p.Kind = remediate.KindFindings
	if holds(p, looked, document("hr:1", "email"), none) == "" {
		t.Error("a step of findings holds without one")
	}
}

func TestChanged(t *testing.T) {
	yes, no := true, false
	it := review.Item{Grant: review.Grant{Person: "hr:1", Privileged: &no}}
	for _, tt := range []struct {
		name    string
		now     review.Grant
		people  bool
		changed bool
	}{
		{"the same", review.Grant{Person: "hr:1", Privileged: &no}, true, false},
		{"another person's", review.Grant{Person: "hr:2", Privileged: &no}, true, true},
		{"another person's, by a night on which not all people were read", review.Grant{Privileged: &no}, false, false},
		{"privileged by now", review.Grant{Person: "hr:1", Privileged: &yes}, true, true},
		{"of unknown privilege by now", review.Grant{Person: "hr:1"}, true, false},
	} {
		if why := it.Changed(tt.now, tt.people); (why != "") != tt.changed {
			t.Errorf("%s: %q", tt.name, why)
		}
	}
}

var reviewed = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

// aReview is one of four grants: of ann and ben, whose manager is mia; of mia herself, whom bo is asked about; one that is privileged.
func aReview(events ...state.ReviewEvent) (ReviewFile, *notify.Owners) {
	yes := true
	person := func(id, manager string, status access.PersonStatus) access.Identity {
		return access.Identity{Key: "hr:" + id, Roster: "hr", Person: access.Person{ID: id, Email: id + "@x.example", Status: status, ManagerID: manager}}
	}
	owners := &notify.Owners{Settings: notify.Settings{Owners: map[string]string{"crm": "it@vendor.example"}, Delegates: map[string][]string{"hr:mia": {"hr:del"}},
		Security: notify.Security{People: []string{"hr:sec"}}}, People: notify.NewPeople([]access.Identity{
		person("bo", "", access.PersonActive), person("mia", "hr:bo", access.PersonActive), person("ann", "hr:mia", access.PersonActive), person("ben", "hr:mia", access.PersonActive),
		person("del", "hr:bo", access.PersonActive), person("sec", "hr:bo", access.PersonActive), person("gone", "hr:bo", access.PersonEnded)})}
	item := func(n int64, who, reviewer string, privileged *bool) review.Item {
		return review.Item{N: n, Reviewer: reviewer, Grant: review.Grant{Source: "crm", Account: "u-" + who, Person: "hr:" + who, Entitlement: "edit", Privileged: privileged}}
	}
	items := []review.Item{item(1, "ann", "hr:mia", &yes), item(2, "ann", "hr:mia", nil), item(3, "ben", "hr:mia", nil), item(4, "mia", "hr:bo", nil)}
	items[2].Suggested, items[2].Evidence = review.Revoke, []string{"unused"}
	return newReviewFile(state.Review{ID: "q4", Reviewers: "managers", At: reviewed, Due: reviewed.AddDate(0, 0, 14)}, items, events), owners
}

func word(n int64, decision, reason string) ReviewWord {
	return ReviewWord{Item: n, Decision: decision, Reason: reason}
}

func TestBallot(t *testing.T) {
	a := New(nil, Options{Now: func() time.Time { return reviewed.Add(time.Hour) }})
	decided := func(by, decision string, items ...int64) state.ReviewEvent {
		return state.ReviewEvent{Kind: state.ReviewDecided, By: by, Decision: decision, At: reviewed, Items: items}
	}
	closed := state.ReviewEvent{Kind: state.ReviewClosed, At: reviewed, To: notify.RoleSecurity, Items: []int64{2, 3, 4}}
	for _, tt := range []struct {
		name   string
		so     []state.ReviewEvent
		who    string
		change bool
		words  []ReviewWord
		want   string // of an error; or the events as text
	}{
		{"several at once", nil, "hr:mia", false, []ReviewWord{word(1, "approve", "needs it"), word(2, "Approve", ""), word(3, "revoke", "left the team")},
			"decided approve [1] needs it; decided approve [2] ; decided revoke [3] left the team"},
		{"a delegate", nil, "hr:del", false, []ReviewWord{word(2, "approve", "")}, "decided approve [2] "},
		{"their own", nil, "hr:ann", false, []ReviewWord{word(2, "approve", "")}, "hr:ann benefits from it"},
		{"another's", nil, "hr:ben", false, []ReviewWord{word(2, "approve", "")}, "hr:mia is asked"},
		{"privileged without a reason", nil, "hr:mia", false, []ReviewWord{word(1, "approve", " ")}, "say why it is kept"},
		{"revoked without a reason", nil, "hr:mia", false, []ReviewWord{word(2, "revoke", "")}, "say why it is taken away"},
		{"no decision", nil, "hr:mia", false, []ReviewWord{word(2, "keep", "x")}, `"keep" is no decision`},
		{"twice", nil, "hr:mia", false, []ReviewWord{word(2, "approve", ""), word(2, "revoke", "x")}, "it is decided twice"},
		{"no such item", nil, "hr:mia", false, []ReviewWord{word(9, "approve", "")}, "the review has 4 items"},
		{"the same again", []state.ReviewEvent{decided("hr:mia", review.Approve, 2)}, "hr:mia", false, []ReviewWord{word(2, "approve", "")}, ""},
		{"another decision", []state.ReviewEvent{decided("hr:mia", review.Approve, 2)}, "hr:mia", false, []ReviewWord{word(2, "revoke", "x")}, "--change decides it anew"},
		{"changed", []state.ReviewEvent{decided("hr:mia", review.Approve, 2)}, "hr:mia", true, []ReviewWord{word(2, "revoke", "x")}, "decided revoke [2] x"},
		{"in a plan", []state.ReviewEvent{decided("hr:mia", review.Revoke, 2), {Kind: state.ReviewPlanned, Plan: "plan-1", Items: []int64{2}}}, "hr:mia", true,
			[]ReviewWord{word(2, "approve", "x")}, "it is taken away by plan-1"},
		{"decided before it was closed", []state.ReviewEvent{decided("hr:mia", review.Approve, 1), closed}, "hr:mia", true, []ReviewWord{word(1, "revoke", "x")}, "the review is closed"},
		{"escalated, by who was asked", []state.ReviewEvent{closed}, "hr:mia", false, []ReviewWord{word(2, "approve", "")}, "security is asked"},
		{"escalated, by the security team", []state.ReviewEvent{closed}, "hr:sec", false, []ReviewWord{word(2, "approve", "")}, "decided approve [2] "},
		{"passed on to one", nil, "hr:mia", false, []ReviewWord{{Item: 2, Decision: "not_mine", To: "del@x.example"}}, "passed [2] to hr:del"},
		{"passed on to the next in line", nil, "hr:mia", false, []ReviewWord{word(2, "not-mine", "")}, "passed [2] to hr:bo"},
		{"passed on to whom it benefits", nil, "hr:mia", false, []ReviewWord{{Item: 2, Decision: "not-mine", To: "hr:ann"}}, "hr:ann benefits from it"},
		{"passed on to who has left", nil, "hr:mia", false, []ReviewWord{{Item: 2, Decision: "not-mine", To: "hr:gone"}}, "hr:gone is ended"},
		{"passed back", []state.ReviewEvent{{Kind: state.ReviewPassed, To: "hr:bo", Items: []int64{2}}}, "hr:bo", false, []ReviewWord{{Item: 2, Decision: "not-mine", To: "hr:mia"}}, "hr:mia said that it is not theirs"},
		{"behind the security team is nobody", []state.ReviewEvent{closed}, "hr:sec", false, []ReviewWord{word(2, "not-mine", "")}, "say whose it is"},
		{"gone meanwhile", nil, "hr:bo", false, []ReviewWord{word(4, "approve", "")}, "settled [4] " + review.Gone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, owners := aReview(tt.so...)
			b := ballot{f: f, owners: owners, who: tt.who, d: ReviewDecision{As: tt.who, Words: tt.words, Change: tt.change}, gone: map[int64]string{4: review.Gone}, out: &ReviewOutcome{}}
			events, err := b.events(a)
			var said []string
			for _, e := range events {
				text := fmt.Sprint(e.Kind)
				if e.Decision != "" {
					text += " " + e.Decision
				}
				text += fmt.Sprint(" ", e.Items)
				if e.To != "" {
					text += " to " + e.To
				} else {
					text += " " + e.Reason
				}
				said = append(said, text)
			}
			switch {
			case err != nil && (len(events) > 0 || tt.want == "" || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%v, %v; want %q", err, said, tt.want)
			case err == nil && strings.Join(said, "; ") != tt.want:
				t.Errorf("%q, want %q", strings.Join(said, "; "), tt.want)
			}
		})
	}
}

// One fault leaves all of it undecided, and every fault is told.
func TestBallotTellsEveryFault(t *testing.T) {
	f, owners := aReview()
	b := ballot{f: f, owners: owners, who: "hr:mia", d: ReviewDecision{As: "mia", Words: []ReviewWord{word(2, "approve", ""), word(1, "approve", ""), word(4, "approve", "")}}, out: &ReviewOutcome{}}
	events, err := b.events(New(nil, Options{Now: time.Now}))
	if err == nil || len(events) > 0 || strings.Count(err.Error(), "\n") != 1 || !strings.Contains(err.Error(), "item 4: it is not mia's to decide: hr:mia benefits") {
		t.Errorf("%v, %v", events, err)
	}
}

func TestSuggestions(t *testing.T) {
	f, owners := aReview()
	if got := suggestions(f, owners, "hr:mia", "both"); len(got) != 1 || got[0] != word(3, review.Revoke, "unused") {
		t.Errorf("%+v", got)
	}
	for _, none := range [][2]string{{"hr:mia", review.Approve}, {"hr:bo", "both"}, {"hr:ben", "both"}} {
		if got := suggestions(f, owners, none[0], none[1]); len(got) > 0 {
			t.Errorf("%v: %+v", none, got)
		}
	}
}

// Who has left reviews nothing any more, and what is gone waits for nobody.
func TestRefreshed(t *testing.T) {
	f, owners := aReview(state.ReviewEvent{Kind: state.ReviewDelegated, From: "hr:mia", To: "hr:gone", Items: []int64{1, 2}},
		state.ReviewEvent{Kind: state.ReviewDecided, By: "hr:bo", Decision: review.Approve, Items: []int64{4}})
	events, out := refreshed(f, owners, map[int64]string{3: review.Gone, 4: review.Gone})
	if len(events) != 2 || events[0].Kind != state.ReviewSettled || len(events[0].Items) != 1 || events[1].From != "hr:gone" || events[1].To != "hr:mia" || len(events[1].Items) != 2 {
		t.Errorf("%+v", events)
	}
	if out.Moved != 2 || len(out.Settled) != 1 || out.Settled[0].N != 3 {
		t.Errorf("%+v", out)
	}
	if again, _ := refreshed(newReviewFile(f.Review, f.List, append(f.Events, events...)), owners, map[int64]string{3: review.Gone}); len(again) > 0 {
		t.Errorf("it happens again: %+v", again)
	}
}

func TestReviewRounds(t *testing.T) {
	f, _ := aReview()
	a := New(&config.Config{Notify: config.Notify{Settings: notify.Defaults()}}, Options{})
	for days, want := range map[int]string{0: "0", 2: "0", 3: "1", 7: "2", 13: "2", 14: "due", 15: "overdue"} {
		a.Now = func() time.Time { return reviewed.AddDate(0, 0, days) }
		if got := a.round(f); got != want {
			t.Errorf("after %d days it is round %s, want %s", days, got, want)
		}
	}
	closed, _ := aReview(state.ReviewEvent{Kind: state.ReviewClosed, At: reviewed})
	if got := a.round(closed); got != "closed" {
		t.Error(got)
	}
}
