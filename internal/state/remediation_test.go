package state

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func plan(t *testing.T, s *State, body string) Plan {
	t.Helper()
	p, err := s.SavePlan(t.Context(), alice, Plan{ID: NewPlanID(), Kind: "findings", Steps: 2, Body: json.RawMessage(body)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func verified(t *testing.T, s *State) {
	t.Helper()
	if v, err := s.VerifyLedger(t.Context(), nil); err != nil || !v.OK() {
		t.Errorf("the ledger: %v, %v", v, err)
	}
}

func testPlans(t *testing.T, o Options) {
	s, c := open(t, o)
	p := plan(t, s, `{"steps":[1]}`)
	if _, err := s.SavePlan(t.Context(), alice, p); !errors.Is(err, ErrExists) {
		t.Errorf("a plan was recorded twice: %v", err)
	}
	got, err := s.PlanByID(t.Context(), p.ID)
	if err != nil || got.Hash != p.Hash || string(got.Body) != `{"steps":[1]}` || got.By != alice.ID {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := s.ApprovePlan(t.Context(), bob, Approval{Plan: p.ID, Hash: strings.Repeat("0", 64), Method: "test"}); err == nil {
		t.Error("another plan's hash was approved")
	}
	if _, err := s.ApprovePlan(t.Context(), bob, Approval{Plan: p.ID, Hash: p.Hash, Method: "test", Signature: "x"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ApprovePlan(t.Context(), bob, Approval{Plan: p.ID, Hash: p.Hash, Method: "test"}); !errors.Is(err, ErrExists) {
		t.Errorf("approved twice: %v", err)
	}
	if all, err := s.Approvals(t.Context(), p.ID); err != nil || len(all) != 1 || all[0].By != bob.ID || all[0].Signature != "x" {
		t.Errorf("approvals %+v, %v", all, err)
	}
	if err := s.RefusePlan(t.Context(), bob, p.ID, []string{"51 changes, the limit is 50"}); err != nil {
		t.Fatal(err)
	}
	c.add(time.Hour)
	if err := s.EndPlan(t.Context(), alice, p.ID, "replaced"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.BeginChange(t.Context(), alice, ChangeEntry{Plan: p.ID, Source: "ad", Object: "1", Action: "disable"}); err == nil {
		t.Error("an ended plan is carried out")
	}
	if all, err := s.Plans(t.Context(), PlanFilter{}); err != nil || len(all) != 0 {
		t.Errorf("plans that stand: %+v, %v", all, err)
	}
	if all, err := s.Plans(t.Context(), PlanFilter{Ended: true}); err != nil || len(all) != 1 || all[0].EndWhy != "replaced" {
		t.Errorf("all plans: %+v, %v", all, err)
	}
	verified(t, s)
	if _, err := s.w.ExecContext(t.Context(), `UPDATE plans SET body = '{"steps":[1,2]}'`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PlanByID(t.Context(), p.ID); err == nil || !strings.Contains(err.Error(), "altered") {
		t.Errorf("an altered plan is read: %v", err)
	}
	if v, err := s.VerifyLedger(t.Context(), nil); err != nil || v.OK() {
		t.Errorf("an altered plan does not show: %v, %v", v, err)
	}
}

func testJournal(t *testing.T, o Options) {
	s, c := open(t, o)
	p := plan(t, s, `{}`)
	step := ChangeEntry{Plan: p.ID, Step: 1, Source: "ad", Object: "u-1", Person: "hr:7", Action: "disable", Change: json.RawMessage(`{"action":"disable"}`), Before: json.RawMessage(`{"At":"x"}`)}
	begun, err := s.BeginChange(t.Context(), alice, step)
	if err != nil || begun.Status != ChangeBegun {
		t.Fatalf("%+v, %v", begun, err)
	}
	if _, err := s.BeginChange(t.Context(), alice, step); !errors.Is(err, ErrExists) {
		t.Errorf("a step was begun twice: %v", err)
	}
	if err := s.EndChange(t.Context(), alice, begun.ID, ChangeUnknown, nil, "no answer in 30 s"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.BeginChange(t.Context(), alice, step); !errors.Is(err, ErrExists) {
		t.Errorf("a step of unknown outcome was begun again: %v", err)
	}
	c.add(time.Minute)
	if err := s.EndChange(t.Context(), alice, begun.ID, ChangeDone, json.RawMessage(`{"At":"y"}`), ""); err != nil {
		t.Fatal(err)
	}
	if err := s.EndChange(t.Context(), alice, begun.ID, ChangeFailed, nil, ""); !errors.Is(err, ErrExists) {
		t.Errorf("a settled change was ended again: %v", err)
	}
	undo := step
	undo.Undoes = begun.ID
	undone, err := s.BeginChange(t.Context(), bob, undo)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.BeginChange(t.Context(), bob, undo); !errors.Is(err, ErrExists) {
		t.Errorf("undone twice: %v", err)
	}
	if err := s.EndChange(t.Context(), bob, undone.ID, ChangeDone, nil, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.BeginChange(t.Context(), alice, step); err != nil {
		t.Errorf("what was undone can't be made again: %v", err)
	}
	step.Step = 2
	if _, err := s.NoteChange(t.Context(), alice, step, ChangeSkipped); err != nil {
		t.Fatal(err)
	}
	if _, err := s.NoteChange(t.Context(), alice, step, ChangeDone); err == nil {
		t.Error("a change that was not begun is done")
	}
	counts, err := s.CountChanges(t.Context())
	if err != nil || !slices.Equal(counts, []Count{{"disable", "begun", 1}, {"disable", "done", 1}, {"disable", "skipped", 1}, {"undo_disable", "done", 1}}) {
		t.Errorf("%v, %v", counts, err)
	}
	all, err := s.ChangeEntries(t.Context(), ChangeFilter{Plan: p.ID})
	if err != nil || len(all) != 4 {
		t.Fatalf("%d entries, %v", len(all), err)
	}
	if one, err := s.ChangeEntries(t.Context(), ChangeFilter{ID: begun.ID}); err != nil || len(one) != 1 || one[0].Status != ChangeDone || string(one[0].After) != `{"At":"y"}` || !one[0].Ended.Equal(night.Add(time.Minute)) {
		t.Errorf("%+v, %v", one, err)
	}
	verified(t, s)
	for _, text := range []string{"UPDATE changes SET status = 'failed' WHERE undoes <> ''", "UPDATE changes SET before = '{}'", "DELETE FROM changes WHERE undoes <> ''"} {
		func() {
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
				t.Errorf("%s does not show: %v", text, err)
			}
		}()
	}
}

func testStops(t *testing.T, o Options) {
	s, _ := open(t, o)
	if _, err := s.LiftStops(t.Context(), bob); !errors.Is(err, ErrNotFound) {
		t.Errorf("lifted nothing: %v", err)
	}
	for _, reason := range []string{"payroll is broken", "and so is mail"} {
		if _, err := s.SetStop(t.Context(), alice, reason); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := s.Stops(t.Context()); err != nil || len(all) != 2 || all[0].Reason != "payroll is broken" && all[1].Reason != "payroll is broken" {
		t.Errorf("%+v, %v", all, err)
	}
	if all, err := s.LiftStops(t.Context(), bob); err != nil || len(all) != 2 || all[0].LiftBy != bob.ID {
		t.Errorf("%+v, %v", all, err)
	}
	if all, err := s.Stops(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
	verified(t, s)
}
