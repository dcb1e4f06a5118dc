package policy

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// reached are the rules of modules, and those of the library that they can come to: called, read, or read as a part of
// something. It errs on the side of too many: a name counts wherever it stands.
func reached(library, modules []*module) []*ast.Rule {
	r := &reaching{byName: map[string][]libraryRule{}, taken: map[*ast.Rule]bool{}}
	for _, m := range library {
		r.packages = append(r.packages, strings.Split(m.pkg, "."))
		for _, rule := range m.ast.Rules {
			name := m.pkg + "." + string(rule.Head.Ref()[0].Value.(ast.Var))
			r.byName[name] = append(r.byName[name], libraryRule{m, rule})
		}
	}
	for _, m := range modules {
		for _, rule := range m.ast.Rules {
			r.take(m, rule)
		}
	}
	return r.rules
}

type libraryRule struct {
	module *module
	rule   *ast.Rule
}

type reaching struct {
	packages [][]string // of the library
	byName   map[string][]libraryRule
	taken    map[*ast.Rule]bool
	rules    []*ast.Rule
}

func (r *reaching) take(m *module, rule *ast.Rule) {
	if r.taken[rule] {
		return
	}
	r.taken[rule] = true
	r.rules = append(r.rules, rule)
	var walk func(any)
	walk = func(x any) {
		ast.WalkTerms(x, func(t *ast.Term) bool {
			switch v := t.Value.(type) {
			case ast.Var:
				r.follow(m, ast.Ref{t})
			case ast.Ref:
				r.follow(m, v)
				if _, ok := v[0].Value.(ast.Var); !ok { // f(x).name
					walk(v[0])
				}
				for _, t := range v[1:] { // its head alone would be all that lies below it
					walk(t)
				}
				return true
			}
			return false
		})
	}
	walk(rule)
}

// follow takes what a ref in a module may stand for.
func (r *reaching) follow(m *module, ref ast.Ref) {
	head, ok := ref[0].Value.(ast.Var)
	if !ok {
		return
	}
	if ref[0].Equal(ast.DefaultRootDocument) {
		r.below(names(ref[1:]))
		return
	}
	for _, i := range m.ast.Imports {
		if path, ok := i.Path.Value.(ast.Ref); ok && i.Name() == head && path[0].Equal(ast.DefaultRootDocument) {
			r.below(slices.Concat(names(path[1:]), names(ref[1:])))
		}
	}
	r.named(m.pkg + "." + string(head))
}

// below takes what lies at a path below data, or around it.
func (r *reaching) below(path []string) {
	for _, p := range r.packages {
		n := min(len(p), len(path))
		switch {
		case !slices.Equal(p[:n], path[:n]):
		case len(path) > len(p):
			r.named(strings.Join(path[:len(p)+1], "."))
		default: // a package as a whole, or all below something
			for name := range r.byName {
				if strings.HasPrefix(name, strings.Join(p, ".")+".") {
					r.named(name)
				}
			}
		}
	}
}

func (r *reaching) named(name string) {
	for _, l := range r.byName[name] {
		r.take(l.module, l.rule)
	}
}

// names are the constant names that a path begins with.
func names(parts ast.Ref) (out []string) {
	for _, t := range parts {
		name, ok := t.Value.(ast.String)
		if !ok {
			return out
		}
		out = append(out, string(name))
	}
	return out
}
