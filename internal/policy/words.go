package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// words says a condition that held so that somebody understands it who does not read Rego.
func (x *explainer) words(ex exit, e *ast.Expr) string {
	switch terms := e.Terms.(type) {
	case *ast.Not:
		if len(terms.Body) == 1 {
			return x.notWords(ex, terms.Body[0])
		}
	case *ast.Every:
		return fmt.Sprintf("it is so for every one of %s", name(terms.Domain))
	case *ast.SomeDecl:
		if call, ok := terms.Symbols[0].Value.(ast.Call); ok && len(call) >= 3 {
			element, domain := call[len(call)-2], call[len(call)-1]
			return fmt.Sprintf("one of %s: %s", name(domain), x.which(ex, element))
		}
	case *ast.Term:
		return x.bare(ex, terms)
	case []*ast.Term:
		if len(terms) == 3 {
			return x.compared(ex, terms[0].String(), terms[1], terms[2])
		}
		return holds(terms)
	}
	return "this holds: " + plainExpr(e)
}

func (x *explainer) bare(ex exit, t *ast.Term) string {
	v := x.value(ex, t)
	switch {
	case v == nil:
		return fmt.Sprintf("%q holds", strings.ReplaceAll(strings.TrimPrefix(t.String(), "lib."), "_", " "))
	case v.Compare(ast.Boolean(true)) == 0:
		return is(t, true)
	}
	return fmt.Sprintf("%s is %s", name(t), plainValue(v))
}

// adjectives are fields that say how something is.
var adjectives = []string{"enabled", "privileged", "external", "locked", "direct", "approved", "active", "high_risk"}

// is says that something is so, or is not.
func is(t *ast.Term, so bool) string {
	ref, ok := t.Value.(ast.Ref)
	if ok && len(ref) > 1 {
		if last, ok := ref[len(ref)-1].Value.(ast.String); ok && slices.Contains(adjectives, string(last)) {
			not := "not "
			if so {
				not = ""
			}
			return fmt.Sprintf("%s is %s%s", name(ast.NewTerm(ref[:len(ref)-1])), not, strings.ReplaceAll(string(last), "_", " "))
		}
	}
	return name(t) + map[bool]string{true: ": yes", false: ": no"}[so]
}

func (x *explainer) notWords(ex exit, inner *ast.Expr) string {
	if t, ok := inner.Terms.(*ast.Term); ok {
		v := x.value(ex, t)
		_, isRef := t.Value.(ast.Ref)
		switch {
		case v != nil && v.Compare(ast.Boolean(false)) == 0:
			return is(t, false)
		case isRef && strings.HasPrefix(t.String(), "input."):
			return name(t) + " is not known"
		}
		return fmt.Sprintf("%q does not hold", strings.ReplaceAll(strings.TrimPrefix(t.String(), "lib."), "_", " "))
	}
	if terms, ok := inner.Terms.([]*ast.Term); ok && len(terms) == 3 {
		if x.value(ex, terms[1]) == nil {
			return fmt.Sprintf("%s is not known, so it is not that %s", name(terms[1]), strings.TrimPrefix(x.compared(ex, terms[0].String(), terms[1], terms[2]), "it is so that "))
		}
		if op, ok := map[string]string{"equal": "not ", "eq": "not ", "internal.member_2": "none of ", "lt": "not below ", "lte": "not at most ", "gt": "not above ", "gte": "not at least "}[terms[0].String()]; ok {
			return fmt.Sprintf("%s is %s, %s%s", name(terms[1]), plainValue(x.value(ex, terms[1])), op, x.side(ex, terms[2]))
		}
	}
	return "it is not so that " + plainExpr(inner)
}

var operators = map[string]string{"gte": "at least", "gt": "above", "lte": "at most", "lt": "below", "neq": "not"}

func (x *explainer) compared(ex exit, operator string, a, b *ast.Term) string {
	left := x.value(ex, a)
	switch operator {
	case "assign":
		return fmt.Sprintf("%s is %s", strings.ReplaceAll(a.String(), "_", " "), x.which(ex, a))
	case "equal", "eq":
		if left == nil {
			return fmt.Sprintf("%s is %s", name(a), x.side(ex, b))
		}
		if left.Compare(ast.Boolean(false)) == 0 {
			return is(a, false)
		}
		if left.Compare(ast.Boolean(true)) == 0 {
			return is(a, true)
		}
		return fmt.Sprintf("%s is %s", name(a), plainValue(left))
	case "internal.member_2":
		if left == nil {
			return fmt.Sprintf("%s is one of %s", name(a), x.side(ex, b))
		}
		return fmt.Sprintf("%s is %s, one of %s", name(a), plainValue(left), x.side(ex, b))
	}
	if verb := textVerbs[operator]; verb != "" {
		return fmt.Sprintf("%s %s %s", name(a), verb, x.side(ex, b))
	}
	op := operators[operator]
	switch {
	case op == "":
		return holds(ast.Call{ast.VarTerm(operator), a, b})
	case left == nil: // made of other values, not one that was kept
		return fmt.Sprintf("%s is %s %s", name(a), op, x.side(ex, b))
	}
	return fmt.Sprintf("%s is %s, %s %s", name(a), plainValue(left), op, x.side(ex, b))
}

// textVerbs are what builtins ask of a text.
var textVerbs = map[string]string{"startswith": "begins with", "endswith": "ends with", "contains": "contains", "regex.match": "is matched by", "glob.match": "is matched by"}

// signs are those of arithmetic.
var signs = map[string]string{"plus": "+", "minus": "-", "mul": "*", "div": "/", "rem": "%"}

// called says a call in words: a sum by its sign, a function by its name and what it is asked about.
func called(c ast.Call) string {
	if sign := signs[c[0].String()]; sign != "" && len(c) == 3 {
		return fmt.Sprintf("%s %s %s", name(c[1]), sign, name(c[2]))
	}
	return "the " + asked(c, "of")
}

// holds says that a function of the policy says yes.
func holds(c ast.Call) string { return "it is so: " + asked(c, "for") }

func asked(c ast.Call, of string) string {
	var about []string
	for _, argument := range c[1:] {
		about = append(about, name(argument))
	}
	function := c[0].String()
	function = function[strings.LastIndexByte(function, '.')+1:]
	return fmt.Sprintf("%s %s %s", strings.ReplaceAll(function, "_", " "), of, strings.Join(about, " and "))
}

// side is the right side of a comparison: a value, with the parameter that it comes from.
func (x *explainer) side(ex exit, t *ast.Term) string {
	v := x.value(ex, t)
	if v == nil {
		return strings.NewReplacer("{", "", "}", "", "[", "", "]", "", `"`, "").Replace(t.String())
	}
	if ref, ok := t.Value.(ast.Ref); ok && len(ref) >= 4 && ref[1].Equal(ast.StringTerm("params")) {
		return fmt.Sprintf("%s (the parameter %s)", plainValue(v), strings.Trim(ref[3].String(), `"`))
	}
	if _, ok := t.Value.(ast.Ref); ok {
		return fmt.Sprintf("%s (%s)", plainValue(v), name(t))
	}
	return plainValue(v)
}

// which tells one element from the others by what it is called.
func (x *explainer) which(ex exit, t *ast.Term) string {
	v := x.value(ex, t)
	if v == nil {
		return t.String()
	}
	o, ok := v.(ast.Object)
	if !ok {
		return plainValue(v)
	}
	for _, at := range []ast.Ref{{ast.StringTerm("entitlement"), ast.StringTerm("name")}, {ast.StringTerm("entitlement"), ast.StringTerm("id")}, {ast.StringTerm("product")}, {ast.StringTerm("sku")},
		{ast.StringTerm("username")}, {ast.StringTerm("name")}, {ast.StringTerm("id")}} {
		if named, err := o.Find(at); err == nil {
			return plainValue(named)
		}
	}
	return short(v)
}

// name says a path in words: input.account.days_since_login is the account's days since login.
func name(t *ast.Term) string {
	var ref ast.Ref
	switch v := t.Value.(type) {
	case ast.Call:
		return called(v)
	case ast.Ref:
		ref = v
	case ast.String, ast.Number, ast.Boolean:
		return plainValue(v)
	default:
		return "the " + strings.ReplaceAll(t.String(), "_", " ")
	}
	var parts []string
	for i, part := range ref {
		switch v := part.Value.(type) {
		case ast.String:
			parts = append(parts, strings.ReplaceAll(string(v), "_", " "))
		case ast.Var:
			if i == 0 && v != "input" && v != "data" {
				parts = append(parts, strings.ReplaceAll(string(v), "_", " "))
			}
		}
	}
	if len(parts) == 0 {
		return t.String()
	}
	return "the " + strings.Join(parts, "'s ")
}

func plainValue(v ast.Value) string {
	switch v := v.(type) {
	case ast.String:
		return string(v)
	case ast.Boolean:
		if v {
			return "yes"
		}
		return "no"
	}
	return short(v)
}
