package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// matching are the builtins that fail on a pattern that can't be read, and on nothing else that OPA's types let through.
var matching = []string{"glob.match", "regex.match"}

// maxPatterns is how many values are tried that a pattern may be.
const maxPatterns = 20_000

// patterns finds a pattern that might not be readable: one that does not come from constants, parameters and tables alone, or
// of which one value that it may have there can't be read. Rules are those that are reached, compiled.
func patterns(rules []*ast.Rule, data func(ast.Ref) (ast.Value, bool)) string {
	p := &patternFinder{data: data, rules: rules, sites: map[string][]site{}, calls: map[string]int{}}
	for _, top := range rules {
		for r := top; r != nil; r = r.Else {
			alone := *r
			alone.Else = nil
			eachCall(&alone, func(name string, _ []*ast.Term, _ *ast.Location) { p.calls[name]++ })
			p.body(r, r.Body, nil, nil)
			p.terms(r, []site{{rule: r, body: r.Body, at: len(r.Body)}}, r.Head.Value, r.Head.Key)
		}
	}
	for _, name := range matching {
		if len(p.sites[name]) != p.calls[name] {
			return name + " can fail where it is called"
		}
		for _, s := range p.sites[name] {
			loc := locate(s.body[s.at], s.rule)
			why := fmt.Sprintf("%s:%d: %s can fail", loc.File, loc.Row, name)
			args := s.body[s.at].Operands()
			values, ok := p.values(s, args[0], 0)
			if !ok {
				return why
			}
			for _, v := range values {
				if !readable(name, v, args) {
					return why + ": " + v.String() + " is no pattern"
				}
			}
		}
	}
	return ""
}

// readable tries a pattern on an empty text.
func readable(name string, pattern ast.Value, args []*ast.Term) bool {
	operands := []*ast.Term{ast.NewTerm(pattern)}
	for _, arg := range args[1 : len(ast.BuiltinMap[name].Decl.FuncArgs().Args)-1] {
		if !ast.IsConstant(arg.Value) {
			return false
		}
		operands = append(operands, arg)
	}
	f := topdown.GetBuiltin(name)
	return f != nil && f(topdown.BuiltinContext{}, append(operands, ast.StringTerm("")), func(*ast.Term) error { return nil }) == nil
}

// site is a place in a rule: what is around it, from without.
type site struct {
	rule   *ast.Rule
	body   ast.Body
	at     int // its expression in the body
	every  *ast.Every
	around *site
}

type patternFinder struct {
	rules []*ast.Rule
	data  func(ast.Ref) (ast.Value, bool)
	sites map[string][]site // of calls, by name
	calls map[string]int    // how many there are
}

// body notes the calls in a body.
func (p *patternFinder) body(r *ast.Rule, b ast.Body, every *ast.Every, around *site) {
	for i, x := range b {
		s := site{r, b, i, every, around}
		switch terms := x.Terms.(type) {
		case []*ast.Term:
			p.sites[terms[0].String()] = append(p.sites[terms[0].String()], s)
			p.terms(r, []site{s}, terms[1:]...)
		case *ast.Term:
			p.terms(r, []site{s}, terms)
		case *ast.Not:
			p.body(r, terms.Body, nil, &s)
		case *ast.Every:
			p.terms(r, []site{s}, terms.Domain)
			p.body(r, terms.Body, terms, &s)
		}
	}
}

// terms notes the calls in comprehensions.
func (p *patternFinder) terms(r *ast.Rule, around []site, terms ...*ast.Term) {
	for _, term := range terms {
		if term == nil {
			continue
		}
		ast.WalkTerms(term, func(t *ast.Term) bool {
			var b ast.Body
			var of []*ast.Term
			switch v := t.Value.(type) {
			case *ast.ArrayComprehension:
				b, of = v.Body, []*ast.Term{v.Term}
			case *ast.SetComprehension:
				b, of = v.Body, []*ast.Term{v.Term}
			case *ast.ObjectComprehension:
				b, of = v.Body, []*ast.Term{v.Key, v.Value}
			default:
				return false
			}
			p.body(r, b, nil, &around[0])
			p.terms(r, []site{{r, b, len(b), nil, &around[0]}}, of...)
			return true
		})
	}
}

// values are all that a term may be at a place; ok is false if that can't be seen.
func (p *patternFinder) values(s site, t *ast.Term, depth int) (out []ast.Value, ok bool) {
	if depth > 30 {
		return nil, false
	}
	defer func() { ok = ok && len(out) <= maxPatterns }()
	switch v := t.Value.(type) {
	case ast.Ref:
		return p.ref(s, v, depth)
	case ast.Var:
		return p.variable(s, v, depth)
	case ast.Call:
		return p.lowered(s, v, depth)
	}
	return []ast.Value{t.Value}, ast.IsConstant(t.Value)
}

// ref are the values that a ref may lead to.
func (p *patternFinder) ref(s site, r ast.Ref, depth int) ([]ast.Value, bool) {
	var values []ast.Value
	rest := r[1:]
	if head, isVar := r[0].Value.(ast.Var); isVar && !ast.RootDocumentNames.Contains(r[0]) {
		var ok bool
		if values, ok = p.variable(s, head, depth+1); !ok {
			return nil, false
		}
	} else {
		prefix := r.ConstantPrefix()
		text := prefix.String()
		if len(prefix) < 3 || !strings.HasPrefix(text, "data.params[") && !strings.HasPrefix(text, "data.tables[") {
			return nil, false
		}
		if v, ok := p.data(prefix); ok {
			values = []ast.Value{v}
		}
		rest = r[len(prefix):]
	}
	for _, part := range rest {
		var next []ast.Value
		for _, v := range values {
			if !ast.IsConstant(v) {
				return nil, false
			}
			if ast.IsConstant(part.Value) {
				if child, err := v.Find(ast.Ref{part}); err == nil {
					next = append(next, child)
				}
			} else {
				next = append(next, children(v)...)
			}
		}
		if values = next; len(values) > maxPatterns {
			return nil, false
		}
	}
	return values, true
}

// children are what iterating through a collection yields.
func children(v ast.Value) (out []ast.Value) {
	switch v := v.(type) {
	case *ast.Array:
		v.Foreach(func(t *ast.Term) { out = append(out, t.Value) })
	case ast.Set:
		v.Foreach(func(t *ast.Term) { out = append(out, t.Value) })
	case ast.Object:
		v.Foreach(func(_, t *ast.Term) { out = append(out, t.Value) })
	}
	return out
}

// variable looks for what binds a variable before a place, or for what a function is called with.
func (p *patternFinder) variable(s site, v ast.Var, depth int) ([]ast.Value, bool) {
	for at := &s; at != nil; at = at.around {
		for _, x := range at.body[:at.at] {
			terms, ok := x.Terms.([]*ast.Term)
			if !ok || x.Negated || len(x.With) > 0 {
				continue
			}
			bound := *at
			bound.at = slices.Index(at.body, x)
			switch {
			case x.IsEquality():
				for _, o := range [][2]*ast.Term{{terms[1], terms[2]}, {terms[2], terms[1]}} {
					if o[0].Value.Compare(v) != 0 {
						continue
					}
					if out, ok := p.values(bound, o[1], depth+1); ok {
						return out, true
					}
				}
			case len(terms) == 3 && terms[2].Value.Compare(v) == 0:
				if out, ok := p.lowered(bound, terms[:2], depth+1); ok {
					return out, true
				}
			}
		}
		if at.every != nil && at.every.Value.Value.Compare(v) == 0 {
			var out []ast.Value
			values, ok := p.values(*at.around, at.every.Domain, depth+1)
			for _, value := range values {
				out = append(out, children(value)...)
			}
			return out, ok
		}
	}
	for i, arg := range s.rule.Head.Args {
		if arg.Value.Compare(v) == 0 {
			return p.argument(s.rule, i, depth)
		}
	}
	return nil, false
}

// argument are the values that a function is called with.
func (p *patternFinder) argument(r *ast.Rule, i, depth int) (out []ast.Value, ok bool) {
	name := r.Module.Package.Path.Extend(r.Head.Ref()).String()
	if len(p.sites[name]) != p.calls[name] {
		return nil, false
	}
	for _, s := range p.sites[name] {
		values, ok := p.values(s, s.body[s.at].Operand(i), depth+1)
		if out = append(out, values...); !ok || len(out) > maxPatterns {
			return nil, false
		}
	}
	return out, true
}

// lowered are the values of a call of lower.
func (p *patternFinder) lowered(s site, call []*ast.Term, depth int) ([]ast.Value, bool) {
	if call[0].String() != ast.Lower.Name || len(call) != 2 {
		return nil, false
	}
	values, ok := p.values(s, call[1], depth+1)
	out := make([]ast.Value, len(values))
	for i, v := range values {
		text, isText := v.(ast.String)
		if !isText {
			return nil, false
		}
		out[i] = ast.String(strings.ToLower(string(text)))
	}
	return out, ok
}
