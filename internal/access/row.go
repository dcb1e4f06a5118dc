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
	var values []json.RawMessage
	if err := json.Unmarshal(data, &values); err != nil {
		return nil, fmt.Errorf("read a %s: %w", kind, err)
	}
	columns := SchemaOf(kind).Columns()
	if len(values) != len(columns) {
		return nil, fmt.Errorf("read a %s: %d columns, want %d", kind, len(values), len(columns))
	}
	row := make(Row, len(columns))
	for i, c := range columns {
		read, ok := readers[c.Type]
		if !ok {
			return nil, fmt.Errorf("read a %s: column %s is of the unknown type %s", kind, c.Name, c.Type)
		}
		v, err := read(values[i])
		if err != nil {
			return nil, fmt.Errorf("read a %s: column %s: %w", kind, c.Name, err)
		}
		row[i] = v
	}
	return row, nil
}

// readers read a column's values by its type.
var readers = map[string]func([]byte) (any, error){
	"Bool": reading[bool], "Nullable(Bool)": reading[*bool], "Nullable(Int64)": reading[*int64], "Nullable(Float64)": reading[*float64],
	"Nullable(String)": reading[*string], "Map(String, String)": reading[map[string]string], "Array(String)": reading[[]string],
	"Array(Bool)": reading[[]bool], "Array(Int64)": reading[[]int64], "Array(Float64)": reading[[]float64],
	"Array(Nullable(String))": reading[[]*string], "Array(Nullable(Bool))": reading[[]*bool], "Array(Nullable(Int64))": reading[[]*int64],
	"Array(Nullable(Float64))": reading[[]*float64], "Array(Array(String))": reading[[][]string],
}

func reading[T any](data []byte) (any, error) {
	var v T
	err := json.Unmarshal(data, &v)
	return v, err
}
