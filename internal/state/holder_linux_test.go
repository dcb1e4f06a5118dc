package state

import (
	"context"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A killed scan must not keep the next one waiting until its lease runs out.
func TestLeaseOfDeadProcess(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(thisProcess())
	if len(f) != 4 {
		t.Fatalf("this process is %q", thisProcess())
	}
	other := strings.Join([]string{f[0], f[1], strconv.Itoa(cmd.Process.Pid), startOf(strconv.Itoa(cmd.Process.Pid))}, " ")

	ctx := context.Background()
	s, err := Open(ctx, Options{Path: filepath.Join(t.TempDir(), "state.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l, err := s.TryAcquire(ctx, "store.write", "the other", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.l.ExecContext(ctx, "UPDATE leases SET process = $1", other); err != nil {
		t.Fatal(err)
	}
	if _, err := s.TryAcquire(ctx, "store.write", "me", time.Hour); err == nil {
		t.Fatal("took the lease of a living process")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	mine, err := s.TryAcquire(ctx, "store.write", "me", time.Hour)
	if err != nil {
		t.Fatalf("the lease of a dead process was not taken over: %v", err)
	}
	if mine.Token <= l.Token {
		t.Errorf("token %d after %d", mine.Token, l.Token)
	}
}

func TestOtherMachinesAreNotJudged(t *testing.T) {
	for _, process := range []string{"", "x", "boot pid:[1] 1 1", thisProcess()} {
		if isGone(process) {
			t.Errorf("%q is called gone", process)
		}
	}
}
