package state

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func testSchedule(t *testing.T, o Options) {
	s, _ := open(t, o)
	if _, err := s.Slot(t.Context(), "nightly"); !errors.Is(err, ErrNotFound) {
		t.Errorf("before anything: %v", err)
	}
	first, err := s.TryAcquire(t.Context(), "serve.nightly", "one", 0)
	if err != nil {
		t.Fatal(err)
	}
	want := Slot{Job: "nightly", Plan: "0 2 * * * UTC", At: night, Status: SlotRunning, Attempt: 1, Run: NewRunID(), Holder: "one", Began: night.Add(time.Second), Detail: "begun"}
	if err := s.PutSlot(t.Context(), first, want); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Slot(t.Context(), "nightly"); err != nil || !cmp.Equal(got, want) {
		t.Errorf("%v\n%s", err, cmp.Diff(want, got))
	}
	// Whoever lost the lease must not write over what the next one did.
	if err := first.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	second, err := s.TryAcquire(t.Context(), "serve.nightly", "two", 0)
	if err != nil {
		t.Fatal(err)
	}
	want.Status, want.Holder, want.Ended, want.Succeeded = SlotDone, "two", night.Add(time.Minute), night.Add(time.Minute)
	if err := s.PutSlot(t.Context(), second, want); err != nil {
		t.Fatal(err)
	}
	// What a process said last may be anything.
	odd := want
	odd.Detail = "a\x00b\xff" + strings.Repeat("ü", 2*maxReason)
	if err := s.PutSlot(t.Context(), second, odd); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Slot(t.Context(), "nightly"); err != nil || !strings.HasPrefix(got.Detail, "a b\uFFFDü") {
		t.Errorf("%.20q, %v", got.Detail, err)
	}
	if err := s.PutSlot(t.Context(), second, want); err != nil {
		t.Fatal(err)
	}
	late := want
	late.Status, late.Holder = SlotFailed, "one"
	if err := s.PutSlot(t.Context(), first, late); !errors.Is(err, ErrLeaseLost) {
		t.Errorf("written without the lease: %v", err)
	}
	if got, err := s.Slot(t.Context(), "nightly"); err != nil || !cmp.Equal(got, want) {
		t.Errorf("%v\n%s", err, cmp.Diff(want, got))
	}
	if n := whole(t, s); n != 0 {
		t.Errorf("the ledger tells of %d runs of the schedule", n)
	}
}

func testLeavers(t *testing.T, o Options) {
	s, c := open(t, o)
	l := Leaver{ID: "workday/evt-1", Origin: "workday", Person: "hr:7", On: night.AddDate(0, 0, 1), Hash: "abc"}
	got, added, err := s.AddLeaver(t.Context(), alice, l)
	if err != nil || !added || got.Status != LeaverPending || !got.Received.Equal(night) {
		t.Fatalf("%+v, %v, %v", got, added, err)
	}
	c.add(time.Hour)
	again, added, err := s.AddLeaver(t.Context(), alice, l)
	if err != nil || added || !cmp.Equal(again, got) {
		t.Errorf("the second time: %+v, %v, %v", again, added, err)
	}
	other := l
	other.Person = "hr:8"
	if _, _, err := s.AddLeaver(t.Context(), alice, other); !errors.Is(err, ErrExists) {
		t.Errorf("one id about two people: %v", err)
	}
	if _, _, err := s.AddLeaver(t.Context(), alice, Leaver{ID: "workday/evt-2", Origin: "workday"}); err == nil {
		t.Error("nobody leaves")
	}
	if _, err := s.ChangeLeaver(t.Context(), alice, "no", func(*Leaver) {}); !errors.Is(err, ErrNotFound) {
		t.Errorf("changed what is not there: %v", err)
	}
	_, err = s.ChangeLeaver(t.Context(), alice, l.ID, func(l *Leaver) {
		l.Status, l.Attempts, l.Run, l.Detail = LeaverUnknown, 1, 4, "the last run knows nobody called so"
	})
	if err != nil {
		t.Fatal(err)
	}
	if all, err := s.Leavers(t.Context(), false); err != nil || len(all) != 1 || all[0].Status != LeaverUnknown || all[0].Run != 4 {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := s.ChangeLeaver(t.Context(), bob, l.ID, func(l *Leaver) { l.Status, l.Plan = LeaverCarried, "plan-1" }); err != nil {
		t.Fatal(err)
	}
	for all, want := range map[bool]int{false: 0, true: 1} {
		if list, err := s.Leavers(t.Context(), all); err != nil || len(list) != want {
			t.Errorf("leavers, all %v: %+v, %v", all, list, err)
		}
	}
	equal(t, "ledger", kinds(t, s), []string{KindLeaverReceived, KindLeaverTried, KindLeaverCarried})
	verified(t, s)
	for _, text := range []string{"UPDATE leavers SET status = 'pending'", "UPDATE leavers SET next = 0", "UPDATE leavers SET record = '{}'", "DELETE FROM leavers"} {
		tx, err := s.w.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
		v, told := Verification{}, records{}
		if err := entries(t.Context(), tx, 0, func(e Entry) error { told.apply(e); return nil }); err != nil {
			t.Fatal(err)
		}
		if err := s.compare(t.Context(), tx, told, &v); err != nil || v.OK() {
			t.Errorf("%s does not show: %v", text, err)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
	}
}
