package state

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ChangeStatus says what came of a change.
type ChangeStatus string

// A change is begun before its source is touched, and ends in one of the others.
const (
	ChangeBegun    ChangeStatus = "begun"    // nobody has said yet what came of it
	ChangeDone     ChangeStatus = "done"     // read back
	ChangeSent     ChangeStatus = "sent"     // the source accepted it and can't show it
	ChangeAlready  ChangeStatus = "already"  // it was so before; nothing was sent
	ChangeSkipped  ChangeStatus = "skipped"  // nothing was sent
	ChangeRefused  ChangeStatus = "refused"  // by the source; nothing changed
	ChangeFailed   ChangeStatus = "failed"   // it was read back, and is not so
	ChangeUnknown  ChangeStatus = "unknown"  // it may or may not have taken place
	ChangeAsked    ChangeStatus = "asked"    // of a person, by a ticket
	ChangeAttested ChangeStatus = "attested" // a person says that they did it
)

// Settled says whether nothing more is to be found out about the change.
func (c ChangeStatus) Settled() bool { return c != ChangeBegun && c != ChangeUnknown }

// Made says whether the change took place, or may have, through this step.
func (c ChangeStatus) Made() bool {
	return c == ChangeDone || c == ChangeSent || c == ChangeBegun || c == ChangeUnknown
}

// ChangeEntry is one change in the journal.
type ChangeEntry struct {
	ID     string
	Plan   string
	Step   int64
	Undoes string // the change that this one undoes
	Source string
	Object string
	Person string
	Action string
	Status ChangeStatus
	Change json.RawMessage
	Before json.RawMessage // the object as it was
	After  json.RawMessage // as it was read back; nil if it was not; of what was asked for, the ticket
	Detail string
	Began  time.Time
	By     string
	Ended  time.Time
}

// entry is what the ledger holds of a change: ids and hashes.
type changeRecord struct {
	ID     string       `json:"id"`
	Plan   string       `json:"plan"`
	Step   int64        `json:"step"`
	Undoes string       `json:"undoes,omitempty"`
	Source string       `json:"source"`
	Object string       `json:"object"`
	Person string       `json:"person,omitempty"`
	Action string       `json:"action"`
	Status ChangeStatus `json:"status"`
	Change string       `json:"change_sha256"`
	Before string       `json:"before_sha256,omitempty"`
	After  string       `json:"after_sha256,omitempty"`
}

func (c ChangeEntry) record() changeRecord {
	return changeRecord{c.ID, c.Plan, c.Step, c.Undoes, c.Source, c.Object, c.Person, c.Action, c.Status, sumOf(c.Change), sumOf(c.Before), sumOf(c.After)}
}

func sumOf(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// BeginChange writes a change down before its source is touched; when it returns, the entry is on disk. Of e it takes all
// but id, status, times and by. A step of a plan that was begun and has not been undone can't be begun again unless nothing
// came of it: that is an [ErrExists].
func (s *State) BeginChange(ctx context.Context, actor Actor, e ChangeEntry) (ChangeEntry, error) {
	return s.addChange(ctx, "begin a change", actor, e, ChangeBegun)
}

// NoteChange writes down a change for which nothing was sent, or that a person made, and why.
func (s *State) NoteChange(ctx context.Context, actor Actor, e ChangeEntry, status ChangeStatus) (ChangeEntry, error) {
	if status.Made() {
		return e, fmt.Errorf("note a change: the status %s belongs to one that was begun", status)
	}
	return s.addChange(ctx, "note a change", actor, e, status)
}

func (s *State) addChange(ctx context.Context, what string, actor Actor, e ChangeEntry, status ChangeStatus) (ChangeEntry, error) {
	what = fmt.Sprintf("%s (step %d of plan %s)", what, e.Step, e.Plan)
	err := s.decide(ctx, what, actor, func(d *decision) error {
		if err := errors.Join(text("source", e.Source, 1, maxID), text("object", e.Object, 1, maxID), text("action", e.Action, 1, 100)); err != nil {
			return err
		}
		if e.Undoes == "" {
			if _, err := d.plan(e.Plan); err != nil {
				return err
			}
		}
		earlier, err := rows(d, scanChange, selectChanges+" WHERE plan = $1 AND step = $2", e.Plan, e.Step)
		if err != nil {
			return err
		}
		if standing(earlier, e.Undoes) {
			return ErrExists
		}
		e.ID, e.Status, e.Began, e.By = newID("chg"), status, d.at, d.actor.ID
		var ended sql.NullInt64
		kind := KindChangeBegun
		if status != ChangeBegun {
			e.Ended, kind = d.at, KindChangeEnded
			ended = sql.NullInt64{Int64: stamp(e.Ended), Valid: true}
		}
		err = d.exec(`INSERT INTO changes (id, plan, step, undoes, source, object, person, action, status, change, before, after, detail, began_at, began_by, ended_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
			e.ID, e.Plan, e.Step, e.Undoes, e.Source, e.Object, e.Person, e.Action, string(e.Status), string(e.Change), string(e.Before), string(e.After), e.Detail,
			stamp(e.Began), e.By, ended)
		if err != nil {
			return err
		}
		return d.append(kind, e.record())
	})
	if err != nil {
		return ChangeEntry{}, err
	}
	return e, nil
}

// standing says whether the step was made, and not undone since, and so is neither to be made nor, when undoes names the
// change, to be undone again.
func standing(earlier []ChangeEntry, undoes string) bool {
	undone := map[string]bool{}
	for _, c := range earlier {
		if c.Undoes != "" && (c.Status.Made() || c.Status == ChangeAlready) {
			undone[c.Undoes] = true
		}
	}
	if undoes != "" {
		return undone[undoes]
	}
	for _, c := range earlier {
		if c.Undoes == "" && (c.Status.Made() || c.Status == ChangeAlready || c.Status == ChangeAttested) && !undone[c.ID] {
			return true
		}
	}
	return false
}

// EndChange writes down what came of a change, or what was found out about it since. A settled one keeps its end:
// that is an [ErrExists].
func (s *State) EndChange(ctx context.Context, actor Actor, id string, status ChangeStatus, after json.RawMessage, detail string) error {
	return s.decide(ctx, "end change "+id, actor, func(d *decision) error {
		all, err := rows(d, scanChange, selectChanges+" WHERE id = $1", id)
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return ErrNotFound
		}
		c := all[0]
		if c.Status.Settled() {
			return ErrExists
		}
		c.Status, c.After = status, after
		if err := d.exec("UPDATE changes SET status = $1, after = $2, detail = $3, ended_at = $4 WHERE id = $5",
			string(status), string(after), detail, stamp(d.at), id); err != nil {
			return err
		}
		return d.append(KindChangeEnded, c.record())
	})
}

// ChangeFilter narrows the journal; empty fields match everything.
type ChangeFilter struct {
	ID, Plan, Source, Object, Person string
	Since                            time.Time
}

// ChangeEntries lists the journal, oldest first.
func (s *State) ChangeEntries(ctx context.Context, f ChangeFilter) ([]ChangeEntry, error) {
	since := int64(0)
	if !f.Since.IsZero() {
		since = stamp(f.Since)
	}
	all, err := query(ctx, s, scanChange, selectChanges+` WHERE ($1 = '' OR id = $1) AND ($2 = '' OR plan = $2) AND ($3 = '' OR source = $3)
		AND ($4 = '' OR object = $4) AND ($5 = '' OR person = $5) AND began_at >= $6 ORDER BY began_at, id`,
		f.ID, f.Plan, f.Source, f.Object, f.Person, since)
	if err != nil {
		return nil, fmt.Errorf("read the journal in %s: %w", s.name, err)
	}
	return all, nil
}

const selectChanges = `SELECT id, plan, step, undoes, source, object, person, action, status, change, before, after, detail, began_at, began_by, ended_at FROM changes`

func scanChange(r *sql.Rows) (ChangeEntry, error) {
	var c ChangeEntry
	var change, before, after string
	var began int64
	var ended sql.NullInt64
	err := r.Scan(&c.ID, &c.Plan, &c.Step, &c.Undoes, &c.Source, &c.Object, &c.Person, &c.Action, &c.Status, &change, &before, &after, &c.Detail, &began, &c.By, &ended)
	c.Change, c.Began, c.Ended = json.RawMessage(change), timeOf(began), timeOrZero(ended)
	if before != "" {
		c.Before = json.RawMessage(before)
	}
	if after != "" {
		c.After = json.RawMessage(after)
	}
	return c, err
}
