package policy

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// What one call of a builtin may give at most. A message, and the list that it is made of, are far below. OPA looks whether
// an evaluation was cancelled between calls and not within most: so no call may be long.
const (
	mostText    = 1 << 20 // bytes
	mostMembers = 100_000
	mostDigits  = 10_000 // of a number
)

// setBuiltins limits the builtins whose result can be much larger than what the policy holds, in this process, and puts a faster
// json.filter in the place of OPA's. OPA finds builtins by name in one table and lets no query bring its own, so the table is
// changed, once, before anything is evaluated.
var setBuiltins = sync.OnceFunc(func() {
	for name, size := range growing {
		f := topdown.GetBuiltin(name)
		if f == nil {
			continue // not of this version of OPA
		}
		topdown.RegisterBuiltinFunc(name, func(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
			if text, members := size(operands); text > mostText || members > mostMembers {
				what, most := "bytes", mostText
				if members > mostMembers {
					what, most = "members", mostMembers
				}
				return fmt.Errorf("the result would have more than %d %s", most, what)
			}
			return f(bctx, operands, iter)
		})
	}
	topdown.RegisterBuiltinFunc(ast.JSONFilter.Name, (&filterer{opa: topdown.GetBuiltin(ast.JSONFilter.Name)}).filter)
})

// sizer bounds what a builtin gives: the bytes of its texts, and the members of its collections. It need not be exact but
// must not be less. A number too long counts as too much text.
type sizer func(operands []*ast.Term) (text, members float64)

var growing = map[string]sizer{
	"concat":                   joined2,
	"sprintf":                  printed,
	"internal.template_string": all,
	"replace":                  func(o []*ast.Term) (float64, float64) { return replaced(length(o, 0), length(o, 1), length(o, 2)), 0 },
	"strings.replace_n":        func(o []*ast.Term) (float64, float64) { return (length(o, 1) + 1) * (1 + longest(operand(o, 0))), 0 },
	"regex.replace":            func(o []*ast.Term) (float64, float64) { return (length(o, 0) + 1) * (1 + length(o, 2)), 0 },
	"regex.split":              func(o []*ast.Term) (float64, float64) { return length(o, 1), length(o, 1) },
	"regex.find_n":             func(o []*ast.Term) (float64, float64) { return length(o, 1), length(o, 1) },
	"regex.find_all_string_submatch_n": func(o []*ast.Term) (float64, float64) {
		return length(o, 1) * (1 + groups(operand(o, 0))), length(o, 1) * (1 + groups(operand(o, 0)))
	},
	"regex.template_match":      all,
	"split":                     func(o []*ast.Term) (float64, float64) { return length(o, 0), length(o, 0) },
	"strings.split_n":           func(o []*ast.Term) (float64, float64) { return length(o, 0), length(o, 0) },
	"indexof_n":                 func(o []*ast.Term) (float64, float64) { return length(o, 0), length(o, 0) },
	"array.concat":              all,
	"array.flatten":             all,
	"object.union":              all,
	"object.union_n":            all,
	"union":                     all,
	"or":                        all,
	"json.patch":                all,
	"json.marshal":              all,
	"json.marshal_with_options": all,
	"json.unmarshal":            unmarshalled,
	"yaml.marshal":              all,
	"yaml.unmarshal":            unmarshalled,
	"base64.encode":             doubled,
	"base64url.encode":          doubled,
	"base64url.encode_no_pad":   doubled,
	"hex.encode":                doubled,
	"urlquery.encode":           func(o []*ast.Term) (float64, float64) { return 3 * length(o, 0), 0 },
	"urlquery.encode_object":    doubled,
	"upper":                     doubled,
	"lower":                     doubled,
	"strings.reverse":           all,
	"graph.reachable":           all,
	"walk":                      func(o []*ast.Term) (float64, float64) { t, m := measure(operand(o, 0)); return t, m },
	"numbers.range":             func(o []*ast.Term) (float64, float64) { return 0, span(o, 1) },
	"numbers.range_step":        func(o []*ast.Term) (float64, float64) { return 0, span(o, number2(o, 2)) },
	"bits.lsh":                  func(o []*ast.Term) (float64, float64) { return shifted(o), 0 },
	"mul":                       digits,
	"plus":                      digits,
	"minus":                     digits,
	"product":                   multiplied,
	"sum":                       multiplied,
	"to_number":                 all,
	"format_int":                digits,
}

func operand(operands []*ast.Term, i int) *ast.Term {
	if i < len(operands) {
		return operands[i]
	}
	return nil
}

// length of a text operand; 0 for anything else.
func length(operands []*ast.Term, i int) float64 {
	if t := operand(operands, i); t != nil {
		if s, ok := t.Value.(ast.String); ok {
			return float64(len(s))
		}
	}
	return 0
}

// all adds up the operands.
func all(operands []*ast.Term) (text, members float64) {
	for _, t := range operands {
		x, m := measure(t)
		text, members = text+x, members+m
	}
	return text, members
}

func doubled(operands []*ast.Term) (text, members float64) {
	text, members = all(operands)
	return 2 * text, members
}

// unmarshalled bounds what a text holds as JSON or YAML: a member takes a byte and the comma after it.
func unmarshalled(operands []*ast.Term) (text, members float64) {
	return length(operands, 0), length(operands, 0) / 2
}

// measure adds up a term. It stops where there is too much.
func measure(t *ast.Term) (text, members float64) {
	if t == nil {
		return 0, 0
	}
	switch v := t.Value.(type) {
	case ast.String:
		return float64(len(v)), 0
	case ast.Number:
		return float64(len(v)), 0
	case *ast.Array, ast.Set, ast.Object:
		var s sum
		s.members(v)
		return s.text, s.count
	}
	return 0, 0
}

// sum is what has been measured of a collection.
type sum struct{ text, count float64 }

// members adds those of a collection, until it is too much.
func (s *sum) members(v ast.Value) (enough bool) {
	switch v := v.(type) {
	case *ast.Array:
		for i := 0; i < v.Len() && !enough; i++ {
			enough = s.member(v.Elem(i))
		}
	case ast.Set:
		return v.Until(s.member)
	case ast.Object:
		return v.Until(func(k, e *ast.Term) bool { return s.member(k) || s.member(e) })
	}
	return enough
}

func (s *sum) member(t *ast.Term) (enough bool) {
	s.count++
	switch v := t.Value.(type) {
	case ast.String:
		s.text += float64(len(v))
	case ast.Number:
		s.text += float64(len(v))
	case *ast.Array, ast.Set, ast.Object:
		s.members(v)
	}
	return s.text > mostText || s.count > mostMembers
}

func joined2(operands []*ast.Term) (text, members float64) {
	text, members = measure(operand(operands, 1))
	return text + members*length(operands, 0), members
}

func replaced(text, old, with float64) float64 {
	if old == 0 {
		return text + (text+1)*with
	}
	return text + text/old*with
}

// longest is the greatest text in a term.
func longest(t *ast.Term) (most float64) {
	if t == nil {
		return 0
	}
	ast.WalkTerms(t, func(t *ast.Term) bool {
		if s, ok := t.Value.(ast.String); ok {
			most = max(most, float64(len(s)))
		}
		return false
	})
	return most
}

// groups counts the submatches of a pattern.
func groups(t *ast.Term) float64 {
	n := 0.0
	if t == nil {
		return n
	}
	if s, ok := t.Value.(ast.String); ok {
		for _, c := range string(s) {
			if c == '(' {
				n++
			}
		}
	}
	return n
}

// wide matches a verb, with the width and precision that it may ask for.
var wide = regexp.MustCompile(`%[^a-zA-Z%]*[a-zA-Z%]`)

var numbers = regexp.MustCompile(`[0-9]+`)

// printed bounds sprintf: each verb may write the greatest argument, as wide as it says.
func printed(operands []*ast.Term) (text, members float64) {
	if len(operands) == 0 {
		return 0, 0
	}
	format, _ := operands[0].Value.(ast.String)
	var greatest, sum float64
	if len(operands) < 2 {
		return 0, 0
	}
	if list, ok := operands[1].Value.(*ast.Array); ok {
		list.Foreach(func(t *ast.Term) {
			x, m := measure(t)
			if n, ok := t.Value.(ast.Number); ok { // a width, or written out
				if f, err := strconv.ParseFloat(string(n), 64); err == nil {
					x = max(x, min(math.Abs(f), 400)) // %f of the greatest float64 has 309 digits
				}
			}
			greatest = max(greatest, x+2*m)
			sum += x + 2*m
		})
	}
	if plainVerbs(string(format)) {
		return float64(len(format)) + 2*sum, 0
	}
	verbs := wide.FindAllString(string(format), -1)
	indexed := false
	for _, v := range verbs {
		for _, c := range v {
			indexed = indexed || c == '['
			if c == '*' { // the width is an argument
				text += widest(operand(operands, 1))
			}
		}
		for _, n := range numbers.FindAllString(v, -1) {
			if f, err := strconv.ParseFloat(n, 64); err == nil {
				text += f
			}
		}
	}
	if indexed { // an argument can be written more than once
		sum = greatest * float64(len(verbs))
	}
	return text + float64(len(format)) + 2*sum, 0
}

// plainVerbs reports whether a format has no other verbs than letters: no width, no precision, no index. Most are such.
func plainVerbs(format string) bool {
	for {
		_, after, found := strings.Cut(format, "%")
		if !found {
			return true
		}
		if after == "" {
			return false
		}
		if c := after[0] | 0x20; after[0] != '%' && (c < 'a' || c > 'z') {
			return false
		}
		format = after[1:]
	}
}

// widest is the greatest number of a list.
func widest(t *ast.Term) (most float64) {
	if list, ok := t.Value.(*ast.Array); ok {
		list.Foreach(func(t *ast.Term) {
			if n, ok := numeric(t); ok {
				most = max(most, math.Abs(n))
			}
		})
	}
	return most
}

func number2(operands []*ast.Term, i int) float64 {
	if t := operand(operands, i); t != nil {
		if n, ok := numeric(t); ok {
			return n
		}
	}
	return 0
}

// span counts the steps from the first operand to the second.
func span(operands []*ast.Term, step float64) float64 {
	if step <= 0 {
		step = 1 // refused by the builtin
	}
	return math.Abs(number2(operands, 1)-number2(operands, 0)) / step
}

// shifted is the bytes that a number has after a shift, as too much text if it is too long.
func shifted(operands []*ast.Term) float64 {
	if by := number2(operands, 1); by > 8*mostDigits {
		return mostText + 1
	}
	return 0
}

// digits refuses numbers that are too long to be reckoned with.
func digits(operands []*ast.Term) (text, members float64) {
	n := 0.0
	for _, t := range operands {
		if v, ok := t.Value.(ast.Number); ok {
			n += magnitude(string(v))
		}
	}
	if n > mostDigits {
		return mostText + 1, 0
	}
	text, members = all(operands)
	return text, members
}

// magnitude is the digits of a number written out.
func magnitude(n string) float64 {
	for i := range len(n) {
		if n[i] == 'e' || n[i] == 'E' {
			if exp, err := strconv.ParseFloat(n[i+1:], 64); err == nil {
				return float64(i) + math.Abs(exp)
			}
		}
	}
	return float64(len(n))
}

// multiplied bounds the product of a collection by the digits of all its numbers.
func multiplied(operands []*ast.Term) (text, members float64) {
	text, members = all(operands)
	if text > mostDigits*10 {
		return mostText + 1, members
	}
	return text, members
}
