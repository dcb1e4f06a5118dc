package access

// Document is the subject's document as plain values: maps, slices, bools, numbers and strings. Absent keys are left
// out. It is for people to read and for tests; policies are given terms built straight from the row.
func Document(kind SubjectKind, row Row) map[string]any {
	s := SchemaOf(kind)
	at := map[string]any{}
	for i, c := range s.Columns() {
		at[c.Name] = row[i]
	}
	d := document{at}
	return d.object(s.Root, false, 0)
}

type document struct{ at map[string]any }

func (d document) object(n *Node, nested bool, i int) map[string]any {
	out := map[string]any{}
	for _, f := range n.Fields {
		if v, ok := d.value(f, nested, i); ok {
			out[f.Name] = v
		}
	}
	return out
}

// value is that of one node, within element i of an array if nested.
func (d document) value(n *Node, nested bool, i int) (any, bool) {
	if known, ok := d.at[n.KnownColumn()].(bool); ok && !known && !nested {
		return nil, false
	}
	switch {
	case n.Array && !n.Leaf():
		list := []any{}
		for k := range d.length(n) {
			list = append(list, d.object(n, true, k))
		}
		return list, true
	case !n.Leaf():
		return d.object(n, nested, i), true
	}
	v := d.at[n.Column]
	if nested {
		return element(v, i)
	}
	return plainValue(v)
}

// length of an array of objects is that of any of its columns.
func (d document) length(n *Node) int {
	for _, f := range n.Fields {
		if !f.Leaf() {
			if k := d.length(f); k > 0 {
				return k
			}
			continue
		}
		return Len(d.at[f.Column])
	}
	return 0
}

// Len counts the elements of an array column's value in a Row; 0 for any other.
func Len(v any) int {
	switch v := v.(type) {
	case []string:
		return len(v)
	case []bool:
		return len(v)
	case []int64:
		return len(v)
	case []float64:
		return len(v)
	case []*string:
		return len(v)
	case []*bool:
		return len(v)
	case []*int64:
		return len(v)
	case []*float64:
		return len(v)
	case [][]string:
		return len(v)
	}
	return 0
}

func element(v any, i int) (any, bool) {
	switch v := v.(type) {
	case []string:
		return v[i], true
	case []bool:
		return v[i], true
	case []int64:
		return v[i], true
	case []float64:
		return v[i], true
	case [][]string:
		return v[i], true
	case []*string:
		return plainValue(v[i])
	case []*bool:
		return plainValue(v[i])
	case []*int64:
		return plainValue(v[i])
	case []*float64:
		return plainValue(v[i])
	}
	return nil, false
}

func plainValue(v any) (any, bool) {
	switch v := v.(type) {
	case *string:
		return deref(v)
	case *bool:
		return deref(v)
	case *int64:
		return deref(v)
	case *float64:
		return deref(v)
	}
	return v, v != nil
}

func deref[T any](p *T) (any, bool) {
	if p == nil {
		return nil, false
	}
	return *p, true
}
