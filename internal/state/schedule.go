package state

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// SlotStatus is how a scheduled job stands with the newest time at which it was due.
type SlotStatus string

// A slot is running from before its work begins. Found running by whoever holds the job's lease, whoever ran it has died.
const (
	SlotNone    SlotStatus = "none"    // the schedule began here: what was due before is nobody's business
	SlotRunning SlotStatus = "running" // an attempt is under way
	SlotRetry   SlotStatus = "retry"   // an attempt failed, or was interrupted; there is another one
	SlotDone    SlotStatus = "done"
	SlotFailed  SlotStatus = "failed" // there is no other attempt; the next slot is run all the same
)

// Slot is the newest time at which a scheduled job was due, and how that stands. It is no decision, so the ledger doesn't
// tell of it.
type Slot struct {
	Job       string
	Plan      string // the expression and the zone of which At is a time
	At        time.Time
	Status    SlotStatus
	Step      int // steps that are done
	Attempt   int // of the step that is next, the first is 1
	Run       string
	Holder    string // who runs it, or did
	Began     time.Time
	Ended     time.Time // of the last attempt that came to its end, at this slot or one before
	Succeeded time.Time // when the last slot that was done ended
	Detail    string
}

// NewRunID makes the id of a run of a scheduled job, by which its logs are found.
func NewRunID() string { return newID("job") }

// Slot reads how a job stands. One that was never put is an [ErrNotFound].
func (s *State) Slot(ctx context.Context, job string) (Slot, error) {
	all, err := query(ctx, s, scanSlot, selectSlots+" WHERE job = $1", job)
	if err == nil && len(all) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Slot{}, fmt.Errorf("read schedule of %s in %s: %w", job, s.name, err)
	}
	return all[0], nil
}

// PutSlot records how a job stands. What was written under a later lease stays, and that is an [ErrLeaseLost].
func (s *State) PutSlot(ctx context.Context, l *Lease, slot Slot) error {
	if err := text("job", slot.Job, 1, 100); err != nil {
		return fmt.Errorf("record schedule: %w", err)
	}
	slot.Detail = storable(slot.Detail)
	res, err := s.w.ExecContext(ctx, `INSERT INTO schedule (job, plan, slot, status, step, attempt, run, holder, token, began, ended, succeeded, detail)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
		ON CONFLICT (job) DO UPDATE SET plan = excluded.plan, slot = excluded.slot, status = excluded.status, step = excluded.step, attempt = excluded.attempt,
			run = excluded.run, holder = excluded.holder, token = excluded.token, began = excluded.began, ended = excluded.ended,
			succeeded = excluded.succeeded, detail = excluded.detail
		WHERE schedule.token <= excluded.token`,
		slot.Job, slot.Plan, stamp(slot.At), string(slot.Status), slot.Step, slot.Attempt, slot.Run, slot.Holder, l.Token,
		nullStamp(slot.Began), nullStamp(slot.Ended), nullStamp(slot.Succeeded), slot.Detail)
	var n int64
	if err == nil {
		n, err = res.RowsAffected()
	}
	if err == nil && n == 0 {
		err = fmt.Errorf("%w: somebody else has written since", ErrLeaseLost)
	}
	if err != nil {
		return fmt.Errorf("record schedule of %s in %s: %w", slot.Job, s.name, s.explain(ctx, err))
	}
	return nil
}

// storable is what either database takes of a text that came from elsewhere.
func storable(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if runes := []rune(s); len(runes) > maxReason {
		s = string(runes[:maxReason])
	}
	return s
}

func nullStamp(t time.Time) sql.NullInt64 {
	if t.IsZero() {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: stamp(t), Valid: true}
}

const selectSlots = "SELECT job, plan, slot, status, step, attempt, run, holder, began, ended, succeeded, detail FROM schedule"

func scanSlot(r *sql.Rows) (Slot, error) {
	var s Slot
	var at int64
	var began, ended, succeeded sql.NullInt64
	err := r.Scan(&s.Job, &s.Plan, &at, &s.Status, &s.Step, &s.Attempt, &s.Run, &s.Holder, &began, &ended, &succeeded, &s.Detail)
	s.At, s.Began, s.Ended, s.Succeeded = timeOf(at), timeOrZero(began), timeOrZero(ended), timeOrZero(succeeded)
	return s, err
}
