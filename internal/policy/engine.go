package policy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/policy/prefilter"
)

// EngineOptions say for which run an engine evaluates.
type EngineOptions struct {
	Time   time.Time // the run's clock: input.run.time and time.now_ns()
	RunID  int64     // input.run.id
	Budget time.Duration
	Memory int64 // bytes that evaluations may add to the heap; 0: 512 MiB
	// Only names the policies to evaluate, enabled or not; nil: all that are enabled.
	Only []string
	// Unknown, unless nil, hears of each subject that a policy can't judge, because something that it needs to know of it
	// is not known. Evaluators call it from their goroutines.
	Unknown func(policy string, subject finding.Subject)
	// Stands, unless nil, says whether a finding of a policy stands on a subject since the run before. Such a policy judges it
	// wherever EvalStanding is called, passed over or not: so Unknown hears of it, and nothing is taken for fixed that isn't.
	Stands func(policy string, subject finding.Subject) bool
	// Unindexed evaluates without OPA's rule index. It is slower and there to check the index against.
	Unindexed bool

	planted prefilter.Fault // in the prefilter lane, for tests
}

func (o EngineOptions) evaluates(p *Policy) bool {
	if o.Only != nil {
		return slices.Contains(o.Only, p.ID)
	}
	return p.Enabled
}

// defaultBudget is the time that the evaluation of one subject may take.
const defaultBudget = time.Second

// Engine evaluates policies of a pack over subjects: all enabled ones, or those named. A policy that fails on a subject (a
// builtin error, a conflict, no end within the budget of time or memory, a finding of the wrong shape, a finding that its
// METADATA rules out) is not evaluated any further; the others go on. Its tallies and Failures say why, and what it yielded before is to be
// disregarded.
//
// An Engine may be used from several goroutines, each with an Evaluator of its own.
type Engine struct {
	options EngineOptions
	run     *ast.Term
	lanes   map[laneKey]*lane
	heap    *heap

	mu         sync.Mutex
	failures   map[string]error // by policy id
	doubts     map[string]Doubt // by policy id
	evaluators []*Evaluator
}

// laneKey is a kind of subject, and the source whose subjects have policies set otherwise than those of the rest: "".
type laneKey struct {
	kind   access.SubjectKind
	source string
}

// lane is what the subjects of one kind are evaluated with.
type lane struct {
	kind     access.SubjectKind
	store    storage.Store // of the parameters
	txn      storage.Transaction
	base     base
	rules    []*rule
	library  []*module
	compiler *ast.Compiler
	columns  *columns
	reads    *pathSet
	identity identity
	together atomic.Pointer[query] // of the rules that have not failed
}

// rule is an enabled policy, ready to run.
type rule struct {
	*Policy
	index    int // in its lane
	category string
	applies  applicability
	reached  map[place]bool // what it uses of the library included
	reads    *pathSet
	failed   atomic.Bool

	once     sync.Once
	alone    *query
	aloneErr error
}

// query evaluates some rules of a lane at once: an array of their findings, in order.
type query struct {
	rules    []*rule
	body     ast.Body
	compiler ast.QueryCompiler
}

// resultVar is what a query binds its array to.
const resultVar = ast.Var("found")

// NewEngine compiles the enabled policies of a pack.
func NewEngine(ctx context.Context, pack *Pack, options EngineOptions) (*Engine, error) {
	setBuiltins()
	if options.Budget == 0 {
		options.Budget = defaultBudget
	}
	options.Time = options.Time.UTC()
	e := &Engine{options: options, lanes: map[laneKey]*lane{}}
	e.begin()
	for _, kind := range access.SubjectKinds() {
		sources := map[string]bool{"": true}
		for _, p := range pack.policies {
			if p.Subject == kind {
				for uid := range p.sources {
					sources[uid] = true
				}
			}
		}
		for _, source := range keys(sources) {
			l, err := e.newLane(ctx, pack, laneKey{kind, source})
			if err != nil {
				return nil, err
			}
			if l != nil {
				e.lanes[laneKey{kind, source}] = l
			}
		}
	}
	e.heap = newHeap(options.Memory)
	return e, nil
}

// begin is a run of which nothing is known yet.
func (e *Engine) begin() {
	e.run = ast.ObjectTerm(
		[2]*ast.Term{ast.StringTerm("id"), ast.NewTerm(ast.Number(fmt.Sprint(e.options.RunID)))},
		[2]*ast.Term{ast.StringTerm("time"), ast.StringTerm(e.options.Time.Format(time.RFC3339))})
	e.failures, e.doubts, e.evaluators = map[string]error{}, map[string]Doubt{}, nil
}

// newLane compiles the policies of a lane; nil if there are none.
func (e *Engine) newLane(ctx context.Context, pack *Pack, key laneKey) (*lane, error) {
	l := &lane{kind: key.kind, columns: newColumns(key.kind), library: pack.library}
	modules := slices.Clone(pack.library)
	params := map[string]any{}
	for _, p := range pack.policies {
		if variant := p.sources[key.source]; variant != nil {
			if !variant.Enabled && p.Enabled { // for this source alone
				continue
			}
			p = variant
		} else if p.off {
			continue
		}
		params[p.ID] = maps.Clone(p.Params)
		if p.Subject != key.kind || !e.options.evaluates(p) {
			continue
		}
		category, _, _ := strings.Cut(p.ID, "-")
		l.rules = append(l.rules, &rule{Policy: p, index: len(l.rules), category: category, applies: newApplicability(p, l.columns)})
		modules = append(modules, p.modules...)
	}
	if len(l.rules) == 0 && key.source == "" {
		return nil, nil
	}
	l.store = inmem.NewFromObjectWithOpts(map[string]any{"params": params, "tables": tablesOf(pack.policies, false)}, inmem.OptReturnASTValuesOnRead(true))
	var err error
	if l.txn, err = l.store.NewTransaction(ctx); err != nil {
		return nil, fmt.Errorf("policy parameters: %w", err)
	}
	if l.base, err = newBase(ctx, l.store, l.txn); err != nil {
		return nil, fmt.Errorf("policy parameters: %w", err)
	}
	l.identity = newIdentity(key.kind, l.columns)
	l.compiler = newCompiler("")
	if l.compiler.Compile(copies(modules)); l.compiler.Failed() {
		return nil, fmt.Errorf("compile policies of subject %s: %w", key.kind, l.compiler.Errors)
	}
	all := map[place]bool{}
	for _, r := range l.rules {
		r.reached = reach(l.compiler, r.Package)
		maps.Copy(all, r.reached)
		r.reads = l.readBy([]*rule{r})
	}
	l.reads = reads(l.columns.schema.Root, modules, all)
	return l, l.regroup()
}

// readBy is what some rules read.
func (l *lane) readBy(rules []*rule) *pathSet {
	modules, reached := slices.Clone(l.library), map[place]bool{}
	for _, r := range rules {
		modules = append(modules, r.modules...)
		maps.Copy(reached, r.reached)
	}
	return reads(l.columns.schema.Root, modules, reached)
}

// of is the lane of a source's subjects, nil if no policy judges them.
func (e *Engine) of(kind access.SubjectKind, source string) *lane {
	if l := e.lanes[laneKey{kind, source}]; l != nil {
		return l
	}
	return e.lanes[laneKey{kind, ""}]
}

// any is some lane of a kind of subject: all know the columns and who a subject is.
func (e *Engine) any(kind access.SubjectKind) *lane {
	if l := e.lanes[laneKey{kind, ""}]; l != nil {
		return l
	}
	for key, l := range e.lanes {
		if key.kind == kind {
			return l
		}
	}
	return nil
}

// Close ends the engine's transactions and its watch. No Evaluator may be used after it.
func (e *Engine) Close(ctx context.Context) {
	e.heap.close()
	for _, l := range e.lanes {
		l.store.Abort(ctx, l.txn)
	}
}

// Fail takes a policy out of the evaluation before it begins, for a reason found elsewhere, which names the policy.
func (e *Engine) Fail(ctx context.Context, id string, cause error) error {
	return e.fail(ctx, id, cause)
}

// Kinds lists the subjects that some policy judges, in the order of evaluation.
func (e *Engine) Kinds() []access.SubjectKind {
	judged := map[access.SubjectKind]bool{}
	for key, l := range e.lanes {
		judged[key.kind] = judged[key.kind] || len(l.rules) > 0
	}
	return slices.DeleteFunc(access.SubjectKinds(), func(k access.SubjectKind) bool { return !judged[k] })
}

// regroup prepares the query over the rules that have not failed.
func (l *lane) regroup() error {
	var sound []*rule
	for _, r := range l.rules {
		if !r.failed.Load() {
			sound = append(sound, r)
		}
	}
	q, err := l.prepare(sound)
	if err != nil {
		return fmt.Errorf("prepare policies of subject %s: %w", l.kind, err)
	}
	l.together.Store(q)
	return nil
}

// findings is the ref of the rule's findings.
func (r *rule) findings() ast.Ref {
	ref := ast.Ref{ast.DefaultRootDocument}
	for part := range strings.SplitSeq(r.Package, ".") {
		ref = append(ref, ast.StringTerm(part))
	}
	return append(ref, ast.StringTerm("findings"))
}

func (l *lane) prepare(rules []*rule) (*query, error) {
	terms := make([]*ast.Term, len(rules))
	for i, r := range rules {
		terms[i] = ast.NewTerm(r.findings())
	}
	q := &query{rules: rules, compiler: l.compiler.QueryCompiler()}
	var err error
	q.body, err = q.compiler.Compile(ast.NewBody(ast.Equality.Expr(ast.NewTerm(resultVar), ast.ArrayTerm(terms...))))
	return q, err
}

// prepared is the query of one rule's findings with all that OPA can do with it; the evaluation of many subjects takes single.
func (l *lane) prepared(ctx context.Context, r *rule) (rego.PreparedEvalQuery, error) {
	return rego.New(
		rego.ParsedQuery(ast.NewBody(ast.NewExpr(ast.ArrayTerm(ast.NewTerm(r.findings()))))),
		rego.Compiler(l.compiler),
		rego.Store(l.store),
		rego.Transaction(l.txn),
		rego.StrictBuiltinErrors(true),
	).PrepareForEval(ctx)
}

// single is the query of one rule alone.
func (l *lane) single(r *rule) (*query, error) {
	r.once.Do(func() { r.alone, r.aloneErr = l.prepare([]*rule{r}) })
	return r.alone, r.aloneErr
}

// fail takes a policy out of the evaluation, of all sources.
func (e *Engine) fail(ctx context.Context, id string, cause error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.failures[id] != nil {
		return nil
	}
	e.failures[id] = cause
	for _, l := range e.lanes {
		for _, r := range l.rules {
			if r.ID != id {
				continue
			}
			r.failed.Store(true)
			if err := l.regroup(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Failures says which policies failed, by id, and why, with the place in the policy and the subject.
func (e *Engine) Failures() map[string]error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.failures)
}

// Tallies sums up what all evaluators have counted, by policy and source. Evaluators must be at rest.
func (e *Engine) Tallies() []finding.Tally {
	e.mu.Lock()
	defer e.mu.Unlock()
	type key struct{ policy, source string }
	sums := map[key]*finding.Tally{}
	for _, ev := range e.evaluators {
		for _, counts := range ev.counts {
			for source, perRule := range counts.bySource {
				for i := range perRule {
					t := perRule[i].tally(counts.lane.rules[i].ID, source)
					sum := sums[key{t.Policy, source}]
					if sum == nil {
						sums[key{t.Policy, source}] = &t
						continue
					}
					add(sum, &t)
				}
			}
		}
	}
	out := make([]finding.Tally, 0, len(sums))
	for _, t := range sums {
		if err := e.failures[t.Policy]; err != nil {
			t.Failed = err.Error()
		}
		out = append(out, *t)
	}
	slices.SortFunc(out, func(a, b finding.Tally) int {
		if c := strings.Compare(a.Policy, b.Policy); c != 0 {
			return c
		}
		return strings.Compare(a.Source, b.Source)
	})
	return out
}

func add(sum, t *finding.Tally) {
	sum.Subjects += t.Subjects
	sum.OutOfScope += t.OutOfScope
	sum.Evaluated += t.Evaluated
	sum.Flagged += t.Flagged
	sum.Excluded += t.Excluded
	sum.NotEvaluable += t.NotEvaluable
	for path, n := range t.Missing {
		if sum.Missing == nil {
			sum.Missing = map[string]uint64{}
		}
		sum.Missing[path] += n
	}
}
