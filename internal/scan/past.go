package scan

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/policy"
	"github.com/lapse-audit/lapse/internal/store"
)

// Rejudged is what some policies say of a run that was.
type Rejudged struct {
	Run      store.RunInfo
	Inputs   []store.RunInput
	Results  []policy.Result // excluded ones too, in no order
	Tallies  []finding.Tally
	Failures map[string]error // by policy; its results are left out
}

// Rejudge makes the subjects of a kept run again, as they were, and judges them by the policies of a pack that are named,
// enabled or not. Nothing is recorded. Its caller holds the lease. A run that is no longer kept is store.ErrNotFound.
// Policies that do not come with the program are tried in the sandbox first, unless it is nil.
func Rejudge(ctx context.Context, s *store.Store, run uint64, pack *policy.Pack, only []string, workers int, sandbox *policy.Sandbox) (Rejudged, error) {
	past, err := revisit(ctx, s, run)
	if err != nil {
		return Rejudged{}, err
	}
	out := Rejudged{Run: past.RunInfo, Inputs: past.Inputs}
	options := policy.EngineOptions{Time: past.Time, RunID: int64(past.ID), Only: only}
	engine, err := policy.NewEngine(ctx, pack, options)
	if err != nil {
		return out, err
	}
	defer engine.Close(context.WithoutCancel(ctx))
	var foreign []policy.Policy
	for _, id := range only {
		if p, ok := pack.Policy(id); ok && !p.BuiltIn {
			foreign = append(foreign, p)
		}
	}
	if err := tryFirst(ctx, sandbox, past, pack, foreign, engine, options); err != nil {
		return out, err
	}
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	var mu sync.Mutex
	for _, kind := range engine.Kinds() {
		n, err := past.Slices(ctx, kind)
		if err != nil {
			return out, err
		}
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(workers)
		for i := range n {
			g.Go(func() error {
				mu.Lock()
				err := past.BuildSubjects(ctx, kind, i)
				mu.Unlock()
				if err != nil {
					return err
				}
				return evalAll(ctx, engine.NewEvaluator(), kind, past.Subjects(ctx, kind, i), func(r policy.Result) error {
					mu.Lock()
					defer mu.Unlock()
					out.Results = append(out.Results, r)
					return nil
				})
			})
		}
		if err := g.Wait(); err != nil {
			return out, err
		}
	}
	out.Tallies, out.Failures = engine.Tallies(), engine.Failures()
	kept := out.Results[:0]
	for _, r := range out.Results {
		if out.Failures[r.Policy] == nil {
			kept = append(kept, r)
		}
	}
	out.Results = kept
	return out, nil
}

func evalAll(ctx context.Context, ev *policy.Evaluator, kind access.SubjectKind, rows iter.Seq2[access.Row, error], emit func(policy.Result) error) error {
	for row, err := range rows {
		if err != nil {
			return err
		}
		if err := ev.Eval(ctx, kind, row, emit); err != nil {
			return err
		}
	}
	return nil
}

func revisit(ctx context.Context, s *store.Store, run uint64) (*store.Past, error) {
	past, err := s.Revisit(ctx, run)
	if err != nil {
		return nil, err
	}
	if err := past.WriteClosure(ctx, closure(ctx, past)); err != nil {
		return nil, fmt.Errorf("make the subjects of run %d again: %w", run, err)
	}
	return past, nil
}

// Subject makes the subjects of one kind of a kept run again and finds one of them; store.ErrNotFound if there is none.
func Subject(ctx context.Context, s *store.Store, run uint64, subject finding.Subject) (access.Row, error) {
	if err := Remake(ctx, s, run, subject.Kind); err != nil {
		return nil, err
	}
	return s.Subject(ctx, run, subject)
}

// Remake makes the subjects of one kind of a kept run again, as they were. Its caller holds the lease.
func Remake(ctx context.Context, s *store.Store, run uint64, kind access.SubjectKind) error {
	past, err := revisit(ctx, s, run)
	if err != nil {
		return err
	}
	n, err := past.Slices(ctx, kind)
	if err != nil {
		return err
	}
	for i := range n {
		if err := past.BuildSubjects(ctx, kind, i); err != nil {
			return err
		}
	}
	return nil
}

// Sample makes the subjects of a kept run again and reads up to n of each kind, spread over all of them. The table takes the
// place of the first of them.
func Sample(ctx context.Context, s *store.Store, run uint64, n int) (map[access.SubjectKind][]access.Row, policy.Table, store.RunInfo, error) {
	past, err := revisit(ctx, s, run)
	if err != nil {
		return nil, nil, store.RunInfo{}, err
	}
	out := map[access.SubjectKind][]access.Row{}
	for _, kind := range access.SubjectKinds() {
		slices, err := past.Slices(ctx, kind)
		if err != nil {
			return nil, nil, past.RunInfo, err
		}
		for i := range slices {
			if err := past.BuildSubjects(ctx, kind, i); err != nil {
				return nil, nil, past.RunInfo, err
			}
			share := (n - len(out[kind])) / (slices - i)
			for row, err := range past.Subjects(ctx, kind, i) {
				if err != nil {
					return nil, nil, past.RunInfo, err
				}
				if share <= 0 {
					break
				}
				share--
				out[kind] = append(out[kind], row.Clone())
			}
		}
	}
	return out, table{past}, past.RunInfo, nil
}
