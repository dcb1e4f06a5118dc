package policy

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// What a policy does to its process is said of that policy, and of no other.
func TestTrial(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	sandbox := &Sandbox{Memory: 400 << 20, Time: 5 * time.Second, Command: func(ctx context.Context) *exec.Cmd {
		cmd := exec.CommandContext(ctx, program)
		cmd.Env = []string{"LAPSE_TRIAL=1"}
		return cmd
	}}
	p := pack(t,
		ruleText("ACME-01", "", sound),
		ruleText("ACME-02", "", "findings contains {\"message\": \"x\"} if {\n\tbig := sprintf(\"%0500000d\", [1])\n\ttexts := [t | some _ in numbers.range(1, 100000); t := concat(\"\", [big, big])]\n\tcount(texts) == 0\n}"),
		ruleText("ACME-03", "", "findings contains {\"message\": \"x\"} if {\n\tsome a in numbers.range(1, 90000)\n\tsome b in numbers.range(1, 90000)\n\ta * b == -1\n}"),
		ruleText("ACME-04", "", `findings contains {"message": "x"} if to_number(input.account.username) > 1`),
		ruleText("ACME-05", "", sound),
	)
	ids := []string{"ACME-01", "ACME-02", "ACME-03", "ACME-04", "ACME-05"}
	want := map[string]string{
		"ACME-02": "ACME-02 (acme/r1.rego:11): its process was ended: it took more than 400 MiB of memory",
		"ACME-03": "ACME-03 (acme/r2.rego:11): its process was ended: it took longer than 5s",
		"ACME-04": "ACME-04 (acme/r3.rego:11) on account ad/a-1: to_number: ",
	}
	if runtime.GOOS != "linux" {
		ids = []string{"ACME-01", "ACME-03", "ACME-04", "ACME-05"}
		delete(want, "ACME-02")
	}
	rows := func(access.SubjectKind) iter.Seq2[access.Row, error] {
		return func(yield func(access.Row, error) bool) {
			for range 2 {
				if !yield(accountRow(t, nil), nil) {
					return
				}
			}
		}
	}
	// The process's own budgets are out of reach: that it is ended from outside is what is shown.
	failed, err := sandbox.Trial(t.Context(), p, ids, rows, EngineOptions{Time: runTime, Budget: time.Hour, Memory: 1 << 40})
	if err != nil {
		t.Fatal(err)
	}
	if len(failed) != len(want) {
		t.Errorf("%d failed, want %d", len(failed), len(want))
	}
	for id, w := range want {
		if failed[id] == nil || !strings.HasPrefix(failed[id].Error(), w) {
			t.Errorf("%s: %v, want %s", id, failed[id], w)
		}
	}
	broken := &Sandbox{Command: func(ctx context.Context) *exec.Cmd { return exec.CommandContext(ctx, "false") }}
	_, err = broken.Trial(t.Context(), p, ids, rows, EngineOptions{Time: runTime})
	var none *SandboxError // by which a scan knows to go on without
	if !errors.As(err, &none) || !strings.Contains(err.Error(), "did not begin") {
		t.Errorf("no process: %v", err)
	}
}

// All subjects are judged there, in whatever process: what a policy does on one of the last is found, and what is left of
// the others is judged after it.
func TestTrialOfAllSubjects(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	started := 0
	const batch = 20
	sandbox := &Sandbox{Time: 5 * time.Second, batch: batch, Command: func(ctx context.Context) *exec.Cmd {
		started++
		cmd := exec.CommandContext(ctx, program)
		cmd.Env = []string{"LAPSE_TRIAL=1"}
		return cmd
	}}
	on := func(n int, then string) string {
		return fmt.Sprintf("findings contains {\"message\": \"x\"} if {\n\tinput.account.days_known == %d\n\t%s\n}", n, then)
	}
	const endless = "some a in numbers.range(1, 90000)\n\tsome b in numbers.range(1, 90000)\n\ta * b == -1"
	p := pack(t,
		ruleText("ACME-01", "", on(2*batch+5, `to_number("x") == 1`)),
		ruleText("ACME-02", "", on(batch+10, endless)),
		ruleText("ACME-03", "", on(2*batch+7, `to_number("x") == 1`)),
		ruleText("ACME-04", "", on(3*batch, "true")),
	)
	n := 0
	rows := func(access.SubjectKind) iter.Seq2[access.Row, error] {
		return func(yield func(access.Row, error) bool) {
			for n = range 2*batch + 10 {
				if !yield(accountRow(t, doc{"account": doc{"days_known": n}}), nil) {
					return
				}
			}
		}
	}
	failed, err := sandbox.Trial(t.Context(), p, []string{"ACME-01", "ACME-02", "ACME-03", "ACME-04"}, rows, EngineOptions{Time: runTime, Budget: time.Hour, Memory: 1 << 40})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"ACME-01": "ACME-01 (acme/r0.rego:13) on account ad/a-1: to_number: ",
		"ACME-02": "ACME-02 (acme/r1.rego:11): its process was ended: it took longer than 5s",
		"ACME-03": "ACME-03 (acme/r2.rego:13) on account ad/a-1: to_number: ",
	}
	for id, f := range failed {
		if w := want[id]; w == "" || !strings.HasPrefix(f.Error(), w) {
			t.Errorf("%s: %v, want %q", id, f, w)
		}
	}
	if len(failed) != len(want) || started != 2 || n != 2*batch+9 {
		t.Errorf("%d failed in %d processes over %d subjects", len(failed), started, n+1)
	}
	broken := errors.New("the store is gone")
	_, err = sandbox.Trial(t.Context(), p, []string{"ACME-04"}, func(access.SubjectKind) iter.Seq2[access.Row, error] {
		return func(yield func(access.Row, error) bool) { yield(nil, broken) }
	}, EngineOptions{Time: runTime})
	if !errors.Is(err, broken) {
		t.Errorf("subjects that can't be read: %v", err)
	}
}
