package policy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// failures writes what failed so that it can be read at a glance: the test and its case, the line that did not hold, and
// where two values were compared what each has that the other lacks.
type failures struct {
	w        io.Writer
	compiler *ast.Compiler
	store    storage.Store
	lines    map[string][]string // of the sources, by file
}

func (f *failures) write(ctx context.Context, r *tester.Result) {
	at := ""
	if r.Location != nil {
		at = fmt.Sprintf(" (%s:%d)", r.Location.File, r.Location.Row)
	}
	name := strings.TrimPrefix(r.Package, "data.") + "." + r.Name + at
	if r.Error != nil {
		fmt.Fprintf(f.w, "FAIL %s\n  %s\n", name, strings.Join(strings.Fields(r.Error.Error()), " "))
		f.output(r)
		return
	}
	if len(r.SubResults) == 0 {
		fmt.Fprintf(f.w, "FAIL %s\n", name)
		f.expression(ctx, r.Trace)
		f.output(r)
		return
	}
	for path, sub := range r.SubResults.Iter {
		if !sub.Fail || len(sub.SubResults) > 0 {
			continue
		}
		fmt.Fprintf(f.w, "FAIL %s: %s\n", name, strings.Join(path, " / "))
		trace := sub.Trace
		if len(trace) == 0 {
			trace = r.Trace
		}
		f.expression(ctx, trace)
	}
	f.output(r)
}

// output is what the test printed.
func (f *failures) output(r *tester.Result) {
	for line := range strings.Lines(string(r.Output)) {
		fmt.Fprintf(f.w, "  printed: %s\n", strings.TrimRight(line, "\n"))
	}
}

// expression shows the last expression that failed.
func (f *failures) expression(ctx context.Context, trace []*topdown.Event) {
	for _, e := range slices.Backward(trace) {
		expr, ok := e.Node.(*ast.Expr)
		if e.Op != topdown.FailOp || e.Location == nil || e.QueryID == 0 || !ok || expr.IsEvery() {
			continue
		}
		fmt.Fprintf(f.w, "  %s:%d: %s\n", e.Location.File, e.Location.Row, f.line(e.Location))
		if a, b, ok := f.compared(ctx, e, expr); ok {
			f.diff(a, b)
			return
		}
		var vars bytes.Buffer
		if err := topdown.PrettyEvent(&vars, e, topdown.PrettyEventOpts{PrettyVars: true}); err == nil {
			for line := range strings.Lines(vars.String()) {
				fmt.Fprintf(f.w, "    %s\n", strings.TrimRight(line, "\n"))
			}
		}
		return
	}
}

func (f *failures) line(at *ast.Location) string {
	if lines := f.lines[at.File]; at.Row >= 1 && at.Row <= len(lines) {
		return strings.TrimSpace(lines[at.Row-1])
	}
	return strings.TrimSpace(string(at.Text))
}

// compared are the two values of an equality.
func (f *failures) compared(ctx context.Context, e *topdown.Event, expr *ast.Expr) (a, b *ast.Term, ok bool) {
	if !expr.IsCall() || len(expr.Operands()) != 2 || expr.Operator().String() != "equal" && expr.Operator().String() != "eq" {
		return nil, nil, false
	}
	a, b = f.value(ctx, e, expr, 0), f.value(ctx, e, expr, 1)
	return a, b, a != nil && b != nil
}

// value is that of an operand; what it says of other rules is evaluated again, under the same input.
func (f *failures) value(ctx context.Context, e *topdown.Event, expr *ast.Expr, n int) *ast.Term {
	t := f.plugged(e, expr.Operand(n))
	if t.IsGround() && !slices.ContainsFunc(refs(t), func(r ast.Ref) bool { return r[0].Equal(ast.DefaultRootDocument) || r[0].Equal(ast.InputRootDocument) }) {
		return t
	}
	query := ast.Assign.Expr(ast.VarTerm("x"), t)
	for _, with := range expr.With {
		query = query.IncludeWith(with.Target, f.plugged(e, with.Value))
	}
	rs, err := rego.New(rego.ParsedQuery(ast.NewBody(query)), rego.Compiler(f.compiler), rego.Store(f.store),
		rego.GenerateJSON(func(t *ast.Term, _ *rego.EvalContext) (any, error) { return t, nil })).Eval(ctx)
	if err != nil || len(rs) != 1 {
		return nil
	}
	out, _ := rs[0].Bindings["x"].(*ast.Term)
	return out
}

// plugged puts the values of local variables into a copy of a term.
func (f *failures) plugged(e *topdown.Event, t *ast.Term) *ast.Term {
	local := func(v ast.Var) ast.Value {
		if e.Locals == nil {
			return nil
		}
		return e.Locals.Get(v)
	}
	if v, ok := t.Value.(ast.Var); ok {
		if value := local(v); value != nil {
			return ast.NewTerm(value)
		}
		return t
	}
	t = t.Copy()
	if _, err := ast.TransformVars(t, func(v ast.Var) (ast.Value, error) {
		if value := local(v); value != nil {
			return value, nil
		}
		return v, nil
	}); err != nil {
		return t
	}
	return t
}

func refs(t *ast.Term) (out []ast.Ref) {
	ast.WalkRefs(t, func(r ast.Ref) bool {
		out = append(out, r)
		return false
	})
	return out
}

// diff shows what only one of two values has: − what the right side wants, + what the left side is.
func (f *failures) diff(left, right *ast.Term) {
	a, aSet := left.Value.(ast.Set)
	b, bSet := right.Value.(ast.Set)
	if aSet && bSet {
		f.only("-", b.Diff(a))
		f.only("+", a.Diff(b))
		return
	}
	want, got := rendered(right), rendered(left)
	for _, l := range want {
		if !slices.Contains(got, l) {
			fmt.Fprintf(f.w, "    - %s\n", l)
		}
	}
	for _, l := range got {
		if !slices.Contains(want, l) {
			fmt.Fprintf(f.w, "    + %s\n", l)
		}
	}
}

func (f *failures) only(sign string, s ast.Set) {
	s.Foreach(func(t *ast.Term) { fmt.Fprintf(f.w, "    %s %s\n", sign, t) })
}

// rendered is a value, one member a line.
func rendered(t *ast.Term) (out []string) {
	switch v := t.Value.(type) {
	case ast.Object:
		v.Foreach(func(k, e *ast.Term) { out = append(out, fmt.Sprintf("%s: %s", k, e)) })
	case *ast.Array:
		v.Foreach(func(e *ast.Term) { out = append(out, e.String()) })
	default:
		return []string{t.String()}
	}
	if out == nil {
		out = []string{t.String()}
	}
	return out
}
