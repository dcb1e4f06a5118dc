package state

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Sending says since when people are asked, and whether that is held. Run numbers are those of the store.
type Sending struct {
	ID       string    `json:"id"` // sending
	Started  time.Time `json:"started"`
	By       string    `json:"by"`
	Run      uint64    `json:"run"`      // what was open in it is the backlog, which nobody is asked about
	RunTime  time.Time `json:"run_time"` // by the run's clock
	HeldRun  uint64    `json:"held_run,omitempty"`
	HeldWhy  string    `json:"held_why,omitempty"`
	Released uint64    `json:"released,omitempty"` // the last run that was let through
}

// sendingID is the id of the one row of Sending.
const sendingID = "sending"

// StartSending records that people are asked from now on about what a run did not find open yet. Doing so twice is an
// [ErrExists].
func (s *State) StartSending(ctx context.Context, actor Actor, run uint64, runTime time.Time) (Sending, error) {
	return s.sending(ctx, "start asking people", actor, KindNotifyStarted, func(d *decision, n *Sending) error {
		if !n.Started.IsZero() {
			return ErrExists
		}
		*n = Sending{ID: sendingID, Started: d.at, By: d.actor.ID, Run: run, RunTime: micros(runTime)}
		return nil
	})
}

// HoldSending holds the sending of what a run found, until it is released.
func (s *State) HoldSending(ctx context.Context, actor Actor, run uint64, why string) (Sending, error) {
	return s.sending(ctx, "hold the sending", actor, KindNotifyHeld, func(_ *decision, n *Sending) error {
		if n.Started.IsZero() {
			return ErrNotFound
		}
		n.HeldRun, n.HeldWhy = run, why
		return text("reason", why, 1, maxReason)
	})
}

// ReleaseSending lets through what is held. Nothing being held is an [ErrNotFound].
func (s *State) ReleaseSending(ctx context.Context, actor Actor) (Sending, error) {
	return s.sending(ctx, "release the sending", actor, KindNotifyReleased, func(_ *decision, n *Sending) error {
		if n.HeldRun == 0 {
			return ErrNotFound
		}
		n.Released, n.HeldRun, n.HeldWhy = n.HeldRun, 0, ""
		return nil
	})
}

func (s *State) sending(ctx context.Context, what string, actor Actor, kind string, change func(*decision, *Sending) error) (Sending, error) {
	var n Sending
	err := s.decide(ctx, what, actor, func(d *decision) error {
		all, err := rows(d, scanSending, selectSending)
		if err != nil {
			return err
		}
		if len(all) > 0 {
			n = all[0]
		}
		if err := change(d, &n); err != nil {
			return err
		}
		err = d.exec(`INSERT INTO notify_sending (id, started_at, started_by, run, run_time, held_run, held_why, released) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT (id) DO UPDATE SET held_run = excluded.held_run, held_why = excluded.held_why, released = excluded.released`,
			n.ID, stamp(n.Started), n.By, int64(n.Run), stamp(n.RunTime), int64(n.HeldRun), n.HeldWhy, int64(n.Released))
		if err != nil {
			return err
		}
		return d.append(kind, n)
	})
	if err != nil {
		return Sending{}, err
	}
	return n, nil
}

// Sending reads whether people are asked. Started is zero as long as nobody is.
func (s *State) Sending(ctx context.Context) (Sending, error) {
	all, err := query(ctx, s, scanSending, selectSending)
	if err != nil {
		return Sending{}, fmt.Errorf("read whether people are asked in %s: %w", s.name, err)
	}
	if len(all) == 0 {
		return Sending{}, nil
	}
	return all[0], nil
}

const selectSending = "SELECT id, started_at, started_by, run, run_time, held_run, held_why, released FROM notify_sending"

func scanSending(r *sql.Rows) (Sending, error) {
	var n Sending
	var started, runTime, run, held, released int64
	err := r.Scan(&n.ID, &started, &n.By, &run, &runTime, &held, &n.HeldWhy, &released)
	n.Started, n.RunTime, n.Run, n.HeldRun, n.Released = timeOf(started), timeOf(runTime), uint64(run), uint64(held), uint64(released)
	return n, err
}

// AskedStatus is how a finding stands with those who were asked about it.
type AskedStatus string

// The statuses of what somebody was asked.
const (
	AskedOpen    AskedStatus = "open"
	AskedKept    AskedStatus = "kept"    // accepted by an exception
	AskedRevoke  AskedStatus = "revoke"  // to be taken away
	AskedSettled AskedStatus = "settled" // the finding is not open any more
)

// Asked is a finding that somebody was asked about. Its times are by the run's clock.
type Asked struct {
	ID        string      `json:"id"`   // fingerprint
	Seen      time.Time   `json:"seen"` // first seen: a finding that comes again is another
	Status    AskedStatus `json:"status"`
	To        string      `json:"to"`              // person key or role; "" where the next in line is to be found
	First     string      `json:"first,omitempty"` // who was asked before it was escalated
	Why       string      `json:"why,omitempty"`   // it is they who are asked
	Message   string      `json:"message"`         // key of the last message about it; "" where one is to be sent
	Round     int         `json:"round"`           // how many messages there were
	At        time.Time   `json:"at"`              // of the first message to whoever is asked now
	Reminders int         `json:"reminders"`       // since then
	Level     int         `json:"level"`           // 0, 1 the manager, 2 the security team
	Deadline  time.Time   `json:"deadline"`
	Later     time.Time   `json:"later,omitzero"`   // silent until then
	Passed    []string    `json:"passed,omitempty"` // who is not to be asked: it is not theirs, or they can't be reached
}

// Asked lists what people were asked about, by fingerprint; what is settled only with all.
func (s *State) Asked(ctx context.Context, all bool) (map[string]Asked, error) {
	list, err := query(ctx, s, scanAsked, selectAsked+" WHERE $1 = 1 OR status <> 'settled'", flag(all))
	if err != nil {
		return nil, fmt.Errorf("list what people were asked in %s: %w", s.name, err)
	}
	out := make(map[string]Asked, len(list))
	for _, a := range list {
		out[a.ID] = a
	}
	return out, nil
}

// AskedAbout reads how one finding stands with those who were asked about it. Nobody having been asked is an [ErrNotFound].
func (s *State) AskedAbout(ctx context.Context, fingerprint string) (Asked, error) {
	list, err := query(ctx, s, scanAsked, selectAsked+" WHERE id = $1", fingerprint)
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Asked{}, fmt.Errorf("read who was asked about finding %s in %s: %w", short(fingerprint), s.name, err)
	}
	return list[0], nil
}

// SetAsked records how items stand, in one transaction.
func (s *State) SetAsked(ctx context.Context, actor Actor, items ...Asked) error {
	if len(items) == 0 {
		return nil
	}
	return s.decide(ctx, "record what people were asked", actor, func(d *decision) error {
		for _, a := range items {
			if err := d.putAsked(KindItemChanged, a); err != nil {
				return err
			}
		}
		return nil
	})
}

func (d *decision) putAsked(kind string, a Asked) error {
	if err := text("fingerprint", a.ID, 1, maxID); err != nil {
		return err
	}
	a.Seen, a.At, a.Deadline, a.Later = micros(a.Seen), micros(a.At), micros(a.Deadline), micros(a.Later)
	record, err := canonical(a)
	if err != nil {
		return err
	}
	err = d.exec(`INSERT INTO asked (id, status, message, record) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET status = excluded.status, message = excluded.message, record = excluded.record`,
		a.ID, string(a.Status), a.Message, string(record))
	if err != nil {
		return err
	}
	return d.append(kind, a)
}

const selectAsked = "SELECT id, status, message, record FROM asked"

func scanAsked(r *sql.Rows) (a Asked, err error) {
	var id, status, message, record string
	if err := r.Scan(&id, &status, &message, &record); err != nil {
		return a, err
	}
	if err := json.Unmarshal([]byte(record), &a); err != nil {
		return a, fmt.Errorf("item %s: %w", id, err)
	}
	// What is searched by counts: altered alone, it shows against the ledger.
	a.ID, a.Status, a.Message = id, AskedStatus(status), message
	return a, nil
}

// Answered is what somebody answered about a finding.
type Answered struct {
	ID      string    `json:"id"` // of the click: the second time is the same answer
	Finding string    `json:"finding"`
	By      string    `json:"by"` // person key or role
	Channel string    `json:"channel"`
	Answer  string    `json:"answer"`
	Reason  string    `json:"reason,omitempty"`
	Until   time.Time `json:"until,omitzero"`
	To      string    `json:"to,omitempty"`
	At      time.Time `json:"at"`
	// Exception and Plan are what came of it.
	Exception string `json:"exception,omitempty"`
	Plan      string `json:"plan,omitempty"`
	Outcome   string `json:"outcome,omitempty"`
	Pending   bool   `json:"pending,omitempty"` // a plan is still to be made
}

// Answer records an answer with all that it changes, in one transaction: how its item stands then and, with accept, the
// exception, and what its message says of it (told, nil for nothing). The same id again changes nothing and gives what was recorded the first time. Of the item, what stands
// must be as given: an item that somebody else answered meanwhile is an [ErrExists].
func (s *State) Answer(ctx context.Context, actor Actor, a Answered, before, after Asked, accept *Exception, told func(*Outgoing)) (Answered, error) {
	err := s.decide(ctx, "record the answer to finding "+short(a.Finding), actor, func(d *decision) error {
		if err := errors.Join(text("answer's id", a.ID, 1, maxID), text("reason", a.Reason, 0, maxReason), text("person who answers", a.By, 1, maxID)); err != nil {
			return err
		}
		given, err := rows(d, scanAnswered, selectAnswers+" WHERE id = $1", a.ID)
		if err != nil {
			return err
		}
		if len(given) > 0 {
			a = given[0]
			return nil
		}
		standing, err := rows(d, scanAsked, selectAsked+" WHERE id = $1", before.ID)
		if err != nil {
			return err
		}
		if len(standing) == 0 {
			return ErrNotFound
		}
		if now := standing[0]; now.Status != before.Status || now.To != before.To || now.Message != before.Message || !now.Later.Equal(before.Later) {
			return fmt.Errorf("%w: it is %s now", ErrExists, now.Status)
		}
		if accept != nil {
			e, err := s.addException(d, *accept)
			if err != nil {
				return err
			}
			a.Exception = e.ID
		}
		a.At = d.at
		if err := d.putAnswered(KindAnswerGiven, a); err != nil {
			return err
		}
		if told != nil && before.Message != "" {
			if _, err := d.changeOutgoing(before.Message, told); err != nil {
				return err
			}
		}
		return d.putAsked(KindItemChanged, after)
	})
	if err != nil {
		return Answered{}, err
	}
	return a, nil
}

// short is as much of a fingerprint as people read.
func short(fingerprint string) string { return fingerprint[:min(12, len(fingerprint))] }

// CarryAnswer records what came of an answer that was pending.
func (s *State) CarryAnswer(ctx context.Context, actor Actor, id, plan, outcome string) (Answered, error) {
	var a Answered
	err := s.decide(ctx, "carry out answer "+id, actor, func(d *decision) error {
		given, err := rows(d, scanAnswered, selectAnswers+" WHERE id = $1", id)
		if err != nil {
			return err
		}
		if len(given) == 0 {
			return ErrNotFound
		}
		a = given[0]
		if !a.Pending {
			return ErrExists
		}
		a.Pending, a.Plan, a.Outcome = false, plan, outcome
		return d.putAnswered(KindAnswerCarried, a)
	})
	if err != nil {
		return Answered{}, err
	}
	return a, nil
}

func (d *decision) putAnswered(kind string, a Answered) error {
	a.Until = micros(a.Until)
	record, err := canonical(a)
	if err != nil {
		return err
	}
	err = d.exec(`INSERT INTO answers (id, finding, pending, record) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET pending = excluded.pending, record = excluded.record`, a.ID, a.Finding, flag(a.Pending), string(record))
	if err != nil {
		return err
	}
	return d.append(kind, a)
}

// AnswerFilter narrows a list of answers; empty fields match everything.
type AnswerFilter struct {
	ID, Finding string
	Pending     bool // only those
}

// Answers lists what was answered, first first.
func (s *State) Answers(ctx context.Context, f AnswerFilter) ([]Answered, error) {
	all, err := query(ctx, s, scanAnswered, selectAnswers+" WHERE ($1 = '' OR id = $1) AND ($2 = '' OR finding = $2) AND ($3 = 0 OR pending = 1)", f.ID, f.Finding, flag(f.Pending))
	if err != nil {
		return nil, fmt.Errorf("list answers in %s: %w", s.name, err)
	}
	sortAnswers(all)
	return all, nil
}

func sortAnswers(list []Answered) {
	slices.SortFunc(list, func(a, b Answered) int { return cmp.Or(a.At.Compare(b.At), strings.Compare(a.ID, b.ID)) })
}

const selectAnswers = "SELECT id, finding, pending, record FROM answers"

func scanAnswered(r *sql.Rows) (a Answered, err error) {
	var id, finding, record string
	var pending int64
	if err := r.Scan(&id, &finding, &pending, &record); err != nil {
		return a, err
	}
	if err := json.Unmarshal([]byte(record), &a); err != nil {
		return a, fmt.Errorf("answer %s: %w", id, err)
	}
	a.ID, a.Finding, a.Pending = id, finding, pending != 0
	return a, nil
}
