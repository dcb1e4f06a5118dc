package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func testReviews(t *testing.T, o Options) {
	s, c := open(t, o)
	items := make([]ReviewItem, 2500)
	for i := range items {
		items[i] = ReviewItem{Source: "crm", Account: fmt.Sprintf("a%d", i), Entitlement: "admin", Holders: 2600, Reviewer: "hr:7", Body: json.RawMessage(`{"x":"ü"}`)}
	}
	r := Review{ID: "q4", Scope: "source=crm", Reviewers: "managers", Run: 3, RunTime: night, At: night, Due: night.AddDate(0, 0, 14)}
	if _, err := s.StartReview(t.Context(), alice, r, nil); err == nil {
		t.Error("a review of nothing was started")
	}
	got, err := s.StartReview(t.Context(), alice, r, items)
	if err != nil || got.Items != 2500 || len(got.Hash) != 64 || got.By != alice.ID {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := s.StartReview(t.Context(), alice, r, items); !errors.Is(err, ErrExists) {
		t.Errorf("a review was started twice: %v", err)
	}
	read, err := s.ReviewItems(t.Context(), "q4")
	if err != nil || len(read) != 2500 || read[2499].N != 2500 || read[2499].Account != "a2499" || string(read[0].Body) != `{"x":"ü"}` || read[0].Holders != 2600 {
		t.Fatalf("%d items, %v", len(read), err)
	}

	c.add(time.Hour)
	all := make([]int64, 2500)
	for i := range all {
		all[i] = int64(i + 1)
	}
	none := errors.New("refused")
	if _, err := s.ChangeReview(t.Context(), bob, "q4", func(Review, []ReviewEvent) ([]ReviewEvent, error) { return nil, none }); !errors.Is(err, none) {
		t.Errorf("a refusal is lost: %v", err)
	}
	if _, err := s.ChangeReview(t.Context(), bob, "q5", func(Review, []ReviewEvent) ([]ReviewEvent, error) { return nil, nil }); !errors.Is(err, ErrNotFound) {
		t.Errorf("a review that is not there: %v", err)
	}
	events, err := s.ChangeReview(t.Context(), bob, "q4", func(r Review, so []ReviewEvent) ([]ReviewEvent, error) {
		if r.Scope != "source=crm" || len(so) != 0 {
			t.Errorf("%+v, %d events", r, len(so))
		}
		return []ReviewEvent{{Kind: ReviewDecided, At: night, By: "hr:7", Decision: "approve", Items: all}, {Kind: ReviewClosed, At: night, By: bob.ID}}, nil
	})
	// What is too long for one entry of the ledger is several.
	if err != nil || len(events) != 3 || len(events[1].Items) != 500 || events[2].Seq != 3 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	// All of a change or nothing of it.
	if _, err := s.ChangeReview(t.Context(), bob, "q4", func(Review, []ReviewEvent) ([]ReviewEvent, error) {
		return []ReviewEvent{{Kind: ReviewDecided, At: night, By: "hr:7", Items: all[:1]}, {Kind: "forgotten", At: night, By: "hr:7"}}, nil
	}); err == nil {
		t.Error("an unknown kind of event was recorded")
	}
	if so, err := s.ReviewEvents(t.Context(), "q4"); err != nil || len(so) != 3 || so[0].Decision != "approve" || so[0].By != "hr:7" {
		t.Errorf("%d events, %v", len(so), err)
	}
	if list, err := s.Reviews(t.Context()); err != nil || len(list) != 1 || list[0].Hash != got.Hash {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := s.Record(t.Context(), alice, "reviewed.decided", map[string]any{"id": "x"}); err == nil {
		t.Error("a decision of a review was forged through Record")
	}
	verified(t, s)
	for _, text := range []string{
		`UPDATE review_items SET body = '{"x":"y"}' WHERE n = 7`, "UPDATE review_items SET reviewer = 'hr:8' WHERE n = 7", "DELETE FROM review_items WHERE n = 2500",
		"UPDATE review_items SET holders = 2500 WHERE n = 1", "INSERT INTO review_items SELECT 'q0', n, source, account, entitlement, holders, reviewer, body FROM review_items WHERE n = 1",
		"DELETE FROM review_events WHERE seq = 3", "DELETE FROM reviews",
		"UPDATE review_events SET record = replace(record, 'approve', 'revoke') WHERE seq = 1", "UPDATE review_events SET seq = 9 WHERE seq = 3",
	} {
		t.Run(strings.ReplaceAll(text, " ", "_"), func(t *testing.T) {
			tx, err := s.w.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback()
			if _, err := tx.ExecContext(t.Context(), text); err != nil {
				t.Fatal(err)
			}
			v, told := Verification{}, records{}
			if err := entries(t.Context(), tx, 0, func(e Entry) error { told.apply(e); return nil }); err != nil {
				t.Fatal(err)
			}
			if err := s.compare(context.Background(), tx, told, &v); err != nil || v.OK() {
				t.Errorf("it does not show: %v", err)
			}
		})
	}
}
