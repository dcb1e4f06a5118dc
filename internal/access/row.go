package access

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Clone copies a row and all that it points to.
func (r Row) Clone() Row {
	out := make(Row, len(r))
	for i, v := range r {
		out[i] = cloneValue(v)
	}
	return out
}

func cloneValue(v any) any {
	switch v := v.(type) {
	case *bool:
		return clonePointer(v)
	case *int64:
		return clonePointer(v)
	case *float64:
		return clonePointer(v)
	case *string:
		return clonePointer(v)
	case map[string]string:
		return maps.Clone(v)
	case []string:
		return slices.Clone(v)
	case []bool:
		return slices.Clone(v)
	case []int64:
		return slices.Clone(v)
	case []float64:
		return slices.Clone(v)
	case []*bool:
		return clonePointers(v)
	case []*int64:
		return clonePointers(v)
	case []*float64:
		return clonePointers(v)
	case []*string:
		return clonePointers(v)
	case [][]string:
		out := make([][]string, len(v))
		for i, e := range v {
			out[i] = slices.Clone(e)
		}
		return out
	}
	return v // a bool or a string, which nobody can change
}

func clonePointer[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

func clonePointers[T any](list []*T) []*T {
	out := make([]*T, len(list))
	for i, p := range list {
		out[i] = clonePointer(p)
	}
	return out
}

// MarshalRow writes a row so that UnmarshalRow reads it again, value by value.
func MarshalRow(r Row) ([]byte, error) { return json.Marshal([]any(r)) }

// UnmarshalRow reads a row of a kind of subject.
func UnmarshalRow(kind SubjectKind, data []byte) (Row, error) {
	columns := SchemaOf(kind).Columns()
	cells := make([]any, len(columns))
	for i, c := range columns {
		t, ok := cellOfType[c.Type]
		if !ok {
			return nil, fmt.Errorf("read a %s: column %s is of the unknown type %s", kind, c.Name, c.Type)
		}
		cells[i] = t.empty()
	}
	if err := json.Unmarshal(data, &cells); err != nil { // each value into the cell that is there
		return nil, fmt.Errorf("read a %s: %w", kind, err)
	}
	if len(cells) != len(columns) {
		return nil, fmt.Errorf("read a %s: %d columns, want %d", kind, len(cells), len(columns))
	}
	row := make(Row, len(columns))
	for i, c := range columns {
		row[i] = cellOfType[c.Type].value(cells[i])
	}
	return row, nil
}

// cell makes room for the value of a column's type, and takes it out again.
type cell struct {
	empty func() any
	value func(any) any
}

func cellOf[T any]() cell {
	return cell{func() any { return new(T) }, func(v any) any {
		if p, ok := v.(*T); ok {
			return *p
		}
		var zero T // of a null
		return zero
	}}
}

// cellOfType are the cells of all types of columns.
var cellOfType = map[string]cell{
	"Bool": cellOf[bool](), "Nullable(Bool)": cellOf[*bool](), "Nullable(Int64)": cellOf[*int64](), "Nullable(Float64)": cellOf[*float64](),
	"Nullable(String)": cellOf[*string](), "Map(String, String)": cellOf[map[string]string](), "Array(String)": cellOf[[]string](),
	"Array(Bool)": cellOf[[]bool](), "Array(Int64)": cellOf[[]int64](), "Array(Float64)": cellOf[[]float64](),
	"Array(Nullable(String))": cellOf[[]*string](), "Array(Nullable(Bool))": cellOf[[]*bool](), "Array(Nullable(Int64))": cellOf[[]*int64](),
	"Array(Nullable(Float64))": cellOf[[]*float64](), "Array(Array(String))": cellOf[[][]string](),
}
