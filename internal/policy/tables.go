package policy

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"go.yaml.in/yaml/v3"
)

// A rule may have a table beside it: what is too long for params, such as which entitlements exclude each other. The rule
// reads data.tables["ACME-01"]; lapse.yaml may name another file in its place. A JSON Schema beside the table says what
// either must look like.
const (
	tableFile   = "data.yaml"
	tableSchema = "data.schema.json"
)

// maxTable is far beyond what anybody writes by hand, and well within what every evaluation can carry.
const maxTable = 4 << 20

// table is a data file as a rule reads it.
type table struct {
	name  string // of the file
	root  *yaml.Node
	value map[string]any
}

// table reports whether a file is a table or the schema of one.
func (f file) table() bool { return tableName(path.Base(f.name)) }

func tableName(base string) bool { return base == tableFile || base == tableSchema }

// tables gives each policy the table that lies beside it. A table beside no policy would be read by nobody.
func (l *loader) tables(policies []*Policy, files []file) {
	for _, f := range files {
		i := slices.IndexFunc(policies, func(p *Policy) bool { return path.Dir(p.File) == path.Dir(f.name) })
		switch {
		case i < 0:
			l.fault(f.name, 1, "there is no policy beside it, so that no rule reads it: move it into the folder of its rule")
		case path.Base(f.name) == tableSchema:
			policies[i].tableSchema = l.tableSchema(f.name, []byte(f.text))
		default:
			policies[i].table = l.table(f.name, []byte(f.text))
			policies[i].tableFaulty = policies[i].table == nil
		}
	}
	for _, p := range policies {
		if p.table != nil {
			p.Table, p.ownTable = p.table.name, p.table
			l.fits(p, p.table)
		}
	}
}

// overrideTable puts the organisation's own file in the place of the table.
func (l *loader) overrideTable(p *Policy, place, file string) {
	if p.ownTable == nil {
		l.fault(place, 0, "%s has no table to be replaced by %s: leave data out", p.ID, file)
		return
	}
	text, err := os.ReadFile(file)
	if err != nil {
		var pathErr *fs.PathError
		if errors.As(err, &pathErr) {
			err = pathErr.Err
		}
		l.fault(place, 0, "data of %s: %s: %v", p.ID, file, err)
		return
	}
	if t := l.table(file, text); t != nil {
		p.table, p.Table = t, t.name
		l.fits(p, t)
	}
}

// table reads a data file; it returns nil after a fault.
func (l *loader) table(name string, text []byte) *table {
	if len(text) > maxTable {
		l.fault(name, 1, "is larger than %d MiB: a table is read in every evaluation, so keep to what a person can review", maxTable>>20)
		return nil
	}
	b := &block{file: name, text: text}
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		l.fault(name, 1, "is empty: write `key: value` lines, or delete the file")
		return nil
	case err != nil:
		l.fault(name, b.brokenAt(), "is not YAML: %s", strings.TrimPrefix(yamlLine.ReplaceAllString(err.Error(), ""), "yaml: "))
		return nil
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		l.fault(name, 1, "holds more than one YAML document: keep one")
		return nil
	}
	t := &table{name: name, root: doc.Content[0]}
	if t.root.Kind != yaml.MappingNode {
		l.fault(name, t.root.Line, "is no map: write `key: value` lines")
		return nil
	}
	value, ok := l.tableValue(name, t.root)
	if !ok {
		return nil
	}
	t.value = value.(map[string]any)
	return t
}

// tableValue turns a node into what Rego reads.
func (l *loader) tableValue(name string, n *yaml.Node) (value any, ok bool) {
	ok = true
	fail := func(n *yaml.Node, format string, args ...any) {
		l.fault(name, n.Line, format, args...)
		ok = false
	}
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		fail(n, "holds a YAML anchor or alias: write the value out")
	case n.Kind == yaml.MappingNode:
		out := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			k, v := n.Content[i], n.Content[i+1]
			if _, twice := out[k.Value]; twice || k.Kind != yaml.ScalarNode {
				fail(k, "has the key %s twice, or one that is no text", k.Value)
				continue
			}
			e, fine := l.tableValue(name, v)
			out[k.Value], ok = e, ok && fine
		}
		value = out
	case n.Kind == yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for _, c := range n.Content {
			e, fine := l.tableValue(name, c)
			out, ok = append(out, e), ok && fine
		}
		value = out
	case n.Tag == "!!null":
		fail(n, "has no value here: write one, or leave the key out")
	case n.Tag == "!!bool" || n.Tag == "!!int" || n.Tag == "!!float":
		if err := n.Decode(&value); err != nil {
			fail(n, "%s can't be read: put it in quotes if it is text", n.Value)
			break
		}
		if _, err := json.Marshal(value); err != nil {
			fail(n, "%s is not a finite number", n.Value)
		}
	default: // a date is text, too: Rego knows no dates
		value = n.Value
	}
	return value, ok
}

func (l *loader) tableSchema(name string, text []byte) map[string]any {
	var schema map[string]any
	if err := json.Unmarshal(text, &schema); err != nil {
		line := 1
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			line += bytes.Count(text[:min(int(syntax.Offset), len(text))], []byte("\n"))
		}
		l.fault(name, line, "is no JSON Schema: %v", err)
		return nil
	}
	return schema
}

// fits holds a table against its schema; without one, against the table that came with the rule.
func (l *loader) fits(p *Policy, t *table) {
	if p.tableSchema == nil {
		for _, k := range keys(p.ownTable.value) {
			if _, ok := t.value[k]; !ok {
				l.fault(t.name, 1, "has no key %s, which %s reads", k, p.ID)
			}
		}
		return
	}
	rs, err := rego.New(rego.Query("json.match_schema(input.table, input.schema, found)"),
		rego.Input(map[string]any{"table": t.value, "schema": p.tableSchema}), rego.StrictBuiltinErrors(true)).Eval(context.Background())
	if err != nil || len(rs) != 1 {
		l.fault(path.Join(path.Dir(p.File), tableSchema), 1, "is no JSON Schema: %v", err)
		return
	}
	found, _ := rs[0].Bindings["found"].([]any)
	var wrong []any
	if len(found) == 2 {
		wrong, _ = found[1].([]any)
	}
	for _, w := range wrong {
		w, _ := w.(map[string]any)
		field, _ := w["field"].(string)
		desc, _ := w["desc"].(string)
		at, where, schema := t.find(field, p.tableSchema)
		if m := extraKey.FindStringSubmatch(desc); m != nil {
			if n := child(at, m[1]); n != nil {
				at = n
			}
			known, _ := schema["properties"].(map[string]any)
			desc = "has no key " + m[1] + didYouMean(m[1], keys(known))
			if where == "" {
				l.fault(t.name, at.Line, "%s", desc)
				continue
			}
		}
		l.fault(t.name, at.Line, "%s: %s", cmp.Or(where, "the table"), desc)
	}
}

var extraKey = regexp.MustCompile(`^Additional property (.*) is not allowed$`)

// find walks a dotted path as far as it leads. Keys may hold dots themselves.
func (t *table) find(field string, schema map[string]any) (at *yaml.Node, where string, below map[string]any) {
	at, below = t.root, schema
	if strings.EqualFold(field, "(root)") {
		return at, "", below
	}
	rest := field
	for rest != "" {
		var next *yaml.Node
		var name string
		switch at.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(at.Content); i += 2 {
				k := at.Content[i].Value
				if (rest == k || strings.HasPrefix(rest, k+".")) && len(k) >= len(name) {
					name, next = k, at.Content[i+1]
				}
			}
		case yaml.SequenceNode:
			name, _, _ = strings.Cut(rest, ".")
			if i, err := strconv.Atoi(name); err == nil && i < len(at.Content) {
				next = at.Content[i]
			}
		}
		if next == nil {
			break
		}
		below = schemaOf(below, name)
		at, rest = next, strings.TrimPrefix(strings.TrimPrefix(rest, name), ".")
	}
	return at, field, below
}

// schemaOf is the part of a schema for a key or an element, empty where it says nothing.
func schemaOf(schema map[string]any, name string) map[string]any {
	properties, _ := schema["properties"].(map[string]any)
	for _, part := range []any{properties[name], schema["items"], schema["additionalProperties"]} {
		if s, ok := part.(map[string]any); ok {
			return s
		}
	}
	return nil
}

// child is the key node of that name.
func child(n *yaml.Node, name string) *yaml.Node {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i]
		}
	}
	return nil
}

// tableRef reports a ref to a table that is not there.
func (l *loader) tableRef(ref ast.Ref, loc *ast.Location, p *Policy, library bool) {
	ref = ref[:min(len(ref), 4)]
	switch {
	case p.ID == "" || p.tableFaulty: // that is fault enough
	case library:
		l.faultAt(loc, "%s: the library has no table: take the value as an argument", ref)
	case len(ref) < 3 || !ref[2].Equal(ast.StringTerm(p.ID)):
		l.faultAt(loc, "%s: a policy reads its own table: write data.tables[%q]", ref, p.ID)
	case p.table == nil:
		l.faultAt(loc, "%s: there is no table: write %s", ref, path.Join(path.Dir(p.File), tableFile))
	case len(ref) > 3:
		if name, ok := ref[3].Value.(ast.String); ok && p.table.value[string(name)] == nil {
			l.faultAt(loc, "%s: %s has no key %s%s", ref, p.table.name, string(name), didYouMean(string(name), keys(p.table.value)))
		}
	}
}

// tablesOf is data.tables: the tables in force, or those that the rules came with, which their tests are written for.
func tablesOf(policies []*Policy, own bool) map[string]any {
	out := map[string]any{}
	for _, p := range policies {
		t := p.table
		if own {
			t = p.ownTable
		}
		if t != nil {
			out[p.ID] = t.value
		}
	}
	return out
}

func (p *Policy) tableContent() any {
	if p.table == nil {
		return nil
	}
	return p.table.value
}
