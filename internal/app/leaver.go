package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/fold"
	"github.com/lapse-audit/lapse/internal/remediate"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
)

// CarriedLeavers says what came of those of whom an HR system said that they leave.
type CarriedLeavers struct {
	Planned int `json:"planned"`
	Unknown int `json:"unknown"` // nobody is called so: tried again when people were read anew
	Failed  int `json:"failed"`  // tried again later
}

// leaversLease is held by whoever plans the offboarding of leavers.
const leaversLease = "leavers"

// CarryLeavers plans the offboarding of everybody of whom an HR system said that they leave, as `lapse offboard` does and
// with the same guards. It can be repeated at any point. The time is the machine's, which tells when one is tried again.
func (a *App) CarryLeavers(ctx context.Context, at time.Time, o ScanOptions) (out CarriedLeavers, err error) {
	decisions, err := a.State(ctx)
	if err != nil {
		return out, err
	}
	l, err := decisions.Acquire(ctx, leaversLease, holder("lapse"), 30*time.Second)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, l.Release(context.WithoutCancel(ctx))) }()
	ctx, cancel := l.Context(ctx)
	defer cancel()
	waiting, err := decisions.Leavers(ctx, false)
	if err != nil || len(waiting) == 0 {
		return out, err
	}
	facts, err := a.Store(ctx)
	if err != nil {
		return out, err
	}
	run, err := facts.LatestRun(ctx, time.Time{})
	if err != nil && !errors.Is(err, store.ErrNotFound) { // before the first run nobody is known
		return out, err
	}
	for _, one := range waiting {
		if one.Status == state.LeaverUnknown && one.Run == run.ID || one.Status == state.LeaverPending && one.Next.After(at) {
			continue
		}
		actor := state.Actor{ID: "webhook:" + one.Origin}
		o.Actor = actor
		done, err := a.carryLeaver(ctx, actor, run, one, o)
		switch {
		case ctx.Err() != nil:
			return out, context.Cause(ctx)
		case err != nil:
			out.Failed++
			a.Log.Error("no offboarding could be planned yet", "event", one.ID, "person", one.Person, "error", err)
			done = one
			done.Next, done.Detail = at.Add(leaverBackoff(one.Attempts)), err.Error()
		case done.Status == state.LeaverUnknown:
			out.Unknown++
			a.Log.Warn("HR says that somebody leaves who is not known: tried again when people were read anew", "event", one.ID, "person", one.Person, "why", done.Detail)
		default:
			out.Planned++
		}
		done.Attempts++
		if _, err := decisions.ChangeLeaver(ctx, actor, one.ID, func(l *state.Leaver) { *l = done }); err != nil {
			return out, err
		}
	}
	return out, nil
}

// leaverBackoff is how long to wait after so many attempts.
func leaverBackoff(attempts int) time.Duration {
	return min(time.Minute<<min(attempts, 6), time.Hour)
}

// carryLeaver says how a leaver stands when all was done that can be done now.
func (a *App) carryLeaver(ctx context.Context, actor state.Actor, run store.RunInfo, l state.Leaver, o ScanOptions) (state.Leaver, error) {
	l.Run = run.ID
	person, why, err := a.leaver(ctx, run, l.Person)
	if err != nil {
		return l, err
	}
	if why != "" {
		l.Status, l.Detail = state.LeaverUnknown, why
		return l, nil
	}
	decisions := a.state
	open, err := decisions.Plans(ctx, state.PlanFilter{Kind: remediate.KindOffboard, Person: person.Key})
	if err != nil {
		return l, err
	}
	l.Status, l.Detail = state.LeaverCarried, ""
	if len(open) > 0 { // made by an attempt that was cut off, or by somebody who was told, too
		l.Plan, l.Detail = open[0].ID, "it was under way"
		return l, nil
	}
	q := OffboardQuery{Person: person.Key, On: l.On, Reason: "HR says so: event " + l.ID, Scan: o}
	if q.On.IsZero() && person.EndAt == nil && person.Status != access.PersonEnded {
		q.On = l.Received // the roster doesn't know yet
	}
	d, err := a.Offboard(ctx, actor, q, false)
	var underWay *ErrUnderWay
	switch {
	case errors.As(err, &underWay):
		l.Plan, l.Detail = underWay.Plan.ID, "it was under way"
		return l, nil
	case err != nil:
		return l, err
	case len(d.Plan.Steps) == 0:
		l.Detail = "there is nothing to take away"
		return l, nil
	}
	l.Plan = d.Recorded.ID
	a.Log.Info("an offboarding is planned", "event", l.ID, "person", person.Key, "plan", l.Plan)
	return l, nil
}

// leaver finds the one person whom an HR system means, or says why there is none. A name is no id: two people may have it.
func (a *App) leaver(ctx context.Context, run store.RunInfo, called string) (p store.RunPerson, why string, err error) {
	if run.ID == 0 {
		return p, "nothing was scanned yet", nil
	}
	found, err := a.store.PersonByQuery(ctx, run.ID, called)
	if err != nil {
		return p, "", err
	}
	var meant []store.RunPerson
	for _, one := range found {
		for _, id := range append([]string{one.Key, one.ID, one.EmployeeID, one.Email}, one.Aliases...) {
			if id != "" && (id == called || strings.Contains(called, "@") && fold.Text(id) == fold.Text(called)) {
				meant = append(meant, one)
				break
			}
		}
	}
	switch len(meant) {
	case 0:
		return p, "the last run knows nobody by this id", nil
	case 1:
		return meant[0], "", nil
	}
	return p, fmt.Sprintf("the last run knows %d people by this id", len(meant)), nil
}
