package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/lapse-audit/lapse/internal/access"
)

// What is unknown is absent. These checks find the places where a rule takes it for something else.

// fields visits every place of the input below x that is a value of its own.
func (s *sight) fields(x any, visit func(t *ast.Term, path []string, node *access.Node)) {
	ast.WalkTerms(x, func(t *ast.Term) bool {
		if call, ok := t.Value.(ast.Call); ok && filters[call[0].String()] {
			return true
		}
		if path, node := s.place(t); node != nil {
			visit(t, path, node)
			return true
		}
		return false
	})
}

// unknownNot finds a `not` that holds because nobody knows.
func (l *linter) unknownNot(name string, s *sight) {
	ast.WalkExprs(s.rule, func(e *ast.Expr) bool {
		not, ok := e.Terms.(*ast.Not)
		if !ok || len(not.Body) != 1 {
			return false
		}
		inner := not.Body[0]
		if t, ok := inner.Terms.(*ast.Term); ok {
			if path, node := s.place(t); node != nil {
				l.notPlace(name, s, e.Location, t, path, node)
			} else {
				l.notHelper(e.Location, t)
			}
			return false
		}
		if operator := inner.Operator().String(); strings.HasPrefix(operator, "data.") || filters[operator] {
			return false
		}
		s.fields(inner, func(t *ast.Term, path []string, _ *access.Node) {
			if s.optional(path) && !s.known[strings.Join(path, ".")] && l.said(path) == unsaid && !l.handled(name, s.rule, path) {
				l.warn("unknown-not", e.Location, fmt.Sprintf("say it without not%s, and name %s under needs", positive(inner), strings.Join(path, ".")),
					"%s holds also where nobody knows %s", plainExpr(e), t)
			}
		})
		return false
	})
}

func (l *linter) notPlace(name string, s *sight, at *ast.Location, t *ast.Term, path []string, node *access.Node) {
	dotted := strings.Join(path, ".")
	if !s.optional(path) || s.known[dotted] || l.said(path) == alternative {
		return
	}
	if node.Type == access.Bool && !node.Array {
		why := fmt.Sprintf("not %s holds also where nobody knows it: unknown is taken for false", t)
		if l.said(path) == plainly {
			why += ", and the rule is broken off there because METADATA says that it needs it"
		}
		l.warn("unknown-not", at, fmt.Sprintf("%s == false%s", t, l.needHint(path)), "%s", why)
		return
	}
	if l.said(path) != unsaid || l.handled(name, s.rule, path) {
		return
	}
	l.warn("unknown-not", at, fmt.Sprintf("ask for what is known, such as %s, or define %s once more for subjects that have %s", positiveExample(t, node), name, dotted),
		"not %s holds because nobody knows it, not because it is not so", t)
}

// handled reports whether another definition of the rule speaks of the same place: then the author has both cases in mind.
func (l *linter) handled(name string, r *ast.Rule, path []string) bool {
	if name == "findings" {
		return false
	}
	for _, other := range l.rules[name] {
		if other == r {
			continue
		}
		s := newSight(l.schema, other)
		found := false
		s.fields(other, func(_ *ast.Term, p []string, _ *access.Node) { found = found || slices.Equal(p, path) })
		if found {
			return true
		}
	}
	return false
}

// notHelper finds a `not` over a helper of the policy that is undefined where its field is.
func (l *linter) notHelper(at *ast.Location, t *ast.Term) {
	v, ok := t.Value.(ast.Var)
	if !ok {
		return
	}
	defs := l.rules[string(v)]
	for _, r := range defs {
		if r.Default || len(r.Head.Args) > 0 || r.Head.RuleKind() == ast.MultiValue {
			return
		}
	}
	for _, r := range defs {
		s := newSight(l.schema, r)
		for _, e := range r.Body {
			if e.IsNegated() || buildsText(e) {
				continue
			}
			s.fields(e, func(field *ast.Term, path []string, _ *access.Node) {
				if s.optional(path) && l.said(path) == unsaid && !l.handled(string(v), r, path) {
					l.warn("unknown-not", at, fmt.Sprintf("write a helper that holds where it is known not to be so, and name %s under needs", strings.Join(path, ".")),
						"not %s holds also where nobody knows %s, which %s asks for (line %d)", v, field, v, e.Location.Row)
				}
			})
		}
	}
}

// needHint says to name a place under needs, unless METADATA does.
func (l *linter) needHint(path []string) string {
	if l.said(path) != unsaid {
		return ""
	}
	return fmt.Sprintf(", and name %s under needs", strings.Join(path, "."))
}

// plainExpr is an expression as its author wrote it, as far as the source still has it.
func plainExpr(e *ast.Expr) string {
	if e.Location != nil && len(e.Location.Text) > 0 {
		return strings.Join(strings.Fields(string(e.Location.Text)), " ")
	}
	return e.String()
}

// positive is a comparison turned round.
func positive(e *ast.Expr) string {
	if len(e.Operands()) != 2 {
		return ""
	}
	turned := map[string]string{"lt": ">=", "lte": ">", "gt": "<=", "gte": "<", "equal": "!=", "neq": "=="}[e.Operator().String()]
	if turned == "" {
		return ""
	}
	return fmt.Sprintf(": %s %s %s", e.Operand(0), turned, e.Operand(1))
}

func positiveExample(t *ast.Term, node *access.Node) string {
	switch {
	case node.Array:
		return fmt.Sprintf("count(%s) == 0", t)
	case node.Type == access.Int, node.Type == access.Number:
		return fmt.Sprintf("%s >= 0", t)
	case node.Enum != nil:
		return fmt.Sprintf("%s == %q", t, node.Enum[0])
	}
	return fmt.Sprintf("%s == \"…\"", t)
}

// unknownDefault finds object.get with a default that reads as known.
func (l *linter) unknownDefault(s *sight) {
	eachCall(s.rule, func(name string, args []*ast.Term, loc *ast.Location) {
		if name != "object.get" || len(args) != 3 || !reassuring(args[2]) {
			return
		}
		base, node := s.place(args[0])
		if root, ok := inputPath(args[0]); node == nil && (!ok || len(root) > 0) {
			return
		}
		for _, below := range textPaths(name, args[1]) {
			path := slices.Concat(base, below)
			if _, _, fault := findPath(l.schema, path); fault != "" || !s.optional(path) || l.said(path) == plainly {
				continue
			}
			l.warn("unknown-default", loc, fmt.Sprintf("input.%s, and name it under needs", strings.Join(path, ".")),
				"object.get makes %s of input.%s where nobody knows it, and the rule goes on with it", args[2], strings.Join(path, "."))
		}
	})
}

// reassuring is a value that a rule takes for a fact. A text is for a message.
func reassuring(t *ast.Term) bool {
	switch v := t.Value.(type) {
	case ast.Boolean, ast.Number, ast.Null:
		return true
	case *ast.Array:
		return v.Len() == 0
	case ast.Set:
		return v.Len() == 0
	case ast.Object:
		return v.Len() == 0
	}
	return false
}

// defaults finds a helper whose default stands for the unknown as well.
func (l *linter) defaults(name string) {
	var at *ast.Rule
	for _, r := range l.rules[name] {
		if r.Default && r.Head.Value != nil && reassuring(r.Head.Value) {
			at = r
		}
	}
	if at == nil {
		return
	}
	for _, r := range l.rules[name] {
		if r.Default {
			continue
		}
		s := newSight(l.schema, r)
		var asks any = r.Body
		if _, node := s.place(r.Head.Value); node != nil {
			asks = r.Head.Value
		} else if len(r.Body) != 1 || r.Body[0].IsNegated() {
			continue
		}
		s.fields(asks, func(t *ast.Term, path []string, _ *access.Node) {
			if s.optional(path) && l.said(path) == unsaid {
				l.warn("unknown-default", at.Location, fmt.Sprintf("leave the default out and name %s under needs", strings.Join(path, ".")),
					"%s is %s also where nobody knows %s", name, at.Head.Value, t)
			}
		})
	}
}

// unknownCollection finds a comprehension that is empty because nobody has read the list.
func (l *linter) unknownCollection(s *sight) {
	ast.WalkTerms(s.rule, func(t *ast.Term) bool {
		var body ast.Body
		switch v := t.Value.(type) {
		case *ast.ArrayComprehension:
			body = v.Body
		case *ast.SetComprehension:
			body = v.Body
		case *ast.ObjectComprehension:
			body = v.Body
		default:
			return false
		}
		inner := &sight{schema: s.schema, rule: s.rule, names: s.names, loops: map[ast.Var][]string{}}
		ast.WalkTerms(body, func(t *ast.Term) bool {
			path, node := inner.place(t)
			if node == nil {
				return false
			}
			for i := range path {
				list := s.schema.Root.Lookup(strings.Join(path[:i+1], "."))
				dotted := strings.Join(path[:i+1], ".")
				if list == nil || !list.Array || !s.optional(path[:i+1]) || s.known[dotted] || l.said(path[:i+1]) != unsaid {
					continue
				}
				l.warn("unknown-collection", body[0].Location, fmt.Sprintf("name %s under needs, or write input.%s on a line before", dotted, dotted),
					"what is gathered from %s is empty also where nobody has read them", dotted)
				break
			}
			return true
		})
		return false
	})
}

// unsaidNeed finds a condition by which subjects are passed over though nobody knows whether they meet it: they are counted
// as judged and clean. It says so once for each place.
func (l *linter) unsaidNeed(s *sight) {
	told := map[string]bool{}
	for _, e := range s.rule.Body {
		if e.IsNegated() || e.IsSome() || e.IsEvery() || e.IsAssignment() || buildsText(e) {
			continue
		}
		s.fields(e, func(t *ast.Term, path []string, node *access.Node) {
			dotted := strings.Join(path, ".")
			if !node.Leaf() || !s.optional(path) || l.said(path) != unsaid || told[dotted] {
				return
			}
			told[dotted] = true
			l.warn("unsaid-need", e.Location, fmt.Sprintf("needs: [%s] in METADATA", dotted),
				"%s may be unknown, and METADATA does not say that the rule needs it: such a subject passes for judged and clean", t)
		})
	}
}

// lostFinding finds a text made from a field that may be absent: then the whole finding is. A helper with a default has a
// value all the same.
func (l *linter) lostFinding(name string, s *sight) {
	if slices.ContainsFunc(l.rules[name], func(r *ast.Rule) bool { return r.Default }) {
		return
	}
	lost := func(at *ast.Location, x any) {
		s.fields(x, func(t *ast.Term, path []string, node *access.Node) {
			if v, ok := t.Value.(ast.Var); ok && s.elements[v] {
				return
			}
			if !s.optional(path) || s.known[strings.Join(path, ".")] || l.said(path) != unsaid {
				return
			}
			if t.Location != nil && t.Location.Row > 0 {
				at = t.Location
			}
			l.warn("lost-finding", at, fallback(t, path), "without %s there is no text, and so no finding", t)
		})
	}
	eachCall(s.rule, func(name string, args []*ast.Term, loc *ast.Location) {
		switch name {
		case "sprintf", "concat", "format_int", "upper", "lower":
			for _, a := range args {
				lost(loc, a)
			}
		}
	})
	if o, ok := headObject(s.rule); ok {
		o.Foreach(func(_, v *ast.Term) {
			if _, node := s.place(v); node != nil {
				lost(v.Location, v)
			}
		})
	}
}

func headObject(r *ast.Rule) (ast.Object, bool) {
	if r.Head.Key == nil {
		return nil, false
	}
	o, ok := r.Head.Key.Value.(ast.Object)
	return o, ok
}

// fallback says how to name a field that may be absent.
func fallback(t *ast.Term, path []string) string {
	switch strings.Join(path, ".") {
	case "account.username", "account.email", "account.name":
		return "lib.account_name, which falls back to the id"
	case "person.name", "person.email":
		return "lib.person_name, which falls back to the id"
	case "entitlement.name":
		return "lib.entitlement_name, which falls back to the id"
	}
	ref, ok := t.Value.(ast.Ref)
	if !ok || len(ref) < 2 {
		return "object.get with a text for where it is unknown"
	}
	return fmt.Sprintf("object.get(%s, %s, \"unknown\")", ref[:len(ref)-1], ref[len(ref)-1])
}
