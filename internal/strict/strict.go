// Package strict decodes YAML into structs and refuses what they don't know: an unknown key, a key given twice, a value of the
// wrong type. Every fault has its line and column, and the nearest key that there is.
package strict

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/spell"
)

// An Error is a fault in a file of configuration, with its place.
type Error struct {
	File   string
	Line   int
	Column int
	Path   string // dotted, of the key at fault; "" at the top
	Reason string
}

func (e *Error) Error() string {
	where := fmt.Sprintf("%s:%d:%d: ", e.File, e.Line, e.Column)
	if e.Path != "" {
		where += e.Path + ": "
	}
	return where + e.Reason
}

// Decode reads node into the struct that v points to. A key that the struct lacks, a key given twice and a value of
// the wrong type are errors with their place; all of them are reported at once.
func Decode(file string, node *yaml.Node, path string, v any) error {
	if tooMany(node) {
		return &Error{File: file, Line: node.Line, Column: node.Column, Path: path, Reason: "an alias contains itself, or aliases multiply each other"}
	}
	d := decoder{file: file}
	d.check(node, reflect.TypeOf(v).Elem(), path)
	if d.errs != nil {
		return named(file, errors.Join(d.errs...))
	}
	if err := node.Decode(v); err != nil {
		return &Error{File: file, Line: node.Line, Column: node.Column, Path: path, Reason: strings.TrimPrefix(err.Error(), "yaml: ")}
	}
	return nil
}

// maxNodes is how many values a document may have when its aliases are followed.
const maxNodes = 200_000

// tooMany finds the documents that are endless, or as good as endless, when their aliases are followed.
func tooMany(n *yaml.Node) bool {
	left := maxNodes
	var walk func(*yaml.Node)
	walk = func(n *yaml.Node) {
		if left--; left < 0 {
			return
		}
		if n.Alias != nil {
			walk(n.Alias)
		}
		for _, e := range n.Content {
			walk(e)
		}
	}
	walk(n)
	return left < 0
}

// named sets the file in faults that were found without knowing it, by a type's own UnmarshalYAML.
func named(file string, err error) error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var out []error
		for _, e := range many.Unwrap() {
			out = append(out, named(file, e))
		}
		return errors.Join(out...)
	}
	var place *Error
	if errors.As(err, &place) && place.File == "" {
		place.File = file
	}
	return err
}

type decoder struct {
	file string
	errs []error
}

func (d *decoder) fail(n *yaml.Node, path, format string, args ...any) {
	d.errs = append(d.errs, &Error{File: d.file, Line: n.Line, Column: n.Column, Path: path, Reason: fmt.Sprintf(format, args...)})
}

var (
	unmarshaler = reflect.TypeFor[yaml.Unmarshaler]()
	texter      = reflect.TypeFor[encoding.TextUnmarshaler]()
	nodeType    = reflect.TypeFor[yaml.Node]()
)

func (d *decoder) check(n *yaml.Node, t reflect.Type, path string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Tag == "!!null" || t == nodeType {
		return
	}
	if t.Implements(unmarshaler) || reflect.PointerTo(t).Implements(unmarshaler) {
		err := n.Decode(reflect.New(t).Interface())
		var placed *Error
		switch {
		case errors.As(err, &placed):
			d.errs = append(d.errs, err)
		case err != nil:
			d.fail(n, path, "%s", strings.TrimPrefix(err.Error(), "yaml: "))
		}
		return
	}
	if reflect.PointerTo(t).Implements(texter) && n.Kind == yaml.ScalarNode {
		if err := reflect.New(t).Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.Value)); err != nil {
			d.fail(n, path, "%v", err)
		}
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		d.checkStruct(n, t, path)
	case reflect.Map:
		if n.Kind != yaml.MappingNode {
			d.fail(n, path, "want a mapping, got %s", describe(n))
			return
		}
		d.checkTwice(n, path)
		for i := 0; i < len(n.Content); i += 2 {
			d.check(n.Content[i+1], t.Elem(), below(path, n.Content[i].Value))
		}
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			d.fail(n, path, "want a list, got %s", describe(n))
			return
		}
		for i, item := range n.Content {
			at := fmt.Sprintf("%s[%d]", path, i)
			if item.Tag == "!!null" && t.Elem().Kind() == reflect.Pointer { // it would be nil, which nobody expects
				d.fail(item, at, "is empty")
				continue
			}
			d.check(item, t.Elem(), at)
		}
	case reflect.Interface:
	default:
		if err := n.Decode(reflect.New(t).Interface()); err != nil {
			d.fail(n, path, "want %s, got %s", kindName(t), describe(n))
		}
	}
}

func (d *decoder) checkStruct(n *yaml.Node, t reflect.Type, path string) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, path, "want a mapping, got %s", describe(n))
		return
	}
	d.checkTwice(n, path)
	fields := map[string]reflect.Type{}
	collectFields(t, fields)
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if ft, ok := fields[key.Value]; ok {
			d.check(value, ft, below(path, key.Value))
			continue
		}
		names := slices.Sorted(maps.Keys(fields))
		hint := ": there are " + strings.Join(names, ", ")
		if near := spell.Nearest(key.Value, names); near != "" {
			hint = fmt.Sprintf(": did you mean %q?", near)
		}
		d.fail(key, path, "unknown key %q%s", key.Value, hint)
	}
}

func collectFields(t reflect.Type, into map[string]reflect.Type) {
	for f := range t.Fields() {
		name, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case strings.Contains(opts, "inline"):
			collectFields(f.Type, into)
		case name == "-" || !f.IsExported():
		case name == "":
			into[strings.ToLower(f.Name)] = f.Type
		default:
			into[name] = f.Type
		}
	}
}

func (d *decoder) checkTwice(n *yaml.Node, path string) {
	first := map[string]int{}
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		if line, ok := first[key.Value]; ok {
			d.fail(key, path, "key %q stands already in line %d", key.Value, line)
			continue
		}
		first[key.Value] = key.Line
	}
}

func below(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return fmt.Sprintf("%q", n.Value)
}

func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64, reflect.Uint, reflect.Uint64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	}
	return "a text"
}
