package reports

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// pair is one line of evidence.
type pair struct{ Name, Value string }

// evidence turns a finding's evidence into lines. A path is shown as one; whatever else is nested stays JSON. Evidence
// that isn't an object is shown as it is.
func evidence(object string) []pair {
	if object == "" {
		return nil
	}
	in := json.NewDecoder(strings.NewReader(object))
	in.UseNumber()
	var fields map[string]any
	if err := in.Decode(&fields); err != nil {
		return []pair{{"evidence", object}}
	}
	return appendPairs(nil, "", fields)
}

func appendPairs(out []pair, prefix string, fields map[string]any) []pair {
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		name := prefix + strings.ReplaceAll(key, "_", " ")
		switch v := fields[key].(type) {
		case map[string]any:
			out = appendPairs(out, name+": ", v)
		case []any:
			out = appendList(out, name, key, v)
		case nil:
			out = append(out, pair{name, "unknown"})
		case bool:
			out = append(out, pair{name, map[bool]string{true: "yes", false: "no"}[v]})
		default:
			out = append(out, pair{name, fmt.Sprint(v)})
		}
	}
	return out
}

func appendList(out []pair, name, key string, list []any) []pair {
	words := make([]string, 0, len(list))
	for i, v := range list {
		if fields, ok := v.(map[string]any); ok {
			numbered := name
			if len(list) > 1 {
				numbered = fmt.Sprintf("%s %d", name, i+1)
			}
			out = appendPairs(out, numbered+": ", fields)
			continue
		}
		if nested, ok := v.([]any); ok {
			out = appendList(out, name, key, nested)
			continue
		}
		words = append(words, fmt.Sprint(v))
	}
	if len(words) == 0 {
		return out
	}
	separator := ", "
	if strings.HasSuffix(key, "path") {
		separator = " → "
	}
	return append(out, pair{name, strings.Join(words, separator)})
}
