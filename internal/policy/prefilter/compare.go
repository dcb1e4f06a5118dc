package prefilter

import (
	"math"
	"math/big"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/lapse-audit/lapse/internal/access"
)

// call translates a comparison or a call of a builtin.
func (t *translator) call(x *ast.Expr, s *scope, beside []*ast.Expr) pair {
	op := x.Operator().String()
	switch operands := x.Operands(); op {
	case "eq", "equal", "neq", "lt", "lte", "gt", "gte":
		if len(operands) == 2 {
			return t.compare(x, strings.Replace(op, "equal", "eq", 1), operands[0], operands[1], s)
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
	case "lower", "count":
		if len(operands) == 2 { // the second is the result
			call := ast.NewTerm(ast.Call{ast.NewTerm(x.Operator()), operands[0]})
			return t.compare(x, "eq", call, operands[1], s)
		}
	case "object.get":
		if len(operands) == 4 {
			return t.objectGet(x, operands, s)
		}
	}
	if rules := t.support[op]; rules != nil {
		return t.function(x, rules, s)
	}
	if strings.HasPrefix(op, "data.") {
		return t.drop(x, whyNotHelper)
	}
	return t.drop(x, op+" is not translated")
}

var sqlOperators = map[string]string{"eq": "=", "neq": "!=", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}

var flipped = map[string]string{"eq": "eq", "neq": "neq", "lt": "gt", "lte": "gte", "gt": "lt", "gte": "lte"}

// compare translates a comparison. Rego orders all values: null, booleans, numbers, texts, and the rest.
func (t *translator) compare(x *ast.Expr, op string, a, b *ast.Term, s *scope) pair {
	if ast.IsConstant(a.Value) {
		a, b, op = b, a, flipped[op]
	}
	if call, ok := a.Value.(ast.Call); ok && len(call) == 2 && call[0].String() == "lower" {
		return t.lower(x, call[1], op, b, s)
	}
	if ast.IsConstant(a.Value) {
		return exact(truth(decides(op, ast.Compare(a.Value, b.Value))))
	}
	l, ok := t.operand(a, s)
	if !ok {
		return t.drop(x, whyNot(a))
	}
	if ast.IsConstant(b.Value) {
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
	return exact(relate{sqlOperators[op], l, r})
}

func decides(op string, order int) bool {
	return map[string]bool{"eq": order == 0, "neq": order != 0, "lt": order < 0, "lte": order <= 0, "gt": order > 0, "gte": order >= 0}[op]
}

func thereOf(x operand) pred {
	if !x.nullable && x.key == nil && len(x.known) == 0 {
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
	case ast.Call:
		if len(v) == 2 && v[0].String() == "count" {
			return t.count(v[1], s)
		}
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
	if !ok || !p.node.Array || p.x.element != "" {
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
			return exact(oneOf{l, value(text)})
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
	if v, ok := b.Value.(ast.Var); ok {
		if c := s.sets[v]; c != nil { // one of the values gathered is a
			return t.body(append(c.body.Copy(), ast.Equality.Expr(c.term, a)), t.inner(s, nil, beside))
		}
	}
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
		ways = append(ways, exact(oneOf{l, values}))
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
	return exact(text{op, l, value(string(c))})
}

// lower translates the comparison of a text in lower case with a constant. Texts that are not ASCII only Rego can fold.
func (t *translator) lower(x *ast.Expr, a *ast.Term, op string, b *ast.Term, s *scope) pair {
	l, ok := t.operand(a, s)
	c, isText := b.Value.(ast.String)
	if !ok || !isText || l.kind != word || op != "eq" || !ascii(string(c)) {
		return t.drop(x, "lower is translated where it is compared with a constant in ASCII")
	}
	p := text{"lower", l, value(string(c))}
	return pair{over: disjunction(p, foreign{l}), under: conjunction(p, not{foreign{l}})}
}

// match translates regex.match of patterns that both engines read alike, on texts in ASCII.
func (t *translator) match(x *ast.Expr, a, pattern *ast.Term, s *scope) pair {
	l, ok := t.operand(a, s)
	c, isText := pattern.Value.(ast.String)
	if !ok || !isText || l.kind != word || !plainPattern(string(c)) {
		return t.drop(x, "regex.match is translated for a field and a plain pattern in ASCII")
	}
	p := text{"match", l, value("(?-s)" + string(c))}
	return pair{over: disjunction(p, foreign{l}), under: conjunction(p, not{foreign{l}})}
}

var plainRegexp = regexp.MustCompile(`^([A-Za-z0-9 _@,:;=<>/%&~"'#!^$.|()\[\]*+?{}-]|\\[dDwWsS.\-/@_])*$`)

func plainPattern(p string) bool {
	if !plainRegexp.MatchString(p) || strings.Contains(p, "(?") || strings.Contains(p, "[:") {
		return false
	}
	_, err := syntax.Parse(p, syntax.Perl)
	return err == nil
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// objectGet translates object.get(object, key, default) = constant.
func (t *translator) objectGet(x *ast.Expr, operands []*ast.Term, s *scope) pair {
	const why = "object.get is translated where it is compared with a constant"
	base, ok := operands[0].Value.(ast.Ref)
	if v, isVar := operands[0].Value.(ast.Var); isVar {
		base, ok = s.aliases[v]
	}
	key, isText := operands[1].Value.(ast.String)
	if !ok || !isText || !ast.IsConstant(operands[2].Value) || !ast.IsConstant(operands[3].Value) {
		return t.drop(x, why)
	}
	object, ok := t.place(base, s)
	if !ok || object.leaf || object.node.Array && object.x.element == "" {
		return t.drop(x, why)
	}
	at, ok := t.place(append(s.expand(base), ast.StringTerm(string(key))), s)
	if !ok || !at.leaf {
		return t.drop(x, why)
	}
	before := len(t.dropped)
	p := t.compareConstant(x, "eq", at.x, operands[3])
	if len(t.dropped) > before {
		return p
	}
	if operands[2].Equal(operands[3]) {
		p = anyOf(p, exact(conjunction(object.defined(), negation(at.defined()))))
	}
	return p
}
