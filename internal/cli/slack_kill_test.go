package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/notify/slack/slacktest"
	"github.com/lapse-audit/lapse/internal/state"
)

// asking is a company in which as many managers as there are moments have one leaver each, on the night after.
func asking(t *testing.T, moments int) (*works, *workspace) {
	slk := &workspace{Workspace: slacktest.New(t)}
	slk.Start = time.Now().AddDate(1, 0, 0)
	w := newWorks(t, `  approve_by_click: true
guard: {max_shrink: 90%}
notify:
  quiet: never
  slack: {token: 'file:token', signing_secret: 'file:signing', channel: C0SECURITY, api: '`+slk.API()+`'}
  per_minute: {slack: 6000}
policies: {rules: {LVR-01: {assignee: manager}}}
`)
	w.write("token", slacktest.Token)
	w.write("signing", slacktest.SigningSecret)
	for _, name := range []string{"token", "signing"} {
		if err := os.Chmod(filepath.Join(w.dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	company := func(status, end string) {
		var hr, erp strings.Builder
		hr.WriteString("id,name,email,status,start_at,end_at,manager_id\n")
		erp.WriteString("id,username,employee_id,enabled,kind,privileged\n")
		for i := range moments {
			fmt.Fprintf(&hr, "m%d,Manager %d,m%d@example.com,active,2019-01-01,,\nl%d,Leaver %d,,%s,2019-01-01,%s,m%d\n", i, i, i, i, i, status, end, i)
			fmt.Fprintf(&erp, "a%d,user%d,l%d,yes,human,no\n", i, i, i)
			slk.User(fmt.Sprintf("U%dM", i), fmt.Sprintf("m%d@example.com", i))
		}
		w.write("hr.csv", hr.String())
		w.write("erp.csv", erp.String())
	}
	company("active", "")
	w.age("hr.csv", "2026-11-24T01:00:00Z")
	w.age("erp.csv", "2026-11-24T01:00:00Z")
	w.run(0, "scan", "--no-report", "--at", "2026-11-24T02:00:00Z")
	w.run(0, "notify", "start", "--at", "2026-11-24T09:00:00Z")
	company("ended", "2026-11-20")
	w.run(0, "scan", "--no-report", "--at", w.now)
	return w, slk
}

// TestKilledAsking kills what asks people by Slack, and what takes their answers, with no time to clean up. The sender dies before
// Slack has a message, when Slack has it and has not said so, and while Slack is still at work on it: only then is it there
// twice, and counted. The listener dies at moments swept over a click: what was acknowledged is recorded, what was not can be
// given again, and one plan comes of each.
func TestKilledAsking(t *testing.T) {
	t.Parallel()
	const moments = 5
	w, slk := asking(t, moments)

	slow := make(chan struct{})
	for _, die := range []string{"before", "after", "between"} {
		cmd := w.command("notify", "send", "--at", w.now)
		var posts atomic.Int32
		dying := func(method string) bool {
			if method != "chat.postMessage" || posts.Add(1) != 2 {
				return false
			}
			_ = cmd.Process.Kill()
			return true
		}
		slk.Mu.Lock()
		slk.Arrived, slk.Done = nil, nil
		switch die {
		case "before":
			slk.Arrived = func(m string) bool { return !dying(m) }
		case "after":
			slk.Done = func(m string) { dying(m) }
		case "between":
			slk.Arrived = func(m string) bool {
				if dying(m) {
					<-slow
				}
				return true
			}
		}
		slk.Mu.Unlock()
		var died interface{ Sys() any }
		if err := cmd.Run(); !errors.As(err, &died) || !died.Sys().(syscall.WaitStatus).Signaled() {
			t.Fatalf("%s: the sender was not killed: %v", die, err)
		}
	}
	slk.Mu.Lock()
	slk.Arrived, slk.Done = nil, nil
	slk.Mu.Unlock()
	var sent struct{ Repeated int }
	out, err := w.command("notify", "send", "--format", "json", "--at", w.now).Output()
	if err == nil {
		err = json.Unmarshal(out, &sent)
	}
	if err != nil || sent.Repeated != 1 {
		t.Fatalf("the last sender: %v\n%s", err, out)
	}
	before := slk.posted()
	close(slow) // Slack comes round to what it was sent long ago
	for deadline := time.Now().Add(time.Minute); slk.posted() == before && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	// One was asked for again that Slack had never had, and one that it had not had yet.
	s, err := state.Open(t.Context(), state.Options{Path: filepath.Join(w.dir, "lapse-data", "state.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	twice, repeated := 0, 0
	for i := range moments {
		place := fmt.Sprintf("DU%dM", i)
		keys := slk.Keys(place)
		if len(keys) == 0 || len(keys) > 2 || len(keys) == 2 && keys[0] != keys[1] {
			t.Fatalf("%s got %q", place, keys)
		}
		twice += len(keys) - 1
		key, _, _ := strings.Cut(keys[0], "#")
		m, err := s.Outgoing(t.Context(), key)
		if err != nil || m.Status != state.OutboxSent {
			t.Errorf("%s: %+v, %v", place, m, err)
		}
		repeated += m.Repeats
		if len(keys) == 2 && m.Repeats == 0 {
			t.Errorf("%s got its message twice, and nobody counted that", place)
		}
	}
	if twice != 1 || repeated != 2 {
		t.Errorf("%d messages are there twice, want the one that Slack was slow with; %d are counted, want also the one it never had", twice, repeated)
	}
	w.killedListeners(s, slk, moments)
}

func (w *workspace) posted() int {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	return len(w.Posts)
}

// killedListeners has each manager click, and kills the listener the later the more of them have.
func (w *works) killedListeners(s *state.State, slk *workspace, moments int) {
	w.t.Helper()
	ctx := context.Background()
	recorded := func(i int) []state.Answered {
		all, err := s.Answers(ctx, state.AnswerFilter{})
		if err != nil {
			w.t.Fatal(err)
		}
		var out []state.Answered
		for _, a := range all {
			if a.By == fmt.Sprintf("hr:m%d", i) {
				out = append(out, a)
			}
		}
		return out
	}
	listen := func() *listening {
		l, err := slk.listen(w.command("notify", "listen", "--http", "127.0.0.1:0", "--at", w.now), false)
		if err != nil {
			w.t.Fatal(err)
		}
		return l
	}
	unanswered, length := 0, time.Second
	var again map[string]any
	for i := range moments {
		l := listen()
		if again != nil { // whoever was not answered clicks again, on the same button
			begin := time.Now()
			if _, err := slk.deliver(again); err != nil {
				w.t.Fatalf("clicked again: %v\n%s", err, l.log())
			}
			length = time.Since(begin)
		}
		click, err := slk.payload(fmt.Sprintf("U%dM", i), "Revoke", fmt.Sprintf("Leaver %d left", i))
		if err != nil {
			w.t.Fatal(err)
		}
		// However busy the machine is, the first listener dies before it is asked and the last after it has answered.
		switch kill := func() { _ = l.cmd.Process.Kill() }; i {
		case 0:
			kill()
			_, err = slk.once(click)
		case moments - 1:
			_, err = slk.deliver(click)
			kill()
		default:
			time.AfterFunc(length*time.Duration(i)/time.Duration(moments), kill)
			_, err = slk.once(click)
		}
		<-l.ended
		switch again = nil; {
		case err != nil:
			unanswered++
			again = click
		case len(recorded(i)) != 1:
			w.t.Errorf("click %d is acknowledged, and not recorded: %+v", i, recorded(i))
		}
	}
	l := listen()
	if again != nil {
		if _, err := slk.deliver(again); err != nil {
			w.t.Fatalf("clicked again: %v\n%s", err, l.log())
		}
	}
	if err := l.end(os.Interrupt); err != nil {
		w.t.Errorf("the listener ended with %v\n%s", err, l.log())
	}
	w.run(0, "notify", "send", "--at", w.now) // makes the plans that are still to be made
	plans := map[string]bool{}
	for i := range moments {
		got := recorded(i)
		if len(got) != 1 || got[0].Answer != "revoke" || got[0].Pending || got[0].Plan == "" || plans[got[0].Plan] {
			w.t.Errorf("answers of hr:m%d: %+v", i, got)
			continue
		}
		plans[got[0].Plan] = true
	}
	made, err := s.Plans(ctx, state.PlanFilter{})
	if err != nil || len(made) != moments {
		w.t.Errorf("%d plans, want one of each answer: %v", len(made), err)
	}
	if unanswered == 0 || unanswered == moments {
		w.t.Errorf("%d of %d clicks were not acknowledged: want some that were, and some that were not", unanswered, moments)
	}
	w.t.Logf("%d of %d clicks were not acknowledged", unanswered, moments)
	w.run(0, "ledger", "verify")
}
