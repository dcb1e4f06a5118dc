package cli_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// works is a company whose accounts are changed by erp: everybody has an account, and 6 of 600 people have left.
type works struct {
	t        *testing.T
	dir, now string
	key      string
}

func newWorks(t *testing.T, more string) *works {
	t.Helper()
	if os.Getenv("LAPSE_LIBCHDB") == "" && os.Getenv("CI") == "" {
		t.Skip("LAPSE_LIBCHDB is not set: run `make test`")
	}
	w := &works{t: t, dir: t.TempDir(), now: "2026-11-25T10:00:00Z"}
	w.roster(func(i int) bool { return i%100 == 0 }, 600)
	w.accounts(600)
	out := w.run(0, "approve", "--new-key", "boss.pem")
	w.key = regexp.MustCompile(`key: (\S+)`).FindStringSubmatch(out)[1]
	erp, err := exec.LookPath("erp")
	if err != nil {
		t.Fatal(err)
	}
	w.write("lapse.yaml", `
remediation:
  window: any
  approvers: [{id: 'hr:p1', key: `+w.key+`}]
`+more+`
sources:
- {uid: hr, type: file, roster: {end_date: last_day}, files: {people: {path: hr.csv}}}
- uid: erp
  type: file
  links: {employee_id: [hr]}
  files: {accounts: {path: erp.csv}}
  write: {exec: [`+erp+`, erp.csv, erp.log], actions: {disable: {undo: true, read_back: true}}}
`)
	return w
}

func (w *works) write(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.age(name, w.now)
}

func (w *works) age(name, at string) {
	w.t.Helper()
	t, err := time.Parse("2006-01-02T15:04:05Z", at)
	if err == nil {
		err = os.Chtimes(filepath.Join(w.dir, name), t.Add(-time.Minute), t.Add(-time.Minute))
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// roster writes people p0 to pN-1, of whom those that left says have ended.
func (w *works) roster(left func(int) bool, n int) {
	var b strings.Builder
	b.WriteString("id,name,status,start_at,end_at\n")
	for i := range n {
		status, end := "active", ""
		if left(i) {
			status, end = "ended", "2026-11-20"
		}
		fmt.Fprintf(&b, "p%d,Person %d,%s,2019-01-01,%s\n", i, i, status, end)
	}
	w.write("hr.csv", b.String())
}

func (w *works) accounts(n int) {
	var b strings.Builder
	b.WriteString("id,username,employee_id,enabled,kind\n")
	for i := range n {
		fmt.Fprintf(&b, "a%d,user%d,p%d,yes,human\n", i, i, i)
	}
	w.write("erp.csv", b.String())
}

// command is lapse on the company.
func (w *works) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(w.t.Context(), "lapse", args...)
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), "TZ=UTC")
	return cmd
}

// run runs a command and returns what it prints.
func (w *works) run(code int, args ...string) string {
	w.t.Helper()
	cmd := w.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		w.t.Fatalf("lapse %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, out.String(), errs.String())
	}
	return out.String() + errs.String()
}

// plan makes and approves a plan for the leavers.
func (w *works) plan() string {
	w.t.Helper()
	out := w.run(0, "plan", "--policy", "LVR-01", "--by", "hr:p7", "--at", w.now)
	id := regexp.MustCompile(`plan-\w+`).FindString(out)
	w.run(0, "approve", id, "--key", "boss.pem")
	return id
}

// touched lists the changes that erp was asked for.
func (w *works) touched() []string {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, "erp.log"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		w.t.Fatal(err)
	}
	return strings.Fields(strings.ReplaceAll(strings.TrimSpace(string(text)), " ", "·"))
}

// Whatever happens to what HR says between the plan and its being applied: nobody's account is touched who should keep it.
func TestNobodyIsLockedOut(t *testing.T) {
	t.Parallel()
	w := newWorks(t, "")
	w.run(0, "scan", "--no-report", "--at", w.now)
	plan := w.plan()
	leavers := func(i int) bool { return i%100 == 0 }
	minute := 0
	later := func() string {
		minute++
		return fmt.Sprintf("2026-11-25T11:%02d:00Z", minute)
	}
	apply := func(code int, want string) {
		t.Helper()
		out := w.run(code, "apply", plan, "--by", "hr:p8", "--at", later())
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("want %s in\n%s", want, out)
		}
		if got := w.touched(); len(got) > 0 {
			t.Fatalf("accounts were touched: %v", got)
		}
	}
	w.roster(leavers, 0)
	apply(1, "sources: hr is quarantined")
	w.roster(leavers, 300)
	apply(1, "sources: hr is quarantined")
	w.roster(func(i int) bool { return i%100 == 0 || i < 400 }, 600)
	apply(1, "sources: hr is quarantined")
	w.roster(leavers, 600)
	w.age("hr.csv", "2026-11-18T10:00:00Z")
	apply(1, `sources: what hr says of people is 7 days old, the limit is 24h`)
	w.run(0, "stop", "the auditors are here")
	w.roster(leavers, 600)
	apply(1, "stop: all changes were stopped")
	w.run(0, "stop", "--lift")

	// The system itself loses a page one night.
	w.accounts(300)
	w.run(4, "scan", "--no-report", "--at", later())
	apply(1, "sources: erp is quarantined")
	w.accounts(600)
	w.run(0, "scan", "--no-report", "--at", later())

	// The plan on paper is changed by hand, and its hash computed anew.
	w.run(0, "plan", "show", plan, "--out", "plan.json")
	text, err := os.ReadFile(filepath.Join(w.dir, "plan.json"))
	if err != nil {
		t.Fatal(err)
	}
	w.write("plan.json", strings.ReplaceAll(string(text), `"a100"`, `"a101"`))
	if out := w.run(1, "apply", "plan.json", "--by", "hr:p8", "--at", later()); !strings.Contains(out, "was altered") {
		t.Error(out)
	}

	// Two of the leavers were rehired this morning; one's account was deleted, and one created with its name.
	w.roster(func(i int) bool { return leavers(i) && i != 100 && i != 200 }, 600)
	erp, err := os.ReadFile(filepath.Join(w.dir, "erp.csv"))
	if err != nil {
		t.Fatal(err)
	}
	w.write("erp.csv", strings.Replace(string(erp), "a300,user300,", "b300,user300,", 1))
	out := w.run(4, "apply", plan, "--by", "hr:p8", "--at", later())
	if got := fmt.Sprint(w.touched()); got != "[disable·a0·undo·false disable·a400·undo·false disable·a500·undo·false]" {
		t.Errorf("touched: %s\n%s", got, out)
	}
	for _, want := range []string{"skipped .*user100 .*LVR-01 doesn't find it any more", "skipped .*user200 ", `skipped .*user300 .*not there any more \(by its id\)`} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("want %s in\n%s", want, out)
		}
	}
	w.run(0, "undo", plan, "--by", "hr:p8")
	if got := len(w.touched()); got != 6 {
		t.Errorf("%v", w.touched())
	}
	w.run(0, "ledger", "verify")
}

// A wrong end date for 400 people, which HR's own numbers let through: the caps don't.
func TestWrongEndDate(t *testing.T) {
	t.Parallel()
	w := newWorks(t, "guard: {max_shrink: 90%}")
	w.roster(func(i int) bool { return i < 400 }, 600)
	w.run(0, "scan", "--no-report", "--at", w.now)
	out := w.run(1, "apply", w.plan(), "--by", "hr:p8", "--at", w.now)
	for _, want := range []string{`400 accounts \(caps.plan\), the limit is 50`, `400 accounts by LVR-01`, `400 accounts in erp`, `400 of the 600 accounts of erp, the limit is 5%`, `400 accounts, 0 of them changed in the last 24 hours`} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("want %s in\n%s", want, out)
		}
	}
	if got := w.touched(); len(got) > 0 {
		t.Errorf("accounts were touched: %v", got)
	}
}

// Applying is killed again and again, at one moment after the other, and then undoing. Each account is changed once, and put
// back once.
func TestKilledApply(t *testing.T) {
	t.Parallel()
	w := newWorks(t, "")
	w.run(0, "scan", "--no-report", "--at", w.now)
	plan := w.plan()
	interrupted := func(args ...string) (kills int) {
		t.Helper()
		for wait := 100 * time.Millisecond; ; wait += wait * 3 / 4 {
			cmd := w.command(args...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			kill := time.AfterFunc(wait, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
			err := cmd.Wait()
			if kill.Stop() && err == nil {
				return kills
			}
			if kills++; kills > 200 {
				t.Fatal("it never comes to its end")
			}
		}
	}
	n := interrupted("apply", plan, "--by", "hr:p8", "--at", w.now)
	if got := w.touched(); len(got) != 6 || strings.Contains(fmt.Sprint(got), "true") {
		t.Errorf("after %d kills: %v", n, got)
	}
	m := interrupted("undo", plan, "--by", "hr:p8")
	if got := w.touched(); len(got) != 12 || strings.Count(fmt.Sprint(got), "undo·true") != 6 {
		t.Errorf("after %d kills: %v", m, got)
	}
	t.Logf("applying was killed %d times, undoing %d times", n, m)
	w.run(0, "ledger", "verify")
}
