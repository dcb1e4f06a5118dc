package policy

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"

	"github.com/lapse-audit/lapse/internal/access"
)

// Checks are the warnings that Check gives, with what each is about.
var Checks = map[string]string{
	"format":             "the file is not as opa fmt writes it",
	"metadata":           "METADATA says too little for those who read the findings",
	"never-holds":        "a condition that no subject can meet",
	"unreachable":        "a rule that no findings rule uses",
	"unused-param":       "a parameter that no rule reads",
	"no-tests":           "a policy without tests beside it",
	"unknown-not":        "`not` over a field that may be unknown",
	"unknown-default":    "a default that turns unknown into false, zero or empty",
	"unknown-collection": "a comprehension over a list that may be unread",
	"unsaid-need":        "a condition on a field that neither scope nor needs names",
	"lost-finding":       "a message that is lost, with its finding, when a field is absent",
	"missing-key":        "several findings of one subject without a key",
	"type-order":         "a comparison of two types, which is decided by the types",
	"any-kind":           "an action on accounts of any kind, the unknown among them",
	"bad-pattern":        "a regular expression that is none",
	"sprintf":            "a format that does not fit its arguments",
	"runaway":            "a loop that cannot end within the budget",
	"allow":              "a lapse:allow that silences nothing",
}

// lint finds what a policy's code is likely not meant to say. It looks at the code as it is written.
func lint(p *Policy, pack *Pack) []Problem {
	if p.Subject == "" || len(p.modules) == 0 {
		return nil
	}
	l := &linter{policy: p, pack: pack, schema: access.SchemaOf(p.Subject), rules: map[string][]*ast.Rule{}, seen: map[Problem]bool{}}
	for _, m := range p.modules {
		for _, r := range m.ast.Rules {
			name := r.Head.Ref()[0].Value.String()
			l.rules[strings.Trim(name, `"`)] = append(l.rules[strings.Trim(name, `"`)], r)
		}
	}
	l.metadata()
	l.unreachable()
	for _, name := range keys(l.rules) {
		for _, r := range l.rules[name] {
			for ; r != nil; r = r.Else {
				s := newSight(l.schema, r)
				l.unknownNot(name, s)
				l.unknownDefault(s)
				l.unknownCollection(s)
				l.lostFinding(name, s)
				l.neverHolds(s)
				l.calls(s)
				if name == "findings" {
					l.unsaidNeed(s)
					l.missingKey(s)
				}
			}
		}
		l.defaults(name)
	}
	return l.problems
}

type linter struct {
	policy   *Policy
	pack     *Pack
	schema   *access.Schema
	rules    map[string][]*ast.Rule // of the policy, by name
	problems []Problem
	seen     map[Problem]bool
}

func (l *linter) warn(check string, loc *ast.Location, instead, format string, args ...any) {
	if loc == nil {
		loc = &ast.Location{File: l.policy.File}
	}
	p := Problem{File: loc.File, Line: loc.Row, Column: loc.Col, Check: check, Level: Warning, Policy: l.policy.ID,
		Message: fmt.Sprintf(format, args...), Instead: instead}
	if !l.seen[p] {
		l.seen[p] = true
		l.problems = append(l.problems, p)
	}
}

// sight is one rule with what its names stand for.
type sight struct {
	schema   *access.Schema
	rule     *ast.Rule
	names    map[ast.Var][]string // variables that stand for a place of the input
	loops    map[ast.Var][]string // those of them over which the rule itself runs, element by element
	elements map[ast.Var]bool     // those that any loop gives, which are there wherever they are spoken of
	known    map[string]bool      // places that some condition of the rule needs to be there
}

func newSight(schema *access.Schema, r *ast.Rule) *sight {
	s := &sight{schema: schema, rule: r, names: map[ast.Var][]string{}, loops: map[ast.Var][]string{}, elements: map[ast.Var]bool{}, known: map[string]bool{}}
	for grown := true; grown; {
		before := len(s.names)
		ast.WalkExprs(r, func(e *ast.Expr) bool {
			s.bind(e)
			return false
		})
		grown = len(s.names) > before
	}
	for _, e := range r.Body {
		if !e.IsNegated() && !buildsText(e) {
			s.needed(e)
		}
	}
	return s
}

// bind notes the variables that an expression ties to a place.
func (s *sight) bind(e *ast.Expr) {
	note := func(variable, t *ast.Term, loop bool) {
		name, ok := variable.Value.(ast.Var)
		if _, had := s.names[name]; !ok || had || name.IsGenerated() || name.IsWildcard() {
			return
		}
		if path, node := s.place(t); node != nil {
			if loop && !node.Array {
				return
			}
			s.names[name] = path
			s.elements[name] = loop
			if loop && slices.Contains(s.rule.Body, e) {
				s.loops[name] = path
			}
		}
	}
	switch terms := e.Terms.(type) {
	case []*ast.Term:
		if e.IsAssignment() || e.IsEquality() {
			if len(terms) == 3 {
				_, list := lastIndex(terms[2])
				note(terms[1], terms[2], list)
			}
		}
	case *ast.SomeDecl:
		if len(terms.Symbols) == 1 {
			if call, ok := terms.Symbols[0].Value.(ast.Call); ok && len(call) >= 3 {
				note(call[len(call)-2], call[len(call)-1], true)
			}
		}
	case *ast.Every:
		note(terms.Value, terms.Domain, true)
	}
}

// lastIndex reports whether a ref ends in an index, as input.grants[_] does.
func lastIndex(t *ast.Term) (*ast.Term, bool) {
	ref, ok := t.Value.(ast.Ref)
	if !ok {
		return nil, false
	}
	_, variable := ref[len(ref)-1].Value.(ast.Var)
	return ref[len(ref)-1], variable && len(ref) > 1
}

// place is where in the document a term points, nil if nowhere.
func (s *sight) place(t *ast.Term) ([]string, *access.Node) {
	var base []string
	var parts ast.Ref
	switch v := t.Value.(type) {
	case ast.Var:
		path, ok := s.names[v]
		if !ok {
			return nil, nil
		}
		base = path
	case ast.Ref:
		if !v[0].Equal(ast.InputRootDocument) {
			name, _ := v[0].Value.(ast.Var)
			path, ok := s.names[name]
			if !ok {
				return nil, nil
			}
			base = path
		}
		parts = v[1:]
	default:
		return nil, nil
	}
	rest, whole := follow(s.schema.Root, base, parts)
	path := slices.Concat(base, rest)
	if !whole || len(path) == 0 {
		return nil, nil
	}
	node, _, fault := findPath(s.schema, path)
	if fault != "" {
		return nil, nil
	}
	return path, node
}

// optional is a place that may be absent in a subject, though the document is of its kind. What lies in an element of an
// array is absent if the element lacks it; but a list in it is read with the list around it, and never absent (see
// access.Schema.Columns).
func (s *sight) optional(path []string) bool {
	node := s.schema.Root
	optional, inside := false, false
	for _, name := range path {
		next := node.Field(name)
		if next == nil { // in a map
			return true
		}
		node = next
		optional = optional || !node.Required
		if node.Array && len(path) > 1 && name != path[len(path)-1] {
			optional = false // the loop over it says that it is there
		}
		if node.Array && inside {
			optional = false
		}
		inside = inside || node.Array
	}
	return optional
}

// needed notes the places without which an expression has no value.
func (s *sight) needed(x any) {
	ast.WalkNodes(x, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Expr:
			return n.IsNegated() || n.IsEvery() || n.IsOr()
		case *ast.Term:
			switch v := n.Value.(type) {
			case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension:
				return true
			case ast.Call:
				if filters[v[0].String()] {
					return true
				}
			}
			if path, node := s.place(n); node != nil {
				for i := range path {
					s.known[strings.Join(path[:i+1], ".")] = true
				}
			}
		}
		return false
	})
}

// buildsText reports whether an expression only makes a text or an object of what a finding says.
func buildsText(e *ast.Expr) bool {
	terms, ok := e.Terms.([]*ast.Term)
	if !ok || !e.IsAssignment() || len(terms) != 3 {
		return false
	}
	switch v := terms[2].Value.(type) {
	case ast.Call:
		switch v[0].String() {
		case "sprintf", "concat", "object.get", "object.filter", "object.union", "json.filter":
			return true
		}
	case ast.Object:
		return true
	}
	return false
}

// said tells how METADATA speaks of a place: by scope or a need of its own, as one of several alternatives, or not at all.
type said int

const (
	unsaid said = iota
	alternative
	plainly
)

func (l *linter) said(path []string) said {
	dotted := strings.Join(path, ".")
	covers := func(named string) bool { return named == dotted || strings.HasPrefix(named, dotted+".") }
	for _, c := range l.policy.Scope {
		if covers(c.Path) {
			return plainly
		}
	}
	out := unsaid
	for _, need := range l.policy.Needs {
		for _, n := range need {
			signal, coverage := strings.CutPrefix(n, coveragePrefix)
			switch {
			case coverage && strings.Contains(strings.ReplaceAll(dotted, "days_since_login", "last_login"), signal), covers(n) && len(need) > 1:
				out = max(out, alternative)
			case covers(n):
				return plainly
			}
		}
	}
	return out
}

// unformatted reports a file that opa fmt would change, at the first line that it changes.
func unformatted(f file) (Problem, bool) {
	clean, err := formatted(f.name, f.text)
	if err != nil || clean == f.text {
		return Problem{}, false
	}
	want, got := strings.Split(clean, "\n"), strings.Split(f.text, "\n")
	n := 0
	for n < len(want)-1 && n < len(got)-1 && want[n] == got[n] {
		n++
	}
	stands, instead := quotedLine(got[n]), quotedLine(want[n])
	return Problem{File: f.name, Line: n + 1, Check: "format", Level: Warning,
		Message: "is not as opa fmt writes it: here stands " + stands, Instead: instead + ", or let `lapse policy check --fix` write it"}, true
}

func quotedLine(line string) string {
	if line == "" {
		return "an empty line"
	}
	return strconv.Quote(line)
}

func formatted(name, text string) (string, error) {
	clean, err := format.SourceWithOpts(name, []byte(text), format.Opts{RegoVersion: ast.RegoV1, ParserOptions: &ast.ParserOptions{RegoVersion: ast.RegoV1, Capabilities: parserCapabilities()}})
	return string(clean), err
}

// FormatFile writes a file anew as opa fmt does.
func FormatFile(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	clean, err := formatted(name, string(text))
	if err != nil {
		return fmt.Errorf("format %s: %w", name, err)
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	return os.WriteFile(name, []byte(clean), info.Mode().Perm())
}
