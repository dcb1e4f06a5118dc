package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// forgetful finds where partial evaluation might forget that a value has to be there at all. It puts what a variable stands
// for in the variable's place, and takes the equation away if the value still occurs somewhere, be it below a not: of
//
//	x := input.account.mailbox_type
//	not x in {"user", "none"}
//
// it leaves the negation alone, which holds for an account without a mailbox, too. It is the same below every. So this is
// where such an expression takes a variable from without, but for elements of a collection: they are found where their index
// is. It does no harm in the conditions of findings themselves, which then only let more subjects through, but elsewhere
// there may be a negation around it.
func forgetful(r *ast.Rule) string {
	known, global := elements(r), globals(r.Module)
	total := occurrences(r)
	why := ""
	ast.WalkExprs(r, func(x *ast.Expr) bool {
		if why != "" || !closed(x) || isFindings(r) && slices.Contains(r.Body, x) {
			return why != ""
		}
		for v, n := range occurrences(x) {
			if total[v] > n && !known[v] && !global[v] {
				why = fmt.Sprintf("%s:%d: that %s has to be there is lost in partial evaluation: write what it stands for in its place", x.Location.File, x.Location.Row, v)
			}
		}
		return why != ""
	})
	return why
}

// closed reports whether an expression may hold although something in it is not there.
func closed(x *ast.Expr) bool {
	switch x.Terms.(type) {
	case *ast.Not, *ast.Every:
		return true
	}
	return x.Negated
}

// occurrences counts how often a name occurs.
func occurrences(x any) map[ast.Var]int {
	n := map[ast.Var]int{}
	ast.WalkVars(x, func(v ast.Var) bool {
		n[v]++
		return false
	})
	return n
}

// globals are the names that are no variables: input, data, builtins, rules and imports.
func globals(m *ast.Module) map[ast.Var]bool {
	names := map[ast.Var]bool{}
	for v := range ast.ReservedVars {
		names[v] = true
	}
	for _, b := range ast.Builtins {
		head, _, _ := strings.Cut(b.Name, ".")
		names[ast.Var(head)] = true
	}
	for _, i := range m.Imports {
		names[i.Name()] = true
	}
	for _, r := range m.Rules {
		if v, ok := r.Head.Ref()[0].Value.(ast.Var); ok {
			names[v] = true
		}
	}
	return names
}

// elements are the variables that stand for the elements of a collection of the input, or for constants.
func elements(r *ast.Rule) map[ast.Var]bool {
	known := map[ast.Var]bool{}
	add := func(t, of *ast.Term) {
		if v, ok := t.Value.(ast.Var); ok && (ast.IsConstant(of.Value) || within(of, known)) {
			known[v] = true
		}
	}
	ast.WalkNodes(r, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SomeDecl:
			for _, s := range n.Symbols {
				if call, ok := s.Value.(ast.Call); ok && len(call) == 3 && call[0].String() == ast.Member.Name {
					add(call[1], call[2])
				}
			}
		case *ast.Every:
			add(n.Value, n.Domain)
		case *ast.Expr:
			if v, ok := assigned(n); ok && fixed(n.Operand(1)) {
				known[v] = true
			}
		}
		return false
	})
	ast.WalkExprs(r, func(x *ast.Expr) bool { // a name may stand for something else in another place
		if v, ok := assigned(x); ok && !fixed(x.Operand(1)) {
			delete(known, v)
		}
		return false
	})
	for _, arg := range r.Head.Args {
		for v := range occurrences(arg) {
			delete(known, v)
		}
	}
	return known
}

func assigned(x *ast.Expr) (ast.Var, bool) {
	if !x.IsAssignment() {
		return "", false
	}
	v, ok := x.Operand(0).Value.(ast.Var)
	return v, ok
}

// within reports whether a collection is part of the input, of an element of such a collection, or of the parameters.
func within(t *ast.Term, known map[ast.Var]bool) bool {
	ref, ok := t.Value.(ast.Ref)
	if !ok {
		return false
	}
	head, _ := ref[0].Value.(ast.Var)
	return ref.HasPrefix(ast.InputRootRef) || known[head] || fixed(t)
}

// fixed reports whether a term is one, or a part of params or tables.
func fixed(t *ast.Term) bool {
	return ast.IsConstant(t.Value) || t.IsGround() && (strings.HasPrefix(t.String(), "data.params[") || strings.HasPrefix(t.String(), "data.tables["))
}
