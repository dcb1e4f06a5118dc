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
	// Unindexed evaluates without OPA's rule index. It is slower and there to check the index against.
	Unindexed bool

	planted prefilter.Fault // in the prefilter lane, for tests
}

// defaultBudget is the time that the evaluation of one subject may take.
const defaultBudget = time.Second

// Engine evaluates all enabled policies of a pack over subjects. A policy that fails on a subject (a builtin error, a
// conflict, no end within the budget, a finding of the wrong shape, a finding that its METADATA rules out) is not
// evaluated any further; the others go on. Its tallies and Failures say why, and what it yielded before is to be
// disregarded.
//
// An Engine may be used from several goroutines, each with an Evaluator of its own.
type Engine struct {
	options EngineOptions
	run     *ast.Term
	store   storage.Store
	txn     storage.Transaction
	lanes   map[access.SubjectKind]*lane

	mu         sync.Mutex
	failures   map[string]error // by policy id
	doubts     map[string]Doubt // by policy id
	evaluators []*Evaluator
}

// lane is what one kind of subject is evaluated with.
type lane struct {
	kind     access.SubjectKind
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
	reads    *pathSet // with the library
	failed   atomic.Bool

	once     sync.Once
	alone    *query
	aloneErr error
}

// query evaluates some rules of a lane at once: an array of their findings, in order.
type query struct {
	rules    []*rule
	prepared rego.PreparedEvalQuery
}

// NewEngine compiles the enabled policies of a pack.
func NewEngine(ctx context.Context, pack *Pack, options EngineOptions) (*Engine, error) {
	if options.Budget == 0 {
		options.Budget = defaultBudget
	}
	options.Time = options.Time.UTC()
	e := &Engine{
		options:  options,
		lanes:    map[access.SubjectKind]*lane{},
		failures: map[string]error{},
		doubts:   map[string]Doubt{},
		run: ast.ObjectTerm(
			[2]*ast.Term{ast.StringTerm("id"), ast.NewTerm(ast.Number(fmt.Sprint(options.RunID)))},
			[2]*ast.Term{ast.StringTerm("time"), ast.StringTerm(options.Time.Format(time.RFC3339))}),
	}
	params := map[string]any{}
	for _, p := range pack.policies {
		params[p.ID] = maps.Clone(p.Params)
	}
	e.store = inmem.NewFromObjectWithOpts(map[string]any{"params": params}, inmem.OptReturnASTValuesOnRead(true))
	var err error
	if e.txn, err = e.store.NewTransaction(ctx); err != nil {
		return nil, fmt.Errorf("policy parameters: %w", err)
	}
	for _, kind := range access.SubjectKinds() {
		l := &lane{kind: kind, columns: newColumns(kind), library: pack.library}
		modules := slices.Clone(pack.library)
		for _, p := range pack.policies {
			if !p.Enabled || p.Subject != kind {
				continue
			}
			category, _, _ := strings.Cut(p.ID, "-")
			l.rules = append(l.rules, &rule{Policy: p, index: len(l.rules), category: category, applies: newApplicability(p, l.columns),
				reads: reads(l.columns.schema.Root, slices.Concat(pack.library, p.modules))})
			modules = append(modules, p.modules...)
		}
		if len(l.rules) == 0 {
			continue
		}
		l.reads = reads(l.columns.schema.Root, modules)
		l.identity = newIdentity(kind, l.columns)
		l.compiler = newCompiler("")
		if l.compiler.Compile(copies(modules)); l.compiler.Failed() {
			return nil, fmt.Errorf("compile policies of subject %s: %w", kind, l.compiler.Errors)
		}
		if err := e.regroup(ctx, l); err != nil {
			return nil, err
		}
		e.lanes[kind] = l
	}
	return e, nil
}

// Close ends the engine's transaction. No Evaluator may be used after it.
func (e *Engine) Close(ctx context.Context) { e.store.Abort(ctx, e.txn) }

// Kinds lists the subjects that some enabled policy judges, in the order of evaluation.
func (e *Engine) Kinds() []access.SubjectKind {
	return slices.DeleteFunc(access.SubjectKinds(), func(k access.SubjectKind) bool { return e.lanes[k] == nil })
}

// regroup prepares the query over the rules that have not failed.
func (e *Engine) regroup(ctx context.Context, l *lane) error {
	var sound []*rule
	for _, r := range l.rules {
		if !r.failed.Load() {
			sound = append(sound, r)
		}
	}
	q, err := e.prepare(ctx, l, sound)
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

func (e *Engine) prepare(ctx context.Context, l *lane, rules []*rule) (*query, error) {
	terms := make([]*ast.Term, len(rules))
	for i, r := range rules {
		terms[i] = ast.NewTerm(r.findings())
	}
	body := ast.NewBody(ast.NewExpr(ast.ArrayTerm(terms...)))
	prepared, err := rego.New(
		rego.ParsedQuery(body),
		rego.Compiler(l.compiler),
		rego.Store(e.store),
		rego.Transaction(e.txn),
		rego.StrictBuiltinErrors(true),
	).PrepareForEval(ctx)
	if err != nil {
		return nil, err
	}
	return &query{rules: rules, prepared: prepared}, nil
}

// single is the query of one rule alone.
func (e *Engine) single(ctx context.Context, l *lane, r *rule) (*query, error) {
	r.once.Do(func() { r.alone, r.aloneErr = e.prepare(ctx, l, []*rule{r}) })
	return r.alone, r.aloneErr
}

// fail takes a rule out of the evaluation.
func (e *Engine) fail(ctx context.Context, l *lane, r *rule, cause error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r.failed.Swap(true) {
		return nil
	}
	e.failures[r.ID] = cause
	return e.regroup(ctx, l)
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
