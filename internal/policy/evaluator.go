package policy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
)

// Evaluator evaluates subjects one after the other, in one goroutine.
type Evaluator struct {
	engine *Engine
	budget *budget
	work   map[*lane]*work
	counts []*counts
	docs   virtualDocs // of the query under way
}

// work is what an evaluator keeps for one lane.
type work struct {
	*lane
	document *document
	leaves   map[int]*leaf     // of all documents
	groups   map[string]*group // see groupOf
	run      *ast.Term
	counts   *counts
	findings []*ast.Term // by rule, nil if there are none
	skipped  []bool      // by rule: not evaluated on this subject
	judging  []*rule     // scratch
	key      []byte      // scratch
}

// group is rules that are evaluated together, and what they read.
type group struct {
	query    *query
	document *document
}

// NewEvaluator returns an evaluator for one goroutine.
func (e *Engine) NewEvaluator() *Evaluator {
	ev := &Evaluator{engine: e, budget: newBudget(), work: map[*lane]*work{}}
	for _, l := range e.lanes {
		w := &work{
			lane:     l,
			leaves:   map[int]*leaf{},
			groups:   map[string]*group{},
			run:      e.run,
			counts:   &counts{lane: l, bySource: map[string][]count{}},
			findings: make([]*ast.Term, len(l.rules)),
			skipped:  make([]bool, len(l.rules)),
		}
		w.document = w.newDocument(l.reads)
		ev.work[l] = w
		ev.counts = append(ev.counts, w.counts)
	}
	e.mu.Lock()
	e.evaluators = append(e.evaluators, ev)
	e.mu.Unlock()
	return ev
}

func (w *work) newDocument(reads *pathSet) *document {
	d := newDocument(w.columns, reads, w.leaves)
	if reads.child("run") != nil {
		d.run = w.run
	}
	return d
}

// Eval evaluates all enabled policies over one subject and gives each hit to emit, by policy and key. A policy that fails
// is no error here (see Engine); an error is one of ctx, of emit, or of a row that is not of the subject's columns.
func (ev *Evaluator) Eval(ctx context.Context, kind access.SubjectKind, row access.Row, emit func(Result) error) error {
	some := ev.engine.any(kind)
	if some == nil {
		return nil
	}
	if len(row) != len(some.columns.index) {
		return fmt.Errorf("evaluate %s: row has %d columns, want %d", kind, len(row), len(some.columns.index))
	}
	subject := some.identity.subject(row)
	w := ev.work[ev.engine.of(kind, subject.Source)]
	if w == nil || len(w.rules) == 0 {
		return nil
	}
	return ev.eval(ctx, w, row, subject, screened{every: true}, emit)
}

// eval evaluates a subject of the lane by the rules that s says.
func (ev *Evaluator) eval(ctx context.Context, w *work, row access.Row, subject finding.Subject, s screened, emit func(Result) error) error {
	if err := ev.findings(ctx, w, row, subject, s); err != nil {
		return fmt.Errorf("evaluate %s %s: %w", w.kind, subjectName(subject), err)
	}
	counts := w.counts.of(subject.Source)
	for i, r := range w.rules {
		if w.skipped[i] {
			continue
		}
		if w.findings[i] != nil && s.passedOver(i) {
			ev.engine.doubt(r, subject)
		}
		found, err := ev.settle(w, r, w.findings[i], subject, row, &counts[i], s)
		if err != nil {
			if err := ev.engine.fail(ctx, r.ID, r.failure(subject, nil, err)); err != nil {
				return err
			}
			continue
		}
		for _, result := range found {
			if err := emit(result); err != nil {
				return err
			}
		}
	}
	return nil
}

func subjectName(s finding.Subject) string {
	if s.Source == "" {
		return s.ID
	}
	return s.Source + "/" + s.ID
}

// settle counts a subject under one rule, and turns the rule's findings into results.
func (ev *Evaluator) settle(w *work, r *rule, findings *ast.Term, subject finding.Subject, row access.Row, n *count, s screened) ([]Result, error) {
	v, missing, plain := r.applies.judge(row)
	if unknown := ev.engine.options.Unknown; v == notEvaluable && unknown != nil {
		unknown(r.ID, subject)
	}
	if findings == nil && s.counted {
		return nil, nil
	}
	if findings == nil {
		n.unflagged(v, missing, 1)
		return nil, nil
	}
	found, err := hits(r.ID, subject, findings)
	if err != nil {
		return nil, err
	}
	if v == outOfScope {
		return nil, errors.New("it flags a subject that its METADATA puts out of scope: correct scope")
	}
	if v == notEvaluable && plain {
		return nil, fmt.Errorf("it flags a subject although its METADATA needs %s, which is unknown: correct scope, needs or the rule", missing)
	}
	excluded := ""
	if r.applies.leave.isTrue(row) {
		excluded = "leave"
	}
	if s.counted && !n.withdraw(v, missing) {
		return nil, errors.New("the prefilter lane has counted its subject otherwise: set lane: full, and report this")
	}
	n.flagged(excluded != "")
	results := make([]Result, len(found))
	for i, h := range found {
		h.ExcludedBy = excluded
		severity := r.Severity
		if h.severity != nil && !r.graded {
			severity = *h.severity
		}
		results[i] = Result{Hit: h.Hit, Fingerprint: finding.NewFingerprint(r.ID, subject, h.Key), Severity: severity, Title: r.Title,
			Category: r.category, Action: r.Action, Controls: r.Controls}
		w.identity.fill(&results[i], row, r.Assignee)
	}
	return results, nil
}

// findings evaluates the rules into w.findings and w.skipped: all at once, and if that fails one by one, so that the rest
// goes on without the rule at fault. Where only some are to be evaluated, they are given no more than they read.
func (ev *Evaluator) findings(ctx context.Context, w *work, row access.Row, subject finding.Subject, s screened) error {
	w.judging = w.judging[:0]
	for i, r := range w.rules {
		failed := r.failed.Load()
		w.findings[i], w.skipped[i] = nil, !s.every || failed
		if !s.every && !failed && s.judges(i) {
			w.judging = append(w.judging, r)
		}
	}
	q, document := w.together.Load(), w.document
	if !s.every {
		g, err := w.groupOf(w.judging)
		if err != nil {
			return err
		}
		q, document = g.query, g.document
	}
	if len(q.rules) == 0 {
		return ctx.Err()
	}
	input, err := document.build(row)
	if err != nil {
		return err
	}
	first := ev.query(ctx, w, q, input, false)
	if first == nil {
		return nil
	}
	if len(q.rules) == 1 && !errors.Is(first, errMemory) { // it is known whose it is
		return ev.blame(ctx, w, q.rules[0], subject, first)
	}
	for _, r := range q.rules {
		if err := ev.byItself(ctx, w, r, input, subject, errors.Is(first, errMemory)); err != nil {
			return err
		}
	}
	return nil
}

// maxGroups bounds what is kept of groups: what rules flag together is nearly always one of a few dozen.
const maxGroups = 256

// groupOf prepares rules to be evaluated together.
func (w *work) groupOf(rules []*rule) (*group, error) {
	w.key = w.key[:0]
	for _, r := range rules {
		w.key = binary.AppendUvarint(w.key, uint64(r.index))
	}
	if g := w.groups[string(w.key)]; g != nil {
		return g, nil
	}
	rules = slices.Clone(rules)
	q, err := w.prepare(rules)
	if err != nil {
		return nil, err
	}
	if len(w.groups) >= maxGroups {
		clear(w.groups)
	}
	g := &group{q, w.newDocument(w.readBy(rules))}
	w.groups[string(w.key)] = g
	return g, nil
}

// byItself evaluates one rule. If it takes too much memory it is evaluated again and nothing else beside, as it is at once
// where that is what it is suspected of: then it must be found out whose the memory was.
func (ev *Evaluator) byItself(ctx context.Context, w *work, r *rule, input ast.Value, subject finding.Subject, suspected bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q, err := w.single(r)
	if err != nil {
		return err
	}
	err = ev.query(ctx, w, q, input, suspected)
	if errors.Is(err, errMemory) && !suspected {
		err = ev.query(ctx, w, q, input, true)
	}
	if err == nil {
		return nil
	}
	return ev.blame(ctx, w, r, subject, err)
}

// blame takes the rule that failed on a subject out of the evaluation, unless it is ctx that ended it.
func (ev *Evaluator) blame(ctx context.Context, w *work, r *rule, subject finding.Subject, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	w.skipped[r.index] = true
	return ev.engine.fail(ctx, r.ID, r.failure(subject, err, ev.engine.explain(err)))
}

// errMemory says that the process took too much memory while a query was evaluated.
var errMemory = errors.New("too much memory")

// query evaluates some rules; alone keeps every other evaluation out meanwhile.
func (ev *Evaluator) query(ctx context.Context, w *work, q *query, input ast.Value, alone bool) error {
	limit := ev.engine.options.Budget
	ev.engine.heap.begin(ev.budget, alone)
	defer ev.engine.heap.end(ev.budget, alone)
	var array *ast.Array
	// What stands still for the whole budget may have been kept from running by all else on the machine: before a rule is blamed
	// it is evaluated once more.
	chances := 1
	if len(q.rules) == 1 {
		chances = 2
	}
	for again := true; again; {
		array = nil
		ev.budget.start(ctx, limit)
		err := ev.topdown(w, q, input).Iter(ctx, func(found topdown.QueryResult) error {
			array, _ = found[resultVar].Value.(*ast.Array)
			return nil
		})
		ev.budget.stop()
		if topdown.IsCancel(err) && ev.budget.memory.Load() {
			return errMemory
		}
		again = false
		if topdown.IsCancel(err) && ctx.Err() == nil {
			if ev.budget.spent(limit) {
				chances--
			}
			again = chances > 0
		}
		if err != nil && !again {
			return err
		}
	}
	if array == nil {
		return errors.New("the query has no result")
	}
	for i, r := range q.rules {
		t := array.Elem(i)
		if set, ok := t.Value.(ast.Set); ok && set.Len() == 0 {
			t = nil
		}
		w.findings[r.index], w.skipped[r.index] = t, false
	}
	return nil
}

// topdown is what rego.PreparedEvalQuery.Eval would make of a query, without what that allocates to look at its options.
func (ev *Evaluator) topdown(w *work, q *query, input ast.Value) *topdown.Query {
	ev.docs.reset()
	return topdown.NewQuery(q.body).
		WithQueryCompiler(q.compiler).
		WithCompiler(w.compiler).
		WithStore(w.store).
		WithTransaction(w.txn).
		WithBaseCache(w.base).
		WithVirtualCache(&ev.docs).
		WithMetrics(metrics.NoOp()).
		WithTime(ev.engine.options.Time).
		WithIndexing(!ev.engine.options.Unindexed).
		WithStrictBuiltinErrors(true).
		WithCancel(ev.budget).
		WithInput(ast.NewTerm(input))
}

func (e *Engine) explain(err error) error {
	if errors.Is(err, errMemory) {
		return fmt.Errorf("it takes more than %d MiB of memory", e.heap.limit>>20)
	}
	if topdown.IsCancel(err) {
		return fmt.Errorf("it takes longer than %v", e.options.Budget)
	}
	var t *topdown.Error
	if errors.As(err, &t) {
		return errors.New(strings.Join(strings.Fields(t.Message), " "))
	}
	return err
}

// failure says of a rule where it failed, on what, and why. at is OPA's error, nil if there is none.
func (r *rule) failure(subject finding.Subject, at, cause error) error {
	file, line := r.File, r.Line
	var t *topdown.Error
	if errors.As(at, &t) && t.Location != nil && t.Location.File != "" {
		file, line = t.Location.File, t.Location.Row
	}
	return fmt.Errorf("%s (%s:%d) on %s %s: %w", r.ID, file, line, subject.Kind, subjectName(subject), cause)
}

// budget cancels an evaluation that takes too long, with one timer for all evaluations of an evaluator.
type budget struct {
	over   atomic.Bool
	memory atomic.Bool // it is over because of the memory that the process takes
	timer  *time.Timer
	unctx  func() bool
	ctx    context.Context

	started time.Time
}

func newBudget() *budget {
	b := &budget{}
	b.timer = time.AfterFunc(time.Hour, b.Cancel)
	b.timer.Stop()
	return b
}

func (b *budget) start(ctx context.Context, d time.Duration) {
	if ctx != b.ctx {
		if b.unctx != nil {
			b.unctx()
		}
		b.ctx, b.unctx = ctx, context.AfterFunc(ctx, b.Cancel)
	}
	b.over.Store(false)
	if ctx.Err() != nil {
		b.over.Store(true)
	}
	b.started = time.Now()
	b.timer.Reset(d)
}

// spent reports whether the time is up. It is not if the timer of the evaluation before fired late.
func (b *budget) spent(d time.Duration) bool { return time.Since(b.started) >= d }

func (b *budget) stop() { b.timer.Stop() }

// Cancel implements topdown.Cancel.
func (b *budget) Cancel() { b.over.Store(true) }

// Cancelled implements topdown.Cancel.
func (b *budget) Cancelled() bool { return b.over.Load() }
