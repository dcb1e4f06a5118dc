package policy

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"
)

// appendJSON writes what encoding ast.JSON of a value would, without the maps in between. It is false for values that it
// leaves to that: sets, objects with keys that are not text, texts with anything to escape.
func appendJSON(to []byte, v ast.Value) ([]byte, bool) {
	w := jsonWriter{to}
	if !w.value(v) {
		return nil, false
	}
	return w.text, true
}

type jsonWriter struct{ text []byte }

func (w *jsonWriter) value(v ast.Value) bool {
	switch v := v.(type) {
	case ast.Null:
		w.text = append(w.text, "null"...)
	case ast.Boolean:
		w.text = strconv.AppendBool(w.text, bool(v))
	case ast.Number:
		w.text = append(w.text, v...)
		return plainNumber(string(v))
	case ast.String:
		return w.string(string(v))
	case *ast.Array:
		w.text = append(w.text, '[')
		for i := range v.Len() {
			if i > 0 {
				w.text = append(w.text, ',')
			}
			if !w.value(v.Elem(i).Value) {
				return false
			}
		}
		w.text = append(w.text, ']')
	case ast.Object: // in the order of its keys, as encoding/json has it
		w.text = append(w.text, '{')
		start := len(w.text)
		refused := v.Until(func(k, e *ast.Term) bool {
			key, ok := k.Value.(ast.String)
			if !ok {
				return true
			}
			if len(w.text) > start {
				w.text = append(w.text, ',')
			}
			if !w.string(string(key)) {
				return true
			}
			w.text = append(w.text, ':')
			return !w.value(e.Value)
		})
		w.text = append(w.text, '}')
		return !refused
	default:
		return false
	}
	return true
}

// plainNumber reports whether a number is written as JSON does, without an exponent.
func plainNumber(n string) bool {
	whole, fraction, point := strings.Cut(strings.TrimPrefix(n, "-"), ".")
	return digitsOnly(whole) && (whole == "0" || whole[0] != '0') && (!point || digitsOnly(fraction))
}

func digitsOnly(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func (w *jsonWriter) string(s string) bool {
	ascii := true
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c == '"' || c == '\\' {
			return false
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	if !ascii && (!utf8.ValidString(s) || strings.ContainsAny(s, "\u2028\u2029")) { // which encoding/json escapes
		return false
	}
	w.text = append(w.text, '"')
	w.text = append(w.text, s...)
	w.text = append(w.text, '"')
	return true
}
