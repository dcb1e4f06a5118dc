package remediate

import (
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/state"
)

// An assignee's answer approves a plan of one account that is not privileged, where lapse.yaml says so, and nothing else.
func TestClick(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		name   string
		meddle func(*Situation)
		want   string // why it doesn't count; "" if it does
	}{
		{"fine", func(*Situation) {}, ""},
		{"off", func(s *Situation) { s.Settings.ByClick = false }, "answers don't approve plans"},
		{"no answer was recorded", func(s *Situation) { s.Answers = nil }, "made of no answer"},
		{"it was kept", func(s *Situation) { s.Answers[0].Answer = "keep" }, "made of no answer"},
		{"a plan that somebody made", func(s *Situation) { s.Plan.Answer = "" }, "made of no answer"},
		{"another one's answer", func(s *Situation) { s.Answers[0].By = "hr:501" }, "the answer is not theirs"},
		{"an answer that led to another plan", func(s *Situation) { s.Answers[0].Plan = "plan-0" }, "led to another plan"},
		{"another text", func(s *Situation) { s.Approved[0].Hash = strings.Repeat("0", 64) }, "it is for another text"},
		{"they apply it", func(s *Situation) { s.Applier = "hr:500" }, "they apply it"},
		{"it is about them", func(s *Situation) { s.Plan.Steps[0].Person = "hr:500" }, "the plan is about them"},
		{"another finding too", func(s *Situation) { s.Plan.Steps[0].Why = append(s.Plan.Steps[0].Why, Why{Finding: "f2"}) }, "more than the finding"},
		{"two accounts", func(s *Situation) {
			second := s.Plan.Steps[0]
			second.Change.Object.ID = "1"
			s.Facts["ad"].Accounts["1"] = access.Account{ID: "1", Kind: access.KindHuman, Privileged: &no}
			s.Plan.Steps = append(s.Plan.Steps, second)
		}, "the plan touches 2 accounts"},
		{"two changes to one account", func(s *Situation) {
			second := s.Plan.Steps[0]
			second.Change.Action = access.ActionEndSessions
			s.Plan.Steps = append(s.Plan.Steps, second)
		}, ""},
		{"a privileged account", func(s *Situation) { s.privilege(&yes) }, "the account is privileged"},
		{"nobody knows whether it is privileged", func(s *Situation) { s.privilege(nil) }, "nobody knows whether the account is privileged"},
		{"privileged by a group in a group", func(s *Situation) {
			ad := s.Facts["ad"]
			ad.Grants = map[string][]access.Grant{"0": {{HolderID: "0", EntitlementID: "staff"}}}
			ad.Nested = map[string][]string{"staff": {"admins"}}
			ad.Entitlements = map[string]access.Entitlement{"admins": {ID: "admins", Privileged: &yes}}
		}, "the account is privileged"},
		{"an account that is not in the snapshot", func(s *Situation) { delete(s.Facts["ad"].Accounts, "0") }, "not in the last snapshot"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := fine(t, 1)
			s.Settings.ByClick, s.Plan.Answer, s.Plan.Steps[0].Why = true, "click-1", []Why{{Finding: "f1", Policy: "LVR-01"}}
			s.privilege(&no)
			seal(t, &s)
			s.Approved = []state.Approval{{Plan: "plan-1", By: "hr:500", Hash: s.Recorded.Hash, Method: MethodClick}}
			s.Answers = []state.Answered{{ID: "click-1", Finding: "f1", By: "hr:500", Answer: "revoke", Plan: "plan-1"}}
			c.meddle(&s)
			got := approval(s)
			if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
				t.Errorf("refused with %q, want %q", got, c.want)
			}
		})
	}
	// An answer is one approval: where two are asked for it is not enough.
	s := fine(t, 1)
	s.Settings.ByClick, s.Settings.Approvals, s.Plan.Answer, s.Plan.Steps[0].Why = true, 2, "click-1", []Why{{Finding: "f1", Policy: "LVR-01"}}
	s.privilege(&no)
	seal(t, &s)
	s.Approved = []state.Approval{{By: "hr:500", Hash: s.Recorded.Hash, Method: MethodClick}}
	s.Answers = []state.Answered{{ID: "click-1", Finding: "f1", By: "hr:500", Answer: "revoke"}}
	if got := approval(s); len(got) != 1 || !strings.Contains(got[0], "1 of 2 approvals were given") {
		t.Errorf("%q", got)
	}
}

func (s *Situation) privilege(known *bool) {
	a := s.Facts["ad"].Accounts["0"]
	a.Privileged = known
	s.Facts["ad"].Accounts["0"] = a
}
