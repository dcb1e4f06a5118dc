package policy

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/lapse-audit/lapse/internal/access"
)

// pathSet is a set of paths into a document. A path stands for all that lies below it too.
type pathSet struct {
	all   bool
	below map[string]*pathSet
}

// touch makes sure that a path is there, without what lies below it.
func (s *pathSet) touch(path []string) *pathSet {
	for _, name := range path {
		if s.all {
			return s
		}
		if s.below == nil {
			s.below = map[string]*pathSet{}
		}
		next := s.below[name]
		if next == nil {
			next = &pathSet{}
			s.below[name] = next
		}
		s = next
	}
	return s
}

// add puts a path in; the empty path is everything.
func (s *pathSet) add(path []string) { s.touch(path).all = true }

// child is the part of the set below a name, nil if there is nothing.
func (s *pathSet) child(name string) *pathSet {
	if s.all {
		return s
	}
	return s.below[name]
}

// reads gathers what those rules of modules that are reached can read of a subject's document, so that nothing else need be
// built. It errs on the side of too much: a value that is handed on as a whole counts as read whole, but for an element of an
// array that is handed to a function: of that counts what the function reads.
func reads(root *access.Node, modules []*module, reached map[place]bool) *pathSet {
	r := &reader{root: root, set: &pathSet{}, functions: functionsOf(modules, reached), handed: map[*ast.Rule]map[ast.Var][][]string{}}
	for more := true; more; { // what a function hands on it is known to be handed itself by then
		r.more = false
		for _, m := range modules {
			for _, i := range m.ast.Imports {
				if ref, ok := i.Path.Value.(ast.Ref); ok && ref[0].Equal(ast.InputRootDocument) {
					r.set.add(nil)
				}
			}
			for _, rule := range m.ast.Rules {
				if reached[placeOf(rule.Location)] {
					r.rule(m, rule)
				}
			}
		}
		more = r.more
	}
	return r.set
}

type reader struct {
	root *access.Node
	set  *pathSet
	done map[*ast.Term]bool // accounted for by what they stand in
	// names are the variables of a rule that stand for elements of arrays, and the paths of those. A name that is used
	// twice in a rule stands for both.
	names map[ast.Var][][]string

	functions map[string][]*ast.Rule
	handed    map[*ast.Rule]map[ast.Var][][]string // by a function's parameter, the paths of the elements that it is handed
	more      bool                                 // something was handed that was not known of
}

func (r *reader) rule(m *module, rule *ast.Rule) {
	r.done, r.names = map[*ast.Term]bool{}, map[ast.Var][][]string{}
	r.parameters(rule)
	ast.WalkNodes(rule, func(n ast.Node) bool {
		e, ok := n.(*ast.Expr)
		if !ok {
			return false
		}
		switch terms := e.Terms.(type) {
		case *ast.SomeDecl:
			if len(terms.Symbols) == 1 {
				if call, ok := terms.Symbols[0].Value.(ast.Call); ok && len(call) >= 3 {
					r.element(call[len(call)-2], call[len(call)-1]) // some x in …, some k, x in …
				}
			}
		case *ast.Every:
			r.element(terms.Value, terms.Domain)
		}
		return false
	})
	eachCall(rule, func(name string, args []*ast.Term, _ *ast.Location) {
		if functions := r.functions[callee(m.ast, name)]; functions != nil {
			r.hand(functions, args)
			return
		}
		if name != "json.filter" && name != "object.get" || len(args) < 2 || !constant(args[1]) {
			return
		}
		for _, base := range r.paths(args[0]) {
			r.done[args[0]] = true
			r.set.touch(base)
			for _, path := range textPaths(name, args[1]) {
				r.set.add(untilArray(slices.Concat(base, path)))
			}
		}
	})
	ast.WalkNodes(rule, func(n ast.Node) bool {
		t, ok := n.(*ast.Term)
		if !ok || r.done[t] {
			return ok
		}
		if v, ok := t.Value.(ast.Ref); ok {
			if _, ok := v[0].Value.(ast.Var); ok { // not the call in f(input.account).name
				r.done[v[0]] = true // what stands in the brackets is visited for itself
			}
		}
		for _, path := range r.paths(t) {
			r.set.add(path)
		}
		return false
	})
}

// element notes that a variable stands for the elements of an array of objects.
func (r *reader) element(variable, domain *ast.Term) {
	name, ok := variable.Value.(ast.Var)
	ref, isRef := domain.Value.(ast.Ref)
	if !ok || !isRef || !ref[0].Equal(ast.InputRootDocument) {
		return
	}
	path, node := r.walk(r.root, ref[1:])
	if node == nil || !node.Array || node.Leaf() || len(path) != len(ref)-1 {
		return
	}
	r.names[name] = append(r.names[name], path)
	r.set.touch(path)
	r.done[variable], r.done[domain] = true, true
}

// paths are the paths that a term reads; none if it has nothing to do with the input.
func (r *reader) paths(t *ast.Term) [][]string {
	var head *ast.Term
	var parts ast.Ref
	switch v := t.Value.(type) {
	case ast.Ref:
		head, parts = v[0], v[1:]
	case ast.Var:
		head = t
	default:
		return nil
	}
	if head.Equal(ast.InputRootDocument) {
		path, _ := r.walk(r.root, parts)
		return [][]string{path}
	}
	name, _ := head.Value.(ast.Var)
	var out [][]string
	for _, base := range r.names[name] {
		node := r.root
		for _, step := range base {
			node = node.Field(step)
		}
		path, _ := r.walk(node, parts)
		out = append(out, slices.Concat(base, path))
	}
	return out
}

// walk follows the parts of a ref from a node as far as they are constant, over the indexes of arrays. The node is nil
// where the path has left the schema.
func (r *reader) walk(node *access.Node, parts ast.Ref) (path []string, at *access.Node) {
	indexed := false
	for _, t := range parts {
		switch v := t.Value.(type) {
		case ast.String:
			path = append(path, string(v))
			if node != nil {
				node = node.Field(string(v))
			}
			indexed = false
		case ast.Var, ast.Number:
			if node == nil || !node.Array || node.Leaf() || indexed || node == r.root {
				return path, node
			}
			indexed = true
		default:
			return path, node
		}
	}
	return path, node
}

// untilArray cuts a path at the first number: what indexes an array reads it whole.
func untilArray(path []string) []string {
	for i, name := range path {
		if name != "" && name[0] >= '0' && name[0] <= '9' {
			return path[:i]
		}
	}
	return path
}

// constant reports whether a term is text all through.
func constant(t *ast.Term) bool {
	ok := true
	ast.WalkTerms(t, func(t *ast.Term) bool {
		switch t.Value.(type) {
		case ast.String, *ast.Array, ast.Set:
		default:
			ok = false
		}
		return !ok
	})
	return ok
}
