package state

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func testLeases(t *testing.T, o Options) {
	s, _ := open(t, o)
	other, _ := open(t, o)
	l, err := s.TryAcquire(t.Context(), "writer", "host1:100 scan", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	var held *HeldError
	if _, err := other.TryAcquire(t.Context(), "writer", "host2:7 collect", time.Minute); !errors.As(err, &held) {
		t.Fatalf("acquired twice: %v", err)
	} else {
		wantErr(t, err, "writer is held by host1:100 scan since "+held.Since.Format(time.RFC3339))
	}
	if held.Since.IsZero() || time.Since(held.Since).Abs() > time.Minute || !held.Until.After(held.Since) {
		t.Errorf("held: %+v", held)
	}
	waited, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := other.Acquire(waited, "writer", "host2:7 collect", time.Minute); !errors.As(err, &held) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waited in vain: %v", err)
	}
	if free, err := other.TryAcquire(t.Context(), "scheduler", "host2:7 serve", time.Minute); err != nil {
		t.Errorf("another name: %v", err)
	} else if err := free.Release(t.Context()); err != nil {
		t.Error(err)
	}

	ctx, stop := l.Context(t.Context())
	defer stop()
	if err := l.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
	got := make(chan *Lease)
	go func() {
		second, err := other.Acquire(context.Background(), "writer", "host2:7 collect", time.Minute)
		if err != nil {
			t.Error(err)
		}
		got <- second
	}()
	time.Sleep(50 * time.Millisecond)
	if err := l.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ctx.Err() == nil {
		t.Error("the context outlives the release")
	}
	if err := l.Release(t.Context()); err != nil {
		t.Errorf("released twice: %v", err)
	}
	second := <-got
	if second == nil {
		t.FailNow()
	}
	if second.Token <= l.Token {
		t.Errorf("token %d after %d", second.Token, l.Token)
	}
	if err := l.Check(t.Context()); err == nil {
		t.Error("a released lease checks out")
	}
	all, err := s.Leases(t.Context())
	if err != nil || len(all) != 2 || all[0].Holder != "" || all[1].Holder != "host2:7 collect" {
		t.Errorf("leases: %+v, %v", all, err)
	}
	if err := second.Release(t.Context()); err != nil {
		t.Error(err)
	}
}

func testLeaseLost(t *testing.T, o Options) {
	dead, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	const ttl = time.Second
	first, err := dead.TryAcquire(t.Context(), "writer", "dead", ttl)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := first.Context(t.Context())
	defer stop()
	s, _ := open(t, o)
	time.Sleep(2 * ttl)
	if _, err := s.TryAcquire(t.Context(), "writer", "thief", ttl); err == nil {
		t.Fatal("a renewed lease was stolen")
	}
	dead.Close() // it can't renew any more, as if it were cut off
	second, err := s.Acquire(t.Context(), "writer", "heir", ttl)
	if err != nil {
		t.Fatal(err)
	}
	// The old holder must have learnt it by the time the new one begins.
	if !errors.Is(context.Cause(ctx), ErrLeaseLost) {
		t.Errorf("the old holder goes on: %v", context.Cause(ctx))
	}
	if second.Token != first.Token+1 {
		t.Errorf("token %d after %d", second.Token, first.Token)
	}
	if err := first.Release(t.Context()); !errors.Is(err, ErrLeaseLost) {
		t.Errorf("released a lost lease: %v", err)
	}

	// Taken away while it could renew: it learns from the database.
	ctx, stop = second.Context(t.Context())
	defer stop()
	if _, err := s.l.Exec("UPDATE leases SET holder = 'thief', token = token + 1"); err != nil {
		t.Fatal(err)
	}
	if err := second.Check(t.Context()); !errors.Is(err, ErrLeaseLost) {
		t.Errorf("check: %v", err)
	} else {
		wantErr(t, err, "held by thief")
	}
	<-ctx.Done()
	if !errors.Is(context.Cause(ctx), ErrLeaseLost) {
		t.Errorf("cause: %v", context.Cause(ctx))
	}
	all, err := s.Leases(t.Context())
	if err != nil || all[0].Holder != "thief" {
		t.Errorf("the loser changed the lease: %+v, %v", all, err)
	}
}

func testLeaseSerialises(t *testing.T, o Options) {
	var inside, entered atomic.Int64
	var mu sync.Mutex
	tokens := map[int64]bool{}
	var wg sync.WaitGroup
	for range 3 {
		s, _ := open(t, o)
		for range 2 {
			wg.Go(func() {
				for range 3 {
					l, err := s.Acquire(context.Background(), "writer", "worker", 10*time.Second)
					if err != nil {
						t.Error(err)
						return
					}
					if inside.Add(1) != 1 {
						t.Error("two holders at once")
					}
					mu.Lock()
					if tokens[l.Token] {
						t.Errorf("token %d twice", l.Token)
					}
					tokens[l.Token] = true
					mu.Unlock()
					time.Sleep(2 * time.Millisecond)
					inside.Add(-1)
					entered.Add(1)
					if err := l.Release(context.Background()); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	if entered.Load() != 18 {
		t.Errorf("%d of 18 got in", entered.Load())
	}
}
