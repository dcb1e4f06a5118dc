package scan

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/policy"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
)

// Fresh is what was read of some objects of one source just now.
type Fresh struct {
	Live []access.Live
	Gone []string // accounts that are not there any more
}

// Recheck asks what is wanted to be known anew.
type Recheck struct {
	Inputs   []store.RunInput // the snapshot of each source to judge by
	Fresh    map[string]Fresh // by source: laid over its snapshot
	Policies []string
	Subjects []finding.Subject
	// Person and Accounts, by source, say whose links are wanted: without subjects nothing else is done.
	Person   string
	Accounts map[string][]string
}

// Rechecked is what came of it. A policy that is in Failures says nothing.
type Rechecked struct {
	Hits      map[finding.Fingerprint]policy.Result
	Unknown   map[store.Judged]bool              // what a policy could not judge
	Documents map[finding.Subject]map[string]any // of the subjects, as the policies saw them
	Failures  map[string]error
	Links     []access.Link
}

// Recheck judges subjects by what their objects are like now: what was read of them is laid over the snapshots of their
// sources, and linked, closed and judged by the same statements and the full lane as a night's run. Nothing of it is
// recorded. Of o it takes the time, the store, the decisions, the sources, the pack, the holder and the log.
func (o Options) Recheck(ctx context.Context, q Recheck) (out Rechecked, err error) {
	err = Writing(ctx, o.State, o.Holder, o.Log, func(ctx context.Context, _ *state.Lease) error {
		if _, err := o.Store.CleanUnpublished(ctx); err != nil {
			return err
		}
		out, err = o.recheck(ctx, q)
		return err
	})
	if err != nil {
		return out, fmt.Errorf("recheck: %w", err)
	}
	return out, nil
}

func (o Options) recheck(ctx context.Context, q Recheck) (out Rechecked, err error) {
	q.Inputs = slices.Clone(q.Inputs)
	for i, in := range q.Inputs {
		fresh, ok := q.Fresh[in.Source]
		if !ok || in.Snapshot == 0 {
			continue
		}
		base, err := o.Store.SnapshotByID(ctx, in.Source, in.Snapshot)
		if err != nil {
			return out, err
		}
		staged, err := o.Store.Stage(ctx, base, fresh.Live, fresh.Gone, o.Time)
		if err != nil {
			return out, err
		}
		defer func() { err = errors.Join(err, o.Store.Unstage(context.WithoutCancel(ctx), staged)) }()
		q.Inputs[i].Snapshot = staged.ID
	}
	run, err := o.Store.BeginRun(ctx, store.RunSpec{Time: o.Time, Inputs: q.Inputs})
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, run.Abandon(context.WithoutCancel(ctx))) }()
	if err := link(ctx, o, run); err != nil {
		return out, err
	}
	links, err := o.links(ctx, run, q)
	if err != nil || len(q.Subjects) == 0 {
		return Rechecked{Links: links}, err
	}
	if err := run.Number(ctx); err != nil {
		return out, err
	}
	if err := run.WriteClosure(ctx, closure(ctx, run)); err != nil {
		return out, err
	}
	out, err = o.rejudge(ctx, run, q)
	out.Links = links
	return out, err
}

// links are those that are wanted of a run.
func (o Options) links(ctx context.Context, run *store.Run, q Recheck) ([]access.Link, error) {
	var out []access.Link
	if q.Person != "" {
		theirs, err := o.Store.LinksOf(ctx, run.ID, q.Person)
		if err != nil {
			return nil, err
		}
		out = theirs
	}
	for _, source := range sortedKeys(q.Accounts) {
		some, err := o.Store.AccountLinks(ctx, run.ID, source, q.Accounts[source])
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

// rejudge evaluates the wanted subjects of a run that is being made.
func (o Options) rejudge(ctx context.Context, run *store.Run, q Recheck) (Rechecked, error) {
	out := Rechecked{Hits: map[finding.Fingerprint]policy.Result{}, Unknown: map[store.Judged]bool{}, Documents: map[finding.Subject]map[string]any{}}
	wanted := map[finding.Subject]bool{}
	kinds := map[access.SubjectKind]bool{}
	for _, s := range q.Subjects {
		wanted[s], kinds[s.Kind] = true, true
	}
	unknown := func(policy string, s finding.Subject) { out.Unknown[store.Judged{Policy: policy, Subject: s}] = true }
	// With nil for Only all that are enabled would be asked.
	engine, err := policy.NewEngine(ctx, o.Pack, policy.EngineOptions{Time: o.Time, RunID: int64(run.ID), Only: append([]string{}, q.Policies...), Unknown: unknown})
	if err != nil {
		return out, err
	}
	defer engine.Close(context.WithoutCancel(ctx))
	ev := engine.NewEvaluator()
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		n, err := run.Slices(ctx, kind)
		if err != nil {
			return out, err
		}
		who := policy.SubjectOf(kind)
		for i := range n {
			if err := run.BuildSubjects(ctx, kind, i); err != nil {
				return out, err
			}
			for row, err := range run.Subjects(ctx, kind, i) {
				if err != nil {
					return out, err
				}
				subject := who(row)
				if !wanted[subject] {
					continue
				}
				out.Documents[subject] = access.Document(kind, row)
				err := ev.Eval(ctx, kind, row, func(r policy.Result) error {
					if r.ExcludedBy == "" {
						out.Hits[r.Fingerprint] = r
					}
					return nil
				})
				if err != nil {
					return out, err
				}
			}
		}
	}
	out.Failures = engine.Failures()
	return out, nil
}
