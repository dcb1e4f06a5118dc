package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/policy/prefilter"
)

// Lane says how a rule is evaluated.
type Lane string

// In the full lane a rule judges every subject. In the prefilter lane it judges those for which a predicate over the
// subjects' table holds, and that is so for every subject that it flags. The predicate is the whole rule, or part of it.
const (
	LaneComplete Lane = "complete"
	LanePartly   Lane = "partly"
	LaneFull     Lane = "full"
)

// Coverage says how far the prefilter lane serves a policy.
type Coverage struct {
	Policy  string
	File    string // of the policy
	Lane    Lane
	Dropped []prefilter.Dropped // what Rego alone decides
	Why     string              // of the full lane
}

// Screen is what the table of one kind of subject is asked before its subjects are evaluated. All of it is ClickHouse SQL
// over the table's columns, with parameters in place of values. None is ever NULL.
type Screen struct {
	Kind       access.SubjectKind
	Atoms      []string // is1, is2, …: what Flags and Facts test
	Flags      []string // by rule: false for a subject that the rule need not judge
	Facts      []string // of a subject: see Evaluator.Count
	Parameters []prefilter.Parameter
	Coverage   []Coverage // by rule
	Columns    [][]string // by rule: what it is evaluated by, and its results are filled from
	Always     []string   // columns by which it is known who a subject is

	lane     *lane
	again    bool     // made by Only
	verdicts [][]told // by rule
}

// partialTime bounds the partial evaluation of one rule.
const partialTime = 5 * time.Second

// maxQueries is how many queries partial evaluation may leave of a rule: one that goes through a long list of parameters
// leaves one for each.
const maxQueries = 20_000

// whyBySource is why all policies of a kind are in the full lane if lapse.yaml sets some of them by source.
const whyBySource = "lapse.yaml sets policies otherwise for some source: then all that judge the same kind of subject judge every one"

// Screen translates the enabled policies of a kind for the prefilter lane. What can't be translated is no error: such a rule
// judges every subject. It is nil if there are no policies, or if some of them are set otherwise for a source: a statement
// asks of every subject the same, so the subjects of that kind have to be evaluated without one, by Eval.
func (e *Engine) Screen(ctx context.Context, kind access.SubjectKind) (*Screen, error) {
	l := e.lanes[laneKey{kind, ""}]
	if l == nil || e.bySource(kind) {
		return nil, nil
	}
	c, err := compileConditions(l)
	if err != nil {
		return nil, fmt.Errorf("screen %s subjects: %w", kind, err)
	}
	s := &Screen{Kind: kind, lane: l, Always: l.columns.names(l.identity.columns(""))}
	statement := prefilter.NewStatement()
	for _, r := range l.rules {
		flag, coverage, err := e.flag(ctx, l, c, r, statement)
		if err != nil {
			return nil, fmt.Errorf("screen %s subjects: %w", kind, err)
		}
		s.Flags, s.Coverage = append(s.Flags, flag), append(s.Coverage, coverage)
		s.Columns = append(s.Columns, l.columns.names(slices.Concat(newDocument(l.columns, r.reads, map[int]*leaf{}).columns(),
			r.applies.columns(), l.identity.columns(r.Assignee))))
		s.addVerdict(r, statement)
	}
	s.Atoms, s.Parameters = statement.Atoms(), statement.Parameters()
	return s, nil
}

// bySource reports whether the subjects of some source have a lane of their own.
func (e *Engine) bySource(kind access.SubjectKind) bool {
	for key := range e.lanes {
		if key.kind == kind && key.source != "" {
			return true
		}
	}
	return false
}

// compileConditions compiles the rules of a lane without their messages and evidence.
func compileConditions(l *lane) (*ast.Compiler, error) {
	capabilities := policyCapabilities()
	capabilities.Builtins = untyped(capabilities.Builtins)
	c := ast.NewCompiler().WithCapabilities(capabilities)
	modules := map[string]*ast.Module{}
	for _, m := range l.library {
		modules[m.name] = conditions(m)
	}
	for _, r := range l.rules {
		for _, m := range r.modules {
			modules[m.name] = conditions(m)
		}
	}
	if c.Compile(modules); c.Failed() {
		return nil, c.Errors
	}
	return c, nil
}

// flag translates one rule. An error is ctx's.
func (e *Engine) flag(ctx context.Context, l *lane, c *ast.Compiler, r *rule, statement *prefilter.Statement) (string, Coverage, error) {
	full := func(why string) (string, Coverage, error) {
		return "true", Coverage{Policy: r.ID, File: r.File, Lane: LaneFull, Why: why}, ctx.Err()
	}
	if why := unfit(c, r.Policy, append(l.library[:len(l.library):len(l.library)], r.modules...), l.data(ctx)); why != "" {
		return full(why)
	}
	left, err := e.partial(ctx, l, c, r)
	switch {
	case err != nil:
		return full("partial evaluation: " + strings.Join(strings.Fields(err.Error()), " "))
	case len(left.Queries) > maxQueries:
		return full(fmt.Sprintf("partial evaluation leaves %d queries, more than %d", len(left.Queries), maxQueries))
	}
	if why := mistyped(l.kind, left); why != "" {
		return full(why)
	}
	translated := prefilter.Translate(l.columns.schema, left, l.data(ctx), c.GetRulesExact, e.options.planted)
	if translated.Always() && !translated.Complete() {
		_, coverage, err := full("nothing of it can be translated")
		coverage.Dropped = translated.Dropped
		return "true", coverage, err
	}
	text, err := statement.Add(translated)
	if err != nil {
		return full(err.Error())
	}
	coverage := Coverage{Policy: r.ID, File: r.File, Lane: LanePartly, Dropped: translated.Dropped}
	if translated.Complete() {
		coverage.Lane = LaneComplete
	}
	return text, coverage, nil
}

// data looks up parameters and tables.
func (l *lane) data(ctx context.Context) func(ast.Ref) (ast.Value, bool) {
	return func(r ast.Ref) (ast.Value, bool) {
		path, err := storage.NewPathForRef(r)
		if err != nil {
			return nil, false
		}
		v, err := l.store.Read(ctx, l.txn, path)
		if err != nil { // it isn't there
			return nil, false
		}
		value, ok := v.(ast.Value)
		return value, ok
	}
}

// partial evaluates a rule as far as it can be without the input, with the parameters and tables of its evaluation.
func (e *Engine) partial(ctx context.Context, l *lane, c *ast.Compiler, r *rule) (*rego.PartialQueries, error) {
	ctx, cancel := context.WithTimeout(ctx, partialTime)
	defer cancel()
	findings := append(r.findings(), ast.BooleanTerm(true))
	return rego.New(
		rego.ParsedQuery(ast.NewBody(ast.NewExpr(ast.NewTerm(findings)))),
		rego.Compiler(c),
		rego.Store(l.store),
		rego.Transaction(l.txn),
		rego.StrictBuiltinErrors(true),
		rego.Time(e.options.Time),
		rego.NondeterministicBuiltins(true), // time.now_ns, the only one allowed
		rego.ParsedUnknowns(prefilter.Unknowns()),
	).Partial(ctx)
}

// Only is the screen that flags, of some policies, just those subjects that s passes over.
func (s *Screen) Only(ids []string) *Screen {
	wanted := map[string]bool{}
	for _, id := range ids {
		wanted[id] = true
	}
	rest := *s
	rest.again = true
	rest.Flags = make([]string, len(s.Flags))
	for i, r := range s.lane.rules {
		rest.Flags[i] = "false"
		if wanted[r.ID] {
			rest.Flags[i] = "NOT (" + s.Flags[i] + ")"
		}
	}
	return &rest
}

// Coverage says of every policy that is evaluated how far the prefilter lane serves it, by subject and id. A kind of subject
// with policies that are set by source has no Screen: all its policies are in the full lane.
func (e *Engine) Coverage(ctx context.Context) ([]Coverage, error) {
	var out []Coverage
	for _, kind := range e.Kinds() {
		if e.bySource(kind) {
			for _, p := range e.policies(kind) {
				out = append(out, Coverage{Policy: p.ID, File: p.File, Lane: LaneFull, Why: whyBySource})
			}
			continue
		}
		s, err := e.Screen(ctx, kind)
		if err != nil {
			return nil, err
		}
		out = append(out, s.Coverage...)
	}
	return out, nil
}

// policies are those that judge a kind of subject, of whatever source, by id.
func (e *Engine) policies(kind access.SubjectKind) []*Policy {
	byID := map[string]*Policy{}
	for key, l := range e.lanes {
		for _, r := range l.rules {
			if key.kind == kind {
				byID[r.ID] = r.Policy
			}
		}
	}
	var out []*Policy
	for _, id := range keys(byID) {
		out = append(out, byID[id])
	}
	return out
}
