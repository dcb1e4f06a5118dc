package policy

import (
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/lapse-audit/lapse/internal/policy/prefilter"
)

// definite makes a rule say of its variables that what they stand for is there, where partial evaluation would forget it. It
// puts what a variable stands for in the variable's place, and takes the equation away if the value still occurs somewhere,
// be it below a not: of
//
//	x := input.account.mailbox_type
//	not x in {"user", "none"}
//
// it leaves the negation alone, which holds for an account without a mailbox, too. It is the same below every. So whatever such
// an expression takes from without, but for elements of a collection (they are found where their index is), gets a condition
// of its own beside its declaration, prefilter.Defined, which is always true and stays. A variable that is bound in a way not
// known here is told in place of that. It does no harm in the conditions of findings themselves, which then only let more
// subjects through, but elsewhere there may be a negation around it.
func definite(r *ast.Rule) (why string) {
	d := &definer{findings: isFindings(r), known: elements(r), global: globals(r.Module), total: occurrences(r)}
	for ; r != nil; r = r.Else {
		var args []ast.Var
		for _, arg := range r.Head.Args {
			for v := range occurrences(arg) {
				args = append(args, v)
			}
		}
		d.body(&r.Body, nil, args, r.Head)
	}
	return d.why
}

type definer struct {
	findings bool
	known    map[ast.Var]bool
	global   map[ast.Var]bool
	total    map[ast.Var]int
	why      string
}

// frame is a body with the variables declared in it.
type frame struct {
	declared map[ast.Var]bool
	guarded  []ast.Var
}

// body goes through a body within those around it, and through what its variables are used by besides.
func (d *definer) body(b *ast.Body, around []*frame, declared []ast.Var, besides any) {
	f := &frame{declared: map[ast.Var]bool{}}
	for _, v := range declared {
		f.declared[v] = true
	}
	for _, x := range *b {
		declarations(x, func(v ast.Var) { f.declared[v] = true })
	}
	frames := append(around[:len(around):len(around)], f)
	for _, x := range *b {
		if closed(x) {
			d.closed(x, frames)
		}
		d.inner(x, frames)
	}
	if besides != nil {
		d.inner(besides, frames)
	}
	for _, v := range f.guarded {
		b.Append(prefilter.Defined(ast.NewTerm(v)).SetLocation((*b)[0].Location))
	}
}

// inner goes through the bodies in something.
func (d *definer) inner(n any, frames []*frame) {
	ast.WalkNodes(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Not:
			d.body(&n.Body, frames, nil, nil)
			return true
		case *ast.Every:
			var own []ast.Var
			for _, t := range []*ast.Term{n.Key, n.Value} {
				if t != nil {
					for v := range occurrences(t) {
						own = append(own, v)
					}
				}
			}
			d.inner(n.Domain, frames)
			d.body(&n.Body, frames, own, nil)
			return true
		case *ast.Term:
			switch c := n.Value.(type) {
			case *ast.ArrayComprehension:
				d.body(&c.Body, frames, nil, c.Term)
				return true
			case *ast.SetComprehension:
				d.body(&c.Body, frames, nil, c.Term)
				return true
			case *ast.ObjectComprehension:
				d.body(&c.Body, frames, nil, ast.ArrayTerm(c.Key, c.Value))
				return true
			case *ast.Not:
				d.body(&c.Body, frames, nil, nil)
				return true
			}
		}
		return false
	})
}

// closed guards what an expression takes from without.
func (d *definer) closed(x *ast.Expr, frames []*frame) {
	inside := occurrences(x)
	for v, n := range inside {
		if d.known[v] || d.global[v] || d.total[v] == n {
			continue
		}
		found := false
		for i := len(frames) - 1; i >= 0 && !found; i-- {
			if found = frames[i].declared[v]; found {
				frames[i].guard(v)
			}
		}
		if !found && d.why == "" && (!d.findings || len(frames) > 1) {
			d.why = fmt.Sprintf("%s:%d: that %s has to be there is lost in partial evaluation: declare it (%s := …)", x.Location.File, x.Location.Row, v, v)
		}
	}
}

func (f *frame) guard(v ast.Var) {
	for _, had := range f.guarded {
		if had == v {
			return
		}
	}
	f.guarded = append(f.guarded, v)
}

// declarations are the variables that an expression declares and binds.
func declarations(x *ast.Expr, declare func(ast.Var)) {
	all := func(t *ast.Term) {
		for v := range occurrences(t) {
			declare(v)
		}
	}
	switch terms := x.Terms.(type) {
	case *ast.SomeDecl:
		for _, s := range terms.Symbols {
			if call, ok := s.Value.(ast.Call); ok && len(call) > 2 { // some x in y, some k, v in y
				for _, t := range call[1 : len(call)-1] {
					all(t)
				}
			}
		}
	default:
		if x.IsAssignment() {
			all(x.Operand(0))
		}
	}
}

// closed reports whether an expression may hold although something in it is not there.
func closed(x *ast.Expr) bool {
	switch x.Terms.(type) {
	case *ast.Not, *ast.Every, *ast.LogicalAnd, *ast.LogicalOr:
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
