package prefilter

import (
	"slices"

	"github.com/lapse-audit/lapse/internal/access"
)

// pred is a predicate of two values: it is never NULL.
type pred interface{}

type (
	truth bool
	and   []pred
	or    []pred
	not   struct{ p pred }

	// defined holds where a value is there.
	defined struct{ x operand }
	// isTrue holds where a bool is there and true.
	isTrue struct{ x operand }
	// oneOf holds where a value is there and one of the constants.
	oneOf struct {
		x operand
		c *constant
	}
	// compare holds where a value is there and the comparison with the constant holds.
	compare struct {
		op string // of SQL
		x  operand
		c  *constant
	}
	// relate compares two values, both of which are there.
	relate struct {
		op   string
		x, y operand
	}
	// text is a function of a text and a constant: see textFunctions.
	text struct {
		function string
		x        operand
		c        *constant
	}
	// foreign holds where a text is there and has other characters than ASCII.
	foreign struct{ x operand }
	// holds says that an array of texts has the constant as an element.
	holds struct {
		x operand
		c *constant
	}
	// exists says that p holds for an element of an array, the columns of which p calls by the element's name.
	exists struct {
		array array
		name  string
		p     pred
	}
	// filled says that an array is there and has elements.
	filled struct{ array array }
)

// constant is one value or several, all strings, int64s or float64s.
type constant struct{ values []any }

func value(v any) *constant { return &constant{[]any{v}} }

// kind is what Rego takes a value for; values of different kinds are ordered by it.
type kind int

const (
	null kind = iota
	boolean
	number
	word
	other // arrays, objects and sets
)

// operand is a value in a row, or in an element of an array.
type operand struct {
	column   string
	kind     kind
	float    bool
	nullable bool
	element  string   // the name of the element it lies in, "" if it lies in none
	known    []string // presence columns that must be true
	key      *string  // of a map
	by       string   // the name of the element that is the key of a map
	count    bool     // of the elements of an array, in place of a value
	changed  []change // what is made of a text, in this order
}

// change makes another text of a text: see changes.
type change struct{ function, by string }

// plain is the field that a text is made of.
func (x operand) plain() operand {
	x.changed = nil
	return x
}

// foldsCase reports whether it is so only for a text in ASCII.
func (x operand) foldsCase() bool {
	return slices.ContainsFunc(x.changed, func(c change) bool { return c.by == "" })
}

// array is an array of objects: parallel columns, all of one length. Or it is a map, the elements of which are its keys, or an
// array of texts.
type array struct {
	node  *access.Node
	size  string // the column to count by
	known []string
	texts *operand // the array of texts, which may lie in an element
}

// length is the number of elements.
func (a array) length() operand {
	x := operand{column: a.size, known: a.known}
	if a.texts != nil {
		x = *a.texts
	}
	x.kind, x.count = number, true
	return x
}

func (a array) keys() bool { return !a.node.Array }

// keyColumn and textColumn are what the keys of a map and the elements of an array of texts are called.
const (
	keyColumn  = "key"
	textColumn = "text"
)

// pair is a predicate from both sides: wherever under holds the exact one does, and wherever that does over holds. A part
// that can't be translated is over TRUE and under FALSE, and not exchanges the two.
type pair struct{ over, under pred }

func exact(p pred) pair { return pair{p, p} }

var unknown = pair{over: truth(true), under: truth(false)}

func allOf(pairs ...pair) pair {
	var over, under []pred
	for _, p := range pairs {
		over, under = append(over, p.over), append(under, p.under)
	}
	return pair{conjunction(over...), conjunction(under...)}
}

func anyOf(pairs ...pair) pair {
	var over, under []pred
	for _, p := range pairs {
		over, under = append(over, p.over), append(under, p.under)
	}
	return pair{disjunction(mergeOver(over)...), disjunction(mergeUnder(under)...)}
}

func noneOf(p pair) pair {
	return pair{negation(p.under), negation(p.over)}
}

func someElement(a array, name string, p pair) pair {
	return pair{existence(a, name, p.over), existence(a, name, p.under)}
}

func conjunction(ps ...pred) pred {
	var out and
	for _, p := range ps {
		switch p := p.(type) {
		case truth:
			if !p {
				return truth(false)
			}
		case and:
			out = append(out, p...)
		default:
			out = append(out, p)
		}
	}
	switch len(out) {
	case 0:
		return truth(true)
	case 1:
		return out[0]
	}
	return out
}

func disjunction(ps ...pred) pred {
	var out or
	for _, p := range ps {
		switch p := p.(type) {
		case truth:
			if p {
				return truth(true)
			}
		case or:
			out = append(out, p...)
		default:
			out = append(out, p)
		}
	}
	switch len(out) {
	case 0:
		return truth(false)
	case 1:
		return out[0]
	}
	return out
}

func negation(p pred) pred {
	switch p := p.(type) {
	case truth:
		return !p
	case not:
		return p.p
	}
	return not{p}
}

// existence takes out of the search through an array what does not depend on the element: nested searches multiply.
func existence(a array, name string, p pred) pred {
	if p == truth(false) {
		return p
	}
	parts, ok := p.(and)
	if !ok {
		parts = and{p}
	}
	var inner, outer []pred
	for _, part := range parts {
		if mentions(part, name) {
			inner = append(inner, part)
		} else {
			outer = append(outer, part)
		}
	}
	if len(inner) == 0 {
		return conjunction(append(outer, filled{a})...)
	}
	return conjunction(append(outer, exists{a, name, conjunction(inner...)})...)
}

// mentions reports whether a predicate depends on an element.
func mentions(p pred, element string) bool {
	return slices.ContainsFunc(operands(p, nil), func(x operand) bool { return x.element == element || x.by == element })
}

func (a array) operands(to []operand) []operand {
	if a.texts != nil {
		return append(to, *a.texts)
	}
	return to
}

// operands gathers the values that a predicate looks at.
func operands(p pred, to []operand) []operand {
	switch p := p.(type) {
	case and:
		for _, e := range p {
			to = operands(e, to)
		}
	case or:
		for _, e := range p {
			to = operands(e, to)
		}
	case not:
		return operands(p.p, to)
	case exists:
		return operands(p.p, p.array.operands(to))
	case tally:
		return operands(p.p, p.array.operands(to))
	case filled:
		return p.array.operands(to)
	case defined:
		return append(to, p.x)
	case isTrue:
		return append(to, p.x)
	case oneOf:
		return append(to, p.x)
	case compare:
		return append(to, p.x)
	case relate:
		return append(to, p.x, p.y)
	case text:
		return append(to, p.x)
	case foreign:
		return append(to, p.x)
	case holds:
		return append(to, p.x)
	case weigh:
		for _, f := range []figure{p.a, p.b} {
			needed, spared := parts(f, nil, nil)
			to = append(append(to, needed...), spared...)
		}
		return to
	}
	return to
}
