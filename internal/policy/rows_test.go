package policy

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/access"
)

var runTime = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

type doc = map[string]any

// merge lays b over a copy of a; a nil in b takes a key away.
func merge(a, b doc) doc {
	out := doc{}
	for k, v := range a {
		out[k] = v
	}
	for k, v := range b {
		sub, ok := v.(doc)
		base, had := out[k].(doc)
		switch {
		case v == nil:
			delete(out, k)
		case ok && had:
			out[k] = merge(base, sub)
		default:
			out[k] = v
		}
	}
	return out
}

// rowOf turns a document into the row that its table would give.
func rowOf(t testing.TB, kind access.SubjectKind, d doc) access.Row {
	t.Helper()
	columns := access.SchemaOf(kind).Columns()
	row := make(access.Row, len(columns))
	index := map[string]int{}
	for i, c := range columns {
		index[c.Name] = i
		row[i] = emptyOf(c.Type)
	}
	var fill func(n *access.Node, v any)
	set := func(column string, v any) {
		i, ok := index[column]
		if !ok {
			t.Fatalf("no column %s", column)
		}
		row[i] = v
	}
	fill = func(n *access.Node, v any) {
		if i, ok := index[n.KnownColumn()]; ok {
			row[i] = true
		}
		switch {
		case n.Object:
			for k, sub := range v.(doc) {
				f := n.Field(k)
				if f == nil {
					t.Fatalf("%s has no field %s", n.Path, k)
				}
				fill(f, sub)
			}
		case n.Array && !n.Leaf():
			for _, e := range v.([]any) {
				fillElement(row, index, n, e.(doc))
			}
		case n.Array:
			list := []string{}
			for _, e := range v.([]any) {
				list = append(list, e.(string))
			}
			set(n.Column, list)
		case n.Type == access.StringMap:
			m := map[string]string{}
			for k, e := range v.(doc) {
				m[k] = e.(string)
			}
			set(n.Column, m)
		default:
			set(n.Column, scalar(n.Type, v))
		}
	}
	for _, f := range access.SchemaOf(kind).Root.Fields {
		if v, ok := d[f.Name]; ok {
			fill(f, v)
		}
	}
	return row
}

func emptyOf(typ string) any {
	return map[string]any{
		"Bool": false, "Nullable(Bool)": (*bool)(nil), "Nullable(Int64)": (*int64)(nil), "Nullable(Float64)": (*float64)(nil),
		"Nullable(String)": (*string)(nil), "Map(String, String)": map[string]string{}, "Array(String)": []string{}, "Array(Bool)": []bool{},
		"Array(Int64)": []int64{}, "Array(Float64)": []float64{}, "Array(Nullable(String))": []*string{}, "Array(Nullable(Bool))": []*bool{},
		"Array(Nullable(Int64))": []*int64{}, "Array(Nullable(Float64))": []*float64{}, "Array(Array(String))": [][]string{},
	}[typ]
}

func scalar(typ access.FieldType, v any) any {
	switch typ {
	case access.Bool:
		b, _ := v.(bool)
		if v == nil {
			return (*bool)(nil)
		}
		return &b
	case access.Int:
		if v == nil {
			return (*int64)(nil)
		}
		i := int64(v.(int))
		return &i
	case access.Number:
		if v == nil {
			return (*float64)(nil)
		}
		f, ok := v.(float64)
		if !ok {
			f = float64(v.(int))
		}
		return &f
	default:
		s, _ := v.(string)
		if v == nil {
			return (*string)(nil)
		}
		return &s
	}
}

// fillElement appends one element of an array of objects to its columns.
func fillElement(row access.Row, index map[string]int, n *access.Node, e doc) {
	for _, f := range n.Fields {
		v := e[f.Name]
		if f.Object {
			sub, _ := v.(doc)
			fillElement(row, index, f, sub)
			continue
		}
		i := index[f.Column]
		list := reflect.ValueOf(row[i])
		var value reflect.Value
		switch {
		case f.Array:
			texts := []string{}
			items, _ := v.([]any)
			for _, item := range items {
				texts = append(texts, item.(string))
			}
			value = reflect.ValueOf(texts)
		default:
			value = reflect.ValueOf(scalar(f.Type, v))
			if list.Type().Elem().Kind() != reflect.Pointer {
				value = value.Elem()
			}
		}
		row[i] = reflect.Append(list, value).Interface()
	}
}

// mapper builds the document of a row as maps, for rego.EvalInput: what the engine's own documents are checked and
// measured against.
type mapper struct {
	schema *access.Schema
	index  map[string]int
}

func newMapper(kind access.SubjectKind) *mapper {
	m := &mapper{schema: access.SchemaOf(kind), index: map[string]int{}}
	for i, c := range m.schema.Columns() {
		m.index[c.Name] = i
	}
	return m
}

func (m *mapper) doc(row access.Row) doc { return m.object(m.schema.Root, row) }

func (m *mapper) object(n *access.Node, row access.Row) doc {
	out := make(doc, len(n.Fields))
	for _, f := range n.Fields {
		if i, ok := m.index[f.KnownColumn()]; ok && !row[i].(bool) {
			continue
		}
		switch {
		case f.Object:
			out[f.Name] = m.object(f, row)
		case f.Array && !f.Leaf():
			list := make([]any, m.length(f, row))
			for i := range list {
				list[i] = m.element(f, row, i)
			}
			out[f.Name] = list
		default:
			if v, ok := plain(row[m.index[f.Column]]); ok {
				out[f.Name] = v
			}
		}
	}
	return out
}

func (m *mapper) length(n *access.Node, row access.Row) int {
	for !n.Leaf() {
		n = n.Fields[0]
	}
	return reflect.ValueOf(row[m.index[n.Column]]).Len()
}

func (m *mapper) element(n *access.Node, row access.Row, i int) doc {
	out := make(doc, len(n.Fields))
	for _, f := range n.Fields {
		if f.Object {
			out[f.Name] = m.element(f, row, i)
			continue
		}
		var v any
		switch list := row[m.index[f.Column]].(type) {
		case []string:
			v = list[i]
		case []bool:
			v = list[i]
		case []int64:
			v = list[i]
		case []*string:
			v = list[i]
		case []*bool:
			v = list[i]
		case []*int64:
			v = list[i]
		case []*float64:
			v = list[i]
		case [][]string:
			v = list[i]
		default:
			panic(fmt.Sprintf("column %s is a %T", f.Column, list))
		}
		if v, ok := plain(v); ok {
			out[f.Name] = v
		}
	}
	return out
}

func plain(v any) (any, bool) {
	switch v := v.(type) {
	case *bool:
		if v == nil {
			return nil, false
		}
		return *v, true
	case *int64:
		if v == nil {
			return nil, false
		}
		return *v, true
	case *float64:
		if v == nil {
			return nil, false
		}
		return *v, true
	case *string:
		if v == nil {
			return nil, false
		}
		return *v, true
	case map[string]string:
		m := make(doc, len(v))
		for k, e := range v {
			m[k] = e
		}
		return m, true
	case []string:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = e
		}
		return list, true
	}
	return v, true
}

// randomDoc makes a document of a schema with values around which rules decide, and with anything absent that may be.
func randomDoc(r *rand.Rand, n *access.Node, absent float64) doc {
	out := doc{}
	for _, f := range n.Fields {
		if !f.Required && r.Float64() < absent {
			continue
		}
		switch {
		case f.Array && !f.Leaf():
			list := []any{}
			for range r.IntN(4) {
				list = append(list, randomDoc(r, f, absent))
			}
			out[f.Name] = list
			unique(list)
		case f.Array:
			out[f.Name] = []any{pick(r, "a", "b"), pick(r, "c", "Ä")}
		case f.Object:
			out[f.Name] = randomDoc(r, f, absent)
		case f.Type == access.StringMap:
			out[f.Name] = randomMap(r, f.Name)
		default:
			out[f.Name] = randomScalar(r, f)
		}
	}
	return out
}

func randomMap(r *rand.Rand, name string) doc {
	m := doc{}
	if name != "attributes" {
		for _, k := range coverageSignals {
			m[k] = pick(r, "full", "partial", "none")
		}
		return m
	}
	for _, k := range []string{"no_preauth", "unconstrained_delegation", "reversible_password", "des_only"} {
		m[k] = pick(r, "true", "false")
	}
	m["rid"], m["admin_count"] = pick(r, "500", "502", "1104", "1105"), pick(r, "0", "1")
	m["sid"], m["sid_history"] = pick(r, "S-1-5-32-548", "S-1-5-21-1-2-3-518", "S-1-5-21-1-2-3-1104"), pick(r, "", "S-1-5-21-1-2-3-1104")
	if m["sid"] == "S-1-5-21-1-2-3-1104" {
		m["object_class"] = "foreign_security_principal"
	}
	return m
}

// unique makes keys that are unique in a source so.
func unique(list []any) {
	for i, e := range list {
		e := e.(doc)
		if _, ok := e["sku"]; ok {
			e["sku"] = fmt.Sprintf("sku-%d", i)
		}
		if ent, ok := e["entitlement"].(doc); ok {
			ent["id"] = fmt.Sprintf("ent-%d", i)
		}
	}
}

func randomScalar(r *rand.Rand, f *access.Node) any {
	switch f.Type {
	case access.Bool:
		if f.Name == "enabled" || f.Name == "privileged" {
			return r.IntN(4) > 0
		}
		return r.IntN(2) == 0
	case access.Int:
		return pick(r, 0, 1, 6, 7, 8, 13, 14, 23, 24, 29, 30, 31, 59, 60, 89, 90, 400, -1, -30)
	case access.Number:
		return pick(r, 0.0, 0.05, 0.0999, 0.1, 57.25, 1e-7, 12.0)
	}
	if f.Enum != nil {
		return pick(r, f.Enum...)
	}
	switch f.Name {
	case "kind":
		return pick(r, "employee", "contractor", "vendor", "group")
	case "id", "uid":
		return fmt.Sprintf("%s-%d", f.Name, r.IntN(1000))
	}
	return pick(r, "alpha", "Beta", "γ", "", "d\"quoted\"", "<b>")
}

func pick[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

// steer makes a random document likelier to be near some rule.
func steer(r *rand.Rand, d doc) {
	for _, a := range asList(d["accounts"]) {
		a := a.(doc)
		a["source"], a["enabled"], a["kind"] = pick(r, "alpha", "Beta"), true, "human"
	}
	for _, g := range asList(d["grants"]) {
		g := g.(doc)
		g["entitlement"].(doc)["high_risk"] = pick(r, true, false)
		g["direct"] = pick(r, true, true, false)
		if r.IntN(3) == 0 {
			delete(g, "days_until_expiry")
			delete(g, "days_since_review")
		}
		if a := asList(d["accounts"]); len(a) > 0 && g["account_id"] != nil {
			g["account_id"], g["source"] = a[0].(doc)["id"], a[0].(doc)["source"]
			g["entitlement"].(doc)["tags"] = []any{pick(r, "vendor-master", "payment-run")}
		}
	}
	for _, s := range asList(d["seats"]) {
		s.(doc)["product"] = pick(r, "Slack Pro", "Microsoft Teams", "alpha")
	}
	account, ok := d["account"].(doc)
	if !ok {
		return
	}
	if directory, ok := d["directory"].(doc); ok && r.IntN(2) == 0 {
		directory["id"], directory["source"] = account["id"], d["source"].(doc)["uid"]
	}
	if r.IntN(3) > 0 {
		account["enabled"] = true
	} else if r.IntN(2) == 0 {
		account["enabled"], account["legal_hold"], account["mailbox_type"] = false, false, "user"
		account["days_since_disabled"] = pick(r, 30, 179, 400)
	}
	if r.IntN(3) > 0 {
		account["kind"] = pick(r, "human", "human", "guest", "service")
	}
	link := d["link"].(doc)
	switch person, ok := d["person"].(doc); {
	case ok && r.IntN(4) > 0:
		link["status"] = "linked"
		person["status"] = pick(r, "active", "ended", "ended", "leave")
	case !ok:
		link["status"] = pick(r, "unmatched", "disputed")
	}
	for _, g := range asList(d["grants"]) {
		g.(doc)["peer_count"] = pick(r, 7, 8, 64)
	}
}

func asList(v any) []any { l, _ := v.([]any); return l }

func TestRowsAndDocumentsAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, kind := range access.SubjectKinds() {
		m := newMapper(kind)
		for range 200 {
			d := randomDoc(r, access.SchemaOf(kind).Root, 0.3)
			back := m.doc(rowOf(t, kind, d))
			if diff := cmp.Diff(normal(d), normal(back)); diff != "" {
				t.Fatalf("%s (-want +got):\n%s", kind, diff)
			}
		}
	}
}

// normal makes all whole numbers int64 and adds what a row can't leave out: an array of texts in an element.
func normal(v any) any {
	switch v := v.(type) {
	case doc:
		out := doc{}
		for k, e := range v {
			out[k] = normal(e)
		}
		if _, ok := v["entitlement"].(doc); ok && v["path"] == nil && v["direct"] != nil {
			out["path"] = []any{}
		}
		if e, ok := out["entitlement"].(doc); ok && v["account_id"] != nil && e["tags"] == nil {
			e["tags"] = []any{}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = normal(e)
		}
		return out
	case int:
		return int64(v)
	}
	return v
}
