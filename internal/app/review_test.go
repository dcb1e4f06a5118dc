package app

import (
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
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
