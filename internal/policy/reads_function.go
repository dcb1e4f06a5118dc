package policy

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// functionsOf are the functions that are reached, by their whole names.
func functionsOf(modules []*module, reached map[place]bool) map[string][]*ast.Rule {
	functions := map[string][]*ast.Rule{}
	for _, m := range modules {
		for _, rule := range m.ast.Rules {
			if len(rule.Head.Args) > 0 && reached[placeOf(rule.Location)] {
				name := m.ast.Package.Path.String() + "." + rule.Head.Ref().String()
				functions[name] = append(functions[name], rule)
			}
		}
	}
	return functions
}

// callee is the whole name of what a module calls by a name.
func callee(m *ast.Module, name string) string {
	head, rest, _ := strings.Cut(name, ".")
	if rest != "" {
		rest = "." + rest
	}
	if head == "data" {
		return name
	}
	for _, i := range m.Imports {
		if string(i.Name()) == head {
			return i.Path.String() + rest
		}
	}
	return m.Package.Path.String() + "." + name
}

// parameters names what a function's parameters stand for.
func (r *reader) parameters(rule *ast.Rule) {
	for parameter, paths := range r.handed[rule] {
		r.names[parameter] = slices.Clone(paths)
	}
	for part := rule; part != nil; part = part.Else {
		for _, parameter := range part.Head.Args {
			if _, ok := parameter.Value.(ast.Var); ok {
				r.done[parameter] = true
			}
		}
	}
}

// hand gives elements of arrays to the rules of a function. What is no variable in some rule's head is read whole.
func (r *reader) hand(functions []*ast.Rule, args []*ast.Term) {
	for i, arg := range args {
		name, ok := arg.Value.(ast.Var)
		if !ok || len(r.names[name]) == 0 {
			continue
		}
		takes := func(f *ast.Rule) bool {
			if i >= len(f.Head.Args) {
				return false
			}
			_, ok := f.Head.Args[i].Value.(ast.Var)
			return ok
		}
		if slices.ContainsFunc(functions, func(f *ast.Rule) bool { return !takes(f) }) {
			continue
		}
		r.done[arg] = true
		for _, f := range functions {
			parameter, _ := f.Head.Args[i].Value.(ast.Var)
			for _, path := range r.names[name] {
				r.handTo(f, parameter, path)
			}
		}
	}
}

func (r *reader) handTo(f *ast.Rule, parameter ast.Var, path []string) {
	if r.handed[f] == nil {
		r.handed[f] = map[ast.Var][][]string{}
	}
	for _, have := range r.handed[f][parameter] {
		if slices.Equal(have, path) {
			return
		}
	}
	r.handed[f][parameter] = append(r.handed[f][parameter], path)
	r.more = true
}
