package access

import (
	"embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
)

//go:embed schema/*.json
var schemaFiles embed.FS

// FieldType is the type of a leaf of a subject's document.
type FieldType string

// The types of leaves. A StringMap is an object with free keys and string values.
const (
	Bool      FieldType = "boolean"
	Int       FieldType = "integer"
	Number    FieldType = "number"
	String    FieldType = "string"
	StringMap FieldType = "map"
)

// Node is one place in a subject's document: an object with Fields, an array of Elem, or a leaf of a Type.
type Node struct {
	Name   string
	Path   string // dotted from the document's root, "[]" for an element: grants[].entitlement.id
	Column string // the column of the subject's table: grants_entitlement_id; objects, arrays and maps have KnownColumn too
	Type   FieldType
	Object bool
	Array  bool
	Enum   []string
	About  string
	// Required says that the node is present wherever its parent is.
	Required bool
	Fields   []*Node // of an object, or of an array whose elements are objects; in the schema's order
}

// KnownColumn is the Bool column that tells an absent object, array or map from an empty one.
func (n *Node) KnownColumn() string { return n.Column + "_known" }

// Leaf reports whether n holds a value itself: a scalar, a map, or an array of scalars.
func (n *Node) Leaf() bool { return len(n.Fields) == 0 }

// Field returns the child of that name, or nil.
func (n *Node) Field(name string) *Node {
	for _, f := range n.Fields {
		if f.Name == name {
			return f
		}
	}
	return nil
}

// Lookup finds a dotted path such as "account.enabled" below n, nil if there is none.
func (n *Node) Lookup(path string) *Node {
	for name := range strings.SplitSeq(path, ".") {
		if n = n.Field(strings.TrimSuffix(name, "[]")); n == nil {
			return nil
		}
	}
	return n
}

// Column is one column of a subject's table. Nested says that its values are arrays, one element for each element of
// the enclosing array of objects.
type Column struct {
	Name   string
	Type   string // ClickHouse
	Node   *Node
	Known  bool // a presence column, always Bool
	Nested bool
}

// Row holds one subject as its table gives it: Row[i] is the value of Columns()[i], by the column's type a bool, *bool,
// *int64, *float64, *string, map[string]string, []string, []bool, []int64, []float64, []*bool, []*int64, []*float64,
// []*string or [][]string. A nil pointer is an absent key. Where a presence column is false, the columns it speaks for
// are to be ignored.
type Row []any

// Unread stands in a Row for a column that was left out because nobody reads it. It is no value: whoever reads it all the same
// has an error, and never takes it for something that is unknown.
type Unread struct{}

// Schema is the shape of one subject.
type Schema struct {
	Kind SubjectKind
	Root *Node
	JSON map[string]any // JSON Schema, references resolved: for the policy compiler
}

var schemas = sync.OnceValues(loadSchemas)

// SchemaOf returns the schema of a subject. The schemas are part of the program, so a fault in them panics.
func SchemaOf(kind SubjectKind) *Schema {
	all, err := schemas()
	if err != nil {
		panic(err)
	}
	s, ok := all[kind]
	if !ok {
		panic(fmt.Sprintf("access: no schema of subject %q", kind))
	}
	return s
}

func loadSchemas() (map[SubjectKind]*Schema, error) {
	defs, err := readSchema("defs")
	if err != nil {
		return nil, err
	}
	all := map[SubjectKind]*Schema{}
	for _, kind := range SubjectKinds() {
		file, err := readSchema(string(kind))
		if err != nil {
			return nil, err
		}
		root, err := resolve(file, defs)
		if err != nil {
			return nil, fmt.Errorf("schema %s: %w", kind, err)
		}
		node, err := newNode("", "", "", root)
		if err != nil {
			return nil, fmt.Errorf("schema %s: %w", kind, err)
		}
		all[kind] = &Schema{Kind: kind, Root: node, JSON: root.plain().(map[string]any)}
	}
	return all, nil
}

func readSchema(name string) (*object, error) {
	data, err := schemaFiles.ReadFile("schema/" + name + ".json")
	if err != nil {
		return nil, err
	}
	o := new(object)
	if err := json.Unmarshal(data, o); err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	return o, nil
}

// resolve returns o with each {"$ref": "defs.json#/name"} replaced by that definition.
func resolve(o, defs *object) (*object, error) {
	if to, ok := o.get("$ref").(string); ok {
		def, ok := defs.get(strings.TrimPrefix(to, "defs.json#/")).(*object)
		if !ok {
			return nil, fmt.Errorf("unknown reference %q", to)
		}
		return resolve(def, defs)
	}
	out := &object{values: map[string]any{}}
	for _, k := range o.keys {
		v := o.values[k]
		if sub, ok := v.(*object); ok {
			var err error
			if v, err = resolve(sub, defs); err != nil {
				return nil, err
			}
		}
		out.set(k, v)
	}
	return out, nil
}

func newNode(parentPath, parentColumn, name string, o *object) (*Node, error) {
	n := &Node{Name: name, Path: join(parentPath, ".", name), Column: join(parentColumn, "_", name)}
	n.About, _ = o.get("description").(string)
	enum, _ := o.get("enum").([]any)
	for _, e := range enum {
		n.Enum = append(n.Enum, e.(string))
	}
	shape := o
	if o.get("type") == "array" {
		n.Array = true
		n.Path += "[]"
		shape, _ = o.get("items").(*object)
	}
	props, _ := shape.get("properties").(*object)
	switch {
	case props != nil:
		n.Object = !n.Array
		required, _ := shape.get("required").([]any)
		for _, key := range props.keys {
			f, err := newNode(n.Path, n.Column, key, props.get(key).(*object))
			if err != nil {
				return nil, err
			}
			for _, r := range required {
				f.Required = f.Required || r == key
			}
			n.Fields = append(n.Fields, f)
		}
	case shape.get("type") == "object":
		n.Type = StringMap
	default:
		t, _ := shape.get("type").(string)
		switch n.Type = FieldType(t); n.Type {
		case Bool, Int, Number, String:
		default:
			return nil, fmt.Errorf("%s: unknown type %q", n.Path, t)
		}
	}
	return n, nil
}

func join(parent, sep, name string) string {
	if parent == "" {
		return name
	}
	return parent + sep + name
}

// Columns lists the columns of the subject's table in the schema's order. A scalar is Nullable; a map, and an array of
// scalars, is followed by its presence column; an object or array of objects is preceded by it. The scalars of an array
// of objects are parallel arrays with nullable elements; objects within such an element have no presence column.
func (s *Schema) Columns() []Column {
	var out []Column
	for _, f := range s.Root.Fields {
		out = appendColumns(out, f, false)
	}
	return out
}

func appendColumns(out []Column, n *Node, nested bool) []Column {
	if !n.Leaf() {
		if !nested && !n.Required {
			out = append(out, Column{Name: n.KnownColumn(), Type: "Bool", Node: n, Known: true})
		}
		for _, f := range n.Fields {
			out = appendColumns(out, f, nested || n.Array)
		}
		return out
	}
	base := map[FieldType]string{Bool: "Bool", Int: "Int64", Number: "Float64", String: "String", StringMap: "Map(String, String)"}[n.Type]
	switch {
	case n.Array && nested: // path: Array(Array(String))
		return append(out, Column{Name: n.Column, Type: "Array(Array(" + base + "))", Node: n, Nested: true})
	case n.Array:
		return append(out, Column{Name: n.Column, Type: "Array(" + base + ")", Node: n},
			Column{Name: n.KnownColumn(), Type: "Bool", Node: n, Known: true})
	case n.Type == StringMap:
		return append(out, Column{Name: n.Column, Type: base, Node: n},
			Column{Name: n.KnownColumn(), Type: "Bool", Node: n, Known: true})
	case nested && n.Required:
		return append(out, Column{Name: n.Column, Type: "Array(" + base + ")", Node: n, Nested: true})
	case nested:
		return append(out, Column{Name: n.Column, Type: "Array(Nullable(" + base + "))", Node: n, Nested: true})
	default:
		return append(out, Column{Name: n.Column, Type: "Nullable(" + base + ")", Node: n})
	}
}
