package scan

import (
	"context"
	"errors"
	"iter"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/policy"
	"github.com/lapse-audit/lapse/internal/store"
)

// subjects is a run whose subjects can be made.
type subjects interface {
	Slices(ctx context.Context, kind access.SubjectKind) (int, error)
	BuildSubjects(ctx context.Context, kind access.SubjectKind, slice int) error
	Subjects(ctx context.Context, kind access.SubjectKind, slice int) iter.Seq2[access.Row, error]
}

// trial tries the policies that no run was judged by, and that do not come with the program, in a process of their own
// before this one evaluates them. One that fails there is marked as failed.
func (o Options) trial(ctx context.Context, run *store.Run, engine *policy.Engine) error {
	if o.Sandbox == nil {
		return nil
	}
	judged, err := o.Store.JudgedBy(ctx, run.Previous)
	if err != nil {
		return err
	}
	var untried []policy.Policy
	for _, p := range o.Pack.Policies() {
		if p.Enabled && !p.BuiltIn && judged[p.ID] != p.Hash {
			untried = append(untried, p)
		}
	}
	if len(untried) > 0 {
		o.Progress.Phase("trying policies that are new", len(untried))
	}
	err = tryFirst(ctx, o.Sandbox, run, o.Pack, untried, engine, policy.EngineOptions{Time: o.Time, RunID: int64(run.ID)})
	var none *policy.SandboxError
	if errors.As(err, &none) && ctx.Err() == nil { // a run is not given up for that: the budgets hold in this process too
		o.Log.Warn("new policies are not tried in a process of their own", "why", err)
		return nil
	}
	return err
}

// tryFirst tries policies in the sandbox on all subjects, and takes those that fail out of the engine.
func tryFirst(ctx context.Context, sandbox *policy.Sandbox, run subjects, pack *policy.Pack, untried []policy.Policy, engine *policy.Engine, options policy.EngineOptions) error {
	if sandbox == nil || len(untried) == 0 {
		return nil
	}
	var ids []string
	for _, p := range untried {
		ids = append(ids, p.ID)
	}
	failed, err := sandbox.Trial(ctx, pack, ids, func(kind access.SubjectKind) iter.Seq2[access.Row, error] { return allSubjects(ctx, run, kind) }, options)
	if err != nil {
		return err
	}
	for _, id := range sortedKeys(failed) {
		if err := engine.Fail(ctx, id, failed[id]); err != nil {
			return err
		}
	}
	return nil
}

// allSubjects makes the subjects of a kind, slice by slice.
func allSubjects(ctx context.Context, run subjects, kind access.SubjectKind) iter.Seq2[access.Row, error] {
	return func(yield func(access.Row, error) bool) {
		n, err := run.Slices(ctx, kind)
		if err != nil {
			yield(nil, err)
			return
		}
		for i := range n {
			if err := run.BuildSubjects(ctx, kind, i); err != nil {
				yield(nil, err)
				return
			}
			for row, err := range run.Subjects(ctx, kind, i) {
				if !yield(row, err) || err != nil {
					return
				}
			}
		}
	}
}
