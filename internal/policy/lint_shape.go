package policy

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/lapse-audit/lapse/internal/access"
)

// metadata finds a policy that says too little, and parameters that do nothing.
func (l *linter) metadata() {
	p := l.policy
	at := func(key string) *ast.Location { return location(p.File, p.line(key)) }
	if p.Description == "" {
		l.warn("metadata", at(""), "description: one sentence, for whoever is asked about a finding", "METADATA has no description: reports and the catalogue have nothing to say of the rule")
	}
	if len(p.Controls) == 0 {
		l.warn("metadata", at(""), `controls: ["CIS-8.1:5.3"], the controls that the rule is evidence for`, "METADATA names no control: the rule counts for none in the control matrix")
	}
	if slices.Contains([]string{"disable", "end_sessions", "revoke", "rotate_key"}, p.Action) && p.Subject == access.SubjectAccount && !l.speaksOf("account.kind") {
		l.warn("any-kind", at("action"), "scope: {account.kind: human}, or the kinds that it is for", "the action %s may befall accounts of any kind, service accounts and the unknown among them", p.Action)
	}
	tested := slices.ContainsFunc(l.pack.tests, func(f file) bool { return path.Dir(f.name) == path.Dir(p.File) })
	if !tested {
		l.warn("no-tests", location(p.File, 1), "a _test.rego beside it, with what it flags and what it passes over: `lapse policy new` shows one", "nothing tests the policy")
	}
	l.params(at)
}

func (l *linter) params(at func(string) *ast.Location) {
	read := map[string]bool{}
	whole := false
	for _, m := range l.policy.modules {
		ast.WalkRefs(m.ast, func(ref ast.Ref) bool {
			if len(ref) < 3 || !ref[0].Equal(ast.DefaultRootDocument) || !ref[1].Equal(ast.StringTerm("params")) {
				return false
			}
			if len(ref) == 3 {
				whole = true
			} else if name, ok := ref[3].Value.(ast.String); ok {
				read[string(name)] = true
			}
			return false
		})
	}
	for _, name := range keys(l.policy.defaults) {
		if !read[name] && !whole {
			l.warn("unused-param", at("params"), fmt.Sprintf("read data.params[%q].%s in the rule, or take the parameter out", l.policy.ID, name), "no rule reads the parameter %s: setting it would change nothing", name)
		}
	}
}

// speaksOf reports whether scope or some rule of the policy asks for a field.
func (l *linter) speaksOf(field string) bool {
	found := slices.ContainsFunc(l.policy.Scope, func(c Condition) bool { return c.Path == field })
	for _, rules := range l.rules {
		for _, r := range rules {
			s := newSight(l.schema, r)
			s.fields(r.Body, func(_ *ast.Term, p []string, _ *access.Node) { found = found || strings.Join(p, ".") == field })
		}
	}
	return found
}

// unreachable finds rules that findings does not come to.
func (l *linter) unreachable() {
	reached := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		if reached[name] || l.rules[name] == nil {
			return
		}
		reached[name] = true
		for _, r := range l.rules[name] {
			ast.WalkTerms(r, func(t *ast.Term) bool {
				switch v := t.Value.(type) {
				case ast.Var:
					visit(string(v))
				case ast.Ref:
					if own, ok := strings.CutPrefix(v.String(), "data."+l.policy.Package+"."); ok {
						name, _, _ := strings.Cut(own, ".")
						name, _, _ = strings.Cut(name, "[")
						visit(name)
					}
				}
				return false
			})
		}
	}
	visit("findings")
	for _, name := range keys(l.rules) {
		if !reached[name] && reached["findings"] {
			l.warn("unreachable", l.rules[name][0].Location, fmt.Sprintf("use %s in findings, or take it out", name), "findings does not come to %s: it changes nothing", name)
		}
	}
}

// neverHolds finds conditions that exclude each other, the scope, or themselves.
func (l *linter) neverHolds(s *sight) {
	equals := map[string]*ast.Term{}
	lower, upper := map[string]float64{}, map[string]float64{}
	for _, e := range s.rule.Body {
		if t, ok := e.Terms.(*ast.Term); ok && t.Equal(ast.BooleanTerm(false)) {
			l.warn("never-holds", e.Location, "take the rule out, or `enabled: false` in METADATA", "false never holds: the rule flags nothing")
		}
		operator, field, value := comparison(s, e)
		if field == nil {
			continue
		}
		dotted := strings.Join(field, ".")
		switch operator {
		case "equal", "eq":
			if was := equals[dotted]; was != nil && !was.Equal(value) {
				l.warn("never-holds", e.Location, fmt.Sprintf("input.%s in {%s, %s}, if either will do", dotted, was, value), "%s is %s already: it can't be %s too", dotted, was, value)
			}
			equals[dotted] = value
			l.outOfScope(e.Location, dotted, value)
		case "gt", "gte":
			if n, ok := numeric(value); ok {
				lower[dotted] = n
			}
		case "lt", "lte":
			if n, ok := numeric(value); ok {
				upper[dotted] = n
			}
		}
		low, hasLow := lower[dotted]
		high, hasHigh := upper[dotted]
		if hasLow && hasHigh && low > high {
			l.warn("never-holds", e.Location, "two rules, one for each side, if either will do", "%s can't be above %v and below %v", dotted, low, high)
		}
	}
}

func (l *linter) outOfScope(at *ast.Location, dotted string, value *ast.Term) {
	for _, c := range l.policy.Scope {
		if c.Path != dotted {
			continue
		}
		in := false
		for _, v := range c.Values {
			if t, err := ast.InterfaceToValue(v); err == nil {
				in = in || t.Compare(value.Value) == 0
			}
		}
		if !in {
			l.warn("never-holds", at, fmt.Sprintf("correct scope or the rule: scope has %v", c.Values), "METADATA puts subjects with %s %s out of scope", dotted, value)
		}
	}
}

func numeric(t *ast.Term) (float64, bool) {
	n, ok := t.Value.(ast.Number)
	if !ok {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(n), 64)
	return f, err == nil
}

// comparison takes an expression apart that compares a field with a constant, the field first.
func comparison(s *sight, e *ast.Expr) (operator string, field []string, value *ast.Term) {
	if !e.IsCall() || len(e.Operands()) != 2 {
		return "", nil, nil
	}
	operator = e.Operator().String()
	a, b := e.Operand(0), e.Operand(1)
	path, node := s.place(a)
	if node == nil {
		a, b = b, a
		if path, node = s.place(a); node == nil {
			return "", nil, nil
		}
		operator = map[string]string{"lt": "gt", "lte": "gte", "gt": "lt", "gte": "lte"}[operator] + map[string]string{"equal": "equal", "neq": "neq"}[operator]
	}
	switch b.Value.(type) {
	case ast.String, ast.Number, ast.Boolean, ast.Null:
		return operator, path, b
	}
	return "", nil, nil
}

// calls finds calls that the compiler takes and that cannot work.
func (l *linter) calls(s *sight) {
	ast.WalkExprs(s.rule, func(e *ast.Expr) bool {
		operator, field, value := comparison(s, e)
		if field == nil || !slices.Contains([]string{"lt", "lte", "gt", "gte", "neq"}, operator) {
			return false
		}
		node, _, _ := findPath(l.schema, field)
		if want := typeName(node); want != "" && want != ast.ValueName(value.Value) {
			l.warn("type-order", e.Location, fmt.Sprintf("a %s in place of %s", want, value),
				"%s is a %s and %s a %s: the comparison goes by the types, and always comes out the same", strings.Join(field, "."), want, value, ast.ValueName(value.Value))
		}
		return false
	})
	eachCall(s.rule, func(name string, args []*ast.Term, loc *ast.Location) {
		switch {
		case strings.HasPrefix(name, "regex.") && len(args) > 0:
			pattern := args[0]
			if name == "regex.replace" && len(args) > 1 {
				pattern = args[1]
			}
			if text, ok := pattern.Value.(ast.String); ok {
				if _, err := regexp.Compile(string(text)); err != nil {
					l.warn("bad-pattern", loc, "a pattern as in https://github.com/google/re2/wiki/Syntax", "%s: the rule would be broken off at its first subject", err)
				}
			}
		case name == "sprintf" && len(args) >= 2:
			l.sprintf(args[0], args[1], loc)
		case (name == "numbers.range" || name == "numbers.range_step") && len(args) >= 2:
			from, ok1 := numeric(args[0])
			to, ok2 := numeric(args[1])
			if ok1 && ok2 && max(from-to, to-from) >= 1e6 {
				l.warn("runaway", loc, "a list of what is really compared", "%s counts from %v to %v for every subject: the rule would be broken off", name, args[0], args[1])
			}
		}
	})
}

func typeName(n *access.Node) string {
	if n == nil || n.Array || !n.Leaf() {
		return ""
	}
	return map[access.FieldType]string{access.Bool: "boolean", access.Int: "number", access.Number: "number", access.String: "string"}[n.Type]
}

var verbs = regexp.MustCompile(`%[-+# 0]*(?:\*|\d+)?(?:\.(?:\*|\d+))?([a-zA-Z%])`)

func (l *linter) sprintf(formatTerm, argsTerm *ast.Term, loc *ast.Location) {
	text, ok := formatTerm.Value.(ast.String)
	list, isList := argsTerm.Value.(*ast.Array)
	if !ok || !isList || strings.Contains(string(text), "%[") {
		return
	}
	n := 0
	for _, m := range verbs.FindAllStringSubmatch(string(text), -1) {
		if m[1] != "%" {
			n++
		}
		n += strings.Count(m[0], "*")
	}
	if n != list.Len() {
		l.warn("sprintf", loc, fmt.Sprintf("as many arguments as verbs: %d", n), "the text has %d verbs and %d arguments: the reader sees %%!s(MISSING) or EXTRA", n, list.Len())
	}
}

// missingKey finds a finding in a loop over the input that has no key to tell it from the next one.
func (l *linter) missingKey(s *sight) {
	if len(s.loops) == 0 || s.rule.Head.Key == nil {
		return
	}
	keyed := false
	ast.WalkTerms(s.rule, func(t *ast.Term) bool {
		if o, ok := t.Value.(ast.Object); ok {
			keyed = keyed || o.Get(ast.StringTerm("key")) != nil
		}
		return false
	})
	if keyed {
		return
	}
	from := map[ast.Var]ast.Var{}
	for v := range s.loops {
		from[v] = v
	}
	mentioned := func(x any) (loop ast.Var, ok bool) {
		ast.WalkVars(x, func(v ast.Var) bool {
			if f, is := from[v]; is {
				loop, ok = f, true
			}
			return false
		})
		return loop, ok
	}
	for grown := true; grown; {
		grown = false
		for _, e := range s.rule.Body {
			if !e.IsAssignment() || len(e.Operands()) != 2 {
				continue
			}
			v, ok := e.Operand(0).Value.(ast.Var)
			if _, had := from[v]; !ok || had {
				continue
			}
			if loop, ok := mentioned(e.Operand(1)); ok {
				from[v], grown = loop, true
			}
		}
	}
	if loop, ok := mentioned(s.rule.Head.Key); ok {
		at := strings.Join(s.loops[loop], ".")
		l.warn("missing-key", s.rule.Location, fmt.Sprintf("\"key\": %s in the finding, which tells them apart", keyExample(loop, at)),
			"two of %s on one subject give two findings that nothing tells apart: the rule would be broken off", at)
	}
}

func keyExample(loop ast.Var, list string) string {
	switch list {
	case "grants":
		return string(loop) + ".entitlement.id"
	case "seats":
		return string(loop) + ".sku"
	}
	return string(loop) + ".id"
}
