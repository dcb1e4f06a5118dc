package store

import (
	"errors"
	"sync"
	"testing"
	"time"
)

// A command that is served by another process goes on when that one ends: it takes the folder over.
func TestHolderEnds(t *testing.T) {
	library := library(t)
	dir := t.TempDir()
	o := Options{URL: "embedded:" + dir, Library: library}
	holder, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	tenant, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer tenant.Close()
	if tenant.holder != HolderOther {
		t.Fatalf("held by %s", tenant.holder)
	}
	publish(t, tenant.begin(t, "hr"), Accepted)

	var reading sync.WaitGroup
	stop := make(chan struct{})
	var failed error
	var mu sync.Mutex
	for range 3 {
		reading.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := tenant.Snapshots(t.Context(), SnapshotFilter{}); err != nil {
					mu.Lock()
					failed = errors.Join(failed, err)
					mu.Unlock()
					return
				}
			}
		})
	}
	time.Sleep(100 * time.Millisecond)
	if err := holder.Close(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	close(stop)
	reading.Wait()
	if failed != nil {
		t.Errorf("reading while the holder ended: %v", failed)
	}
	if _, err := tenant.LatestAccepted(t.Context(), "hr", lastInstant); err != nil {
		t.Errorf("after the holder ended: %v", err)
	}
	if tenant.holder != HolderSelf {
		t.Errorf("held by %s, want this process", tenant.holder)
	}
	publish(t, tenant.begin(t, "crm"), Accepted)
	third, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	if all, err := third.Snapshots(t.Context(), SnapshotFilter{}); err != nil || len(all) != 2 {
		t.Errorf("a third one reads %d snapshots, %v", len(all), err)
	}
}

func (s *Store) begin(t *testing.T, source string) *SnapshotWriter {
	t.Helper()
	w, err := s.NewSnapshot(t.Context(), SnapshotInfo{Source: source, TakenAt: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return w
}
