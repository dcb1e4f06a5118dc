package sql

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// attribute begins the name of a column that is kept as it is.
const attribute = "attr_"

// record builds records of one kind from rows. The columns are the fields of the record in internal/access, in snake case.
type record struct {
	kind    collect.Kind
	typ     reflect.Type
	names   map[string]int // of fields
	columns []int          // for each column the field; below 0 what follows
	texts   []string       // names of the columns
	zone    *time.Location
	clock   *collect.Clock
	kinds   []Kind
}

// What a column is, if it is no field.
const (
	toAttribute  = -1
	toAccount    = -2 // of a grant: the account that holds it
	toHolderRole = -3 // of a grant: the entitlement that holds it
)

// moment is a time as a database gives it: without a zone it is a reading of a clock, and may be a mere date.
type moment struct {
	at    time.Time
	zoned bool
}

func recordOf(k collect.Kind) reflect.Type {
	switch k {
	case collect.People:
		return reflect.TypeFor[access.Person]()
	case collect.Accounts:
		return reflect.TypeFor[access.Account]()
	case collect.Entitlements:
		return reflect.TypeFor[access.Entitlement]()
	case collect.Licenses:
		return reflect.TypeFor[access.License]()
	case collect.Grants:
		return reflect.TypeFor[access.Grant]()
	case collect.Seats:
		return reflect.TypeFor[access.Seat]()
	case collect.Usages:
		return reflect.TypeFor[access.Usage]()
	}
	panic(fmt.Sprintf("sql: unknown kind %q", k))
}

var (
	timeType   = reflect.TypeFor[*time.Time]()
	flagType   = reflect.TypeFor[*bool]()
	numberType = reflect.TypeFor[*int64]()
	textsType  = reflect.TypeFor[[]string]()
)

// newRecord matches the columns of a result with the fields.
func newRecord(k collect.Kind, columns []string) (*record, error) {
	r := &record{kind: k, typ: recordOf(k), names: map[string]int{}, texts: columns}
	known := []string{attribute + "NAME"}
	hasAttributes := false
	for i := range r.typ.NumField() {
		switch f := r.typ.Field(i); {
		case f.Name == "Attributes":
			hasAttributes = true
		case f.Type.Kind() == reflect.String || slices.Contains([]reflect.Type{timeType, flagType, numberType, textsType}, f.Type):
			r.names[snake(f.Name)] = i
			known = append(known, snake(f.Name))
		}
	}
	if k == collect.Grants {
		known = append(known, "account_id", "holder_entitlement_id")
	}
	seen := map[string]bool{}
	for _, column := range columns {
		name := strings.ToLower(column)
		if seen[name] {
			return nil, fmt.Errorf("two columns are named %s", name)
		}
		seen[name] = true
		i, ok := r.names[name]
		switch {
		case ok:
		case hasAttributes && strings.HasPrefix(name, attribute) && len(name) > len(attribute):
			i = toAttribute
		case k == collect.Grants && name == "account_id":
			i = toAccount
		case k == collect.Grants && name == "holder_entitlement_id":
			i = toHolderRole
		default:
			return nil, fmt.Errorf("there is no field %q of %s%s", name, k, suggest(name, slices.Sorted(slices.Values(known))))
		}
		r.columns = append(r.columns, i)
	}
	return r, nil
}

// build makes a record of a row. A reason, with the column it is about, rejects the row; an error ends the reading.
func (r *record) build(values []any, zoned []bool) (rec access.Record, column, reason string, err error) {
	v := reflect.New(r.typ).Elem()
	moments := map[string]moment{}
	for i, value := range values {
		text, m, reason := plain(value)
		if reason == "" && text == "" && m == nil {
			continue
		}
		if m != nil {
			m.zoned = zoned[i]
		}
		if reason == "" {
			reason = r.set(v, i, text, m, moments)
		}
		if reason != "" {
			return nil, strings.ToLower(r.texts[i]), reason, nil
		}
	}
	return r.finish(v, moments)
}

// plain is what a driver gives, as a text or a moment; nothing where it is NULL or empty.
func plain(value any) (text string, m *moment, reason string) {
	switch v := value.(type) {
	case nil:
	case string:
		text = strings.TrimSpace(v)
	case []byte:
		if len(v) == 1 && v[0] < 2 { // BIT(1)
			return strconv.Itoa(int(v[0])), nil, ""
		}
		text = strings.TrimSpace(string(v))
	case bool:
		text = strconv.FormatBool(v)
	case int64:
		text = strconv.FormatInt(v, 10)
	case uint64:
		text = strconv.FormatUint(v, 10)
	case float32:
		text = strconv.FormatFloat(float64(v), 'f', -1, 32)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return "", nil, "is no number"
		}
		text = strconv.FormatFloat(v, 'f', -1, 64)
	case time.Time:
		if v.IsZero() { // MySQL's 0000-00-00
			return "", nil, ""
		}
		return "", &moment{at: v}, ""
	default: // ClickHouse gives numbers of every width
		switch n := reflect.ValueOf(v); {
		case n.CanInt():
			text = strconv.FormatInt(n.Int(), 10)
		case n.CanUint():
			text = strconv.FormatUint(n.Uint(), 10)
		default:
			return "", nil, "is of a type that is not known here: cast it to text"
		}
	}
	switch {
	case !utf8.ValidString(text):
		return "", nil, "is not valid UTF-8"
	case strings.IndexByte(text, 0) >= 0:
		return "", nil, "holds a NUL character"
	}
	return text, nil, ""
}

var price = regexp.MustCompile(`^[0-9]{1,12}(\.[0-9]{1,8})?$`)

func (r *record) set(v reflect.Value, i int, text string, m *moment, moments map[string]moment) (reason string) {
	name := strings.ToLower(r.texts[i])
	if m != nil {
		text = m.at.Format(time.RFC3339)
	}
	switch r.columns[i] {
	case toAttribute:
		at := v.FieldByName("Attributes")
		if at.IsNil() {
			at.Set(reflect.ValueOf(map[string]string{}))
		}
		at.SetMapIndex(reflect.ValueOf(strings.TrimPrefix(name, attribute)), reflect.ValueOf(text))
		return ""
	case toAccount, toHolderRole:
		kind := access.HolderAccount
		if r.columns[i] == toHolderRole {
			kind = access.HolderEntitlement
		}
		if v.FieldByName("HolderID").String() != "" {
			return "the grant has two holders"
		}
		v.FieldByName("HolderID").SetString(text)
		v.FieldByName("HolderKind").SetString(string(kind))
		return ""
	}
	field := v.Field(r.columns[i])
	switch field.Type() {
	case timeType:
		if m == nil {
			if m, reason = parseMoment(text); reason != "" {
				return reason
			}
		}
		moments[name] = *m
	case flagType:
		b, ok := flags[strings.ToLower(text)]
		if !ok {
			return "is neither true nor false: write CASE … END in the query"
		}
		field.Set(reflect.ValueOf(&b))
	case numberType:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return "is no whole number"
		}
		field.Set(reflect.ValueOf(&n))
	case textsType:
		var list []string
		for e := range strings.SplitSeq(text, ";") {
			if e = strings.TrimSpace(e); e != "" {
				list = append(list, e)
			}
		}
		field.Set(reflect.ValueOf(list))
	default:
		return r.setText(field, name, text)
	}
	return ""
}

var flags = map[string]bool{"true": true, "t": true, "yes": true, "y": true, "1": true, "on": true,
	"false": false, "f": false, "no": false, "n": false, "0": false, "off": false}

func (r *record) setText(field reflect.Value, name, text string) string {
	oneOf := func(list string) string {
		text = strings.ToLower(text)
		if !slices.Contains(strings.Split(list, ", "), text) {
			return "is none of " + list + ": write CASE … END in the query"
		}
		return ""
	}
	reason := ""
	switch field.Interface().(type) {
	case access.AccountKind:
		reason = oneOf(words(accountKinds))
	case access.PersonStatus:
		reason = oneOf(words(personStatuses))
	case access.HolderKind:
		reason = oneOf(words(holderKinds))
	default:
		switch {
		case name == "cost_month" && !price.MatchString(text):
			return "is no price: want 57.00"
		case name == "currency":
			if text = strings.ToUpper(text); len(text) != 3 {
				return "is no currency: want three letters (ISO 4217)"
			}
		case name == "kind":
			text = strings.ToLower(text)
		}
	}
	field.SetString(text)
	return reason
}

// parseMoment reads the texts that databases write for times and dates.
func parseMoment(text string) (*moment, string) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999Z07"} {
		if t, err := time.Parse(layout, text); err == nil {
			return &moment{t, true}, ""
		}
	}
	for _, layout := range []string{"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return &moment{t, false}, ""
		}
	}
	return nil, "is no date: write CAST(… AS timestamp) in the query"
}

// in is the instant that a clock in a zone showed so.
func (m moment) in(zone *time.Location) time.Time {
	if m.zoned {
		return m.at.UTC()
	}
	y, mo, d := m.at.Date()
	return time.Date(y, mo, d, m.at.Hour(), m.at.Minute(), m.at.Second(), m.at.Nanosecond(), zone).UTC()
}

// day reports whether it is a mere date: databases write one as midnight.
func (m moment) day() bool { return !m.zoned && m.at.Equal(m.at.Truncate(24*time.Hour)) }

func (r *record) finish(v reflect.Value, moments map[string]moment) (access.Record, string, string, error) {
	location := ""
	if r.kind == collect.People {
		location = v.FieldByName("Location").String()
	}
	for name, m := range moments {
		at := m.in(r.zone)
		if r.kind == collect.People && !m.zoned {
			at = m.in(r.clock.ZoneOf(location))
			y, mo, d := m.at.Date()
			switch date := (collect.Date{Year: y, Month: mo, Day: d}); {
			case m.day() && name == "end_at":
				var err error
				if at, err = r.clock.End(date, location); err != nil {
					return nil, "", "", err
				}
			case m.day():
				at = r.clock.Start(date, location)
			}
		}
		v.Field(r.names[name]).Set(reflect.ValueOf(&at))
	}
	switch rec := v.Interface().(type) {
	case access.Person:
		if rec.RecordID == "" {
			rec.RecordID = rec.ID
		}
		return rec, "", "", nil
	case access.Account:
		if rec.Kind == "" {
			rec.Kind = kindOf(r.kinds, rec.Username)
		}
		if rec.LastLoginAt != nil && rec.NeverLoggedIn != nil && *rec.NeverLoggedIn {
			return nil, "never_logged_in", "is true, and there is a last_login_at", nil
		}
		return rec, "", "", nil
	default:
		return rec.(access.Record), "", "", nil
	}
}

// snake names a field as a column: LastLoginAt is last_login_at, SKU is sku.
func snake(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, c := range runes {
		if i > 0 && unicode.IsUpper(c) && (unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}
