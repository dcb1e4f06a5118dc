package scan

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/policy"
	"github.com/lapse-audit/lapse/internal/store"
)

// judgement is what the policies found.
type judgement struct {
	tallies  []finding.Tally
	failures map[string]error
	failed   []string // policy and why, by policy
	unknown  []store.Judged
}

// evaluate judges every subject by every enabled policy. Several workers take one slice of the subjects each; the store
// builds one slice at a time.
func evaluate(ctx context.Context, o Options, run *store.Run) (judgement, error) {
	standing, err := newStanding(ctx, run)
	if err != nil {
		return judgement{}, err
	}
	engine, err := policy.NewEngine(ctx, o.Pack, policy.EngineOptions{Time: o.Time, RunID: int64(run.ID), Unknown: standing.cantJudge})
	if err != nil {
		return judgement{}, err
	}
	defer engine.Close(context.WithoutCancel(ctx))
	workers := o.Workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	if err := o.trial(ctx, run, engine); err != nil {
		return judgement{}, err
	}
	w := &writer{ctx: ctx, run: run}
	for _, kind := range engine.Kinds() {
		n, err := run.Slices(ctx, kind)
		if err != nil {
			return judgement{}, err
		}
		o.Progress.Phase(fmt.Sprintf("judging %s subjects", kind), n)
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(workers)
		for i := range n {
			g.Go(func() error {
				defer o.Progress.Advance(1)
				return w.slice(ctx, engine.NewEvaluator(), kind, i)
			})
		}
		if err := g.Wait(); err != nil {
			return judgement{}, err
		}
	}
	j := judgement{tallies: engine.Tallies(), failures: engine.Failures(), unknown: standing.unknown}
	for _, id := range sortedKeys(j.failures) {
		j.failed = append(j.failed, fmt.Sprintf("%s: %v", id, j.failures[id]))
	}
	return j, nil
}

// writer lets several workers use the writing half of a run, which serves one goroutine.
type writer struct {
	mu  sync.Mutex
	ctx context.Context // of the whole run: hits are sent in the background
	run *store.Run
}

func (w *writer) build(ctx context.Context, kind access.SubjectKind, slice int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.run.BuildSubjects(ctx, kind, slice)
}

func (w *writer) write(hits []store.HitRow) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.run.WriteHits(w.ctx, hits)
}

// hitBatch is how many hits a worker gathers before it writes them.
const hitBatch = 5000

func (w *writer) slice(ctx context.Context, ev *policy.Evaluator, kind access.SubjectKind, slice int) error {
	if err := w.build(ctx, kind, slice); err != nil {
		return err
	}
	var hits []store.HitRow
	for row, err := range w.run.Subjects(ctx, kind, slice) {
		if err != nil {
			return err
		}
		err = ev.Eval(ctx, kind, row, func(r policy.Result) error {
			hits = append(hits, hitRow(r))
			return nil
		})
		if err != nil {
			return err
		}
		if len(hits) >= hitBatch {
			if err := w.write(hits); err != nil {
				return err
			}
			hits = hits[:0]
		}
	}
	return w.write(hits)
}

func hitRow(r policy.Result) store.HitRow {
	return store.HitRow{
		Hit: r.Hit, Severity: r.Severity, Title: r.Title, Category: r.Category, Action: r.Action, Controls: r.Controls,
		Name: r.Name, SourceName: r.SourceName, Person: r.Person, PersonName: r.PersonName, Department: r.Department, Assignee: r.Assignee,
	}
}
