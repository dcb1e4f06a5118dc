package policy

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// conditions returns a copy of a module in which a policy's findings say only whether there are any: messages and evidence,
// and what is computed for them alone, are left out. Whatever the policy flags is still flagged. Nothing that has to be there
// is forgotten when it is partially evaluated: see definite.
func conditions(m *module) *ast.Module {
	c := m.ast.Copy()
	for _, r := range c.Rules {
		if isFindings(r) && r.Head.Key != nil {
			r.Head.Key = ast.BooleanTerm(true)
			r.Body = necessary(r.Body)
		}
		definite(r)
	}
	return c
}

func isFindings(r *ast.Rule) bool {
	ref := r.Head.Ref()
	return len(ref) == 1 && ref[0].Equal(ast.VarTerm("findings"))
}

// necessary leaves out assignments to variables that nothing uses.
func necessary(body ast.Body) ast.Body {
	kept := slices.Clone(body)
	for i := len(kept) - 1; i >= 0; i-- {
		x := kept[i]
		if x.Negated || len(x.With) > 0 || !x.IsAssignment() {
			continue
		}
		name, ok := x.Operand(0).Value.(ast.Var)
		if ok && !slices.ContainsFunc(kept, func(other *ast.Expr) bool { return other != x && uses(other, name) }) {
			kept = slices.Delete(kept, i, i+1)
		}
	}
	if len(kept) == 0 {
		return ast.NewBody(ast.NewExpr(ast.BooleanTerm(true)))
	}
	return ast.NewBody(kept...)
}

func uses(x *ast.Expr, name ast.Var) bool {
	found := false
	ast.WalkTerms(x, func(t *ast.Term) bool {
		v, ok := t.Value.(ast.Var)
		found = found || ok && v == name
		return found
	})
	return found
}
