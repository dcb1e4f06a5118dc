package prefilter

import (
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
)

// What a comprehension gathers can be gone through again, and counted. To go through it is to go through what it was gathered
// from, for those elements alone that it takes.

// comprehension is one that a variable stands for. Its own variables are those that it does not take from around it.
type comprehension struct {
	term *ast.Term
	body ast.Body
	set  bool
	own  map[ast.Var]bool
}

// member is an element of what a comprehension has gathered, by the variable that indexes it.
type member struct{ of, index ast.Var }

// comprehend notes what a term gathers, nil if it is no comprehension of an array or a set.
func (s *scope) comprehend(term *ast.Term) *comprehension {
	var c *comprehension
	switch v := term.Value.(type) {
	case *ast.SetComprehension:
		c = &comprehension{term: v.Term, body: v.Body, set: true}
	case *ast.ArrayComprehension:
		c = &comprehension{term: v.Term, body: v.Body}
	default:
		return nil
	}
	c.own = map[ast.Var]bool{}
	eachVariable(term, func(v ast.Var) {
		c.own[v] = !s.resolved(v) && !s.taken[v] && !s.here[v] && !ast.RootDocumentNames.Contains(ast.NewTerm(v))
	})
	return c
}

// fresh is the comprehension with other names for its own variables.
func (t *translator) fresh(c *comprehension) (term *ast.Term, body ast.Body, ok bool) {
	t.named++
	rename := func(v ast.Var) (ast.Value, error) {
		if !c.own[v] {
			return v, nil
		}
		if operators[v] {
			return nil, fmt.Errorf("%s is a builtin, too", v)
		}
		return ast.Var(fmt.Sprintf("%s$%d", v, t.named)), nil
	}
	x, err := ast.TransformVars(&ast.SetComprehension{Term: c.term.Copy(), Body: c.body.Copy()}, rename)
	renamed, ok := x.(*ast.SetComprehension)
	if err != nil || !ok {
		return nil, nil, false
	}
	return renamed.Term, renamed.Body, true
}

// operators are the names that the builtins' begin with.
var operators = func() map[ast.Var]bool {
	names := map[ast.Var]bool{}
	for _, b := range ast.Builtins {
		names[b.Ref()[0].Value.(ast.Var)] = true
	}
	return names
}()

// eachVariable visits variables, and not the operators of calls.
func eachVariable(x any, visit func(ast.Var)) {
	ast.WalkNodes(x, func(n ast.Node) bool {
		operands := func(terms []*ast.Term) bool {
			for _, t := range terms[1:] {
				eachVariable(t, visit)
			}
			return true
		}
		switch n := n.(type) {
		case *ast.Expr:
			if terms, ok := n.Terms.([]*ast.Term); ok {
				return operands(terms)
			}
		case *ast.Term:
			switch v := n.Value.(type) {
			case ast.Call:
				return operands(v)
			case ast.Var:
				visit(v)
			}
		}
		return false
	})
}

// enter goes into what comprehensions have gathered where expressions go through it, and returns what has to hold of each
// element.
func (t *translator) enter(b []*ast.Expr, s *scope, set *bool) []*ast.Expr {
	var inside []*ast.Expr
	for _, x := range b {
		if x.Negated || len(x.With) > 0 {
			continue
		}
		eachRef(x, func(r ast.Ref) {
			v, ok := r[0].Value.(ast.Var)
			if !ok || len(r) < 2 || s.sets[v] == nil {
				return
			}
			c := s.sets[v]
			index, ok := r[1].Value.(ast.Var)
			if !ok || s.resolved(index) || s.taken[index] {
				return
			}
			term, body, ok := t.fresh(c)
			if !ok {
				return
			}
			switch term.Value.(type) {
			case ast.Var, ast.Ref:
			default:
				return
			}
			here(body, s.here)
			s.taken[index] = true // there is nothing else to look for
			s.members[member{v, index}] = term
			*set = *set || c.set
			inside = append(inside, holding(body, term)...)
		})
	}
	return inside
}

// here adds the variables of a body that are not those of closures in it.
func here(b ast.Body, to map[ast.Var]bool) {
	for _, x := range b {
		if !x.Negated {
			eachOpen(x, func(v ast.Var) { to[v] = true })
		}
	}
}

// eachOpen visits the variables of an expression outside of closures.
func eachOpen(x *ast.Expr, visit func(ast.Var)) {
	switch terms := x.Terms.(type) {
	case *ast.Term:
		eachOpenOf(terms, visit)
	case []*ast.Term:
		for _, t := range terms[1:] {
			eachOpenOf(t, visit)
		}
	case *ast.Every:
		eachOpenOf(terms.Domain, visit)
	case *ast.Not:
	default:
		ast.WalkVars(x, func(v ast.Var) bool {
			visit(v)
			return false
		})
	}
}

func eachOpenOf(t *ast.Term, visit func(ast.Var)) {
	ast.WalkTerms(t, func(t *ast.Term) bool {
		switch v := t.Value.(type) {
		case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension, *ast.Not:
			return true
		case ast.Call:
			for _, arg := range v[1:] {
				eachOpenOf(arg, visit)
			}
			return true
		case ast.Var:
			visit(v)
		}
		return false
	})
}

// once reports whether a body, of which all is here, holds at most once for each value of the one variable that it searches for.
func (s *scope) once(b []*ast.Expr, by ast.Var) bool {
	once := true
	for _, x := range b {
		switch x.Terms.(type) {
		case *ast.Not, *ast.Every:
			continue
		case *ast.Term, []*ast.Term:
		default:
			return false
		}
		if len(x.With) > 0 {
			return false
		}
		if x.Negated {
			continue
		}
		eachOpen(x, func(v ast.Var) {
			once = once && (v == by || s.resolved(v) || s.taken[v] || ast.RootDocumentNames.Contains(ast.NewTerm(v)))
		})
		ast.WalkTerms(x, func(t *ast.Term) bool {
			if ref, ok := t.Value.(ast.Ref); ok {
				b := ast.BuiltinMap[ref.String()]
				once = once && (b == nil || !b.Relation)
			}
			return !once
		})
	}
	return once
}

// tally compares the number of elements for which a predicate holds with a constant. It does not hold where the array is not
// there.
type tally struct {
	array array
	name  string
	p     pred
	op    string // of Rego
	n     int64
}

// tallying is that predicate, made simpler.
func tallying(a array, name string, p pred, op string, n int64) pred {
	zero := decides(op, ast.Compare(ast.Number("0"), intNumber(n)))
	none := conjunction(truth(zero), presenceOf(a.known))
	switch {
	case p == truth(false):
		return none
	case !mentions(p, name):
		length := compare{sqlOperators[op], a.length(), value(n)}
		return disjunction(conjunction(p, length), conjunction(negation(p), none))
	}
	return tally{a, name, p, op, n}
}

// tallied compares how many elements of an array a predicate holds for: none where the array is not there or outer does not hold.
func tallied(outer pred, a array, name string, p pred, op string, n int64) pred {
	there := conjunction(outer, presenceOf(a.known))
	counted := conjunction(there, tallying(a, name, p, op, n))
	if decides(op, ast.Compare(ast.Number("0"), intNumber(n))) {
		return disjunction(negation(there), counted)
	}
	return counted
}

func intNumber(n int64) ast.Value { return ast.Number(fmt.Sprint(n)) }

// tally translates the comparison of the number of elements that are gathered with a constant; ok is false if it is not known how
// many there are of each element of what they are gathered from.
func (t *translator) tally(x *ast.Expr, op string, of, than *ast.Term, s *scope, beside []*ast.Expr) (p pair, ok bool) {
	number, isNumber := than.Value.(ast.Number)
	if !isNumber {
		return unknown, false
	}
	n, whole, inRange := wholeNumber(number)
	if !whole || !inRange || n < 1 || n == 1 && (op == "gte" || op == "lt") {
		return unknown, false // what the first element decides
	}
	c := s.comprehend(of)
	if v, isVar := of.Value.(ast.Var); isVar {
		c = s.sets[v]
	}
	if c == nil || t.depth > maxDepth {
		return unknown, false
	}
	t.depth++
	o := t.open(holding(c.body, c.term), t.inner(s, x, beside))
	t.depth--
	if len(o.order) != 1 || !o.scope.once(o.all, o.order[0]) {
		return unknown, false
	}
	if v, isVar := c.term.Value.(ast.Var); isVar && v != o.order[0] && !o.scope.resolved(v) {
		return unknown, false
	}
	e, outer, inner := o.scope.elements[o.order[0]], allOf(o.levels[0]...), allOf(o.levels[1]...)
	most := func(op string, n int64) pred { return tallied(outer.over, e.array, e.name, inner.over, op, n) }
	least := func(op string, n int64) pred { return tallied(outer.under, e.array, e.name, inner.under, op, n) }
	if c.set || o.set { // of those that are alike there is one
		t.drop(x, "a count of what may be alike is not translated: gather it in an array")
		least = func(op string, n int64) pred {
			if n > 1 {
				return truth(decides(op, -1))
			}
			one := tallied(outer.under, e.array, e.name, inner.under, "gte", 1)
			return disjunction(conjunction(one, truth(decides(op, 0))), conjunction(negation(one), truth(decides(op, -1))))
		}
	}
	switch op {
	case "gt", "gte":
		return pair{most(op, n), least(op, n)}, true
	case "lt", "lte":
		return pair{least(op, n), most(op, n)}, true
	}
	p = pair{conjunction(most("gte", n), least("lte", n)), conjunction(least("gte", n), most("lte", n))}
	if op == "neq" {
		p = t.noneOf(p)
	}
	return p, true
}

func (w *writer) tally(p tally) {
	w.add("(toInt64(")
	w.literal++ // more elements that hold do not make more of it
	w.search("arrayCount", p.array, p.name, p.p)
	w.literal--
	w.add(") ", sqlOperators[p.op], " ", w.number(p.n), ")")
}
