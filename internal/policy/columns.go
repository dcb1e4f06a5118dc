package policy

import (
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/access"
)

// columns finds the columns of a subject's table.
type columns struct {
	schema *access.Schema
	index  map[string]int // by column name
}

func newColumns(kind access.SubjectKind) *columns {
	c := &columns{schema: access.SchemaOf(kind), index: map[string]int{}}
	for i, col := range c.schema.Columns() {
		c.index[col.Name] = i
	}
	return c
}

// names are those of some columns, each once.
func (c *columns) names(some []int) []string {
	some = slices.Compact(slices.Sorted(slices.Values(some)))
	out := make([]string, len(some))
	for i, column := range some {
		out[i] = c.schema.Columns()[column].Name
	}
	return out
}

// known is the presence column of a node, -1 if it has none.
func (c *columns) known(n *access.Node) int {
	if i, ok := c.index[n.KnownColumn()]; ok {
		return i
	}
	return -1
}

// field reads one path of a row.
type field struct {
	path  string
	known []int // presence columns that must all be true
	value int   // column of the value, -1 if the path ends in an object or array
	array *access.Node
	inner bool // the value is one of the elements of array
	size  int  // a column by which the elements of array are counted
	key   string
}

// field compiles a path that findPath has accepted. What lies in a map has its key.
func (c *columns) field(path string) field {
	f := field{path: path, value: -1, size: -1}
	n := c.schema.Root
	for name := range strings.SplitSeq(path, ".") {
		if n.Type == access.StringMap {
			f.key = strings.TrimPrefix(path[strings.Index(path, n.Name)+len(n.Name):], ".")
			break
		}
		if n.Array {
			f.array, f.inner = n, true
		}
		n = n.Field(strings.TrimSuffix(name, "[]"))
		if i := c.known(n); i >= 0 && !f.inner {
			f.known = append(f.known, i)
		}
	}
	if n.Array && !f.inner {
		f.array = n
	}
	if n.Leaf() {
		f.value = c.index[n.Column]
	}
	if f.array != nil && !f.array.Leaf() {
		f.size = c.index[firstLeaf(f.array).Column]
	}
	return f
}

func firstLeaf(n *access.Node) *access.Node {
	for !n.Leaf() {
		i := slices.IndexFunc(n.Fields, func(f *access.Node) bool { return f.Required })
		n = n.Fields[max(i, 0)]
	}
	return n
}

// columns are what the field is read from, the length of its array included.
func (f *field) columns() []int {
	out := slices.Clone(f.known)
	if f.value >= 0 {
		out = append(out, f.value)
	}
	if f.size >= 0 {
		out = append(out, f.size)
	}
	return out
}

// there reports whether everything around the value is known: the objects and the array it lies in.
func (f *field) there(row access.Row) bool {
	for _, i := range f.known {
		if known, ok := row[i].(bool); !ok || !known {
			return false
		}
	}
	return true
}

// present reports whether the value itself is known, for paths outside of arrays.
func (f *field) present(row access.Row) bool {
	if !f.there(row) {
		return false
	}
	if f.value < 0 {
		return true
	}
	switch v := row[f.value].(type) {
	case nil:
		return false
	case *bool:
		return v != nil
	case *int64:
		return v != nil
	case *float64:
		return v != nil
	case *string:
		return v != nil
	case map[string]string:
		if f.key != "" {
			_, ok := v[f.key]
			return ok
		}
	}
	return true
}

// presentAt reports whether the value is known in the i-th element of its array.
func (f *field) presentAt(row access.Row, i int) bool {
	if f.value < 0 {
		return true
	}
	switch v := row[f.value].(type) {
	case []*bool:
		return v[i] != nil
	case []*int64:
		return v[i] != nil
	case []*float64:
		return v[i] != nil
	case []*string:
		return v[i] != nil
	}
	return true
}

// length counts the elements of the array that the value lies in.
func (f *field) length(row access.Row) int { return access.Len(row[f.size]) }

// text returns a string value, "" if it is unknown.
func (f *field) text(row access.Row) string {
	if f == nil || !f.there(row) {
		return ""
	}
	switch v := row[f.value].(type) {
	case *string:
		if v != nil {
			return *v
		}
	case string:
		return v
	}
	return ""
}

// isTrue reports whether a bool value is known to be true.
func (f *field) isTrue(row access.Row) bool {
	if f == nil || !f.there(row) {
		return false
	}
	v, ok := row[f.value].(*bool)
	return ok && v != nil && *v
}

// optional compiles a path that not every subject has.
func (c *columns) optional(path string) *field {
	if c.schema.Root.Lookup(path) == nil {
		return nil
	}
	f := c.field(path)
	return &f
}
