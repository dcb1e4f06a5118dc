package cli_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program returns a path under which the test binary is the program itself.
func program(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "lapse")
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// command is the program in dir, not started.
func command(t *testing.T, dir string, args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	t.Helper()
	cmd = exec.Command(program(t), args...)
	cmd.Dir = dir
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, stdout, stderr
}

// lapse runs the program in dir to its end, which must be a good one, and returns what it printed.
func lapse(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd, stdout, stderr := command(t, dir, args...)
	if err := cmd.Run(); err != nil {
		t.Fatalf("lapse %s: %v\n%s%s", strings.Join(args, " "), err, stdout, stderr)
	}
	return stdout.String()
}

// company writes a roster of n people and three apps with an account for each; every seventh person has left.
func company(t *testing.T, dir string, n int) {
	t.Helper()
	people := [][]string{{"id", "name", "status", "start_at", "end_at"}}
	accounts := [][]string{{"id", "username", "employee_id", "enabled", "created_at", "last_login_at", "kind"}}
	grants := [][]string{{"account_id", "entitlement_id"}}
	entitlements := [][]string{{"id", "name", "kind"}}
	for i := range 20 {
		entitlements = append(entitlements, []string{fmt.Sprintf("e%d", i), fmt.Sprintf("Role %d", i), "role"})
	}
	for i := range n {
		id, status, end := fmt.Sprintf("p%d", i), "active", ""
		if i%7 == 0 {
			status, end = "ended", "2026-10-01"
		}
		people = append(people, []string{id, fmt.Sprintf("Person %d", i), status, "2019-01-01", end})
		accounts = append(accounts, []string{"a" + id, "u" + id, id, "true", "2019-01-02", "2026-09-01", "human"})
		for k := range 3 {
			grants = append(grants, []string{"a" + id, fmt.Sprintf("e%d", (i+k*7)%20)})
		}
	}
	writeCSV(t, filepath.Join(dir, "people.csv"), people)
	writeCSV(t, filepath.Join(dir, "accounts.csv"), accounts)
	writeCSV(t, filepath.Join(dir, "grants.csv"), grants)
	writeCSV(t, filepath.Join(dir, "entitlements.csv"), entitlements)
	var b strings.Builder
	b.WriteString("sources:\n  - {uid: hr, type: file, roster: {end_date: last_day}, files: {people: {path: people.csv}}}\n")
	for _, app := range []string{"crm", "wiki", "vpn"} {
		fmt.Fprintf(&b, "  - {uid: %s, type: file, links: {employee_id: [hr]}, files: {accounts: {path: accounts.csv}, grants: {path: grants.csv}, entitlements: {path: entitlements.csv}}}\n", app)
	}
	write(t, filepath.Join(dir, "lapse.yaml"), b.String())
}

// TestKilledScan kills a scan at moments swept over its whole length. After each kill the findings are those of the run
// before or of the finished run, never a part of one; the next scan works; and in the end the store holds the same as one
// that was never disturbed.
func TestKilledScan(t *testing.T) {
	t.Parallel()
	moments := 8
	if testing.Short() {
		moments = 5
	}
	dir, calm := t.TempDir(), t.TempDir()
	for _, d := range []string{dir, calm} {
		company(t, d, 150)
		lapse(t, d, "scan", "--at", "2026-11-01T02:00", "--quiet", "--no-report")
	}
	night := func(i int) string { return time.Date(2026, 11, 2+i, 2, 0, 0, 0, time.UTC).Format(time.RFC3339) }
	list := func(d string) string {
		return lapse(t, d, "findings", "list", "--format", "csv", "--at", "2027-06-01", "--quiet")
	}
	last, killed := list(dir), 0
	for i := range moments {
		begin := time.Now()
		lapse(t, calm, "scan", "--at", night(i), "--quiet", "--no-report")
		length := time.Since(begin)

		cmd, _, _ := command(t, dir, "scan", "--at", night(i), "--quiet", "--no-report")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(length*time.Duration(i+1)/time.Duration(moments+1), func() { _ = cmd.Process.Kill() })
		var ended *exec.ExitError
		if errors.As(cmd.Wait(), &ended) && ended.Sys().(syscall.WaitStatus).Signaled() {
			killed++
		}
		done := list(calm)
		if got := list(dir); got != last && got != done {
			t.Fatalf("killed at moment %d: the findings are neither those before nor those after\n%s", i, got)
		}
		lapse(t, dir, "scan", "--at", night(i), "--quiet", "--no-report")
		if got := list(dir); got != done {
			t.Fatalf("killed at moment %d, scanned again: the findings differ from those of an undisturbed store\n%s\nwant\n%s", i, got, done)
		}
		last = done
	}
	if killed < moments/2 {
		t.Errorf("only %d of %d scans were still running when they were to be killed", killed, moments)
	}
	t.Logf("%d of %d scans killed", killed, moments)
	if out := lapse(t, dir, "ledger", "verify"); !strings.Contains(out, "entries") {
		t.Errorf("ledger verify: %s", out)
	}
}

// TestCommandsDuringScan lists, excepts and links while a scan runs in another process, which holds the store.
func TestCommandsDuringScan(t *testing.T) {
	dir := t.TempDir()
	company(t, dir, 3000)
	lapse(t, dir, "scan", "--at", "2026-11-01T02:00", "--quiet", "--no-report")
	cmd, _, stderr := command(t, dir, "scan", "--at", "2026-11-02T02:00", "--quiet", "--no-report")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	// The scan holds the store from here on until it ends.
	for range 3 {
		lapse(t, dir, "findings", "list", "--format", "csv", "--policy", "LVR-01", "--quiet")
	}
	lapse(t, dir, "except", "--policy", "LVR-01", "--source", "crm", "--subject", "ap7", "--reason", "kept", "--until", "30d", "--quiet")
	lapse(t, dir, "link", "wiki:ap1", "hr:p2", "--reason", "swapped", "--quiet")
	select {
	case err := <-ended:
		t.Fatalf("the scan ended before the commands did, so nothing was shown: %v\n%s", err, stderr)
	default:
	}
	if err := <-ended; err != nil {
		t.Fatalf("the scan failed: %v\n%s", err, stderr)
	}
	if out := lapse(t, dir, "findings", "list", "--format", "csv", "--policy", "LVR-01", "--quiet"); strings.Contains(out, "crm,CRM,account,ap7") {
		t.Errorf("the excepted finding is listed as open")
	}
}

// TestInterruptedScan ends a scan by Ctrl-C: it stops soon, says so, and the next one works.
func TestInterruptedScan(t *testing.T) {
	dir := t.TempDir()
	company(t, dir, 3000)
	cmd, _, stderr := command(t, dir, "scan", "--at", "2026-11-01T02:00", "--no-report")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for { // until it is at work
		if _, err := os.Stat(filepath.Join(dir, "lapse-data", "store")); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	var code *exec.ExitError
	if !errors.As(err, &code) || code.ExitCode() != 1 || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("%v, %s", err, stderr)
	}
	lapse(t, dir, "scan", "--at", "2026-11-01T02:00", "--quiet", "--no-report")
}
