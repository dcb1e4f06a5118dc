package prefilter

import (
	"fmt"
	"math/big"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Whole numbers are reckoned with as OPA does it: plus, minus and mul are exact, however large the result is. Here they are
// done in as many bits as the result may need. What comes of a number that is none, or of a fraction, is not translated: OPA
// rounds it to 64 bits.

// figure is what a number is reckoned from.
type figure interface{}

type (
	// whole is a field that is a whole number, or a count.
	whole struct{ x operand }
	// given is a constant.
	given struct{ n int64 }
	// fallback is a field, and where that is missing something else.
	fallback struct {
		x  operand
		or figure
	}
	// reckoned is +, - or * of two.
	reckoned struct {
		op   string
		a, b figure
	}
	// extreme is the greatest or the least of some.
	extreme struct {
		function string // of SQL
		of       []figure
	}
	// size is a number without its sign.
	size struct{ a figure }
	// quotient is a number divided by a constant and made whole.
	quotient struct {
		way string // ceil, floor or round
		a   figure
		by  int64
	}
)

// weigh compares two figures all parts of which are there.
type weigh struct {
	op   string // of SQL
	a, b figure
}

// OPA rounds quotients to 64 bits. What is made whole of one is what it is without rounding while the numbers are well below
// these: the fraction of a quotient of smaller ones is at least 2^-20, or 2^-21 away from a half, and its last bit 2^-24.
const (
	largestDividend = 1 << 40
	largestDivisor  = 1 << 20
)

// What is at most so many times two is well within SQL's numbers.
const (
	bitsOf128 = 126
	bitsOf256 = 254
)

// bits says how many times two a figure is at most, whatever its sign.
func bits(f figure) int {
	switch f := f.(type) {
	case given:
		return big.NewInt(f.n).BitLen()
	case fallback:
		return max(63, bits(f.or))
	case reckoned:
		if f.op == "*" {
			return bits(f.a) + bits(f.b)
		}
		return max(bits(f.a), bits(f.b)) + 1
	case extreme:
		n := 0
		for _, e := range f.of {
			n = max(n, bits(e))
		}
		return n
	case size:
		return bits(f.a)
	case quotient:
		return bits(f.a) + 2 // on the way
	}
	return 63
}

// parts are the values that a figure needs to be there, and those that it does not.
func parts(f figure, needed, spared []operand) (_, _ []operand) {
	switch f := f.(type) {
	case whole:
		return append(needed, f.x), spared
	case fallback:
		return parts(f.or, needed, append(spared, f.x))
	case reckoned:
		needed, spared = parts(f.a, needed, spared)
		return parts(f.b, needed, spared)
	case extreme:
		for _, e := range f.of {
			needed, spared = parts(e, needed, spared)
		}
	case size:
		return parts(f.a, needed, spared)
	case quotient:
		return parts(f.a, needed, spared)
	}
	return needed, spared
}

// eachPart makes a figure of other values.
func eachPart(f figure, of func(operand) operand) figure {
	switch f := f.(type) {
	case whole:
		return whole{of(f.x)}
	case fallback:
		return fallback{of(f.x), eachPart(f.or, of)}
	case reckoned:
		return reckoned{f.op, eachPart(f.a, of), eachPart(f.b, of)}
	case extreme:
		out := extreme{f.function, make([]figure, len(f.of))}
		for i, e := range f.of {
			out.of[i] = eachPart(e, of)
		}
		return out
	case size:
		return size{eachPart(f.a, of)}
	case quotient:
		return quotient{f.way, eachPart(f.a, of), f.by}
	}
	return f
}

// figureThere holds where all that a figure is reckoned from is there.
func figureThere(f figure) pred {
	needed, spared := parts(f, nil, nil)
	var there []pred
	for _, x := range needed {
		there = append(there, thereOf(x))
	}
	for _, x := range spared { // the object that may lack it has to be there
		there = append(there, presenceOf(x.known))
	}
	return conjunction(there...)
}

var reckons = map[string]string{"plus": "+", "minus": "-", "mul": "*"}

// reckoning reports whether a term is a call that yields a number reckoned from others.
func reckoning(term *ast.Term) bool {
	call, ok := term.Value.(ast.Call)
	if !ok {
		return false
	}
	switch name := call[0].String(); name {
	case "abs", "ceil", "floor", "round", "max", "min":
		return len(call) == 2
	default:
		return reckons[name] != "" && len(call) == 3
	}
}

// figure is what a term is reckoned from. Where one of unsure holds, OPA may come to another number. If it can't be
// translated, why says so.
func (t *translator) figure(term *ast.Term, s *scope) (f figure, unsure []pred, why string) {
	term = t.value(term, s)
	if n, ok := term.Value.(ast.Number); ok {
		i, isWhole, ok := wholeNumber(n)
		if !ok || !isWhole {
			return nil, nil, "it is reckoned with a number that is not a whole one of 64 bits"
		}
		return given{i}, nil, ""
	}
	if x, ok := t.operand(term, s); ok {
		if x.kind != number || x.float {
			return nil, nil, "fractions are not reckoned with: write whole numbers, a percentage for a share"
		}
		return whole{x}, nil, ""
	}
	call, ok := term.Value.(ast.Call)
	if !ok {
		return nil, nil, whyNot(term)
	}
	name, args := call[0].String(), call[1:]
	switch {
	case reckons[name] != "" && len(args) == 2:
		fs, unsure, why := t.figures(args, s)
		if why != "" {
			return nil, nil, why
		}
		f = reckoned{reckons[name], fs[0], fs[1]}
		if bits(f) > bitsOf256 {
			return nil, nil, "the number may be too large"
		}
		return f, unsure, ""
	case (name == "max" || name == "min") && len(args) == 1:
		var list []*ast.Term
		switch v := t.value(args[0], s).Value.(type) {
		case *ast.Array:
			v.Foreach(func(e *ast.Term) { list = append(list, e) })
		case ast.Set:
			list = v.Slice()
		}
		if len(list) == 0 {
			return nil, nil, whyNot(term)
		}
		fs, unsure, why := t.figures(list, s)
		return extreme{map[string]string{"max": "greatest", "min": "least"}[name], fs}, unsure, why
	case name == "object.get" && len(args) == 3:
		_, _, at, ok := t.field(args[0], args[1], s)
		if !ok || at.x.kind != number || at.x.float {
			return nil, nil, whyNot(term)
		}
		or, unsure, why := t.figure(args[2], s)
		return fallback{at.x, or}, unsure, why
	case (name == "abs" || name == "ceil" || name == "floor" || name == "round") && len(args) == 1:
		return t.made(name, t.value(args[0], s), s)
	}
	return nil, nil, whyNot(term)
}

func (t *translator) figures(terms []*ast.Term, s *scope) (fs []figure, unsure []pred, why string) {
	for _, term := range terms {
		f, u, why := t.figure(term, s)
		if why != "" {
			return nil, nil, why
		}
		fs, unsure = append(fs, f), append(unsure, u...)
	}
	return fs, unsure, ""
}

// made is a number without its sign, or one that is made whole: which it is, or it is a quotient.
func (t *translator) made(way string, term *ast.Term, s *scope) (figure, []pred, string) {
	if way != "abs" && isCall(term, "div") {
		args := term.Value.(ast.Call)[1:]
		n, ok := t.value(args[len(args)-1], s).Value.(ast.Number)
		by, isWhole, inRange := wholeNumber(n)
		if !ok || len(args) != 2 || !isWhole || !inRange || by < 1 || by > largestDivisor {
			return nil, nil, "quotients are translated of whole numbers by a constant above zero"
		}
		a, unsure, why := t.figure(args[0], s)
		if why != "" {
			return nil, nil, why
		}
		f := quotient{way, a, by}
		if bits(f) > bitsOf256 {
			return nil, nil, "the number may be too large"
		}
		return f, append(unsure, weigh{">", size{a}, given{largestDividend}}), ""
	}
	a, unsure, why := t.figure(term, s)
	if why != "" {
		return nil, nil, why
	}
	if bits(a) > 64 { // OPA rounds what is longer
		unsure = append(unsure, weigh{">", size{a}, given{largestDividend}})
	}
	if way == "abs" {
		a = size{a}
	}
	return a, unsure, ""
}

// weighed translates the comparison of what is reckoned with something.
func (t *translator) weighed(x *ast.Expr, op string, a, b *ast.Term, s *scope) pair {
	if !reckoning(a) {
		a, b, op = b, a, flipped[op]
	}
	l, unsure, why := t.figure(a, s)
	if why != "" {
		return t.drop(x, why)
	}
	exactly := func(p pred) pair {
		return pair{disjunction(append([]pred{p}, unsure...)...), conjunction(p, negation(disjunction(unsure...)))}
	}
	if ast.IsConstant(b.Value) {
		if op == "eq" && keyAlike(operand{kind: number}, b) {
			return t.drop(x, whyKeyAlike)
		}
		if k := kindOf(b); k != number {
			if !decides(op, int(number)-int(k)) {
				return exact(truth(false))
			}
			return exact(figureThere(l))
		}
		floor, isWhole, ok := wholeNumber(b.Value.(ast.Number))
		switch {
		case !ok:
			return t.drop(x, "the number is not one of 64 bits")
		case isWhole:
			return exactly(weigh{sqlOperators[op], l, given{floor}})
		case op == "eq":
			return exact(truth(false))
		case op == "neq":
			return exact(figureThere(l))
		case op == "lt" || op == "lte":
			return exactly(weigh{"<=", l, given{floor}})
		}
		return exactly(weigh{">", l, given{floor}})
	}
	if y, ok := t.operand(b, s); ok && y.kind != number {
		if y.kind == other {
			return t.drop(x, "arrays and objects are not compared")
		}
		if !decides(op, int(number)-int(y.kind)) {
			return exact(truth(false))
		}
		return exact(conjunction(figureThere(l), thereOf(y)))
	}
	r, also, why := t.figure(b, s)
	if why != "" {
		return t.drop(x, why)
	}
	unsure = append(unsure, also...)
	return exactly(weigh{sqlOperators[op], l, r})
}

// weigh writes a comparison of figures.
func (w *writer) weigh(p weigh) {
	needed, spared := parts(p.a, nil, nil)
	needed, spared = parts(p.b, needed, spared)
	for _, x := range spared { // where it is missing there is something else
		x.nullable = false
		needed = append(needed, x)
	}
	typ := "toInt128"
	if max(bits(p.a), bits(p.b)) > bitsOf128 {
		typ = "toInt256"
	}
	w.checked(func() {
		w.add("(")
		for _, x := range needed {
			if x.nullable && (lenient(p.a) || lenient(p.b)) {
				w.there(x)
				w.add(" AND ")
			}
		}
		w.figure(p.a, typ)
		w.add(" ", p.op, " ")
		w.figure(p.b, typ)
		w.add(")")
	}, needed...)
}

// lenient reports whether SQL may come to a number though a part that is needed is missing.
func lenient(f figure) bool {
	switch f := f.(type) {
	case extreme, fallback:
		return true
	case reckoned:
		return lenient(f.a) || lenient(f.b)
	case size:
		return lenient(f.a)
	case quotient:
		return lenient(f.a)
	}
	return false
}

func (w *writer) figure(f figure, typ string) {
	switch f := f.(type) {
	case whole:
		w.add(typ, "(", w.column(f.x), ")")
	case given:
		if w.shape {
			w.add(fmt.Sprint(f.n))
			return
		}
		w.add(typ, "(", w.constant(value(f.n)), ")")
	case fallback:
		w.add("ifNull(", typ, "(", w.column(f.x), "), ")
		w.figure(f.or, typ)
		w.add(")")
	case reckoned:
		w.add("(")
		w.figure(f.a, typ)
		w.add(" ", f.op, " ")
		w.figure(f.b, typ)
		w.add(")")
	case extreme:
		w.add(f.function, "(")
		for i, e := range f.of {
			if i > 0 {
				w.add(", ")
			}
			w.figure(e, typ)
		}
		w.add(")")
	case size: // SQL's abs yields another type
		w.add(typ, "(abs(")
		w.figure(f.a, typ)
		w.add("))")
	case quotient:
		w.quotient(f, typ)
	}
}

// quotient writes a quotient that is made whole as OPA does it: what lies between -1 and 0 becomes 1 above and 0 below.
func (w *writer) quotient(q quotient, typ string) {
	by := typ + "(" + w.number(q.by) + ")"
	dividend := func() { w.figure(q.a, typ) }
	whole := func() { w.add("intDiv("); dividend(); w.add(", ", by, ")") }
	switch q.way {
	case "round": // a half goes away from zero
		two := typ + "(" + w.number(2) + ")"
		w.add("intDiv(")
		dividend()
		w.add(" * ", two, " + sign(")
		dividend()
		w.add(") * ", by, ", ", by, " * ", two, ")")
	default:
		compare, step := " >= ", " + "
		if q.way == "floor" {
			compare, step = " < ", " - "
		}
		w.add("(")
		whole()
		w.add(step, typ, "((")
		dividend()
		w.add(" % ", by, " != ", typ, "(", w.number(0), ")) AND (")
		whole()
		w.add(compare, typ, "(", w.number(0), "))))")
	}
}

// number writes a constant that is part of a shape.
func (w *writer) number(n int64) string {
	if w.shape {
		return fmt.Sprint(n)
	}
	return w.constant(value(n))
}
