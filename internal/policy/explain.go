package policy

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/lapse-audit/lapse/internal/access"
)

// Explained says by which lines of a policy a finding came about.
type Explained struct {
	Holds bool // false: the policy as it is now does not flag the subject so
	Rules []ExplainedRule
	Trace string // of the whole evaluation, where it was asked for
}

// ExplainedRule is a rule that held: the finding's own first, then those that it asks, as it asks them.
type ExplainedRule struct {
	Name  string          `json:"rule"`
	File  string          `json:"file"`
	Line  int             `json:"line"`
	Lines []ExplainedLine `json:"lines"`
}

// ExplainedLine is a condition that held.
type ExplainedLine struct {
	Line   int              `json:"line"`
	Text   string           `json:"text"`             // as it is written
	Values []ExplainedValue `json:"values,omitempty"` // what it read
	Words  string           `json:"words"`            // what that means
}

// ExplainedValue is something that a line read, and what it was.
type ExplainedValue struct {
	Name  string `json:"name"`
	Value string `json:"value"` // JSON
}

// Explain evaluates one policy on one subject again and tells which of its lines held. The finding is told from others on the
// subject by its key. The policy need not be enabled.
func Explain(ctx context.Context, pack *Pack, id, key string, row access.Row, options EngineOptions, trace bool) (Explained, error) {
	var out Explained
	p, ok := pack.Policy(id)
	if !ok {
		return out, fmt.Errorf("there is no policy %s", id)
	}
	options.Only = []string{id}
	e, err := NewEngine(ctx, pack, options)
	if err != nil {
		return out, err
	}
	defer e.Close(context.WithoutCancel(ctx))
	l := e.of(p.Subject, e.any(p.Subject).identity.subject(row).Source)
	if len(l.rules) == 0 {
		return out, nil // it is not enabled for the source
	}
	d := newDocument(l.columns, &pathSet{all: true}, map[int]*leaf{})
	d.run = e.run
	input, err := d.build(row)
	if err != nil {
		return out, fmt.Errorf("explain %s: %w", id, err)
	}
	x := &explainer{policy: &p, input: input, rules: map[place]*ast.Rule{}, exits: map[place][]exit{}, own: map[string]ast.Value{}}
	for _, m := range slices.Concat(p.modules, pack.library) {
		for _, r := range m.ast.Rules {
			x.rules[placeOf(r.Location)] = r
		}
	}
	tracer := topdown.NewBufferTracer()
	q, err := l.prepared(ctx, l.rules[0])
	if err != nil {
		return out, err
	}
	budget := newBudget()
	budget.start(ctx, 20*e.options.Budget) // a trace is slow
	defer budget.stop()
	_, err = q.Eval(ctx, rego.EvalTime(e.options.Time), rego.EvalTransaction(l.txn), rego.EvalParsedInput(input), rego.EvalExternalCancel(budget),
		rego.EvalQueryTracer(tracer), rego.EvalRuleIndexing(false), rego.EvalEarlyExit(false))
	if err != nil {
		return out, fmt.Errorf("explain %s: %w", id, e.explain(err))
	}
	if trace {
		var b bytes.Buffer
		topdown.PrettyTraceWithOpts(&b, *tracer, topdown.PrettyTraceOptions{Locations: true, ExprVariables: true})
		out.Trace = b.String()
	}
	x.gather(*tracer)
	if err := x.values(ctx, e, l, input); err != nil {
		return out, fmt.Errorf("explain %s: %w", id, err)
	}
	found := x.finding(key)
	if found == nil {
		return out, nil
	}
	out.Holds = true
	x.tell(&out, *found, map[place]bool{})
	return out, nil
}

// exit is a rule that held, with what its variables were.
type exit struct {
	rule     *ast.Rule // as compiled
	bindings *ast.ValueMap
	names    map[string]ast.Value // by the names that the author gave
}

type explainer struct {
	policy *Policy
	input  ast.Value
	rules  map[place]*ast.Rule // as written
	exits  map[place][]exit
	order  []place
	own    map[string]ast.Value // the values of the policy's rules
}

func (x *explainer) gather(trace []*topdown.Event) {
	for _, e := range trace {
		r, ok := e.Node.(*ast.Rule)
		if e.Op != topdown.ExitOp || !ok {
			continue
		}
		ex := exit{rule: r, bindings: e.Locals, names: map[string]ast.Value{}}
		if e.Locals != nil {
			e.Locals.Iter(func(k, v ast.Value) bool {
				if name, ok := k.(ast.Var); ok {
					if meta, ok := e.LocalMetadata[name]; ok {
						ex.names[string(meta.Name)] = v
					} else {
						ex.names[string(name)] = v
					}
				}
				return false
			})
		}
		at := placeOf(r.Location)
		if x.exits[at] == nil {
			x.order = append(x.order, at)
		}
		x.exits[at] = append(x.exits[at], ex)
	}
}

func asTerm(t *ast.Term, _ *rego.EvalContext) (any, error) { return t, nil }

// values evaluates the policy's own rules, to say what they came to.
func (x *explainer) values(ctx context.Context, e *Engine, l *lane, input ast.Value) error {
	for _, at := range x.order {
		r := x.rules[at]
		if r == nil || len(r.Head.Args) > 0 || !strings.HasPrefix(x.exits[at][0].rule.Ref().String(), "data."+x.policy.Package+".") {
			continue
		}
		rs, err := rego.New(rego.ParsedQuery(ast.NewBody(ast.NewExpr(ast.NewTerm(x.exits[at][0].rule.Ref().GroundPrefix())))), rego.Compiler(l.compiler), rego.Store(l.store), rego.Transaction(l.txn),
			rego.ParsedInput(input), rego.Time(e.options.Time), rego.GenerateJSON(asTerm)).Eval(ctx)
		if err != nil {
			return err
		}
		if len(rs) == 1 {
			if t, ok := rs[0].Expressions[0].Value.(*ast.Term); ok {
				x.own[r.Head.Name.String()] = t.Value
			}
		}
	}
	return nil
}

// finding is the findings rule that yielded the key.
func (x *explainer) finding(key string) *exit {
	for _, at := range x.order {
		r := x.rules[at]
		if r == nil || !r.Head.Ref()[0].Equal(ast.VarTerm("findings")) {
			continue
		}
		for _, ex := range x.exits[at] {
			if keyOf(ex) == key {
				return &ex
			}
		}
	}
	return nil
}

// keyOf is the key of the finding that an exit of a findings rule yields.
func keyOf(ex exit) string {
	if ex.rule.Head.Key == nil {
		return ""
	}
	head := (&failures{}).plugged(&topdown.Event{Locals: ex.bindings}, ex.rule.Head.Key)
	key := ""
	ast.WalkTerms(head, func(t *ast.Term) bool {
		o, ok := t.Value.(ast.Object)
		if !ok {
			return false
		}
		if k := o.Get(ast.StringTerm("key")); k != nil {
			if s, ok := k.Value.(ast.String); ok && key == "" {
				key = string(s)
			}
		}
		return key != ""
	})
	return key
}

// tell adds a rule and, after it, the rules of the policy that its conditions ask.
func (x *explainer) tell(out *Explained, ex exit, told map[place]bool) {
	at := placeOf(ex.rule.Location)
	r := x.rules[at]
	if r == nil || told[at] {
		return
	}
	told[at] = true
	rule := ExplainedRule{Name: r.Head.Ref()[0].Value.String(), File: r.Location.File, Line: r.Location.Row}
	rule.Name = strings.Trim(rule.Name, `"`)
	var asked []string
	for _, e := range r.Body {
		if buildsText(e) || e.Generated || e.Location == nil || (len(r.Body) == 1 && e.String() == "true") {
			continue
		}
		line := ExplainedLine{Line: e.Location.Row, Text: plainExpr(e), Values: x.read(ex, e), Words: x.words(ex, e)}
		rule.Lines = append(rule.Lines, line)
		if !e.IsNegated() {
			asked = append(asked, x.asks(e)...)
		}
	}
	if len(rule.Lines) > 0 {
		out.Rules = append(out.Rules, rule)
	}
	for _, name := range asked {
		for _, at := range x.order {
			if r := x.rules[at]; r != nil && strings.Trim(r.Head.Ref()[0].Value.String(), `"`) == name && len(r.Head.Args) == 0 {
				x.tell(out, x.exits[at][0], told)
				break // one way to it is enough
			}
		}
	}
}

// asks lists the rules that an expression names, without those that only make texts.
func (x *explainer) asks(e *ast.Expr) (names []string) {
	ast.WalkTerms(e, func(t *ast.Term) bool {
		switch v := t.Value.(type) {
		case ast.Var:
			names = append(names, string(v))
		case ast.Ref:
			if last, ok := v[len(v)-1].Value.(ast.String); ok && v[0].Equal(ast.VarTerm("lib")) {
				names = append(names, string(last))
			}
		}
		return false
	})
	return names
}

// read lists the values that an expression reads.
func (x *explainer) read(ex exit, e *ast.Expr) (out []ExplainedValue) {
	seen := map[string]bool{}
	ast.WalkTerms(e, func(t *ast.Term) bool {
		switch t.Value.(type) {
		case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension:
			return true
		case ast.Var, ast.Ref:
			v := x.value(ex, t)
			name := t.String()
			if v == nil || seen[name] {
				return v != nil
			}
			seen[name] = true
			out = append(out, ExplainedValue{name, short(v)})
			return true
		}
		return false
	})
	return out
}

// mostOfValue is how much of a value is shown.
const mostOfValue = 120

func short(v ast.Value) string {
	text := v.String()
	if r := []rune(text); len(r) > mostOfValue {
		return string(r[:mostOfValue]) + "…"
	}
	return text
}

// value is what a term stood for, nil where that is not known or it is a call.
func (x *explainer) value(ex exit, t *ast.Term) ast.Value {
	switch v := t.Value.(type) {
	case ast.Var:
		if value, ok := ex.names[string(v)]; ok {
			return value
		}
		if value, ok := x.own[string(v)]; ok && value.Compare(ast.Boolean(true)) != 0 {
			return value
		}
	case ast.Ref:
		var base ast.Value
		rest := v[1:]
		switch {
		case v[0].Equal(ast.InputRootDocument):
			base = x.input
		case len(v) >= 4 && v[0].Equal(ast.DefaultRootDocument) && v[1].Equal(ast.StringTerm("params")):
			if name, ok := v[3].Value.(ast.String); ok {
				if value, err := ast.InterfaceToValue(x.policy.Params[string(name)]); err == nil {
					base, rest = value, v[4:]
				}
			}
		default:
			if name, ok := v[0].Value.(ast.Var); ok {
				base = ex.names[string(name)]
			}
		}
		if base == nil {
			return nil
		}
		if len(rest) == 0 {
			return base
		}
		value, err := base.Find(rest)
		if err != nil {
			return nil
		}
		return value
	case ast.String, ast.Number, ast.Boolean, ast.Null:
		return v
	}
	return nil
}
