package policy

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"
)

// appendJSON writes what encoding ast.JSON of a value would, without the maps in between. It is false for values that it
// leaves to that: sets, objects with keys that are not text, texts with anything to escape.
func appendJSON(to []byte, v ast.Value) ([]byte, bool) {
	switch v := v.(type) {
	case ast.Null:
		return append(to, "null"...), true
	case ast.Boolean:
		if v {
			return append(to, "true"...), true
		}
		return append(to, "false"...), true
	case ast.Number:
		return append(to, v...), plainNumber.MatchString(string(v))
	case ast.String:
		return appendText(to, string(v))
	case *ast.Array:
		to = append(to, '[')
		for i := range v.Len() {
			if i > 0 {
				to = append(to, ',')
			}
			var ok bool
			if to, ok = appendJSON(to, v.Elem(i).Value); !ok {
				return nil, false
			}
		}
		return append(to, ']'), true
	case ast.Object: // in the order of its keys, as encoding/json has it
		to = append(to, '{')
		first := true
		refused := v.Until(func(k, e *ast.Term) bool {
			key, ok := k.Value.(ast.String)
			if !ok {
				return true
			}
			if !first {
				to = append(to, ',')
			}
			first = false
			if to, ok = appendText(to, string(key)); !ok {
				return true
			}
			to = append(to, ':')
			to, ok = appendJSON(to, e.Value)
			return !ok
		})
		return append(to, '}'), !refused
	}
	return nil, false
}

// plainNumber is what JSON takes for a number.
var plainNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)

func appendText(to []byte, s string) ([]byte, bool) {
	ascii := true
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c == '"' || c == '\\' {
			return nil, false
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	if !ascii && (!utf8.ValidString(s) || strings.ContainsAny(s, "\u2028\u2029")) { // which encoding/json escapes
		return nil, false
	}
	to = append(to, '"')
	to = append(to, s...)
	return append(to, '"'), true
}
