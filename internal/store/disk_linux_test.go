package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/lapse-audit/lapse/internal/access"
)

func TestDiskFull(t *testing.T) {
	library(t)
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=48m"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("mount a small disk: %v", err)
		}
		t.Skipf("mounting a small disk takes root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	s, err := Open(t.Context(), Options{URL: "embedded:" + dir, Library: library(t), Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.Close() }()
	w := begin(t, s, "disk", night)
	put(t, w, access.Account{ID: "a"})
	snap := publish(t, w, Accepted)

	w = begin(t, s, "disk", night.AddDate(0, 0, 1))
	noise := rand.New(rand.NewPCG(3, 4))
	text := make([]byte, 1500)
	for i := 0; err == nil && i < 10*batchRows; i++ {
		for j := range text {
			text[j] = byte(' ' + noise.IntN(95))
		}
		err = w.Put(access.Account{ID: fmt.Sprint(i), Purpose: string(text)})
	}
	var full *DiskFullError
	if !errors.As(err, &full) || !strings.Contains(err.Error(), dir) {
		t.Fatalf("Put = %v", err)
	}
	if _, err := w.Publish(t.Context(), SnapshotMeta{Status: Accepted}); !errors.As(err, &full) {
		t.Errorf("Publish = %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = mustOpen(t, Options{URL: "embedded:" + dir})
	if got := gather(t, s.Accounts(t.Context(), "disk", snap.ID)); len(got) != 1 {
		t.Errorf("%d accounts of the snapshot before are left", len(got))
	}
	if n, err := s.CleanUnpublished(t.Context()); err != nil || n != 1 {
		t.Errorf("cleaned %d, %v", n, err)
	}
	w = begin(t, s, "disk", night.AddDate(0, 0, 2))
	put(t, w, access.Account{ID: "a"})
	publish(t, w, Accepted)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
