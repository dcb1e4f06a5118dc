package scan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
)

// Source is a connected source, ready to be read.
type Source struct {
	UID       string
	Name      string
	Type      string
	Roster    bool
	Directory bool // the people's main directory
	// EmployeeIDs are the rosters whose employee ids the source's accounts carry.
	EmployeeIDs []string
	Limits      collect.Limits
	Collector   collect.Collector
	Contracts   collect.Contracts // of all sources
	Reviews     collect.Reviews   // of all sources
}

// Evidence is what is kept with a snapshot about how it was read and judged.
type Evidence struct {
	Provenance collect.Provenance `json:"provenance"`
	Measure    collect.Measure    `json:"measure"`
	Verdict    collect.Verdict    `json:"verdict"`
	Gaps       []collect.Gap      `json:"gaps,omitempty"`
}

// ReadEvidence reads what is kept with a snapshot.
func ReadEvidence(s store.Snapshot) (Evidence, error) {
	var e Evidence
	if len(s.Provenance) == 0 {
		return e, nil
	}
	if err := json.Unmarshal(s.Provenance, &e); err != nil {
		return e, fmt.Errorf("evidence of snapshot %d of %s: %w", s.ID, s.Source, err)
	}
	return e, nil
}

// Collected is what came of reading one source.
type Collected struct {
	Source   Source
	Snapshot store.Snapshot // as published: accepted or quarantined; zero if nothing could be kept
	Result   collect.Result
	Verdict  collect.Verdict
	Took     time.Duration
}

// Collect reads every source and publishes a snapshot of each, accepted or quarantined. What is wrong with a source is
// in its Collected; an error means that the store or the decisions failed, or that ctx ended.
func Collect(ctx context.Context, o Options) ([]Collected, error) {
	var out []Collected
	err := o.writing(ctx, func(ctx context.Context, _ *state.Lease) (err error) {
		out, err = collectAll(ctx, o)
		return err
	})
	return out, err
}

func collectAll(ctx context.Context, o Options) ([]Collected, error) {
	defer collect.Frugal()()
	out := make([]Collected, len(o.Sources))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(1, o.Parallel))
	for i, src := range o.Sources {
		g.Go(func() error {
			began := time.Now()
			c, err := collectOne(ctx, o, src)
			if err != nil {
				return fmt.Errorf("collect %s: %w", src.UID, err)
			}
			c.Took = time.Since(began)
			out[i] = c
			o.Progress.Collected(c)
			return nil
		})
	}
	return out, g.Wait()
}

func collectOne(ctx context.Context, o Options, src Source) (c Collected, err error) {
	c.Source = src
	info := store.SnapshotInfo{Source: src.UID, Name: src.Name, Type: src.Type, Roster: src.Roster, TakenAt: o.Time}
	history, err := past(ctx, o, src)
	if err != nil {
		return c, err
	}
	w, err := o.Store.NewSnapshot(ctx, info)
	if err != nil {
		return c, err
	}
	defer func() {
		// Also when ctx has ended: the rows must not wait for the next scan to be cleaned away.
		err = errors.Join(err, w.Abandon(context.WithoutCancel(ctx)))
	}()

	var failure error
	var last int64
	if len(history) > 0 {
		last = history[0].Total()
	}
	o.Progress.Reading(src.UID, 0, last)
	out := src.Contracts.Into(src.UID, src.Reviews.Into(src.UID, &sink{w: w, told: func(n int64) { o.Progress.Reading(src.UID, n, last) }}))
	c.Result, failure = collect.Run(ctx, src.Collector, out, collect.Options{Limits: src.Limits, Now: o.Time})
	if failure == nil {
		failure = out.Finish(&c.Result.Provenance)
	}
	if failure != nil {
		if err := fatal(ctx, failure); err != nil {
			return c, err
		}
		// What was read is no whole: only the fact and its reason are kept.
		if err := w.Abandon(ctx); err != nil {
			return c, err
		}
		if w, err = o.Store.NewSnapshot(ctx, info); err != nil {
			return c, err
		}
	}
	for _, r := range c.Result.Rejections {
		if err := w.Reject(store.Rejection(r)); err != nil {
			return c, err
		}
	}
	if c.Verdict, err = judge(ctx, o, src, history, c.Result, failure); err != nil {
		return c, err
	}
	c.Snapshot, err = publish(ctx, w, c)
	return c, err
}

// fatal is the part of a failed reading that ends the collection: the store's errors and the end of ctx. All else is
// wrong with the source, and its snapshot says so.
func fatal(ctx context.Context, failure error) error {
	var wrote *writeError
	if errors.As(failure, &wrote) {
		return wrote.error
	}
	return ctx.Err()
}

// past is what the last snapshots of a source were, the newest first.
func past(ctx context.Context, o Options, src Source) ([]collect.Past, error) {
	before, err := o.Store.History(ctx, src.UID, o.Time, collect.Nights)
	if err != nil {
		return nil, err
	}
	var history []collect.Past
	for _, s := range before {
		e, err := ReadEvidence(s)
		if err != nil {
			return nil, err
		}
		history = append(history, collect.Past{Measure: e.Measure, ByHand: e.Verdict.ByHand})
	}
	return history, nil
}

// judge asks the guard, and where it refuses, whether somebody vouches for the snapshot.
func judge(ctx context.Context, o Options, src Source, history []collect.Past, res collect.Result, failure error) (collect.Verdict, error) {
	cur := collect.Current{Measure: res.Measure, Roster: src.Roster, Reads: res.Provenance.Reads, Failure: failure}
	v := collect.Judge(src.Limits, history, cur)
	hopeless := func(r collect.Reason) bool { return r.Cause == collect.CauseFailed || r.Cause == collect.CauseTooFew }
	if v.Accepted || slices.ContainsFunc(v.Reasons, hopeless) { // nobody can vouch for those
		return v, nil
	}
	if o.AcceptShrink != "" {
		if _, err := o.State.AcceptShrink(ctx, o.Actor, src.UID, res.Total(), o.AcceptShrink); err != nil {
			return v, err
		}
	}
	vouched, err := o.State.UseShrink(ctx, o.Actor, src.UID, res.Total())
	switch {
	case errors.Is(err, state.ErrNotFound):
		return v, nil
	case err != nil:
		return v, err
	}
	cur.Accept = vouched.Reason
	return collect.Judge(src.Limits, history, cur), nil
}

func publish(ctx context.Context, w *store.SnapshotWriter, c Collected) (store.Snapshot, error) {
	evidence, err := json.Marshal(Evidence{Provenance: c.Result.Provenance, Measure: c.Result.Measure, Verdict: c.Verdict, Gaps: c.Result.Gaps})
	if err != nil {
		return store.Snapshot{}, err
	}
	meta := store.SnapshotMeta{
		Status: store.Quarantined, Coverage: c.Result.Provenance.Coverage, Reads: c.Result.Provenance.Reads,
		Provenance: evidence, AsOf: c.Result.Provenance.AsOf,
	}
	if c.Verdict.Accepted {
		meta.Status = store.Accepted
	}
	for _, r := range append(slices.Clone(c.Verdict.Reasons), c.Verdict.Waived...) {
		meta.Reasons = append(meta.Reasons, r.Text)
	}
	for _, f := range c.Result.Provenance.Files {
		meta.Bytes += f.Size
	}
	if meta.Coverage == nil {
		meta.Coverage = map[string]access.Coverage{}
	}
	return w.Publish(ctx, meta)
}

// writeError tells a failure of the store from one of the source.
type writeError struct{ error }

func (e *writeError) Unwrap() error { return e.error }

// sink writes what a collector reads into a snapshot.
type sink struct {
	w    *store.SnapshotWriter
	told func(records int64) // hears of every tellEvery
	n    int64
}

const tellEvery = 1000

func (s *sink) Put(r access.Record) error {
	if err := s.w.Put(r); err != nil {
		return &writeError{err}
	}
	if s.n++; s.n%tellEvery == 0 {
		s.told(s.n)
	}
	return nil
}

// Reject implements collect.Sink. The runner keeps the first rejections; they are written when the source was read.
func (s *sink) Reject(collect.Rejection) error { return nil }

// inputs chooses the snapshot of each source that the run judges by.
func inputs(ctx context.Context, o Options, collected []Collected) ([]store.RunInput, error) {
	before, err := staleNights(ctx, o)
	if err != nil {
		return nil, err
	}
	var out []store.RunInput
	for _, c := range collected {
		in := store.RunInput{Source: c.Source.UID, Name: c.Source.Name, Type: c.Source.Type, Roster: c.Source.Roster,
			Directory: c.Source.Directory, Status: store.InputFresh, Snapshot: c.Snapshot.ID}
		if stale := c.Result.Provenance.Stale; stale != "" {
			in.Status, in.Reason, in.StaleNights = store.InputStale, stale, before[c.Source.UID]+1
		}
		if !c.Verdict.Accepted {
			in.Status, in.Reason, in.StaleNights = store.InputQuarantined, c.Verdict.String(), before[c.Source.UID]+1
			in.Snapshot = 0
			good, err := o.Store.LatestAccepted(ctx, c.Source.UID, o.Time)
			switch {
			case err == nil:
				in.Snapshot = good.ID
			case !errors.Is(err, store.ErrNotFound):
				return nil, err
			}
		}
		out = append(out, in)
	}
	return out, nil
}
