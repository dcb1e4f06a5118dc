package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// object takes the wanted columns out of JSON objects.
type object struct {
	columns []column
	paths   [][]string     // of the columns that aren't auto
	auto    map[string]int // plain name to column
	keys    map[string]int // key to column, -1 for none
	cells   []string
	found   []bool
}

// maxKeys bounds what is remembered of the keys of objects.
const maxKeys = 1000

func (r *reader) object() *object {
	o := &object{
		columns: r.columns, auto: map[string]int{}, keys: map[string]int{},
		paths: make([][]string, len(r.columns)), cells: make([]string, len(r.columns)), found: make([]bool, len(r.columns)),
	}
	for i, c := range r.columns {
		if c.auto {
			o.auto[plain(c.name)] = i
		} else {
			o.paths[i] = strings.Split(c.name, ".")
		}
	}
	r.found = o.found
	return o
}

// read fills the cells from one object. A reason rejects the object; an error is about all of them.
func (o *object) read(raw []byte) (column, reason string, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return "", fmt.Sprintf("not valid JSON: %v", err), nil
	}
	if d.More() {
		return "", "not valid JSON: there is more than one value", nil
	}
	top, ok := value.(map[string]any)
	if !ok {
		return "", "not a JSON object", nil
	}
	return o.fill(top)
}

// fill is read for an object that was decoded.
func (o *object) fill(top map[string]any) (column, reason string, err error) {
	clear(o.cells)
	filled := map[int]string{}
	for key, v := range top {
		i, ok := o.keys[key]
		if !ok {
			if i, ok = o.auto[plain(key)]; !ok {
				i = -1
			}
			if len(o.keys) < maxKeys {
				o.keys[key] = i
			}
		}
		if i < 0 {
			continue
		}
		if other, ok := filled[i]; ok {
			two := []string{other, key}
			slices.Sort(two)
			return "", "", fmt.Errorf("two keys are called %s: %q and %q", o.columns[i].name, two[0], two[1])
		}
		filled[i] = key
		if reason := o.put(i, v); reason != "" {
			return o.columns[i].name, reason, nil
		}
	}
	for i, path := range o.paths {
		if path == nil {
			continue
		}
		if v, ok := lookup(top, o.columns[i].name, path); ok {
			if reason := o.put(i, v); reason != "" {
				return o.columns[i].name, reason, nil
			}
		}
	}
	return "", "", nil
}

// lookup finds a dotted path, or a key that has the dots itself.
func lookup(top map[string]any, name string, path []string) (any, bool) {
	if v, ok := top[name]; ok {
		return v, true
	}
	var v any = top
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = m[p]; !ok {
			return nil, false
		}
	}
	return v, true
}

func (o *object) put(i int, v any) (reason string) {
	o.found[i] = true
	text, ok := textOf(v)
	if list, isList := v.([]any); isList && !o.columns[i].list {
		return "is an array"
	} else if isList {
		ok = true
		var parts []string
		for _, e := range list {
			part, scalar := textOf(e)
			if !scalar || strings.Contains(part, ";") {
				return "holds an array of other things than plain texts"
			}
			parts = append(parts, part)
		}
		text = strings.Join(parts, ";")
	}
	if !ok {
		return "is an object: name the field in it with a dot"
	}
	o.cells[i] = strings.TrimSpace(text)
	return ""
}

func textOf(v any) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		if v {
			return "true", true
		}
		return "false", true
	}
	return "", false
}

// complete reports the columns that no object had.
func (r *reader) complete(o *object) error {
	r.header = slices.Sorted(maps.Keys(o.keys))
	if r.source.rows == 0 {
		return nil
	}
	var errs []error
	for i, c := range o.columns {
		if !c.auto && !o.found[i] {
			errs = append(errs, fmt.Errorf("no row has %q%s", c.name, suggest(c.name, r.header)))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return r.errorf(0, "%w", err)
	}
	return nil
}
