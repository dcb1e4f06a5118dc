package rest

import (
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

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

// setterOf gives the setter of a field's type.
func setterOf(t reflect.Type) setter {
	switch t {
	case reflect.TypeFor[string]():
		return setText
	case reflect.TypeFor[*bool]():
		return setFlag
	case reflect.TypeFor[*time.Time]():
		return setTime
	case reflect.TypeFor[*int64]():
		return setCount
	case reflect.TypeFor[[]string]():
		return setTexts
	case reflect.TypeFor[[]access.Key]():
		return setKeys
	}
	if list, ok := words[t]; ok {
		return func(to reflect.Value, v any, _ *moments) string {
			s, ok := v.(string)
			if !ok || !slices.Contains(list, s) {
				return fmt.Sprintf("%s is none of %s", quote(v), strings.Join(list, ", "))
			}
			to.SetString(s)
			return ""
		}
	}
	panic(fmt.Sprintf("rest: no setter for %s", t))
}

func setText(to reflect.Value, v any, _ *moments) string {
	switch v := v.(type) {
	case string:
		if strings.IndexByte(v, 0) >= 0 {
			return "holds a NUL character"
		}
		to.SetString(strings.TrimSpace(v))
		return ""
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return "is a number with a fraction, want a text"
		}
		to.SetString(v.String())
		return ""
	case int:
		to.SetString(strconv.Itoa(v))
		return ""
	case *big.Int:
		to.SetString(v.String())
		return ""
	}
	return fmt.Sprintf("is %s, want a text", describe(v))
}

func setFlag(to reflect.Value, v any, _ *moments) string {
	var b bool
	switch v {
	case true, "true":
		b = true
	case false, "false":
	default:
		return fmt.Sprintf("%s is neither true nor false", quote(v))
	}
	to.Set(reflect.ValueOf(&b))
	return ""
}

func setCount(to reflect.Value, v any, _ *moments) string {
	n, err := whole(v)
	if err != nil {
		return err.Error()
	}
	to.Set(reflect.ValueOf(&n))
	return ""
}

// whole is a number without a fraction, also as a text.
func whole(v any) (int64, error) {
	text, ok := asText(v)
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if !ok || err != nil {
		return 0, fmt.Errorf("%s is no whole number", quote(v))
	}
	return n, nil
}

func setTexts(to reflect.Value, v any, _ *moments) string {
	list, ok := v.([]any)
	if !ok {
		return fmt.Sprintf("is %s, want a list of texts", describe(v))
	}
	out := make([]string, 0, len(list))
	for _, e := range list {
		s, ok := e.(string)
		if !ok {
			return fmt.Sprintf("holds %s, want texts", describe(e))
		}
		out = append(out, s)
	}
	to.Set(reflect.ValueOf(out))
	return ""
}

var keyShape = shapeOf(reflect.TypeFor[access.Key]())

func setKeys(to reflect.Value, v any, _ *moments) string {
	list, ok := v.([]any)
	if !ok {
		return fmt.Sprintf("is %s, want a list of keys", describe(v))
	}
	out := make([]access.Key, len(list))
	for i, e := range list {
		m, ok := e.(map[string]any)
		if !ok {
			return fmt.Sprintf("holds %s, want keys", describe(e))
		}
		for name, v := range m {
			at, ok := keyShape.index[name]
			if !ok {
				return fmt.Sprintf("a key has no field %q", name)
			}
			if v == nil {
				continue
			}
			f := reflect.ValueOf(&out[i]).Elem().Field(at)
			if reason := setterOf(f.Type())(f, v, nil); reason != "" {
				return name + ": " + reason
			}
		}
	}
	to.Set(reflect.ValueOf(out))
	return ""
}

// moments are the dates of a person, which wait for the location's zone.
type moments struct {
	list []moment
}

type moment struct {
	to  reflect.Value
	day collect.Date
}

var timeLayouts = []string{time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04Z07:00"}

func setTime(to reflect.Value, v any, m *moments) string {
	s, ok := v.(string)
	if !ok {
		return fmt.Sprintf("is %s, want a time such as 2026-01-31T08:00:00Z: seconds since 1970 become one by todate", describe(v))
	}
	if s = strings.TrimSpace(s); s == "" {
		return ""
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			t = t.UTC()
			to.Set(reflect.ValueOf(&t))
			return ""
		}
	}
	// Midnight without a zone is how APIs of HR write a day.
	if t, err := time.Parse(time.DateOnly, strings.TrimSuffix(s, "T00:00:00")); err == nil {
		if m != nil {
			y, mo, d := t.Date()
			m.list = append(m.list, moment{to, collect.Date{Year: y, Month: mo, Day: d}})
			return ""
		}
		to.Set(reflect.ValueOf(&t))
		return ""
	}
	if _, err := time.Parse("2006-01-02T15:04:05", s); err == nil {
		return "has no zone: where it is UTC, append it: . + \"Z\""
	}
	return quote(v) + " is no time such as 2026-01-31T08:00:00Z"
}

// resolve turns the days of a person into instants.
func (m *moments) resolve(p reflect.Value, clock *collect.Clock) (field, reason string) {
	location := p.FieldByName("Location").String()
	for _, e := range m.list {
		t := clock.Start(e.day, location)
		if e.to.Addr().Interface() == p.FieldByName("EndAt").Addr().Interface() {
			var err error
			if t, err = clock.End(e.day, location); err != nil {
				return "end_at", err.Error()
			}
		}
		e.to.Set(reflect.ValueOf(&t))
	}
	m.list = m.list[:0]
	return "", ""
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

// quote shows a value only if it is a short word or two, or looks like a date: a field mapped by mistake may hold anything.
func quote(v any) string {
	s, ok := v.(string)
	if !ok {
		return describe(v)
	}
	odd := strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(" -_:.+", r)
	})
	if len(s) <= 24 && !odd {
		return strconv.Quote(s)
	}
	return fmt.Sprintf("a text of %d characters", utf8.RuneCountInString(s))
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
