package prefilter

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/lapse-audit/lapse/internal/access"
)

// maxDepth bounds how deep bodies may lie in each other: helpers that were not inlined may be many.
const maxDepth = 24

// maxDropped is how many dropped parts of a rule are told: thousands of queries may each drop the like.
const maxDropped = 20

type translator struct {
	schema  *access.Schema
	support map[string][]*ast.Rule // helpers that were not inlined, by ref
	helpers func(ast.Ref) []*ast.Rule
	data    func(ast.Ref) (ast.Value, bool)
	dropped []Dropped
	drops   int
	fault   Fault
	depth   int
	named   int
	near    *ast.Location // of the body that is being translated
}

func newTranslator(schema *access.Schema, left *rego.PartialQueries) *translator {
	t := &translator{schema: schema, support: map[string][]*ast.Rule{}}
	for _, m := range left.Support {
		for _, r := range m.Rules {
			ref := m.Package.Path.Extend(r.Head.Ref()).String()
			t.support[ref] = append(t.support[ref], r)
		}
	}
	return t
}

// rules are those of a helper that was not inlined: partial evaluation does not go into comprehensions.
func (t *translator) rules(name string) []*ast.Rule {
	if rules, ok := t.support[name]; ok || t.helpers == nil || !strings.HasPrefix(name, "data.") {
		return rules
	}
	var rules []*ast.Rule
	if ref, err := ast.ParseRef(name); err == nil {
		rules = t.helpers(ref)
		for _, r := range rules {
			if !r.Ref().Equal(ref) { // it has a name that is computed
				rules = nil
				break
			}
		}
	}
	t.support[name] = rules
	return rules
}

// scope says what the variables of a body stand for.
type scope struct {
	aliases  map[ast.Var]ast.Ref        // refs into the input
	sets     map[ast.Var]*comprehension // of the constants and values that they gather
	values   map[ast.Var]*computed      // what calls of builtins yield
	fixed    map[ast.Var]*ast.Term      // constants
	elements map[ast.Var]element        // variables that index an array
	// taken are the variables of the bodies around this one that it is not known what they stand for. They are not the
	// body's own, so it must not look for values of them.
	taken map[ast.Var]bool
	// members are the elements of what is gathered that the body goes through.
	members map[member]*ast.Term
	here    map[ast.Var]bool // the body's variables, but for those of closures in it
}

type element struct {
	array array
	name  string
}

// computed is what a call yields, and the expression that says so: whether there is anything is that one's matter.
type computed struct {
	call *ast.Term
	by   *ast.Expr
}

func (s *scope) clone() *scope {
	c := &scope{maps.Clone(s.aliases), maps.Clone(s.sets), maps.Clone(s.values), maps.Clone(s.fixed), maps.Clone(s.elements), maps.Clone(s.taken), maps.Clone(s.members), s.here}
	if c.aliases == nil {
		c.aliases = map[ast.Var]ast.Ref{}
	}
	if c.sets == nil {
		c.sets = map[ast.Var]*comprehension{}
	}
	if c.values == nil {
		c.values = map[ast.Var]*computed{}
	}
	if c.fixed == nil {
		c.fixed = map[ast.Var]*ast.Term{}
	}
	if c.elements == nil {
		c.elements = map[ast.Var]element{}
	}
	if c.taken == nil {
		c.taken = map[ast.Var]bool{}
	}
	if c.members == nil {
		c.members = map[member]*ast.Term{}
	}
	return c
}

// expand replaces the variable that a ref begins with.
func (s *scope) expand(r ast.Ref) ast.Ref {
	if v, ok := r[0].Value.(ast.Var); ok {
		if a, ok := s.aliases[v]; ok {
			return append(slices.Clone(a), r[1:]...)
		}
		if m := s.memberOf(v, r); m != nil {
			return append(slices.Clone(m), r[2:]...)
		}
	}
	return r
}

// memberOf is what an element of what is gathered is, nil if that is not known to be part of the input.
func (s *scope) memberOf(v ast.Var, r ast.Ref) ast.Ref {
	if len(r) < 2 || s.sets[v] == nil {
		return nil
	}
	index, ok := r[1].Value.(ast.Var)
	if !ok || s.members[member{v, index}] == nil {
		return nil
	}
	switch m := s.members[member{v, index}].Value.(type) {
	case ast.Var:
		return s.aliases[m]
	case ast.Ref:
		if m = s.expand(m); m.HasPrefix(ast.InputRootRef) {
			return m
		}
	}
	return nil
}

// resolved reports whether it is known what a variable stands for.
func (s *scope) resolved(v ast.Var) bool {
	_, alias := s.aliases[v]
	_, set := s.sets[v]
	_, value := s.values[v]
	_, constant := s.fixed[v]
	_, element := s.elements[v]
	return alias || set || value || constant || element
}

// body translates a conjunction. Variables that index an array are searched for: each conjunct goes where the last variable
// is found that it depends on.
func (t *translator) body(b ast.Body, around *scope) pair {
	if t.depth > maxDepth {
		t.drop(b[0], "it lies too deep in other conditions")
		return unknown
	}
	t.depth++
	defer func() { t.depth-- }()

	o := t.open(b, around)
	p := allOf(o.levels[len(o.order)]...)
	for i := len(o.order) - 1; i >= 0; i-- {
		e := o.scope.elements[o.order[i]]
		p = allOf(append(o.levels[i], someElement(e.array, e.name, p))...)
	}
	return p
}

// opened is a body with what its variables stand for. levels are its conjuncts, by how many of the variables that index an array,
// in their order, have to be found before.
type opened struct {
	scope  *scope
	order  []ast.Var
	levels [][]pair
	all    []*ast.Expr // with those of the comprehensions that it goes through
	set    bool        // it goes through what a comprehension of a set has gathered
}

func (t *translator) open(b ast.Body, around *scope) opened {
	defer func(was *ast.Location) { t.near = was }(t.near)
	if i := slices.IndexFunc(b, func(x *ast.Expr) bool { return location(x) != nil }); i >= 0 {
		t.near = location(b[i])
	}
	o := opened{scope: around.clone(), all: b}
	s := o.scope
	s.here = map[ast.Var]bool{}
	here(b, s.here)
	var rest []*ast.Expr
	var there []ast.Ref // what aliases stand for has to be there
	rest = slices.Clone(b)
	for left := -1; left != len(rest); {
		left = len(rest)
		rest = slices.DeleteFunc(rest, func(x *ast.Expr) bool { return t.binds(x, s, &there) })
		rest = slices.DeleteFunc(rest, func(x *ast.Expr) bool { return s.renames(x) })
		if inside := t.enter(rest, s, &o.set); len(inside) > 0 {
			o.all, rest, left = slices.Concat(o.all, inside), slices.Concat(inside, rest), -1
		}
	}
	o.order = t.search(rest, there, s)

	o.levels = make([][]pair, len(o.order)+1)
	put := func(p pair, n any) {
		level := 0
		eachVar(n, s, func(v ast.Var) {
			level = max(level, slices.Index(o.order, v)+1)
		})
		o.levels[level] = append(o.levels[level], p)
	}
	for _, r := range there {
		put(t.there(r, s), r)
	}
	for _, x := range rest {
		put(t.expr(x, s, rest), x)
	}
	return o
}

// binds notes what a variable stands for, if that is all that an expression says.
func (t *translator) binds(x *ast.Expr, s *scope, there *[]ast.Ref) bool {
	if x.Negated || len(x.With) > 0 {
		return false
	}
	if call, out := t.yields(x); call != nil {
		if v, ok := out.Value.(ast.Var); ok && !s.resolved(v) && !s.taken[v] {
			s.values[v] = &computed{call, x}
		}
		return false
	}
	if !x.IsEquality() {
		return false
	}
	l, r := x.Operand(0), x.Operand(1)
	if _, ok := l.Value.(ast.Var); !ok {
		l, r = r, l
	}
	v, ok := l.Value.(ast.Var)
	if !ok || s.resolved(v) || s.taken[v] {
		return false
	}
	if c := s.comprehend(r); c != nil {
		s.sets[v] = c
		return true
	}
	if r, ok := r.Value.(ast.Ref); ok {
		if c := t.lookUp(r); c != nil {
			s.fixed[v] = c
			return true
		}
		r = s.expand(r)
		if r.HasPrefix(ast.InputRootRef) {
			s.aliases[v] = r
			*there = append(*there, r)
			return true
		}
	}
	return false
}

// lookUp is what a ref to data leads to, nil if it is no such ref or leads nowhere.
func (t *translator) lookUp(r ast.Ref) *ast.Term {
	if !r.HasPrefix(ast.DefaultRootRef) || !r.IsGround() || t.rules(r.String()) != nil || t.data == nil {
		return nil
	}
	if v, ok := t.data(r); ok && ast.IsConstant(v) {
		return ast.NewTerm(v)
	}
	return nil
}

// renames notes that a variable is another, if that is all that an expression says.
func (s *scope) renames(x *ast.Expr) bool {
	if x.Negated || len(x.With) > 0 || !x.IsEquality() {
		return false
	}
	a, ok1 := x.Operand(0).Value.(ast.Var)
	b, ok2 := x.Operand(1).Value.(ast.Var)
	if !ok1 || !ok2 {
		return false
	}
	if s.resolved(a) {
		a, b = b, a
	}
	if s.resolved(a) || s.taken[a] {
		return false
	}
	if r, ok := s.aliases[b]; ok {
		s.aliases[a] = r
	} else if c, ok := s.sets[b]; ok {
		s.sets[a] = c
	} else if c, ok := s.values[b]; ok {
		s.values[a] = c
	} else if c, ok := s.fixed[b]; ok {
		s.fixed[a] = c
	} else {
		return false
	}
	return true
}

// yields takes a call of a builtin, or a helper that is not inlined, and what it has to be out of an expression: of x = f(y) and of f(y, x).
func (t *translator) yields(x *ast.Expr) (call, out *ast.Term) {
	terms, ok := x.Terms.([]*ast.Term)
	if !ok {
		return nil, nil
	}
	if x.IsEquality() {
		for _, o := range [][2]*ast.Term{{terms[1], terms[2]}, {terms[2], terms[1]}} {
			switch v := o[0].Value.(type) {
			case ast.Call:
				if ast.BuiltinMap[v[0].String()] != nil {
					return o[0], o[1]
				}
			case ast.Ref:
				if t.rules(v.String()) != nil {
					return o[0], o[1]
				}
			}
		}
		return nil, nil
	}
	if b := ast.BuiltinMap[terms[0].String()]; b != nil && len(terms) == len(b.Decl.FuncArgs().Args)+2 {
		return ast.NewTerm(ast.Call(terms[:len(terms)-1])), terms[len(terms)-1]
	}
	return nil, nil
}

// search finds the variables by which the body goes through arrays, in the order of their appearance. What negations and
// comprehensions search for is their own matter.
func (t *translator) search(rest []*ast.Expr, there []ast.Ref, s *scope) []ast.Var {
	var order []ast.Var
	visit := func(r ast.Ref) {
		r = s.expand(r)
		if !r.HasPrefix(ast.InputRootRef) {
			return
		}
		node, known, within := t.schema.Root, []string(nil), "" // an element
		for at := 1; at < len(r); at++ {
			name, ok := r[at].Value.(ast.String)
			if !ok || isMap(node) {
				return
			}
			if node = node.Field(string(name)); node == nil {
				return
			}
			if within == "" {
				known = t.presence(node, known)
			}
			if !node.Array && !isMap(node) || at+1 == len(r) {
				continue
			}
			at++
			v, ok := r[at].Value.(ast.Var)
			if !ok || s.taken[v] {
				return
			}
			if !s.resolved(v) {
				a, ok := arrayAt(node, known, within)
				if !ok {
					return
				}
				t.named++
				s.elements[v] = element{a, fmt.Sprintf("e%d", t.named)}
				order = append(order, v)
			}
			e, ok := s.elements[v]
			if !ok || e.array.node != node || node.Leaf() {
				return
			}
			within = e.name
		}
	}
	for _, r := range there {
		visit(r)
	}
	for _, x := range rest {
		if !x.Negated {
			eachRef(x, visit)
		}
	}
	return order
}

// arrayAt is what can be gone through at a node, outside of elements or within one.
func arrayAt(n *access.Node, known []string, within string) (array, bool) {
	switch {
	case n.Array && n.Leaf():
		x := operand{column: n.Column, kind: other, element: within}
		if within == "" {
			x.known = known
		}
		return array{node: n, size: n.Column, known: x.known, texts: &x}, n.Type == access.String
	case within != "":
		return array{}, false
	case n.Array:
		return array{node: n, size: firstLeaf(n).Column, known: known}, true
	}
	return array{node: n, size: n.Column, known: known}, isMap(n)
}

// eachRef visits the refs of an expression outside of what has variables of its own.
func eachRef(x any, visit func(ast.Ref)) {
	ast.WalkNodes(x, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Expr:
			switch n.Terms.(type) {
			case *ast.Not, *ast.Every, *ast.LogicalAnd, *ast.LogicalOr:
				return true
			}
			return n.Negated || len(n.With) > 0
		case *ast.Term:
			switch v := n.Value.(type) {
			case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension, *ast.Not:
				return true
			case ast.Ref:
				visit(v)
			}
		}
		return false
	})
}

// eachVar visits the variables that something depends on, through aliases and the sets that it refers to.
func eachVar(n any, s *scope, visit func(ast.Var)) {
	seen := map[ast.Var]bool{}
	var walk func(any)
	walk = func(n any) {
		ast.WalkTerms(n, func(t *ast.Term) bool {
			if r, ok := t.Value.(ast.Ref); ok {
				if e := s.expand(r); len(e) > 0 && !e[0].Equal(r[0]) {
					walk(ast.NewTerm(e))
				}
			}
			v, ok := t.Value.(ast.Var)
			if !ok || seen[v] {
				return false
			}
			seen[v] = true
			visit(v)
			if a, ok := s.aliases[v]; ok {
				walk(ast.NewTerm(a))
			}
			if c, ok := s.sets[v]; ok {
				walk(c.term)
				walk(c.body)
			}
			if c, ok := s.values[v]; ok {
				walk(c.call)
			}
			return false
		})
	}
	if r, ok := n.(ast.Ref); ok {
		n = ast.NewTerm(r)
	}
	walk(n)
}

// inner is the scope of a body within an expression: the variables of the expressions beside it are not its own, but for those
// of closures in them.
func (t *translator) inner(s *scope, x *ast.Expr, beside []*ast.Expr) *scope {
	in := s.clone()
	for _, other := range beside {
		if other == x {
			continue
		}
		eachOpen(other, func(v ast.Var) {
			if !s.resolved(v) {
				in.taken[v] = true
			}
		})
	}
	return in
}

// drop leaves out what an expression says, and notes where it is written.
func (t *translator) drop(x *ast.Expr, why string) pair { return t.dropAs(x, "", why) }

// dropAs does so under a text of its own. What partial evaluation has made up is placed where the body around it is.
func (t *translator) dropAs(x *ast.Expr, text, why string) pair {
	loc, beside := location(x), ""
	if loc == nil && t.near != nil {
		loc, beside = t.near, "beside "
	}
	if loc != nil && len(loc.Text) > 0 && (text == "" || madeUp.MatchString(text)) {
		text = beside + string(loc.Text)
	}
	if text == "" {
		text = x.String()
	}
	d := Dropped{Why: why, Text: shorten(text)}
	if loc != nil {
		d.File, d.Line = loc.File, loc.Row
	}
	t.drops++
	if len(t.dropped) < maxDropped && !slices.Contains(t.dropped, d) {
		t.dropped = append(t.dropped, d)
	}
	return unknown
}

// madeUp finds the names that the compiler and partial evaluation give.
var madeUp = regexp.MustCompile(`__\w+__|data\.partial\b|\$\d`)

func shorten(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 80 {
		return string(r[:77]) + "…"
	}
	return s
}

// location is the first that an expression or what is in it has.
func location(x *ast.Expr) *ast.Location {
	var found *ast.Location
	ast.WalkNodes(x, func(n ast.Node) bool {
		if loc := n.Loc(); found == nil && loc != nil && loc.File != "" {
			found = loc
		}
		return found != nil
	})
	return found
}

// expr translates one conjunct. beside are all conjuncts of its body.
func (t *translator) expr(x *ast.Expr, s *scope, beside []*ast.Expr) pair {
	if len(x.With) > 0 {
		return t.drop(x, "with is not translated")
	}
	if of, ok := isDefined(x); ok {
		p := t.isThere(x, of, s)
		if x.Negated {
			p = t.noneOf(p)
		}
		return p
	}
	if x.Negated {
		return t.negated(x, s, beside)
	}
	switch terms := x.Terms.(type) {
	case *ast.Not:
		return t.noneOf(t.body(terms.Body, t.inner(s, x, beside)))
	case *ast.Every:
		return t.every(x, terms, s, beside)
	case *ast.Term:
		return t.bare(x, terms, s)
	case []*ast.Term:
		before := t.drops
		p := t.call(x, s, beside)
		if t.drops > before {
			p.over = conjunction(p.over, t.needed(terms[1:], s))
		}
		return p
	}
	return t.drop(x, "it is not translated")
}

// needed says that what a call reads is there, without which it is undefined, whatever it does.
func (t *translator) needed(terms []*ast.Term, s *scope) pred {
	var there []pred
	for _, term := range terms {
		switch v := term.Value.(type) {
		case ast.Ref:
			there = append(there, t.there(v, s).over)
		case ast.Call:
			if _, known := ast.BuiltinMap[v[0].String()]; known && !strings.HasPrefix(v[0].String(), "internal.") {
				there = append(there, t.needed(v[1:], s))
			}
		case *ast.Array:
			v.Foreach(func(e *ast.Term) { there = append(there, t.needed([]*ast.Term{e}, s)) })
		}
	}
	return conjunction(there...)
}

// negated translates not as rego.v1 has it: undefined where something in it that is not part of an equation is, and so not
// always what the negation of the rest is.
func (t *translator) negated(x *ast.Expr, s *scope, beside []*ast.Expr) pair {
	positive := x.Copy()
	positive.Negated = false
	p := t.noneOf(t.body(ast.NewBody(positive), t.inner(s, x, beside)))
	if _, ok := x.Terms.(*ast.Term); ok {
		return p
	}
	if !x.IsEquality() || hasCall(x) {
		p.under = truth(false)
	}
	return p
}

func (t *translator) noneOf(p pair) pair {
	if t.fault == WrongPolarity {
		p.over, p.under = p.under, p.over
	}
	return noneOf(p)
}

func hasCall(x *ast.Expr) bool {
	found := false
	for _, o := range x.Operands() {
		ast.WalkTerms(o, func(t *ast.Term) bool {
			_, call := t.Value.(ast.Call)
			found = found || call
			return found
		})
	}
	return found
}

// every is no element for which the body does not hold. The array has to be there.
func (t *translator) every(x *ast.Expr, e *ast.Every, s *scope, beside []*ast.Expr) pair {
	in := t.inner(s, x, beside)
	ref, ok := e.Domain.Value.(ast.Ref)
	if v, isVar := e.Domain.Value.(ast.Var); isVar {
		ref, ok = s.aliases[v], true
	}
	variable, named := e.Value.Value.(ast.Var)
	if !ok || ref == nil || !named {
		return t.drop(x, "every is translated over an array of the input only")
	}
	ref = s.expand(ref)
	place, ok := t.place(ref, s)
	if !ok || place.node == nil || !place.node.Array || place.node.Leaf() {
		return t.drop(x, "every is translated over an array of objects only")
	}
	t.named++
	index := ast.Var(fmt.Sprintf("$every%d", t.named))
	el := element{array{node: place.node, size: firstLeaf(place.node).Column, known: place.x.known}, fmt.Sprintf("e%d", t.named)}
	in.elements[index] = el
	in.aliases[variable] = append(slices.Clone(ref), ast.NewTerm(index))
	if e.Key != nil {
		if key, ok := e.Key.Value.(ast.Var); ok {
			in.taken[key] = true
		}
	}
	p := t.noneOf(someElement(el.array, el.name, t.noneOf(t.body(e.Body, in))))
	p.under = conjunction(presenceOf(place.x.known), p.under)
	return p
}

func presenceOf(known []string) pred {
	if len(known) == 0 {
		return truth(true)
	}
	return defined{operand{column: known[0], known: known, kind: other}}
}

// bare translates a term that stands alone: it has to be there, and not false.
func (t *translator) bare(x *ast.Expr, term *ast.Term, s *scope) pair {
	switch v := term.Value.(type) {
	case ast.Boolean:
		return exact(truth(v))
	case ast.Ref:
		if rules := t.rules(v.String()); rules != nil {
			return t.helper(x, rules)
		}
		return t.bareRef(x, v, s)
	case ast.Var:
		if r, ok := s.aliases[v]; ok {
			return t.bareRef(x, r, s)
		}
	}
	return t.drop(x, "it is not translated")
}

func (t *translator) bareRef(x *ast.Expr, r ast.Ref, s *scope) pair {
	place, ok := t.place(r, s)
	if !ok {
		return t.drop(x, whyNot(ast.NewTerm(r)))
	}
	if place.leaf && place.x.kind == boolean {
		p := exact(isTrue{place.x})
		if x.Location == nil { // partial evaluation has made it of an equation of the value with itself, which false is, too
			p.over = place.defined()
		}
		return p
	}
	return exact(place.defined())
}

// there translates that something is there at all.
func (t *translator) there(r ast.Ref, s *scope) pair {
	if place, ok := t.place(r, s); ok {
		return exact(place.defined())
	}
	return unknown // what is said of it is dropped, and said so, where it is
}

// isThere translates Defined.
func (t *translator) isThere(x *ast.Expr, term *ast.Term, s *scope) pair {
	if p, ok := t.total(term, s); ok {
		return p
	}
	p := t.dropAs(x, term.String(), whyNot(term))
	p.over = t.needed([]*ast.Term{term}, s)
	return p
}

// helper translates a rule that was not inlined, because it has a default or was negated.
func (t *translator) helper(x *ast.Expr, rules []*ast.Rule) pair {
	return t.ways(x, rules, func(*ast.Rule) (*scope, bool) { return &scope{}, true })
}

// function translates a call of such a rule. Its arguments must be known places, or indexes of arrays.
func (t *translator) function(x *ast.Expr, rules []*ast.Rule, s *scope) pair {
	return t.ways(x, rules, func(r *ast.Rule) (*scope, bool) {
		in := (&scope{}).clone()
		if len(x.Operands()) != len(r.Head.Args) {
			return nil, false
		}
		for i, arg := range r.Head.Args {
			name, ok := arg.Value.(ast.Var)
			if !ok || in.resolved(name) {
				return nil, false
			}
			switch v := x.Operand(i).Value.(type) {
			case ast.Var:
				if e, ok := s.elements[v]; ok {
					in.elements[name] = e
				} else if a, ok := s.aliases[v]; ok {
					if in.aliases[name], ok = t.carry(a, s, in); !ok {
						return nil, false
					}
				} else {
					return nil, false
				}
			case ast.Ref:
				if in.aliases[name], ok = t.carry(s.expand(v), s, in); !ok {
					return nil, false
				}
			default:
				return nil, false
			}
		}
		return in, true
	})
}

// carry brings a ref into another scope, with the elements that index it.
func (t *translator) carry(r ast.Ref, from, to *scope) (ast.Ref, bool) {
	if !r.HasPrefix(ast.InputRootRef) {
		return nil, false
	}
	r = slices.Clone(r)
	for i, part := range r[1:] {
		v, ok := part.Value.(ast.Var)
		if !ok {
			continue
		}
		e, ok := from.elements[v]
		if !ok {
			return nil, false
		}
		t.named++
		own := ast.Var(fmt.Sprintf("$carried%d", t.named)) // the other scope may use the name for something else
		to.elements[own] = e
		r[i+1] = ast.NewTerm(own)
	}
	return r, true
}

// ways translates that one of several rules holds.
func (t *translator) ways(x *ast.Expr, rules []*ast.Rule, within func(*ast.Rule) (*scope, bool)) pair {
	var ways []pair
	for _, r := range rules {
		if r.Head.Key != nil || r.Else != nil {
			return t.drop(x, whyNotHelper)
		}
		isFalse := r.Head.Value != nil && r.Head.Value.Equal(ast.BooleanTerm(false))
		switch {
		case r.Default && !isFalse:
			return t.drop(x, whyNotHelper)
		case r.Default:
			continue
		case r.Head.Value != nil && !ast.IsConstant(r.Head.Value.Value):
			return t.drop(x, whyNotHelper)
		case isFalse:
			continue
		}
		s, ok := within(r)
		if !ok {
			return t.drop(x, "what is compared is computed")
		}
		ways = append(ways, t.body(r.Body, s))
	}
	return anyOf(ways...)
}
