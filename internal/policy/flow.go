package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/lapse-audit/lapse/internal/access"
)

// flow follows parts of the input into the parameters of functions, where OPA knows no types: there a field that does not
// exist is merely undefined, and the rule passes over everything.
type flow struct {
	*loader
	compiler *ast.Compiler
	schema   *access.Schema
	seen     map[string]bool // functions with what they were called with
}

// bound are the places in the document that a variable may stand for.
type bound map[ast.Var][][]string

// functions checks everything that a policy's package calls with parts of the input.
func (l *loader) functions(c *ast.Compiler, p *Policy) {
	if p.Subject == "" {
		return
	}
	f := &flow{loader: l, compiler: c, schema: access.SchemaOf(p.Subject), seen: map[string]bool{}}
	for _, m := range c.Modules {
		if packageName(m) != p.Package {
			continue
		}
		for _, r := range m.Rules {
			f.rule(r, bound{})
		}
	}
}

func (f *flow) rule(r *ast.Rule, env bound) {
	for ; r != nil; r = r.Else {
		f.body(r, env)
	}
}

// body checks one rule. Outside of functions OPA has checked all refs; inside of them those are checked here that begin with
// a parameter or with what was taken from one.
func (f *flow) body(r *ast.Rule, params bound) {
	env := bound{}
	for name, paths := range params {
		env[name] = paths
	}
	for grown := true; grown; {
		grown = false
		ast.WalkNodes(r, func(n ast.Node) bool {
			switch e := n.(type) {
			case *ast.Expr:
				if terms, ok := e.Terms.([]*ast.Term); ok && len(terms) == 3 && terms[0].String() == "eq" {
					grown = f.bind(env, terms[1], terms[2]) || f.bind(env, terms[2], terms[1]) || grown
				}
				if every, ok := e.Terms.(*ast.Every); ok {
					grown = f.bind(env, every.Value, every.Domain) || grown
				}
			}
			return false
		})
	}
	if len(params) > 0 {
		for name, paths := range env {
			f.fields(r, name, paths)
		}
	}
	eachCall(r, func(name string, args []*ast.Term, loc *ast.Location) {
		switch {
		case len(args) >= 2 && filters[name]:
			for _, base := range f.paths(env, args[0]) {
				for _, path := range textPaths(name, args[1]) {
					if _, _, message := findPath(f.schema, slices.Concat(base, path)); message != "" {
						f.faultAt(loc, "%s: %s", name, message)
					}
				}
			}
		case strings.HasPrefix(name, "data."):
			f.call(env, name, args)
		}
	})
}

// filters are the builtins that take paths as text.
var filters = map[string]bool{"object.get": true, "object.filter": true, "object.remove": true, "json.filter": true, "json.remove": true}

// call follows arguments into a function.
func (f *flow) call(env bound, name string, args []*ast.Term) {
	ref, err := ast.ParseRef(name)
	if err != nil {
		return
	}
	for _, r := range f.compiler.GetRulesExact(ref) {
		params := bound{}
		key := fmt.Sprint(placeOf(r.Location))
		for i, param := range r.Head.Args {
			if name, ok := param.Value.(ast.Var); ok && i < len(args) {
				if paths := f.paths(env, args[i]); len(paths) > 0 {
					params[name] = paths
					key += fmt.Sprint(i, paths)
				}
			}
		}
		if len(params) > 0 && !f.flowed(key) {
			f.rule(r, params)
		}
	}
}

func (f *flow) flowed(key string) bool {
	was := f.seen[key]
	f.seen[key] = true
	return was
}

// fields checks the refs that begin with a variable.
func (f *flow) fields(r *ast.Rule, name ast.Var, paths [][]string) {
	ast.WalkTerms(r, func(t *ast.Term) bool {
		ref, ok := t.Value.(ast.Ref)
		if !ok || ref[0].Value.Compare(name) != 0 {
			return false
		}
		for _, base := range paths {
			rest := constantBeginning(f.schema.Root, base, ref[1:])
			if _, _, message := findPath(f.schema, slices.Concat(base, rest)); message != "" {
				f.faultAt(t.Location, "%s: %s", f.written(ref), message)
			}
		}
		return false
	})
}

// written is a ref as its author wrote it.
func (f *flow) written(ref ast.Ref) ast.Ref {
	name, _ := ref[0].Value.(ast.Var)
	if was, ok := f.compiler.RewrittenVars[name]; ok {
		return append(ast.Ref{ast.VarTerm(string(was))}, ref[1:]...)
	}
	return ref
}

// bind notes that a variable stands for the same as a term; it reports whether that is news.
func (f *flow) bind(env bound, variable, t *ast.Term) bool {
	name, ok := variable.Value.(ast.Var)
	if !ok {
		return false
	}
	grown := false
	for _, path := range f.paths(env, t) {
		if !slices.ContainsFunc(env[name], func(p []string) bool { return slices.Equal(p, path) }) {
			env[name] = append(env[name], path)
			grown = true
		}
	}
	return grown
}

// paths are the places of the document that a term stands for.
func (f *flow) paths(env bound, t *ast.Term) [][]string {
	switch v := t.Value.(type) {
	case ast.Var:
		return env[v]
	case ast.Ref:
		var bases [][]string
		if v[0].Equal(ast.InputRootDocument) {
			bases = [][]string{nil}
		} else if name, ok := v[0].Value.(ast.Var); ok {
			bases = env[name]
		}
		var out [][]string
		for _, base := range bases {
			if rest, whole := follow(f.schema.Root, base, v[1:]); whole {
				out = append(out, slices.Concat(base, rest))
			}
		}
		return out
	}
	return nil
}

// follow walks the parts of a ref from a place in the document, over the indexes of arrays. It stops where the path is not
// constant; whole says that it did not have to.
func follow(root *access.Node, base []string, parts ast.Ref) (path []string, whole bool) {
	node := root
	for _, name := range base {
		if node = node.Field(name); node == nil {
			return nil, false
		}
	}
	indexed := false
	for _, t := range parts {
		if s, ok := t.Value.(ast.String); ok {
			path = append(path, string(s))
			if node != nil {
				node = node.Field(string(s))
			}
			indexed = false
			continue
		}
		switch t.Value.(type) {
		case ast.Var, ast.Number:
			if node != nil && node.Array && !indexed {
				indexed = true
				continue
			}
		}
		return path, false
	}
	return path, true
}

func constantBeginning(root *access.Node, base []string, parts ast.Ref) []string {
	path, _ := follow(root, base, parts)
	return path
}
