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
	doubts   []policy.Doubt
}

// evaluate judges every subject by every enabled policy. Several workers take one slice of the subjects each; the store
// builds one slice at a time.
func evaluate(ctx context.Context, o Options, run *store.Run) (judgement, error) {
	standing, err := newStanding(ctx, run)
	if err != nil {
		return judgement{}, err
	}
	engine, err := policy.NewEngine(ctx, o.Pack, policy.EngineOptions{Time: o.Time, RunID: int64(run.ID), Unknown: standing.cantJudge, Stands: standing.stands})
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
		screening, err := o.screening(ctx, engine, run, standing, kind)
		if err != nil {
			return judgement{}, err
		}
		if screening != nil && asks(screening.screen) {
			a := asking{screening: screening, engine: engine, workers: workers, progress: o.Progress, writing: &w.mu, taker: func() taker { return &hits{w: w} }}
			if err := a.judgeAll(ctx, run); err != nil {
				return judgement{}, err
			}
			continue
		}
		o.Progress.Phase(fmt.Sprintf("judging %s subjects", kind), n)
		evaluators := make([]*policy.Evaluator, n)
		err = each(ctx, workers, n, func(ctx context.Context, i int) error {
			defer o.Progress.Advance(1)
			evaluators[i] = engine.NewEvaluator()
			return w.slice(ctx, evaluators[i], kind, i, screening)
		})
		if err != nil {
			return judgement{}, err
		}
		doubted := doubtsOf(engine.Doubts(), kind)
		if len(doubted) == 0 {
			continue
		}
		o.Progress.Phase(fmt.Sprintf("judging %s subjects again", kind), n)
		again := screening.only(doubted)
		err = each(ctx, workers, n, func(ctx context.Context, i int) error {
			defer o.Progress.Advance(1)
			h := &hits{w: w}
			if err := again.judge(ctx, run, evaluators[i], kind, i, h); err != nil {
				return err
			}
			return h.write()
		})
		if err != nil {
			return judgement{}, err
		}
	}
	j := judgement{tallies: engine.Tallies(), failures: engine.Failures(), unknown: standing.unknown, doubts: engine.Doubts()}
	for _, id := range sortedKeys(j.failures) {
		j.failed = append(j.failed, fmt.Sprintf("%s: %v", id, j.failures[id]))
	}
	for _, d := range j.doubts {
		o.Log.Error("the prefilter passed over a finding; the policy has judged all subjects again", "policy", d.Policy, "subject", d.Subject)
	}
	return j, nil
}

// doubtsOf are the policies among the doubted ones that judge a kind of subject.
func doubtsOf(doubts []policy.Doubt, kind access.SubjectKind) (policies []string) {
	for _, d := range doubts {
		if d.Subject.Kind == kind {
			policies = append(policies, d.Policy)
		}
	}
	return policies
}

// each calls f for 0 to n-1, for several at a time.
func each(ctx context.Context, workers, n int, f func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for i := range n {
		g.Go(func() error { return f(ctx, i) })
	}
	return g.Wait()
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

// hits are what a worker has found and not written yet.
type hits struct {
	w    *writer
	rows []store.HitRow
}

func (h *hits) add(r policy.Result) error {
	h.rows = append(h.rows, hitRow(r))
	return nil
}

// writeMany writes them once there are enough.
func (h *hits) writeMany() error {
	if len(h.rows) < hitBatch {
		return nil
	}
	return h.write()
}

func (h *hits) write() error {
	err := h.w.write(h.rows)
	h.rows = h.rows[:0]
	return err
}

func (w *writer) slice(ctx context.Context, ev *policy.Evaluator, kind access.SubjectKind, slice int, s *screening) error {
	if err := w.build(ctx, kind, slice); err != nil {
		return err
	}
	h := &hits{w: w}
	if s != nil {
		if err := s.judge(ctx, w.run, ev, kind, slice, h); err != nil {
			return err
		}
		return h.write()
	}
	for row, err := range w.run.Subjects(ctx, kind, slice) {
		if err != nil {
			return err
		}
		if err := ev.Eval(ctx, kind, row, h.add); err != nil {
			return err
		}
		if err := h.writeMany(); err != nil {
			return err
		}
	}
	return h.write()
}

func hitRow(r policy.Result) store.HitRow {
	return store.HitRow{
		Hit: r.Hit, Severity: r.Severity, Title: r.Title, Category: r.Category, Action: r.Action, Controls: r.Controls,
		Name: r.Name, SourceName: r.SourceName, Person: r.Person, PersonName: r.PersonName, Department: r.Department, Assignee: r.Assignee,
	}
}
