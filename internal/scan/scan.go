// Package scan is the nightly job: it reads every source, judges what was read by every policy, and publishes one run.
package scan

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/lapse-audit/lapse/internal/policy"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
)

// Options are what a scan works with.
type Options struct {
	Time    time.Time // the run's clock
	Sources []Source
	Retired []string // uids of rosters that are gone for good
	Store   *store.Store
	State   *state.State
	Pack    *policy.Pack

	Actor        state.Actor     // for whom the scan writes into the ledger
	AcceptShrink string          // vouches for snapshots that the guard refuses for their size; "" for none
	Holder       string          // names this process to others that wait
	Parallel     int             // sources read at the same time
	Workers      int             // that evaluate policies; 0 for one a core
	Sandbox      *policy.Sandbox // where policies are tried that were never judged by; nil: nowhere
	Lane         Lane            // "" is LaneFull
	Backlog      time.Duration
	Retention    store.Retention
	Log          *slog.Logger
	Progress     Progress

	tamper func(*policy.Screen) // in tests: makes the prefilter unsound
}

// Progress hears how a scan goes on. Its methods may be called from several goroutines.
type Progress interface {
	// Reading says how many records of a source were read so far, every so often, and how many its last snapshot had: 0 where there
	// is none. Collected ends it.
	Reading(source string, records, before int64)
	Collected(Collected)
	// Phase begins a part of the scan with so many units of work; 0 means that nobody knows.
	Phase(name string, units int)
	Advance(units int)
}

// Outcome is what a scan came to.
type Outcome struct {
	Run       store.RunInfo
	Collected []Collected
	Failed    []string // policies that failed, with why
}

// lease is held by whoever writes facts.
const lease = "store.write"

// leaseTTL is how long the lease outlives a killed holder.
const leaseTTL = 30 * time.Second

// Writing runs f while no other process writes facts. The context of f ends when the lease is lost. holder names this
// process to others that wait.
func Writing(ctx context.Context, s *state.State, holder string, log *slog.Logger, f func(context.Context, *state.Lease) error) (err error) {
	l, err := s.TryAcquire(ctx, lease, holder, leaseTTL)
	var held *state.HeldError
	if errors.As(err, &held) {
		log.Info("waiting for another writer", "holder", held.Holder)
		l, err = s.Acquire(ctx, lease, holder, leaseTTL)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Release(context.WithoutCancel(ctx))) }()
	ctx, cancel := l.Context(ctx)
	defer cancel()
	if err := f(ctx, l); err != nil {
		if cause := context.Cause(ctx); cause != nil && errors.Is(err, context.Canceled) {
			return cause
		}
		return err
	}
	return nil
}

// writing is Writing on a store in which killed writers left nothing.
func (o Options) writing(ctx context.Context, f func(context.Context, *state.Lease) error) error {
	return Writing(ctx, o.State, o.Holder, o.Log, func(ctx context.Context, l *state.Lease) error {
		if _, err := o.Store.CleanUnpublished(ctx); err != nil {
			return err
		}
		return f(ctx, l)
	})
}

// Run scans: it collects, links, closes the nesting, judges every subject by every policy, carries the findings on and
// publishes the run. A source that could not be read or is not whole is replaced by its last good snapshot, and said so
// in the outcome; a policy that fails is left out, and said so too. An error means that no run was published.
func Run(ctx context.Context, o Options) (Outcome, error) {
	var out Outcome
	err := o.writing(ctx, func(ctx context.Context, l *state.Lease) (err error) {
		if err := errors.Join(forward(ctx, o), KeepsRosters(ctx, o)); err != nil {
			return err
		}
		if out.Collected, err = collectAll(ctx, o); err != nil {
			return err
		}
		return judgeAll(ctx, o, l, &out)
	})
	if err != nil {
		return out, fmt.Errorf("scan: %w", err)
	}
	return out, nil
}
