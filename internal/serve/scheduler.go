package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/lapse-audit/lapse/internal/state"
)

// scheduler runs jobs when they are due: each time once among all replicas, one at a time, and what was missed once.
type scheduler struct {
	state  *state.State
	clock  Clock
	holder string
	ttl    time.Duration // of a job's lease: how long after a replica died another one goes on
	log    *slog.Logger
	count  func(a Attempt, outcome string) // of each attempt

	// work is the context of steps. It outlives that of keep by the grace that running ones have.
	work context.Context
}

// troubled is how long to wait when the state can't be reached.
const troubled = 5 * time.Second

// keep runs a job whenever it is due until ctx ends. A step that is running then is waited for.
func (s *scheduler) keep(ctx context.Context, j Job) {
	for ctx.Err() == nil {
		next, err := s.turn(ctx, j)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.log.Error("the schedule is held up", "job", j.Name, "error", err)
			sleep(ctx, troubled)
		default:
			s.clock.Wait(ctx, next)
		}
	}
}

// turn does what is due, and says when to look again.
func (s *scheduler) turn(ctx context.Context, j Job) (next time.Time, err error) {
	p, err := s.look(ctx, j)
	if err != nil || p.what == nothing {
		return p.next, err
	}
	// Whoever runs it holds the lease as long as that takes, or lives.
	l, err := s.state.Acquire(ctx, "serve."+j.Name, s.holder, s.ttl)
	if err != nil {
		return time.Time{}, err
	}
	defer func() {
		// Another replica may have it then; it finds what was recorded.
		if released := l.Release(context.WithoutCancel(ctx)); err == nil && !errors.Is(released, state.ErrLeaseLost) {
			err = released
		}
	}()
	if p, err = s.look(ctx, j); err != nil {
		return time.Time{}, err
	}
	switch p.what {
	case nothing:
		return p.next, nil
	case beginNow:
		return s.clock.Now(), s.state.PutSlot(ctx, l, p.slot)
	}
	if p.missed > 0 {
		s.log.Warn("the schedule was missed, and is caught up once", "job", j.Name, "slot", p.slot.At, "missed", p.missed)
	}
	if p.gaveUp != nil {
		s.log.Error("a run of the schedule was given up: the next one is due", "job", j.Name, "run", p.gaveUp.Run, "slot", p.gaveUp.At, "why", p.gaveUp.Detail)
	}
	return s.clock.Now(), s.carry(ctx, l, j, p.slot)
}

// The kinds of prospect.
const (
	nothing  = iota
	beginNow // the schedule begins: nothing was due yet
	runNow
)

// prospect is what there is to do for a job.
type prospect struct {
	what   int
	slot   state.Slot
	missed int         // slots before it that nobody runs any more
	gaveUp *state.Slot // one that was not done when this one came
	next   time.Time   // if there is nothing: when to look again
}

// setBack is how far the clock may be set back before the schedule begins anew.
const setBack = 2 * time.Hour

func (s *scheduler) look(ctx context.Context, j Job) (prospect, error) {
	now := s.clock.Now()
	last, err := s.state.Slot(ctx, j.Name)
	switch {
	case errors.Is(err, state.ErrNotFound) || err == nil && last.Plan != j.Schedule.String():
		return prospect{what: beginNow, slot: state.Slot{Job: j.Name, Plan: j.Schedule.String(), At: now, Status: state.SlotNone, Succeeded: last.Succeeded}}, nil
	case err != nil:
		return prospect{}, err
	case last.At.After(now.Add(setBack)):
		s.log.Warn("the clock was set back: the schedule begins anew", "job", j.Name, "slot", last.At, "now", now)
		last.At, last.Status = now, state.SlotNone
		return prospect{what: beginNow, slot: last}, nil
	}
	open := last.Status == state.SlotRunning || last.Status == state.SlotRetry
	if newest, n := j.Schedule.Newest(last.At, now); n > 0 {
		p := prospect{what: runNow, missed: n - 1,
			slot: state.Slot{Job: j.Name, Plan: last.Plan, At: newest, Run: state.NewRunID(), Ended: last.Ended, Succeeded: last.Succeeded}}
		if open {
			p.gaveUp = &last
		}
		return p, nil
	}
	if open {
		if again := last.Ended.Add(j.backoff(last.Attempt)); last.Status == state.SlotRetry && again.After(now) {
			return prospect{next: earlier(again, j.Schedule.Next(now))}, nil
		}
		return prospect{what: runNow, slot: last}, nil
	}
	return prospect{next: j.Schedule.Next(latest(now, last.At))}, nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// carry runs the steps of a slot that are left, each once. A failed one ends it until the next attempt is due.
func (s *scheduler) carry(ctx context.Context, l *state.Lease, j Job, slot state.Slot) error {
	log := s.log.With("job", j.Name, "run", slot.Run, "slot", slot.At.In(j.Schedule.zone).Format(time.RFC3339))
	work, cancel := l.Context(s.work)
	defer cancel()
	put := func() error { return s.state.PutSlot(context.WithoutCancel(ctx), l, slot) }
	end := func(status state.SlotStatus) error {
		slot.Status, slot.Ended = status, s.clock.Now()
		if status == state.SlotDone {
			slot.Succeeded = slot.Ended
		}
		err := put()
		if j.After != nil && status != state.SlotRetry {
			j.After()
		}
		return err
	}
	if slot.Status == state.SlotRunning {
		log.Warn("whoever ran this has died", "holder", slot.Holder, "attempt", slot.Attempt)
		slot.Detail = "whoever ran it has died"
	}
	incomplete := ""
	for slot.Step < len(j.Steps) {
		step := j.Steps[slot.Step]
		if slot.Attempt >= j.Attempts {
			log.Error("the run failed", "step", step.Name, "attempts", slot.Attempt, "why", slot.Detail)
			return end(state.SlotFailed)
		}
		if ctx.Err() != nil { // stopped, or loaded anew, between two steps
			return end(state.SlotRetry)
		}
		slot.Status, slot.Holder = state.SlotRunning, s.holder
		slot.Attempt++
		if slot.Began.IsZero() {
			slot.Began = s.clock.Now()
		}
		if err := put(); err != nil {
			return err
		}
		a := Attempt{Run: slot.Run, Job: j.Name, Step: step.Name, Slot: slot.At, Number: slot.Attempt, Log: log.With("step", step.Name, "attempt", slot.Attempt)}
		a.Log.Info("a step begins")
		res, err := step.Run(work, a)
		if cause := context.Cause(work); errors.Is(cause, state.ErrLeaseLost) {
			return fmt.Errorf("run %s: %w", slot.Run, cause)
		}
		if err != nil && s.work.Err() != nil {
			a.Log.Warn("a step was interrupted, and is run again")
			slot.Attempt, slot.Detail = slot.Attempt-1, "interrupted"
			return end(state.SlotRetry)
		}
		s.count(a, res.outcome(err))
		if err == nil {
			level := slog.LevelInfo
			if res.Incomplete != "" {
				level = slog.LevelWarn
			}
			a.Log.Log(ctx, level, "a step is over", "outcome", res.outcome(nil), "why", cmp.Or(res.Incomplete, res.Skipped))
			slot.Step, slot.Attempt = slot.Step+1, 0
			slot.Detail = cmp.Or(incomplete, res.Incomplete)
			incomplete = slot.Detail
			continue
		}
		slot.Detail = err.Error()
		if errors.Is(err, ErrHopeless) || slot.Attempt >= j.Attempts {
			a.Log.Error("the run failed", "attempts", slot.Attempt, "error", err)
			return end(state.SlotFailed)
		}
		a.Log.Warn("a step failed, and is tried again", "after", j.backoff(slot.Attempt).String(), "error", err)
		return end(state.SlotRetry)
	}
	log.Info("the run is done", "took", s.clock.Now().Sub(slot.Began).Round(time.Millisecond).String())
	return end(state.SlotDone)
}
