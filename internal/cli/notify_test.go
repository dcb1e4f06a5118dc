package cli_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/remediate"
	"github.com/lapse-audit/lapse/internal/state"
)

// A manager's answer takes the access away: it makes a plan, it approves that where lapse.yaml says so, and the guards look at
// it as at every other.
func TestAnswerIsCarriedOut(t *testing.T) {
	t.Parallel()
	w := newWorks(t, `  approve_by_click: true
notify: {quiet: never, text: {dir: messages}}
policies: {rules: {LVR-01: {assignee: manager}}}
`)
	company := func(left map[int]bool) {
		var hr, erp strings.Builder
		hr.WriteString("id,name,status,start_at,end_at,manager_id\n")
		erp.WriteString("id,username,employee_id,enabled,kind,privileged\n")
		for i := range 40 {
			status, end := "active", ""
			if left[i] {
				status, end = "ended", "2026-11-20"
			}
			fmt.Fprintf(&hr, "p%d,Person %d,%s,2019-01-01,%s,p7\n", i, i, status, end)
			fmt.Fprintf(&erp, "a%d,user%d,p%d,yes,human,%s\n", i, i, i, map[bool]string{true: "yes", false: "no"}[i == 6])
		}
		w.write("hr.csv", hr.String())
		w.write("erp.csv", erp.String())
	}
	company(nil)
	w.age("hr.csv", "2026-11-24T01:00:00Z")
	w.age("erp.csv", "2026-11-24T01:00:00Z")
	w.run(0, "scan", "--no-report", "--at", "2026-11-24T02:00:00Z")
	w.run(0, "notify", "start", "--at", "2026-11-24T09:00:00Z")
	company(map[int]bool{5: true, 6: true, 8: true, 9: true})
	w.run(0, "scan", "--no-report", "--at", w.now)
	w.run(0, "notify", "send", "--at", w.now)

	list := w.run(0, "owners", "--format", "csv", "--at", w.now)
	answer := func(user string) string {
		t.Helper()
		row := regexp.MustCompile(`hr:p7,Person 7,manager,(\w{10}),LVR-01,erp,` + user + `,`).FindStringSubmatch(list)
		if row == nil {
			t.Fatalf("%s is not among\n%s", user, list)
		}
		out := w.run(0, "notify", "answer", row[1], "revoke", "--as", "hr:p7", "--at", w.now)
		if !strings.Contains(out, "the answer approves the plan, if its guards let it") {
			t.Errorf("%s", out)
		}
		return regexp.MustCompile(`plan-\w+`).FindString(out)
	}
	plan := answer("user5")
	if out := w.run(1, "apply", plan, "--by", "hr:p7", "--at", "2026-11-25T10:05:00Z"); !strings.Contains(out, "the word of hr:p7 doesn't count: they apply it") {
		t.Errorf("whoever answered applies it:\n%s", out)
	}
	w.run(0, "apply", plan, "--by", "hr:p8", "--at", "2026-11-25T10:06:00Z")
	if got := fmt.Sprint(w.touched()); got != "[disable·a5·undo·false]" {
		t.Errorf("touched %s", got)
	}
	// What is privileged is for an approver.
	if out := w.run(1, "apply", answer("user6"), "--by", "hr:p8", "--at", "2026-11-25T10:07:00Z"); !strings.Contains(out, "the word of hr:p7 doesn't count: the account is privileged") {
		t.Errorf("an answer took away what is privileged:\n%s", out)
	}
	if got := fmt.Sprint(w.touched()); got != "[disable·a5·undo·false]" {
		t.Errorf("touched %s", got)
	}
	w.interrupted("8", "9")
	w.run(0, "ledger", "verify")
}

// interrupted leaves the answers about two accounts as a kill leaves them: one before its plan was made, one between the plan and
// the record of it. The next send sees to both, and makes one plan of each.
func (w *works) interrupted(first, second string) {
	w.t.Helper()
	ctx := w.t.Context()
	s, err := state.Open(ctx, state.Options{Path: filepath.Join(w.dir, "lapse-data", "state.db")})
	if err != nil {
		w.t.Fatal(err)
	}
	defer s.Close()
	asked, err := s.Asked(ctx, false)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, id := range []string{first, second} {
		fp := string(finding.NewFingerprint("LVR-01", finding.Subject{Kind: access.SubjectAccount, Source: "erp", ID: "a" + id}, ""))
		before := asked[fp]
		after := before
		after.Status = state.AskedRevoke
		ans := state.Answered{ID: "click-" + id, Finding: fp, By: "hr:p7", Channel: "cli", Answer: "revoke", Pending: true}
		if _, err := s.Answer(ctx, state.Actor{ID: "u123"}, ans, before, after, nil, nil); err != nil {
			w.t.Fatal(err)
		}
	}
	made := remediate.Plan{ID: state.AnswerPlanID("click-" + second), Kind: remediate.KindFindings, Answer: "click-" + second}
	sealed, err := made.Seal()
	if err == nil {
		_, err = s.SavePlan(ctx, state.Actor{ID: "u123"}, sealed)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	if out := w.run(0, "notify", "send", "--at", "2026-11-25T10:08:00Z"); !strings.Contains(out, "2 answers were seen to") {
		w.t.Errorf("%s", out)
	}
	for _, id := range []string{first, second} {
		all, err := s.Answers(ctx, state.AnswerFilter{ID: "click-" + id})
		if err != nil || len(all) != 1 || all[0].Pending || all[0].Plan == "" || (all[0].Plan == made.ID) != (id == second) {
			w.t.Errorf("the answer about a%s: %+v, %v", id, all, err)
		}
	}
}
