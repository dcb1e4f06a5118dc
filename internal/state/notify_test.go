package state

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func testSending(t *testing.T, o Options) {
	s, _ := open(t, o)
	if n, err := s.Sending(t.Context()); err != nil || !n.Started.IsZero() {
		t.Errorf("before anything: %+v, %v", n, err)
	}
	if _, err := s.HoldSending(t.Context(), alice, 7, "too many"); !errors.Is(err, ErrNotFound) {
		t.Errorf("held what was not started: %v", err)
	}
	if _, err := s.StartSending(t.Context(), alice, 7, night); err != nil {
		t.Fatal(err)
	}
	if _, err := s.StartSending(t.Context(), bob, 8, night.AddDate(0, 0, 1)); !errors.Is(err, ErrExists) {
		t.Errorf("started twice: %v", err)
	}
	if _, err := s.ReleaseSending(t.Context(), bob); !errors.Is(err, ErrNotFound) {
		t.Errorf("released nothing: %v", err)
	}
	if n, err := s.HoldSending(t.Context(), alice, 9, "61 new findings, the usual number is 4"); err != nil || n.HeldRun != 9 {
		t.Errorf("%+v, %v", n, err)
	}
	if n, err := s.ReleaseSending(t.Context(), bob); err != nil || n.HeldRun != 0 || n.Released != 9 || n.By != alice.ID {
		t.Errorf("%+v, %v", n, err)
	}
	verified(t, s)
}

func testOutbox(t *testing.T, o Options) {
	s, _ := open(t, o)
	item := Asked{ID: strings.Repeat("a", 64), Seen: night, Status: AskedOpen, To: "hr:1", At: night, Deadline: night.AddDate(0, 0, 10)}
	m := Outgoing{ID: "k1", Kind: "first", To: "hr:1", Run: 3, Body: json.RawMessage(`{"Key":"k1"}`)}
	if _, err := s.Queue(t.Context(), alice, m, []Asked{item}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Queue(t.Context(), alice, m, nil); !errors.Is(err, ErrExists) {
		t.Errorf("queued twice: %v", err)
	}
	bad := item
	bad.ID = ""
	if _, err := s.Queue(t.Context(), alice, Outgoing{ID: "k2", Kind: "first", To: "hr:2", Body: json.RawMessage("{}")}, []Asked{bad}); err == nil {
		t.Error("an item without a fingerprint was queued")
	}
	box, err := s.Outbox(t.Context())
	if err != nil || len(box) != 1 || box[0].Status != OutboxQueued || !box[0].Queued.Equal(night) || string(box[0].Body) != `{"Key":"k1"}` {
		t.Fatalf("a message was queued by half: %+v, %v", box, err)
	}
	change := func(f func(*Outgoing), items ...Asked) {
		t.Helper()
		if _, err := s.ChangeOutgoing(t.Context(), alice, "k1", f, items...); err != nil {
			t.Fatal(err)
		}
	}
	change(func(m *Outgoing) { m.Status, m.Channel, m.Attempts = OutboxSending, "text", 1 })
	change(func(m *Outgoing) { m.Status, m.Receipt = OutboxSent, json.RawMessage(`{"place":"x","ids":["1"]}`) })
	if box, err := s.Outbox(t.Context()); err != nil || len(box) != 0 {
		t.Errorf("after sending: %+v, %v", box, err)
	}
	item.Message, item.Status = "k1", AskedSettled
	change(func(m *Outgoing) { m.Stale, m.Body = true, json.RawMessage(`{"Key":"k1","Decided":{}}`) }, item)
	if box, err := s.Outbox(t.Context()); err != nil || len(box) != 1 || !box[0].Stale {
		t.Errorf("what is to be brought up to date: %+v, %v", box, err)
	}
	for all, want := range map[bool]int{false: 0, true: 1} {
		if items, err := s.Asked(t.Context(), all); err != nil || len(items) != want {
			t.Errorf("asked, all %v: %+v, %v", all, items, err)
		}
	}
	if got, err := s.AskedAbout(t.Context(), item.ID); err != nil || got.Status != AskedSettled || got.To != "hr:1" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := s.AskedAbout(t.Context(), "no"); !errors.Is(err, ErrNotFound) {
		t.Errorf("somebody was asked about nothing: %v", err)
	}
	if n, err := s.CountOutbox(t.Context()); err != nil || n[OutboxSent] != 1 {
		t.Errorf("%v, %v", n, err)
	}
	if n, err := s.CountMessages(t.Context()); err != nil || !slices.Equal(n, []Count{{"first", "sent", 1}}) {
		t.Errorf("%v, %v", n, err)
	}
	if _, err := s.ChangeOutgoing(t.Context(), alice, "no", func(*Outgoing) {}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a message that is not there was sent: %v", err)
	}
	verified(t, s)
}

func testAnswers(t *testing.T, o Options) {
	s, _ := open(t, o)
	fp := strings.Repeat("b", 64)
	item := Asked{ID: fp, Seen: night, Status: AskedOpen, To: "hr:1", At: night}
	if _, err := s.Queue(t.Context(), alice, Outgoing{ID: "k1", Kind: "first", To: "hr:1", Body: json.RawMessage(`{}`)}, []Asked{item}); err != nil {
		t.Fatal(err)
	}
	item.Message = "k1"
	kept := item
	kept.Status = AskedKept
	keep := Answered{ID: "click-1", Finding: fp, By: "hr:1", Channel: "text", Answer: "keep", Reason: "needed"}
	if _, err := s.Answer(t.Context(), alice, keep, item, kept, &Exception{Scope: Scope{Fingerprint: fp}, Reason: "needed"}, nil); err == nil {
		t.Error("kept for ever")
	}
	if all, err := s.Answers(t.Context(), AnswerFilter{}); err != nil || len(all) != 0 {
		t.Fatalf("an answer without its exception was recorded: %+v, %v", all, err)
	}
	accept := &Exception{Scope: Scope{Fingerprint: fp}, Reason: "needed", By: "hr:1", Expires: night.AddDate(0, 1, 0)}
	got, err := s.Answer(t.Context(), alice, keep, item, kept, accept, nil)
	if err != nil || got.Exception == "" {
		t.Fatalf("%+v, %v", got, err)
	}
	again, err := s.Answer(t.Context(), alice, keep, item, kept, accept, nil)
	if err != nil || again.Exception != got.Exception {
		t.Errorf("the second click: %+v, %v", again, err)
	}
	if all, err := s.Exceptions(t.Context(), night, ExceptionFilter{}); err != nil || len(all) != 1 || all[0].By != "hr:1" {
		t.Errorf("exceptions %+v, %v", all, err)
	}
	other := keep
	other.ID, other.Answer, other.Pending = "click-2", "revoke", true
	if _, err := s.Answer(t.Context(), bob, other, item, kept, nil, nil); !errors.Is(err, ErrExists) {
		t.Errorf("answered by two: %v", err)
	}
	revoke := kept
	revoke.Status = AskedRevoke
	if _, err := s.Answer(t.Context(), bob, other, kept, revoke, nil, nil); err != nil {
		t.Fatal(err)
	}
	if all, err := s.Answers(t.Context(), AnswerFilter{Pending: true}); err != nil || len(all) != 1 {
		t.Errorf("pending %+v, %v", all, err)
	}
	if a, err := s.CarryAnswer(t.Context(), bob, "click-2", "plan-1", ""); err != nil || a.Plan != "plan-1" {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := s.CarryAnswer(t.Context(), bob, "click-2", "plan-2", ""); !errors.Is(err, ErrExists) {
		t.Errorf("carried out twice: %v", err)
	}
	verified(t, s)
}

// What is altered behind the ledger's back shows, in the columns that are searched by, too.
func testAlteredNotices(t *testing.T, o Options) {
	s, _ := open(t, o)
	fp := strings.Repeat("c", 64)
	item := Asked{ID: fp, Status: AskedOpen, To: "hr:1", At: night}
	after := item
	after.Message = "k1"
	_, err := s.StartSending(t.Context(), alice, 1, night)
	if err == nil {
		_, err = s.Queue(t.Context(), alice, Outgoing{ID: "k1", Kind: "first", To: "hr:1", Body: json.RawMessage(`{}`)}, []Asked{item})
	}
	if err == nil {
		_, err = s.Answer(t.Context(), alice, Answered{ID: "a", Finding: fp, By: "hr:1", Channel: "text", Answer: "later", Until: night.Add(time.Hour), Pending: true}, after, after, nil, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	verified(t, s)
	for _, text := range []string{
		"UPDATE notify_sending SET run_time = 0", "UPDATE notify_sending SET released = 99", "DELETE FROM notify_sending",
		"UPDATE outbox SET status = 'sent'", "UPDATE outbox SET stale = 1", "UPDATE outbox SET body = '{\"Key\":\"x\"}'", "DELETE FROM outbox",
		"UPDATE asked SET status = 'settled'", "UPDATE asked SET message = ''", "UPDATE asked SET record = '{}'", "DELETE FROM asked",
		"UPDATE answers SET pending = 0", "UPDATE answers SET finding = 'x'", "DELETE FROM answers",
	} {
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
