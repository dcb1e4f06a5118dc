package rest

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// mapping is a compiled Mapping.
type mapping struct {
	kind   collect.Kind
	shape  *shape
	from   Expr
	when   Expr
	once   bool
	fields []bound
	attrs  []Field
}

type bound struct {
	Field
	index int
	set   setter
	id    bool // whose type must not change
	slot  int  // of an id: where its type is kept
}

// setter puts a value of jq, not null, into a field of a record, or gives the reason why it can't.
type setter func(to reflect.Value, v any, m *moments) (reason string)

// shape is what is known of a kind of record: its fields, which are those of internal/access in snake case.
type shape struct {
	typ      reflect.Type
	index    map[string]int
	required []string
}

func shapeOf(typ reflect.Type, required ...string) *shape {
	s := &shape{typ: typ, index: map[string]int{}, required: required}
	for i := range typ.NumField() {
		if name := typ.Field(i).Name; name != "Attributes" {
			s.index[snake(name)] = i
		}
	}
	return s
}

func (s *shape) names() []string {
	var out []string
	for name := range s.index {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

var shapes = map[collect.Kind]*shape{
	collect.People:       shapeOf(reflect.TypeFor[access.Person](), "id"),
	collect.Accounts:     shapeOf(reflect.TypeFor[access.Account](), "id"),
	collect.Entitlements: shapeOf(reflect.TypeFor[access.Entitlement](), "id"),
	collect.Grants:       shapeOf(reflect.TypeFor[access.Grant](), "holder_id", "entitlement_id"),
	collect.Licenses:     shapeOf(reflect.TypeFor[access.License](), "sku"),
	collect.Seats:        shapeOf(reflect.TypeFor[access.Seat](), "account_id", "sku"),
	collect.Usages:       shapeOf(reflect.TypeFor[access.Usage](), "account_id"),
}

// ids are the fields by which records are known and named.
var ids = []string{"id", "record_id", "sku", "account_id", "holder_id", "entitlement_id"}

var words = map[reflect.Type][]string{
	reflect.TypeFor[access.AccountKind]():  {"human", "service", "shared", "guest", "machine"},
	reflect.TypeFor[access.PersonStatus](): {"active", "leave", "ended", "future"},
	reflect.TypeFor[access.HolderKind]():   {"account", "entitlement"},
}

func (c *compiler) mapping(kind collect.Kind, m *Mapping, path string) *mapping {
	s := shapes[kind]
	out := &mapping{kind: kind, shape: s, once: m.Once}
	c.compile(path+".from", &m.From)
	c.compile(path+".when", &m.When)
	out.from, out.when = m.From, m.When
	given := map[string]bool{}
	for i := range m.Fields {
		f := &m.Fields[i]
		at, ok := s.index[f.Name]
		if !ok {
			c.fail(f.at, path, "%s have no field %q%s", kind, f.Name, near(f.Name, append(s.names(), "from", "when", "once", "attributes")))
			continue
		}
		given[f.Name] = true
		c.compile(path+"."+f.Name, &f.Expr)
		out.fields = append(out.fields, bound{Field: *f, index: at, set: setterOf(s.typ.Field(at).Type), id: slices.Contains(ids, f.Name), slot: len(out.fields)})
	}
	for _, name := range s.required {
		if !given[name] {
			c.fail(m.at, path, "%s is missing", name)
		}
	}
	if _, ok := s.typ.FieldByName("Attributes"); !ok && len(m.Attributes) > 0 {
		c.fail(m.Attributes[0].at, path+".attributes", "%s have none", kind)
	}
	for i := range m.Attributes {
		c.compile(path+".attributes."+m.Attributes[i].Name, &m.Attributes[i].Expr)
	}
	out.attrs = m.Attributes
	return out
}

// types remembers of which JSON type the ids of a mapping were at first.
type types map[*mapping][]string

// record makes a record of what from yielded. A record that is refused has a reason, and mostly a field.
func (m *mapping) record(v any, vars []any, seen types, clock *collect.Clock) (rec access.Record, field, reason string) {
	out := reflect.New(m.shape.typ).Elem()
	var days *moments
	if m.kind == collect.People {
		days = new(moments)
	}
	for i := range m.fields {
		f := &m.fields[i]
		value, err := f.Expr.one(v, vars)
		if err != nil {
			return nil, f.Name, err.Error()
		}
		if value == nil {
			continue
		}
		if reason := f.set(out.Field(f.index), value, days); reason != "" {
			return nil, f.Name, reason
		}
		if f.id {
			if reason := seen.same(m, f.slot, value); reason != "" {
				return nil, f.Name, reason
			}
		}
	}
	for _, name := range m.shape.required {
		if out.Field(m.shape.index[name]).String() == "" {
			return nil, name, "the id is missing, null or empty"
		}
	}
	if len(m.attrs) > 0 {
		attrs := make(map[string]string, len(m.attrs))
		for i := range m.attrs {
			a := &m.attrs[i]
			value, err := a.Expr.one(v, vars)
			if err != nil {
				return nil, a.Name, err.Error()
			}
			if value == nil {
				continue
			}
			text, ok := asText(value)
			if !ok {
				return nil, a.Name, fmt.Sprintf("is %s, want a text", describe(value))
			}
			if text != "" {
				attrs[a.Name] = text
			}
		}
		if len(attrs) > 0 {
			out.FieldByName("Attributes").Set(reflect.ValueOf(attrs))
		}
	}
	return finish(out, days, clock)
}

// finish adds what follows from the fields, and checks the record as a whole.
func finish(out reflect.Value, days *moments, clock *collect.Clock) (access.Record, string, string) {
	switch r := out.Addr().Interface().(type) {
	case *access.Person:
		if field, reason := days.resolve(out, clock); reason != "" {
			return nil, field, reason
		}
		if r.RecordID == "" {
			r.RecordID = r.ID
		}
		if r.StartAt != nil && r.EndAt != nil && r.EndAt.Before(*r.StartAt) {
			return nil, "end_at", "is before start_at"
		}
	case *access.Account:
		if r.LastLoginAt != nil && r.NeverLoggedIn != nil && *r.NeverLoggedIn {
			return nil, "never_logged_in", "is true, and there is a last_login_at"
		}
	case *access.Grant:
		if r.HolderKind == "" {
			r.HolderKind = access.HolderAccount
		}
	}
	return out.Interface().(access.Record), "", ""
}

// same refuses an id that is a number here and a text there: 7 and "7" need not be one.
func (t types) same(m *mapping, slot int, v any) string {
	if t[m] == nil {
		t[m] = make([]string, len(m.fields))
	}
	kind := describe(v)
	switch was := t[m][slot]; was {
	case "":
		t[m][slot] = kind
	case kind:
	default:
		return fmt.Sprintf("is %s, and was %s in the records before", kind, was)
	}
	return ""
}

func snake(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if i > 0 && unicode.IsUpper(r) && (unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
