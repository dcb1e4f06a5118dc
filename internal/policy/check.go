package policy

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/lapse-audit/lapse/internal/access"
)

// findingKeys are what a finding object may hold.
var findingKeys = []string{"message", "key", "evidence", "cost_month", "currency", "severity"}

// calls reports forbidden builtins.
func (l *loader) calls(m *module) {
	eachCall(m.ast, func(name string, _ []*ast.Term, loc *ast.Location) {
		if forbiddenBuiltin(name) {
			cure := "a policy judges its input only, and the same tomorrow; put the fact into the source's records or into params"
			switch name {
			case "print", "trace":
				cure = "print in a _test.rego file, or use `lapse policy explain`"
			case "strings.render_template":
				cure = "nothing stops a template that does not end; write sprintf"
			case "graph.reachable_paths":
				cure = "nothing stops it where there are very many paths; take the path of a grant"
			}
			l.faultAt(loc, "%s is not allowed: %s", name, cure)
		}
	})
}

// eachCall visits every call as it is written.
func eachCall(x any, visit func(name string, args []*ast.Term, loc *ast.Location)) {
	ast.WalkNodes(x, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Expr:
			if terms, ok := n.Terms.([]*ast.Term); ok && len(terms) > 0 {
				visit(terms[0].String(), terms[1:], n.Location)
			}
		case *ast.Term:
			if call, ok := n.Value.(ast.Call); ok {
				visit(call[0].String(), call[1:], n.Location)
			}
		}
		return false
	})
}

// literals reports what the compiler's types let through: paths given as text to object.get, object.filter and
// json.filter, and comparisons with a word that the field never holds.
func (l *loader) literals(m *module, subject access.SubjectKind) {
	if subject == "" || m.library() {
		return // a part of the library may be made for another subject; its paths are checked where it is used
	}
	schema := access.SchemaOf(subject)
	eachCall(m.ast, func(name string, args []*ast.Term, loc *ast.Location) {
		switch {
		case len(args) < 2:
		case filters[name]:
			base, ok := inputPath(args[0])
			if !ok {
				return
			}
			for _, path := range textPaths(name, args[1]) {
				if _, _, message := findPath(schema, slices.Concat(base, path)); message != "" {
					l.faultAt(loc, "%s: %s", name, message)
				}
			}
		case name == "eq" || name == "equal" || name == "neq" || name == "assign" || strings.HasPrefix(name, "internal.member_2"):
			l.words(schema, args[0], args[1], loc)
			l.words(schema, args[1], args[0], loc)
		}
	})
}

// words reports a constant that a field with a closed list of words never holds.
func (l *loader) words(schema *access.Schema, field, value *ast.Term, loc *ast.Location) {
	path, ok := inputPath(field)
	if !ok {
		return
	}
	node, _, message := findPath(schema, path)
	if message != "" || node.Enum == nil {
		return
	}
	check := func(t *ast.Term) {
		if s, ok := t.Value.(ast.String); ok && !slices.Contains(node.Enum, string(s)) {
			l.faultAt(loc, "%s is never %q%s", field, string(s), didYouMean(string(s), node.Enum))
		}
	}
	switch v := value.Value.(type) {
	case ast.String:
		check(value)
	case *ast.Array:
		v.Foreach(check)
	case ast.Set:
		v.Foreach(check)
	}
}

// inputPath is the path of a term that is the input or a ref into it with constant parts.
func inputPath(t *ast.Term) ([]string, bool) {
	switch v := t.Value.(type) {
	case ast.Var:
		return nil, v.Equal(ast.InputRootDocument.Value)
	case ast.Ref:
		if !v[0].Equal(ast.InputRootDocument) {
			return nil, false
		}
		path := constantPath(v)
		for _, part := range v[1:] {
			if _, ok := part.Value.(ast.String); !ok {
				return nil, false
			}
		}
		return path, true
	}
	return nil, false
}

// textPaths reads the second argument of object.get and the like: the constant paths in it.
func textPaths(name string, t *ast.Term) [][]string {
	var out [][]string
	one := func(t *ast.Term) {
		switch v := t.Value.(type) {
		case ast.String:
			if strings.HasPrefix(name, "json.") {
				out = append(out, strings.Split(strings.Trim(string(v), "/"), "/"))
			} else {
				out = append(out, []string{string(v)})
			}
		case *ast.Array:
			var path []string
			for i := range v.Len() {
				s, ok := v.Elem(i).Value.(ast.String)
				if !ok {
					return
				}
				path = append(path, string(s))
			}
			out = append(out, path)
		}
	}
	switch v := t.Value.(type) {
	case *ast.Array:
		if name == "object.get" { // one path
			one(t)
		} else {
			v.Foreach(one)
		}
	case ast.Set:
		v.Foreach(one)
	default:
		one(t)
	}
	return out
}

// findings reports a policy without findings, and findings of the wrong shape.
func (l *loader) findings(p *Policy) {
	for _, m := range p.modules {
		for _, r := range m.ast.Rules {
			if len(r.Head.Ref()) == 0 || !r.Head.Ref()[0].Equal(ast.VarTerm("findings")) {
				continue
			}
			if p.Line == 0 {
				p.Line = r.Location.Row
			}
			if r.Head.Key == nil || len(r.Head.Ref()) != 1 || r.Head.RuleKind() != ast.MultiValue {
				l.faultAt(r.Location, "findings is not a set: write `findings contains {\"message\": …} if {…}`")
				continue
			}
			if r.Default {
				l.faultAt(r.Location, "findings has a default: leave it out, no findings is an empty set")
			}
			if o, ok := r.Head.Key.Value.(ast.Object); ok {
				l.findingObject(o, r.Head.Key.Location)
			}
		}
	}
	if p.Line == 0 {
		first := p.modules[0]
		var names []string
		for _, r := range first.ast.Rules {
			names = append(names, r.Head.Name.String())
		}
		hint := ""
		if s := didYouMean("findings", names); strings.Contains(s, "did you mean") {
			hint = " (" + strings.TrimSuffix(strings.TrimPrefix(s, ": did you mean "), "?") + " is not read)"
		}
		l.faultAt(first.ast.Package.Location, "package %s has no findings%s: write `findings contains {\"message\": …} if {…}`", p.Package, hint)
	}
}

// findingObject checks a finding that is written out in the rule's head. One that is computed is checked when it is made.
func (l *loader) findingObject(o ast.Object, loc *ast.Location) {
	message := false
	o.Foreach(func(k, v *ast.Term) {
		name, ok := k.Value.(ast.String)
		if !ok {
			return
		}
		message = message || name == "message"
		if s, ok := v.Value.(ast.String); ok && name == "severity" {
			l.oneOf(loc.File, loc.Row, "severity", string(s), severities)
		}
		if !slices.Contains(findingKeys, string(name)) {
			l.faultAt(k.Location, "a finding has no key %s%s", string(name), didYouMean(string(name), findingKeys))
		}
	})
	if !message {
		l.faultAt(loc, "a finding has no message: add \"message\": what is wrong, in words that a manager understands")
	}
}

// references reports refs to data that is not there: to Rego they are merely undefined, and the rule would pass over
// everything.
func (l *loader) references(c *ast.Compiler, p *Policy) {
	params := keys(p.defaults)
	for _, m := range c.Modules {
		library := (&module{pkg: packageName(m)}).library()
		check := func(ref ast.Ref, loc *ast.Location) {
			if !ref[0].Equal(ast.DefaultRootDocument) {
				return
			}
			switch {
			case len(ref) > 1 && ref[1].Equal(ast.StringTerm("params")):
				l.param(ref, loc, p, library, params)
			case len(ref) > 1 && ref[1].Equal(ast.StringTerm("tables")):
				l.tableRef(ref, loc, p, library)
			case len(ref) > 2 && ref[1].Equal(ast.StringTerm(rootPackage)):
				if len(c.GetRules(ref)) == 0 {
					l.faultAt(loc, "%s is not defined%s", ref, l.nearestRule(c, ref))
				}
			default:
				l.faultAt(loc, "%s holds nothing: a policy reads input, data.params[%q] and data.%s", ref, p.ID, libraryPackage)
			}
		}
		var at *ast.Location
		ast.WalkNodes(m, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Package, *ast.Import:
				return true
			case *ast.Rule:
				at = n.Location
			case *ast.Expr:
				if n.Location != nil {
					at = n.Location
				}
			case *ast.Term:
				if n.Location != nil && n.Location.Row > 0 {
					at = n.Location
				}
				if ref, ok := n.Value.(ast.Ref); ok {
					check(ref, at)
				}
			}
			return false
		})
	}
}

func (l *loader) param(ref ast.Ref, loc *ast.Location, p *Policy, library bool, params []string) {
	if p.ID == "" {
		return // that is fault enough
	}
	if library {
		l.faultAt(loc, "%s: the library has no parameters: take the value as an argument", ref)
		return
	}
	if len(ref) < 3 || !ref[2].Equal(ast.StringTerm(p.ID)) {
		l.faultAt(loc, "%s: a policy reads its own parameters: write data.params[%q]", ref, p.ID)
		return
	}
	if len(ref) == 3 {
		return
	}
	name, ok := ref[3].Value.(ast.String)
	if !ok {
		l.faultAt(loc, "%s: name the parameter: write data.params[%q].NAME", ref, p.ID)
	} else if !slices.Contains(params, string(name)) {
		l.faultAt(loc, "%s: METADATA of %s has no parameter %s%s", ref, p.ID, string(name), didYouMean(string(name), params))
	}
}

// nearestRule suggests a rule of the package that a ref points into.
func (l *loader) nearestRule(c *ast.Compiler, ref ast.Ref) string {
	last, ok := ref[len(ref)-1].Value.(ast.String)
	if !ok {
		return ""
	}
	var names []string
	for _, m := range c.Modules {
		if ref[:len(ref)-1].Equal(m.Package.Path) {
			for _, r := range m.Rules {
				if n := r.Head.Name.String(); !slices.Contains(names, n) {
					names = append(names, n)
				}
			}
		}
	}
	return didYouMean(string(last), names)
}
