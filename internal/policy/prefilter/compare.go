package prefilter

import (
	"encoding/json"
	"math"
	"math/big"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/lapse-audit/lapse/internal/access"
)

// call translates a comparison or a call of a builtin.
func (t *translator) call(x *ast.Expr, s *scope, beside []*ast.Expr) pair {
	op := x.Operator().String()
	operands := x.Operands()
	if call, out := t.yields(x); call != nil {
		if v, ok := out.Value.(ast.Var); ok && s.values[v] != nil && s.values[v].by == x {
			return t.computed(x, call, s)
		}
		return t.compare(x, "eq", call, out, s, beside)
	}
	switch op {
	case "eq", "equal", "neq", "lt", "lte", "gt", "gte":
		if len(operands) == 2 {
			return t.compare(x, strings.Replace(op, "equal", "eq", 1), operands[0], operands[1], s, beside)
		}
	case "internal.member_2":
		if len(operands) == 2 {
			return t.member(x, operands[0], operands[1], s, beside)
		}
	case "startswith", "endswith", "contains":
		if len(operands) == 2 {
			return t.textCall(x, op, operands[0], operands[1], s)
		}
	case "regex.match":
		if len(operands) == 2 {
			return t.match(x, operands[1], operands[0], s)
		}
	case "glob.match":
		if len(operands) == 3 {
			return t.glob(x, operands[0], operands[1], operands[2], s)
		}
	case "is_null", "is_boolean", "is_number", "is_string":
		if len(operands) == 1 {
			return t.isOfKind(x, typeKinds[op], operands[0], s)
		}
	}
	if rules := t.rules(op); rules != nil {
		return t.function(x, rules, s)
	}
	if strings.HasPrefix(op, "data.") {
		return t.drop(x, whyNotHelper)
	}
	return t.drop(x, op+" is not translated")
}

var typeKinds = map[string]kind{"is_null": null, "is_boolean": boolean, "is_number": number, "is_string": word}

// isOfKind translates a test of a value's type.
func (t *translator) isOfKind(x *ast.Expr, k kind, a *ast.Term, s *scope) pair {
	l, ok := t.operand(a, s)
	switch {
	case !ok:
		return t.drop(x, whyNot(a))
	case l.kind != k:
		return exact(truth(false))
	}
	return exact(thereOf(l))
}

var sqlOperators = map[string]string{"eq": "=", "neq": "!=", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}

var flipped = map[string]string{"eq": "eq", "neq": "neq", "lt": "gt", "lte": "gte", "gt": "lt", "gte": "lte"}

// compare translates a comparison. Rego orders all values: null, booleans, numbers, texts, and the rest.
func (t *translator) compare(x *ast.Expr, op string, a, b *ast.Term, s *scope, beside []*ast.Expr) pair {
	a, b = t.value(a, s), t.value(b, s)
	if ast.IsConstant(a.Value) || isCall(b, "object.get") && !isCall(a, "object.get") {
		a, b, op = b, a, flipped[op]
	}
	if ast.IsConstant(a.Value) {
		return exact(truth(decides(op, ast.Compare(a.Value, b.Value))))
	}
	if isCall(a, "object.get") {
		return t.objectGet(x, op, a.Value.(ast.Call)[1:], b, s, beside)
	}
	if isCall(a, "count") && ast.IsConstant(b.Value) {
		if p, ok := t.tally(x, op, a.Value.(ast.Call)[1], b, s, beside); ok {
			return p
		}
		if some, ok := t.some(x, a.Value.(ast.Call)[1], s, beside); ok {
			return t.counted(x, op, b, some)
		}
	}
	if reckoning(a) || reckoning(b) {
		return t.weighed(x, op, a, b, s)
	}
	l, ok := t.operand(a, s)
	if !ok {
		return t.drop(x, whyNot(a))
	}
	if ast.IsConstant(b.Value) {
		if op == "eq" && keyAlike(l, b) {
			return t.drop(x, whyKeyAlike)
		}
		return t.compareConstant(x, op, l, b)
	}
	r, ok := t.operand(b, s)
	switch {
	case !ok:
		return t.drop(x, whyNot(b))
	case l.kind == other || r.kind == other:
		return t.drop(x, "arrays and objects are not compared")
	case l.kind != r.kind:
		if !decides(op, int(l.kind)-int(r.kind)) {
			return exact(truth(false))
		}
		return exact(conjunction(thereOf(l), thereOf(r)))
	case l.kind == boolean && op != "eq" && op != "neq", l.float != r.float:
		return t.drop(x, "these two are not compared")
	}
	return folded(relate{sqlOperators[op], l, r}, l, r)
}

// keyAlike reports whether a field may be found where a key of a document is that differs from it: OPA's storage takes a number
// for the text that is written alike, and a text for an index. What partial evaluation leaves of a lookup is such an equation.
func keyAlike(l operand, c *ast.Term) bool {
	switch v := c.Value.(type) {
	case ast.Number:
		return l.kind == word
	case ast.String:
		var is any
		return l.kind != word && l.kind != other && json.Unmarshal([]byte(v), &is) == nil
	}
	return false
}

const whyKeyAlike = "as a key of a table or a parameter a text may stand for a number"

func isCall(t *ast.Term, name string) bool {
	call, ok := t.Value.(ast.Call)
	return ok && call[0].String() == name
}

// value is the call or the constant that a term stands for, or the term itself.
func (t *translator) value(term *ast.Term, s *scope) *ast.Term {
	switch v := term.Value.(type) {
	case ast.Var:
		if s.values[v] != nil {
			return s.values[v].call
		}
		if s.fixed[v] != nil {
			return s.fixed[v]
		}
	case ast.Ref:
		if c := t.lookUp(v); c != nil {
			return c
		}
	}
	return term
}

// folded is exact where a text is all ASCII: ClickHouse's lower and upper, unlike OPA's, know no other alphabet.
func folded(p pred, xs ...operand) pair {
	over, under := []pred{p}, []pred{p}
	for _, x := range xs {
		if x.foldsCase() {
			over, under = append(over, foreign{x.plain()}), append(under, not{foreign{x.plain()}})
		}
	}
	return pair{disjunction(over...), conjunction(under...)}
}

// some translates that a collection has an element; ok is false if it is no comprehension and no set that rules gather.
func (t *translator) some(x *ast.Expr, of *ast.Term, s *scope, beside []*ast.Expr) (p pair, ok bool) {
	element := func(term *ast.Term, body ast.Body) pair { return t.body(holding(body, term), t.inner(s, x, beside)) }
	switch v := of.Value.(type) {
	case *ast.SetComprehension:
		return element(v.Term, v.Body), true
	case *ast.ArrayComprehension:
		return element(v.Term, v.Body), true
	case ast.Var:
		if c := s.sets[v]; c != nil {
			return element(c.term, c.body), true
		}
	case ast.Ref:
		var ways []pair
		for _, r := range t.rules(v.String()) {
			if r.Head.Key == nil || r.Head.Value != nil || r.Default {
				return unknown, false
			}
			ways = append(ways, t.body(holding(r.Body, r.Head.Key), &scope{}))
		}
		return anyOf(ways...), len(ways) > 0
	}
	return unknown, false
}

// holding is a body that yields a term, which has to be there. A variable is: the body binds it.
func holding(body ast.Body, term *ast.Term) ast.Body {
	if _, ok := term.Value.(ast.Var); ok || ast.IsConstant(term.Value) {
		return body
	}
	return append(body.Copy(), Defined(term))
}

// counted translates the comparison of a number of elements with a constant, of which it is known where there are some.
func (t *translator) counted(x *ast.Expr, op string, c *ast.Term, some pair) pair {
	if op == "eq" && keyAlike(operand{kind: number}, c) {
		return t.drop(x, whyKeyAlike)
	}
	none, one := decides(op, ast.Compare(ast.Number("0"), c.Value)), decides(op, ast.Compare(ast.Number("1"), c.Value))
	order := ast.Compare(c.Value, ast.Number("1"))
	switch alike := kindOf(c) != number || order < 0 || order == 0 && (op == "gte" || op == "lt"); {
	case !alike:
		p := t.drop(x, "count of what is gathered is translated where it is compared with 0")
		if !none {
			p.over = some.over
		}
		return p
	case none == one:
		return exact(truth(one))
	case none:
		return t.noneOf(some)
	}
	return some
}

// computed translates that a call yields something.
func (t *translator) computed(x *ast.Expr, call *ast.Term, s *scope) pair {
	if p, ok := t.total(call, s); ok {
		return p
	}
	return t.drop(x, whyNot(call))
}

// totals are the builtins that yield something whatever they are given, but for what OPA has ruled out by their types.
var totals = map[string]bool{
	"abs": true, "array.concat": true, "array.reverse": true, "ceil": true, "concat": true, "count": true, "floor": true, "json.filter": true,
	"json.remove": true, "lower": true, "minus": true, "mul": true, "object.filter": true, "object.get": true, "object.keys": true, "object.remove": true,
	"object.union": true, "plus": true, "round": true, "sort": true, "split": true, "sprintf": true, "sum": true, "trim": true, "trim_left": true,
	"trim_prefix": true, "trim_right": true, "trim_space": true, "trim_suffix": true, "type_name": true, "upper": true,
}

// total translates that a term is defined; ok is false if that can't be seen.
func (t *translator) total(term *ast.Term, s *scope) (p pair, ok bool) {
	switch v := term.Value.(type) {
	case ast.Call:
		if !totals[v[0].String()] {
			return unknown, false
		}
		return t.allTotal(v[1:], s)
	case *ast.Array:
		var elements []*ast.Term
		v.Foreach(func(e *ast.Term) { elements = append(elements, e) })
		return t.allTotal(elements, s)
	case *ast.ArrayComprehension, *ast.SetComprehension:
		return exact(truth(true)), true
	case ast.Ref:
		if rules := t.rules(v.String()); len(rules) > 0 {
			return t.given(rules)
		}
		place, ok := t.place(v, s)
		if !ok {
			return unknown, false
		}
		return exact(place.defined()), true
	case ast.Var:
		if r, ok := s.aliases[v]; ok {
			return t.total(ast.NewTerm(r), s)
		}
		return exact(truth(true)), s.resolved(v) // that it is there is said where it is bound
	}
	return exact(truth(true)), ast.IsConstant(term.Value)
}

// given says whether one of the rules of a document gives its value.
func (t *translator) given(rules []*ast.Rule) (pair, bool) {
	var ways []pair
	for _, r := range rules {
		if r.Default {
			return exact(truth(true)), true
		}
		if r.Head.Key != nil {
			return unknown, false
		}
		for ; r != nil; r = r.Else { // a branch is tried where none before gave a value
			p, there := t.body(r.Body, &scope{}), exact(truth(true))
			if _, bound := r.Head.Value.Value.(ast.Var); !bound { // else the body says that it is there
				var ok bool
				if there, ok = t.total(r.Head.Value, &scope{}); !ok {
					return unknown, false
				}
			}
			ways = append(ways, allOf(p, there))
		}
	}
	return anyOf(ways...), true
}

func (t *translator) allTotal(terms []*ast.Term, s *scope) (pair, bool) {
	var all []pair
	for _, term := range terms {
		p, ok := t.total(term, s)
		if !ok {
			return unknown, false
		}
		all = append(all, p)
	}
	return allOf(all...), true
}

func decides(op string, order int) bool {
	return map[string]bool{"eq": order == 0, "neq": order != 0, "lt": order < 0, "lte": order <= 0, "gt": order > 0, "gte": order >= 0}[op]
}

func thereOf(x operand) pred {
	if !x.nullable && x.key == nil && x.by == "" && len(x.known) == 0 {
		return truth(true)
	}
	return defined{x}
}

// operand is the value that a term stands for.
func (t *translator) operand(term *ast.Term, s *scope) (operand, bool) {
	switch v := term.Value.(type) {
	case ast.Ref:
		p, ok := t.place(v, s)
		return p.x, ok && p.leaf
	case ast.Var:
		if r, ok := s.aliases[v]; ok {
			p, ok := t.place(r, s)
			return p.x, ok && p.leaf
		}
		if c := s.values[v]; c != nil {
			return t.operand(c.call, s)
		}
		if e, ok := s.elements[v]; ok && e.array.keys() {
			return operand{column: keyColumn, element: e.name, kind: word}, true
		}
	case ast.Call:
		switch name := v[0].String(); {
		case len(v) != 2:
		case name == "count":
			return t.count(v[1], s)
		case name == "lower", name == "upper":
			x, ok := t.operand(v[1], s)
			x.changed = append(slices.Clone(x.changed), change{function: name})
			return x, ok && x.kind == word
		}
		return t.trimmed(v, s)
	}
	return operand{}, false
}

// count is the number of elements of an array.
func (t *translator) count(term *ast.Term, s *scope) (operand, bool) {
	r, ok := term.Value.(ast.Ref)
	if v, isVar := term.Value.(ast.Var); isVar {
		r, ok = s.aliases[v]
	}
	if !ok {
		return operand{}, false
	}
	p, ok := t.place(r, s)
	switch {
	case !ok || !p.node.Array:
		return operand{}, false
	case p.node.Leaf():
		return operand{column: p.node.Column, kind: number, element: p.x.element, known: p.x.known, count: true}, true
	case p.x.element != "": // it is an element
		return operand{}, false
	}
	return operand{column: firstLeaf(p.node).Column, kind: number, known: p.x.known, count: true}, true
}

func (t *translator) compareConstant(x *ast.Expr, op string, l operand, c *ast.Term) pair {
	k := kindOf(c)
	if l.kind == other {
		return t.drop(x, "arrays and objects are not compared")
	}
	if l.kind != k {
		if !decides(op, int(l.kind)-int(k)) {
			return exact(truth(false))
		}
		return exact(thereOf(l))
	}
	switch k {
	case boolean:
		want := bool(c.Value.(ast.Boolean))
		switch {
		case op == "neq":
			want = !want
		case op != "eq":
			return t.drop(x, "booleans are not ordered")
		}
		if want {
			return exact(isTrue{l})
		}
		return exact(conjunction(thereOf(l), not{isTrue{l}}))
	case word:
		text := string(c.Value.(ast.String))
		if op == "eq" {
			return folded(oneOf{l, value(text)}, l)
		}
		if l.foldsCase() {
			return folded(compare{sqlOperators[op], l, value(text)}, l)
		}
		return t.planting(op, compare{sqlOperators[op], l, value(text)})
	}
	n := c.Value.(ast.Number)
	if l.float {
		f, ok := exactFloat(n)
		if !ok {
			return t.drop(x, "the number is not exactly what a column of numbers holds")
		}
		if op == "eq" {
			return exact(oneOf{l, value(f)})
		}
		return t.planting(op, compare{sqlOperators[op], l, value(f)})
	}
	floor, whole, ok := wholeNumber(n)
	switch {
	case !ok:
		return t.drop(x, "the number is not one of 64 bits")
	case whole && op == "eq":
		return exact(oneOf{l, value(floor)})
	case whole:
		return t.planting(op, compare{sqlOperators[op], l, value(floor)})
	}
	switch op {
	case "eq":
		return exact(truth(false))
	case "neq":
		return exact(thereOf(l))
	case "lt", "lte":
		return exact(compare{"<=", l, value(floor)})
	default:
		return exact(compare{">", l, value(floor)})
	}
}

// planting is exact but for the fault that a test may plant: a comparison that, from below, holds on a missing value.
func (t *translator) planting(op string, c compare) pair {
	if t.fault == MissingHolds && op != "eq" {
		return pair{over: c, under: disjunction(c, negation(thereOf(c.x)))}
	}
	return exact(c)
}

func kindOf(c *ast.Term) kind {
	switch c.Value.(type) {
	case ast.Null:
		return null
	case ast.Boolean:
		return boolean
	case ast.Number:
		return number
	case ast.String:
		return word
	}
	return other
}

var plainNumber = regexp.MustCompile(`^-?[0-9]{1,30}(\.[0-9]{1,30})?$`)

// wholeNumber is the greatest whole number not above n, and whether that is n.
func wholeNumber(n ast.Number) (floor int64, whole, ok bool) {
	if !plainNumber.MatchString(string(n)) {
		return 0, false, false
	}
	r, ok := new(big.Rat).SetString(string(n))
	if !ok {
		return 0, false, false
	}
	i := new(big.Int).Div(r.Num(), r.Denom()) // Euclidean: the denominator is positive
	if !i.IsInt64() {
		return 0, false, false
	}
	return i.Int64(), r.IsInt(), true
}

// exactFloat accepts a number only if it is what the nearest float64 is written as: numbers in documents are written so, and
// then both compare alike.
func exactFloat(n ast.Number) (float64, bool) {
	if !plainNumber.MatchString(string(n)) {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil || math.IsInf(f, 0) {
		return 0, false
	}
	is, ok1 := new(big.Rat).SetString(string(n))
	written, ok2 := new(big.Rat).SetString(strconv.FormatFloat(f, 'f', -1, 64))
	return f, ok1 && ok2 && is.Cmp(written) == 0
}

// member translates x in y.
func (t *translator) member(x *ast.Expr, a, b *ast.Term, s *scope, beside []*ast.Expr) pair {
	gathered := func(term *ast.Term, body ast.Body) pair { // one of the values is a
		return t.body(append(body.Copy(), ast.Equality.Expr(term, a)), t.inner(s, x, beside))
	}
	switch v := b.Value.(type) {
	case *ast.SetComprehension:
		return gathered(v.Term, v.Body)
	case *ast.ArrayComprehension:
		return gathered(v.Term, v.Body)
	case ast.Var:
		if c := s.sets[v]; c != nil {
			return gathered(c.term, c.body)
		}
	}
	a, b = t.value(a, s), t.value(b, s)
	if ast.IsConstant(a.Value) {
		return t.inArray(x, a, b, s)
	}
	var list []*ast.Term
	switch v := b.Value.(type) {
	case ast.Set:
		list = v.Slice()
	case *ast.Array:
		v.Foreach(func(e *ast.Term) { list = append(list, e) })
	default:
		return t.drop(x, "in is translated for sets and arrays of constants")
	}
	if reckoning(a) {
		var ways []pair
		for _, e := range list {
			if !ast.IsConstant(e.Value) {
				return t.drop(x, "in is translated for sets and arrays of constants")
			}
			ways = append(ways, t.weighed(x, "eq", a, e, s))
		}
		return anyOf(ways...)
	}
	l, ok := t.operand(a, s)
	if !ok {
		return t.drop(x, whyNot(a))
	}
	var ways []pair
	values := &constant{}
	for _, e := range list {
		if !ast.IsConstant(e.Value) {
			return t.drop(x, "in is translated for sets and arrays of constants")
		}
		if kindOf(e) == word && l.kind == word {
			values.values = append(values.values, string(e.Value.(ast.String)))
			continue
		}
		before := len(t.dropped)
		p := t.compareConstant(x, "eq", l, e)
		if len(t.dropped) > before {
			return p
		}
		ways = append(ways, p)
	}
	if len(values.values) > 0 {
		ways = append(ways, folded(oneOf{l, values}, l))
	}
	return anyOf(ways...)
}

// inArray translates that an array of texts has a constant as an element.
func (t *translator) inArray(x *ast.Expr, a, b *ast.Term, s *scope) pair {
	r, ok := b.Value.(ast.Ref)
	if v, isVar := b.Value.(ast.Var); isVar {
		r, ok = s.aliases[v]
	}
	text, isText := a.Value.(ast.String)
	if !ok || !isText {
		return t.drop(x, "in is translated for sets and arrays of constants")
	}
	p, ok := t.place(r, s)
	if !ok || !p.node.Array || !p.node.Leaf() || p.node.Type != access.String {
		return t.drop(x, whyNot(b))
	}
	return exact(holds{p.x, value(string(text))})
}

func (t *translator) textCall(x *ast.Expr, op string, a, b *ast.Term, s *scope) pair {
	l, ok := t.operand(a, s)
	c, isText := b.Value.(ast.String)
	if !ok || !isText || l.kind != word {
		return t.drop(x, op+" is translated for a field and a constant")
	}
	return folded(text{op, l, value(string(c))}, l)
}

// match translates regex.match of patterns that both engines read alike, on texts in ASCII.
func (t *translator) match(x *ast.Expr, a, pattern *ast.Term, s *scope) pair {
	l, ok := t.operand(a, s)
	c, isText := pattern.Value.(ast.String)
	if !ok || !isText || l.kind != word || !plainPattern(string(c)) {
		return t.drop(x, "regex.match is translated for a field and a plain pattern in ASCII")
	}
	p := text{"match", l, value("(?-s)" + string(c))}
	return pair{over: disjunction(p, foreign{l.plain()}), under: conjunction(p, not{foreign{l.plain()}})}
}

// glob translates glob.match of a pattern without other wildcards than *, which stands for any text where there are no delimiters.
func (t *translator) glob(x *ast.Expr, pattern, delimiters, a *ast.Term, s *scope) pair {
	l, ok := t.operand(a, s)
	c, isText := t.value(pattern, s).Value.(ast.String)
	_, none := t.value(delimiters, s).Value.(ast.Null)
	if !ok || !isText || !none || l.kind != word || !plainGlob.MatchString(string(c)) {
		return t.drop(x, "glob.match is translated for a field and a plain pattern in ASCII, without delimiters")
	}
	parts := strings.Split(string(c), "*")
	for i, part := range parts {
		parts[i] = regexp.QuoteMeta(part)
	}
	return folded(text{"match", l, value("(?s)^" + strings.Join(parts, ".*") + "$")}, l)
}

var plainGlob = regexp.MustCompile(`^[A-Za-z0-9 _@,:;=<>/%&~"'#$.+*-]*$`)

var plainRegexp = regexp.MustCompile(`^([A-Za-z0-9 _@,:;=<>/%&~"'#!^$.|()\[\]*+?{}-]|\\[dDwWsS.\-/@_])*$`)

func plainPattern(p string) bool {
	if !plainRegexp.MatchString(p) || strings.Contains(p, "(?") || strings.Contains(p, "[:") {
		return false
	}
	_, err := syntax.Parse(p, syntax.Perl)
	return err == nil
}

// field is a field of an object.
func (t *translator) field(of, name *ast.Term, s *scope) (field ast.Ref, object, at place, ok bool) {
	base, ok := of.Value.(ast.Ref)
	if v, isVar := of.Value.(ast.Var); isVar {
		base, ok = s.aliases[v]
	}
	key, isText := name.Value.(ast.String)
	if !ok || !isText {
		return nil, object, at, false
	}
	object, ok = t.place(base, s)
	if !ok || object.leaf || object.node.Array && object.x.element == "" {
		return nil, object, at, false
	}
	field = append(s.expand(base), ast.StringTerm(string(key)))
	at, ok = t.place(field, s)
	return field, object, at, ok && at.leaf
}

// trimmed is what is left of a text when a constant in ASCII is taken off.
func (t *translator) trimmed(call ast.Call, s *scope) (operand, bool) {
	function := call[0].String()
	if !strings.HasPrefix(function, "trim") || changes[function] == "" || len(call) != 3 {
		return operand{}, false
	}
	x, ok := t.operand(call[1], s)
	by, isText := t.value(call[2], s).Value.(ast.String)
	if !ok || !isText || x.kind != word || !ascii(string(by)) {
		return operand{}, false
	}
	if by != "" {
		x.changed = append(slices.Clone(x.changed), change{function, string(by)})
	}
	return x, true
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r == 0 || r >= 0x80 })
}

// objectGet translates the comparison of object.get(object, key, default).
func (t *translator) objectGet(x *ast.Expr, op string, operands []*ast.Term, b *ast.Term, s *scope, beside []*ast.Expr) pair {
	field, object, at, ok := t.field(operands[0], operands[1], s)
	if !ok {
		return t.drop(x, "object.get is translated for a field of an object, called by its name")
	}
	there := t.compare(x, op, ast.NewTerm(field), b, s, beside)
	absent := t.compare(x, op, operands[2], b, s, beside)
	otherwise, ok := t.total(operands[2], s)
	if !ok {
		return t.drop(x, whyNot(operands[2]))
	}
	return allOf(otherwise, anyOf(there, allOf(exact(object.defined()), exact(negation(at.defined())), absent)))
}
