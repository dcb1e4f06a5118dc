package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/lapse-audit/lapse/internal/access"
)

// A rule that fails on a subject is not evaluated any further, and says so. It must fail in the prefilter lane as well, but
// there it would never see most subjects. So a rule whose conditions might fail stays in the full lane. What is computed
// for a message or for evidence may fail: it is computed only for what is flagged. The limits of one evaluation (its time, its
// memory, the size of what a builtin gives) are another matter: whoever is passed over is not evaluated, and so can't reach them.

// unfailing are the builtins that yield no error for operands of their types, which OPA has checked.
var unfailing = []string{
	"abs", "all", "and", "any", "array.concat", "array.reverse", "assign", "ceil", "concat", "contains", "count", "endswith",
	"eq", "equal", "floor", "gt", "gte", "internal.member_2", "internal.member_3", "intersection", "is_array", "is_boolean", "is_null",
	"is_number", "is_object", "is_set", "is_string", "json.filter", "json.remove", "lower", "lt", "lte", "max", "min", "minus", "mul", "neq",
	"object.filter", "object.get", "object.keys", "object.remove", "object.subset", "object.union", "or", "plus", "product", "round", "sort",
	"split", "sprintf", "startswith", "strings.any_prefix_match", "strings.any_suffix_match", "strings.count", "strings.replace_n",
	"strings.reverse", "sum", "time.now_ns", "trim", "trim_left", "trim_prefix", "trim_right", "trim_space", "trim_suffix", "type_name", "union",
	"upper", "walk",
}

// unfit says why a policy has to stay in the full lane whatever it is translated to, with the place; "" if it need not. c
// has compiled the conditions, modules are what they were written as, and data looks up parameters and tables.
func unfit(c *ast.Compiler, p *Policy, modules []*module, data func(ast.Ref) (ast.Value, bool)) string {
	reached := map[place]*ast.Rule{}
	var visit func(*ast.Rule)
	visit = func(r *ast.Rule) {
		for ; r != nil; r = r.Else {
			if reached[placeOf(r.Location)] != nil {
				return
			}
			reached[placeOf(r.Location)] = r
			for dep := range c.Graph.Dependencies(r) {
				if d, ok := dep.(*ast.Rule); ok {
					visit(d)
				}
			}
		}
	}
	for _, m := range c.Modules {
		if packageName(m) == p.Package {
			for _, r := range m.Rules {
				if isFindings(r) {
					visit(r)
				}
			}
		}
	}
	var compiled []*ast.Rule
	for _, m := range modules {
		for _, r := range m.ast.Rules {
			written := r
			if r := reached[placeOf(r.Location)]; r != nil {
				compiled = append(compiled, r)
				if why := definite(written.Copy()); why != "" {
					return why
				}
				if why := with(r); why != "" {
					return why
				}
				if r.Default && len(r.Head.Args) > 0 && len(r.Head.Ref()) > 1 {
					return fmt.Sprintf("%s:%d: the default of a function with a dot in its name is not partially evaluated", r.Location.File, r.Location.Row)
				}
				if why := alike(r); why != "" {
					return why
				}
				if why := computedKey(r); why != "" {
					return why
				}
				if why := fallibleCall(r); why != "" {
					return why
				}
			}
		}
	}
	if why := computedElements(compiled); why != "" {
		return why
	}
	if why := patterns(compiled, data); why != "" {
		return why
	}
	defined := map[string][]*ast.Rule{}
	var paths []string
	for _, m := range modules {
		for _, r := range m.ast.Rules {
			if reached[placeOf(r.Location)] == nil || isFindings(r) {
				continue
			}
			path := m.pkg + "." + r.Head.Ref().String()
			if defined[path] == nil {
				paths = append(paths, path)
			}
			defined[path] = append(defined[path], r)
		}
	}
	for _, path := range paths {
		if why := conflicting(defined[path], p); why != "" {
			return why
		}
	}
	return ""
}

// locate is where an expression of a rule stands: what the compiler made stands where the rule does.
func locate(x *ast.Expr, r *ast.Rule) *ast.Location {
	if x.Location == nil || x.Location.File == "" {
		return r.Location
	}
	return x.Location
}

// with finds a with: OPA's partial evaluation loses it where it negates a body with a negation that has one.
func with(r *ast.Rule) string {
	why := ""
	ast.WalkExprs(r, func(x *ast.Expr) bool {
		if why == "" && len(x.With) > 0 {
			loc := locate(x, r)
			why = fmt.Sprintf("%s:%d: with is not partially evaluated", loc.File, loc.Row)
		}
		return false
	})
	return why
}

// alike finds an equation both sides of which may be the same value of the input: written alike, or of helpers. OPA's partial
// evaluation takes it for true, although it is undefined where the value is missing.
func alike(r *ast.Rule) string {
	why := ""
	ofHelper := func(t *ast.Term) bool {
		ref, ok := t.Value.(ast.Ref)
		return ok && ref.HasPrefix(ast.DefaultRootRef) && !fixed(t)
	}
	for ; r != nil; r = r.Else {
		ast.WalkExprs(r, func(x *ast.Expr) bool {
			if why != "" || !x.IsEquality() {
				return false
			}
			a, b := x.Operand(0), x.Operand(1)
			if a.Equal(b) && !ast.IsConstant(a.Value) || ofHelper(a) && ofHelper(b) {
				loc := locate(x, r)
				why = fmt.Sprintf("%s:%d: whether two values are there that may be the same one is lost in partial evaluation", loc.File, loc.Row)
			}
			return false
		})
	}
	return why
}

// computedKey finds an object with a key that is not constant: OPA's partial evaluation takes it for a key that differs from
// all others, and so for an object that lacks them, as long as it does not know what the key is.
func computedKey(r *ast.Rule) string {
	why := ""
	for ; r != nil; r = r.Else {
		ast.WalkTerms(r, func(t *ast.Term) bool {
			object, ok := t.Value.(ast.Object)
			if !ok || why != "" {
				return false
			}
			object.Foreach(func(k, _ *ast.Term) {
				if why == "" && !ast.IsConstant(k.Value) {
					loc := t.Location
					if loc == nil || loc.File == "" {
						loc = r.Location
					}
					why = fmt.Sprintf("%s:%d: an object with a computed key is not partially evaluated", loc.File, loc.Row)
				}
			})
			return false
		})
	}
	return why
}

func fallibleCall(r *ast.Rule) string {
	why := ""
	eachCall(r, func(name string, args []*ast.Term, loc *ast.Location) {
		if why != "" || ast.BuiltinMap[name] == nil || slices.Contains(unfailing, name) || slices.Contains(matching, name) {
			return
		}
		if name == "div" { // by zero
			if n, ok := args[1].Value.(ast.Number); ok && !n.Equal(ast.Number("0")) {
				return
			}
		}
		if loc == nil || loc.File == "" {
			loc = r.Location
		}
		why = fmt.Sprintf("%s:%d: %s can fail", loc.File, loc.Row, name)
	})
	return why
}

// conflicting says whether definitions of one name might yield two values for a subject, which is an error.
func conflicting(rules []*ast.Rule, p *Policy) string {
	first := rules[0]
	at := func(r *ast.Rule) string { return fmt.Sprintf("%s:%d", r.Location.File, r.Location.Row) }
	computed := slices.ContainsFunc(first.Head.Ref()[1:], func(part *ast.Term) bool { return !ast.IsConstant(part.Value) })
	switch {
	case computed && first.Head.RuleKind() == ast.MultiValue:
		return at(first) + ": a set whose name is computed is not partially evaluated"
	case computed:
		return at(first) + ": a key of this object might have two values"
	case first.Head.RuleKind() == ast.MultiValue:
		return ""
	}
	var defined []*ast.Rule
	for _, r := range rules {
		if !r.Default {
			defined = append(defined, r)
		}
	}
	for i, r := range defined {
		if constantValues(r) == nil && iterates(r) {
			return at(r) + ": " + first.Head.Ref().String() + " might have two values: write a set (contains) or test without a value"
		}
		for _, other := range defined[:i] {
			a, b := constantValues(r), constantValues(other)
			same := a != nil && b != nil && len(a) == 1 && len(b) == 1 && a[0].Equal(b[0])
			if !same && !exclusive(r, other, p) {
				return at(r) + ": " + first.Head.Ref().String() + " might have another value in " + at(other) + ": let one condition be the other's opposite"
			}
		}
	}
	return ""
}

// constantValues are the values of a rule and its else branches, nil if one is computed.
func constantValues(r *ast.Rule) []*ast.Term {
	var out []*ast.Term
	for ; r != nil; r = r.Else {
		v := r.Head.Value
		if v == nil {
			v = ast.BooleanTerm(true)
		}
		if !ast.IsConstant(v.Value) {
			return nil
		}
		if !slices.ContainsFunc(out, v.Equal) {
			out = append(out, v)
		}
	}
	return out
}

// iterates reports whether a rule might go through something, and so yield more than one value.
func iterates(r *ast.Rule) bool {
	found := false
	ast.WalkNodes(r, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Expr:
			_, some := n.Terms.(*ast.SomeDecl)
			found = found || some
		case *ast.Term:
			switch v := n.Value.(type) {
			case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension:
				return true
			case ast.Ref:
				for _, part := range v[1:] {
					_, isVar := part.Value.(ast.Var)
					found = found || isVar
				}
			case ast.Call:
				found = found || v[0].String() == "walk"
			}
		}
		return found
	})
	eachCall(r, func(name string, _ []*ast.Term, _ *ast.Location) { found = found || name == "walk" })
	return found
}

// literal is a conjunct of a rule, its parameters called by their numbers.
type literal struct {
	negated bool
	text    string
	op      string // of a comparison
	l, r    *ast.Term
	typed   bool // the left side is known not to be a bool
}

// exclusive reports whether it can be seen that two definitions never hold both, by whichever of their else branches.
func exclusive(a, b *ast.Rule, p *Policy) bool {
	for ; a != nil; a = a.Else {
		for other := b; other != nil; other = other.Else {
			if !exclusiveBodies(a, other, p) {
				return false
			}
		}
	}
	return true
}

func exclusiveBodies(a, b *ast.Rule, p *Policy) bool {
	for _, x := range conjuncts(a) {
		for _, y := range conjuncts(b) {
			if opposite(x, y, p) || opposite(y, x, p) {
				return true
			}
		}
	}
	return false
}

func conjuncts(r *ast.Rule) []literal {
	var out []literal
	names := map[ast.Var]ast.Var{}
	for i, arg := range r.Head.Args {
		name := ast.Var(fmt.Sprintf("$%d", i))
		if v, ok := arg.Value.(ast.Var); ok {
			names[v] = name
		} else if ast.IsConstant(arg.Value) {
			out = append(out, literal{op: "eq", l: ast.NewTerm(name), r: arg})
		}
	}
	if r.Head.Value != nil && r.Else == nil {
		if _, ok := r.Head.Value.Value.(ast.Ref); ok {
			out = append(out, literal{op: valueOp, l: r.Head.Value})
		}
	}
	for _, x := range r.Body {
		if len(x.With) > 0 {
			continue
		}
		x = x.Copy()
		ast.WalkTerms(x, func(t *ast.Term) bool {
			if v, ok := t.Value.(ast.Var); ok && names[v] != "" {
				t.Value = names[v]
			}
			return false
		})
		l := literal{negated: x.Negated}
		if n, ok := x.Terms.(*ast.Not); ok && len(n.Body) == 1 {
			l.negated, x = true, n.Body[0]
		}
		x.Negated = false
		l.text = x.String()
		terms, _ := x.Terms.([]*ast.Term)
		switch {
		case len(terms) == 2 && isOfType[terms[0].String()]:
			l.op, l.l, l.typed = valueOp, terms[1], true
		case len(terms) == 3:
			l.op, l.l, l.r = strings.Replace(terms[0].String(), "equal", "eq", 1), terms[1], terms[2]
		}
		out = append(out, l)
	}
	return out
}

// isOfType are the builtins that hold for what is there and not false.
var isOfType = map[string]bool{"is_number": true, "is_string": true, "is_array": true, "is_object": true, "is_set": true}

// valueOp says of the left side that it is there, being a definition's value.
const valueOp = "value"

var contrary = map[string][]string{
	"eq": {"neq", "lt", "gt"}, "neq": {"eq"}, "lt": {"gte", "gt", "eq"}, "lte": {"gt"}, "gt": {"lte", "lt", "eq"}, "gte": {"lt"},
}

// opposite reports whether y can't hold where x does.
func opposite(x, y literal, p *Policy) bool {
	switch {
	case x.negated:
		return !y.negated && x.text == y.text && x.text != ""
	case y.negated:
		// Whatever is at least a number is there and not false. So is the value of a definition, if it can't be false.
		return y.op == "" && x.l != nil && y.text == x.l.String() &&
			((x.op == "gte" || x.op == "gt") && isNumber(x.r, p) || x.op == valueOp && (x.typed || neverFalse(x.l, p)))
	case x.op == valueOp || y.op == valueOp:
		return false
	case x.l == nil || y.l == nil || x.l.String() != y.l.String():
		return false
	case x.r.String() == y.r.String():
		return slices.Contains(contrary[x.op], y.op)
	}
	return x.op == "eq" && len(contrary[y.op]) > 0 && ast.IsScalar(x.r.Value) && ast.IsScalar(y.r.Value) &&
		!satisfied(y.op, ast.Compare(x.r.Value, y.r.Value))
}

func satisfied(op string, order int) bool {
	return map[string]bool{"eq": order == 0, "neq": order != 0, "lt": order < 0, "lte": order <= 0, "gt": order > 0, "gte": order >= 0}[op]
}

// neverFalse reports whether a term is a field of the input that is no boolean.
func neverFalse(t *ast.Term, p *Policy) bool {
	path, ok := inputPath(t)
	if !ok {
		return false
	}
	node, _, fault := findPath(access.SchemaOf(p.Subject), path)
	return fault == "" && node.Type != access.Bool
}

// isNumber reports whether a term is a number, or a parameter that is one.
func isNumber(t *ast.Term, p *Policy) bool {
	switch v := t.Value.(type) {
	case ast.Number:
		return true
	case ast.Ref:
		if len(v) == 4 && v[0].Equal(ast.DefaultRootDocument) && v[1].Equal(ast.StringTerm("params")) && v[2].Equal(ast.StringTerm(p.ID)) {
			name, _ := v[3].Value.(ast.String)
			switch p.Params[string(name)].(type) {
			case int, int64, float64:
				return true
			}
		}
	}
	return false
}
