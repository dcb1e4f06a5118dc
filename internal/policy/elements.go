package policy

import (
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
)

// computedElements finds a helper whose value is a set of whose elements some are variables, where the set might be looked
// into: OPA's partial evaluation knows only the constants in it, and takes the helper for undefined where the key is another.
// It goes through such a set rightly. So a helper is let be of which every use is the `some x in` of a plain x. Rules are those
// that are reached, compiled.
func computedElements(rules []*ast.Rule) string {
	for _, helper := range rules {
		if isFindings(helper) {
			continue
		}
		for r := helper; r != nil; r = r.Else {
			sets := computedSets(r.Head.Value)
			if len(sets) == 0 {
				continue
			}
			if len(sets) > 1 || sets[0] != r.Head.Value {
				return fmt.Sprintf("%s:%d: a set with a computed element, in a value, is not partially evaluated", r.Location.File, r.Location.Row)
			}
			for _, user := range rules {
				if loc := looksInto(user, helper); loc != nil {
					return fmt.Sprintf("%s:%d: a set with a computed element (%s:%d) is partially evaluated only in `some x in …`",
						loc.File, loc.Row, r.Location.File, r.Location.Row)
				}
			}
		}
	}
	return ""
}

func computedSets(value *ast.Term) []*ast.Term {
	var sets []*ast.Term
	if value != nil {
		ast.WalkTerms(value, func(t *ast.Term) bool {
			if _, ok := t.Value.(ast.Set); ok && !ast.IsConstant(t.Value) {
				sets = append(sets, t)
			}
			return false
		})
	}
	return sets
}

// looksInto is where a rule does something else with a helper's value than to go through it, nil if it does not.
func looksInto(r, helper *ast.Rule) *ast.Location {
	path, arity := helper.Ref(), len(helper.Head.Args)
	total := occurrences(r)
	through := map[*ast.Term]bool{} // accounted for
	ast.WalkBodies(r, func(b ast.Body) bool {
		yielded := map[ast.Var]*ast.Term{} // by the helper, a function
		for _, x := range b {
			terms, ok := x.Terms.([]*ast.Term)
			if !ok || x.Negated || len(x.With) > 0 || arity == 0 || len(terms) != arity+2 || !mayReach(terms[0], path) {
				continue
			}
			if out, ok := terms[arity+1].Value.(ast.Var); ok && total[out] == 2 {
				yielded[out] = terms[0]
			}
		}
		for _, x := range b {
			term, ref := goesThrough(x, total)
			if ref == nil {
				continue
			}
			if v, ok := ref[0].Value.(ast.Var); ok && len(ref) == 2 && yielded[v] != nil {
				through[yielded[v]] = true
			}
			if arity == 0 && len(ref) == len(path)+1 && ref[:len(path)].Equal(path) {
				through[term] = true
			}
		}
		return false
	})
	var at *ast.Location
	ast.WalkTerms(r, func(t *ast.Term) bool {
		if at == nil && mayReach(t, path) && !through[t] {
			at = r.Location
			if t.Location != nil && t.Location.File != "" {
				at = t.Location
			}
		}
		return false
	})
	return at
}

// goesThrough takes the ref out of what the compiler makes of `some x in y`: of an equation of x with an element of y, the
// index of which is nowhere else.
func goesThrough(x *ast.Expr, total map[ast.Var]int) (*ast.Term, ast.Ref) {
	if x.Negated || len(x.With) > 0 || !x.IsEquality() {
		return nil, nil
	}
	for _, o := range [][2]*ast.Term{{x.Operand(0), x.Operand(1)}, {x.Operand(1), x.Operand(0)}} {
		_, plain := o[0].Value.(ast.Var)
		ref, ok := o[1].Value.(ast.Ref)
		if !plain || !ok || len(ref) < 2 {
			continue
		}
		if index, ok := ref[len(ref)-1].Value.(ast.Var); ok && total[index] == 1 {
			return o[1], ref
		}
	}
	return nil, nil
}

// mayReach reports whether a term is a ref that may lead to a rule, to what lies around it, or into its value.
func mayReach(t *ast.Term, path ast.Ref) bool {
	ref, ok := t.Value.(ast.Ref)
	if !ok || !ref[0].Equal(path[0]) {
		return false
	}
	for i := range min(len(ref), len(path)) {
		if ast.IsConstant(ref[i].Value) && ast.IsConstant(path[i].Value) && !ref[i].Equal(path[i]) {
			return false
		}
	}
	return true
}
