package remediate

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
)

// Situation is what the guards look at: the steps that would be carried out now, and how things stand.
type Situation struct {
	Plan     Plan
	Recorded state.Plan
	Steps    []Step // due and not made yet
	Settings Settings
	Facts    Facts // as of the last run, or fresher
	Now      time.Time
	Zone     *time.Location
	Applier  string // actor
	Approved []state.Approval
	Answers  []state.Answered // of which the plan is made, if of one
	Stops    []state.Stop
	Today    int // accounts changed in the last 24 hours, by all plans
}

// Refusal is a guard's no to a plan as a whole.
type Refusal struct {
	Guard string `json:"guard"`
	Text  string `json:"text"` // with the number and the limit
}

func (r Refusal) String() string { return r.Guard + ": " + r.Text }

// Guard asks every guard. No refusal means that the plan may be carried out now.
func Guard(s Situation) []Refusal {
	var out []Refusal
	for _, g := range []struct {
		name string
		ask  func(Situation) []string
	}{
		{"stop", stopped}, {"age", planAge}, {"approval", approval}, {"caps", caps}, {"sources", sources}, {"window", window},
		{"protected", protected}, {"deletion", deletion},
	} {
		for _, text := range g.ask(s) {
			out = append(out, Refusal{g.name, text})
		}
	}
	return out
}

func stopped(s Situation) (out []string) {
	for _, stop := range s.Stops {
		out = append(out, fmt.Sprintf("all changes were stopped by %s on %s: %s (`lapse stop --lift` ends it)", stop.By, stop.At.In(s.Zone).Format("2006-01-02 15:04"), stop.Reason))
	}
	return out
}

// planAge refuses plans that were made too long ago. An offboarding is made once and carried out over days; its steps
// are looked at anew.
func planAge(s Situation) (out []string) {
	if s.Plan.Kind == KindOffboard {
		return nil
	}
	limit := time.Duration(s.Settings.PlanHours) * time.Hour
	for _, step := range s.Steps { // waiting for the end of a notice period doesn't make a plan old
		if wait := step.NotBefore.Sub(s.Plan.Made); wait > 0 {
			limit = max(limit, wait+time.Duration(s.Settings.PlanHours)*time.Hour)
		}
	}
	switch age := s.Now.Sub(s.Plan.Made); {
	case age > limit:
		out = append(out, fmt.Sprintf("the plan is %s old, the limit is %s: make a new one", span(age), span(limit)))
	case age < -time.Minute:
		out = append(out, fmt.Sprintf("the plan was made at %s, which is later than now: look at the clock", s.Plan.Made.Format(time.RFC3339)))
	}
	return out
}

// span says how long d is, as a person would: 25h, 1h30m, 7 days.
func span(d time.Duration) string {
	if d >= 72*time.Hour {
		return count(int(d/(24*time.Hour)), "day")
	}
	text := strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// approval counts the words of approvers whom lapse.yaml still knows, and checks their signatures.
func approval(s Situation) (out []string) {
	if s.Plan.Auto {
		for _, step := range s.Steps {
			for _, w := range step.Why {
				if s.Settings.policy(w.Policy).Mode != ModeAuto {
					out = append(out, fmt.Sprintf("step %d: %s is not in mode auto any more", step.N, w.Policy))
				}
			}
			if src := s.Facts[step.Source]; step.Manual == "" && (src == nil || !src.Live) {
				out = append(out, fmt.Sprintf("step %d: %s can't be read at any moment, and so is never changed without a person's word", step.N, step.Source))
			}
		}
		return out
	}
	counted := map[string]bool{}
	var why []string
	for _, a := range s.Approved {
		if reason := s.approves(a); reason != "" {
			why = append(why, fmt.Sprintf("the word of %s doesn't count: %s", a.By, reason))
			continue
		}
		counted[a.By] = true
	}
	if len(counted) >= s.Settings.Approvals {
		return nil
	}
	if len(s.Settings.Approvers) == 0 {
		why = append(why, "lapse.yaml names no approver (remediation.approvers)")
	}
	text := fmt.Sprintf("%d of %d approvals were given", len(counted), s.Settings.Approvals)
	if len(why) > 0 {
		text += ": " + strings.Join(why, "; ")
	}
	return []string{text}
}

// approves says why an approval doesn't count, "" if it does.
func (s Situation) approves(a state.Approval) string {
	if a.Method == MethodClick {
		return s.clicked(a)
	}
	i := slices.IndexFunc(s.Settings.Approvers, func(p Approver) bool { return p.ID == a.By })
	switch {
	case i < 0:
		return "lapse.yaml does not name them (remediation.approvers)"
	case a.Hash != s.Recorded.Hash:
		return "it is for another text"
	case s.Settings.Separate && !s.Plan.Emergency && a.By == s.Plan.By:
		return "they made the plan (remediation.separate)"
	case s.Settings.Separate && !s.Plan.Emergency && a.By == s.Applier:
		return "they apply it (remediation.separate)"
	case slices.ContainsFunc(s.Plan.Steps, func(step Step) bool { return step.Person == a.By }):
		return "the plan is about them"
	}
	if !Verify(s.Settings.Approvers[i], s.Recorded, a.Signature) {
		return "the signature doesn't fit the key that lapse.yaml has"
	}
	return ""
}

// MethodClick is the method of an approval that is an assignee's answer.
const MethodClick = "click"

// clicked says why the answer of an assignee doesn't approve the plan, "" if it does. It speaks for one account that nobody
// holds for privileged, and never for the person's own.
func (s Situation) clicked(a state.Approval) string {
	i := slices.IndexFunc(s.Answers, func(ans state.Answered) bool { return ans.ID == s.Plan.Answer && ans.Answer == "revoke" })
	switch {
	case !s.Settings.ByClick:
		return "answers don't approve plans (remediation.approve_by_click)"
	case a.Hash != s.Recorded.Hash:
		return "it is for another text"
	case s.Plan.Answer == "" || i < 0:
		return "the plan is made of no answer that was recorded"
	case s.Answers[i].By != a.By || s.Answers[i].Plan != "" && s.Answers[i].Plan != s.Plan.ID:
		return "the answer is not theirs, or led to another plan"
	case s.Settings.Separate && a.By == s.Applier:
		return "they apply it (remediation.separate)"
	}
	objects := map[string]bool{}
	for _, step := range s.Plan.Steps {
		objects[step.Source+" "+step.Change.Object.ID] = true
		if slices.ContainsFunc(step.Why, func(w Why) bool { return string(w.Finding) != s.Answers[i].Finding }) || len(step.Why) == 0 {
			return "the plan is about more than the finding that was answered"
		}
		if step.Person == a.By {
			return "the plan is about them"
		}
		if reason := s.privileged(step); reason != "" {
			return reason
		}
	}
	if len(objects) != 1 {
		return fmt.Sprintf("the plan touches %s, and an answer approves one", count(len(objects), "account"))
	}
	return ""
}

// privileged says why a step is not for an assignee to approve, "" if it is: what nobody knows not to be privileged may be.
func (s Situation) privileged(step Step) string {
	src := s.Facts[step.Source]
	if step.Change.Object.Kind != access.HolderAccount || src == nil {
		return "it is not about an account"
	}
	a, ok := src.Accounts[step.Change.Object.ID]
	switch {
	case !ok:
		return "the account is not in the last snapshot"
	case a.Privileged == nil:
		return "nobody knows whether the account is privileged"
	case src.Privileged(a.ID, step.Change.Entitlement):
		return "the account is privileged"
	}
	return ""
}

// statement is what an approver signs.
func statement(p state.Plan) []byte { return []byte("lapse plan " + p.ID + " " + p.Hash) }

// Sign is an approver's word for a plan.
func Sign(key ed25519.PrivateKey, p state.Plan) string {
	return base64.StdEncoding.EncodeToString(ed25519.Sign(key, statement(p)))
}

// Verify says whether a signature is the approver's, and for this plan.
func Verify(a Approver, p state.Plan, signature string) bool {
	key, err := a.key()
	if err != nil {
		return false
	}
	sig, err := base64.StdEncoding.DecodeString(signature)
	return err == nil && ed25519.Verify(key, statement(p), sig)
}

// FindApprover is the approver whose public key belongs to the private one.
func (s Settings) FindApprover(key ed25519.PrivateKey) (Approver, bool) {
	public := base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
	i := slices.IndexFunc(s.Approvers, func(a Approver) bool { return a.Key == public })
	if i < 0 {
		return Approver{}, false
	}
	return s.Approvers[i], true
}

// caps count the accounts that are touched, and not changes: two changes to one account touch one person.
func caps(s Situation) (out []string) {
	c := s.Settings.Caps
	over := func(n, limit int, format string, args ...any) {
		if n > limit {
			out = append(out, fmt.Sprintf("%s%s, the limit is %d", count(n, "account"), fmt.Sprintf(format, args...), limit))
		}
	}
	all, policies, touched, assignees := tally{}, tally{}, tally{}, tally{}
	for _, step := range s.Steps {
		if step.Manual != "" {
			continue
		}
		account := step.Source + " " + step.Change.Object.ID
		all.add("", account)
		touched.add(step.Source, account)
		for _, w := range step.Why {
			policies.add(w.Policy, account)
		}
		if step.Assignee != "" {
			assignees.add(step.Assignee, account)
		}
	}
	n := len(all[""])
	over(n, c.Plan, " (caps.plan)")
	for _, id := range slices.Sorted(maps.Keys(policies)) {
		over(len(policies[id]), c.Policy, " by %s (caps.policy)", id)
	}
	for _, uid := range slices.Sorted(maps.Keys(touched)) {
		n, src := len(touched[uid]), s.Facts[uid]
		over(n, c.Source, " in %s (caps.source)", uid)
		if src != nil && n > fewAccounts && float64(n) > float64(c.Share)*float64(src.Total) {
			out = append(out, fmt.Sprintf("%d of the %d accounts of %s, the limit is %s (caps.share)", n, src.Total, uid, c.Share))
		}
	}
	for _, who := range slices.Sorted(maps.Keys(assignees)) {
		over(len(assignees[who]), c.Assignee, " of findings that %s answers for (caps.assignee)", who)
	}
	if n > 0 {
		over(s.Today+n, c.Day, ", %d of them changed in the last 24 hours (caps.day)", s.Today)
	}
	return out
}

// tally counts different accounts by something.
type tally map[string]map[string]bool

func (t tally) add(of, account string) {
	if t[of] == nil {
		t[of] = map[string]bool{}
	}
	t[of][account] = true
}

// sources refuses plans that stand on what was not read whole, or long ago.
func sources(s Situation) (out []string) {
	touched := map[string]bool{}
	leavers := s.Plan.Kind == KindOffboard
	for _, step := range s.Steps {
		touched[step.Source] = true
		leavers = leavers || step.Person != ""
	}
	limit := time.Duration(s.Settings.Roster) * time.Hour
	for _, uid := range slices.Sorted(maps.Keys(s.Facts)) {
		src := s.Facts[uid]
		counts := touched[uid] || src.Roster && leavers
		if s.Plan.Emergency || !counts {
			continue
		}
		if src.Status != store.InputFresh {
			out = append(out, fmt.Sprintf("%s is %s: no change is made by what was not read whole", uid, src.Status))
			continue
		}
		if !src.Roster || !leavers {
			continue
		}
		at := src.Taken
		if !src.AsOf.IsZero() && src.AsOf.Before(at) {
			at = src.AsOf
		}
		switch age := s.Now.Sub(at); {
		case age > limit:
			out = append(out, fmt.Sprintf("what %s says of people is %s old, the limit is %s (roster_hours)", uid, span(age), span(limit)))
		case age < -time.Hour:
			out = append(out, fmt.Sprintf("%s is from %s, which is later than now: look at the clock", uid, at.Format(time.RFC3339)))
		}
	}
	return out
}

func window(s Situation) []string {
	if s.Plan.Emergency || len(s.Steps) == 0 || s.Settings.Window.Open(s.Now, s.Zone) {
		return nil
	}
	return []string{fmt.Sprintf("it is %s, and changes are made %s (%s)", s.Now.In(s.Zone).Format("Mon 15:04"), s.Settings.Window, s.Zone)}
}

// protected looks again at what the plan was made without, by what is known now.
func protected(s Situation) (out []string) {
	m := Maker{Settings: s.Settings, Facts: s.Facts, Plan: s.Plan}
	for _, step := range s.Steps {
		if step.Change.Object.Kind != access.HolderAccount || step.Manual != "" {
			continue
		}
		src := s.Facts[step.Source]
		if src == nil {
			out = append(out, fmt.Sprintf("step %d: lapse.yaml has no source %s", step.N, step.Source))
			continue
		}
		a, ok := src.Accounts[step.Change.Object.ID]
		if !ok {
			continue // rechecking sees that it is gone
		}
		reason := m.bars(src, a, src.Links[a.ID], step.Person)
		if reason == "" {
			reason = m.barsChange(src, a, step.Change)
		}
		if reason != "" {
			out = append(out, fmt.Sprintf("step %d (%s in %s): %s", step.N, step.Subject, step.Source, reason))
		}
	}
	return out
}

func deletion(s Situation) (out []string) {
	for _, step := range s.Steps {
		if step.Change.Action == access.ActionDelete && !s.Settings.Delete {
			out = append(out, fmt.Sprintf("step %d deletes %s, and deleting is off (remediation.delete)", step.N, step.Subject))
		}
	}
	return out
}
