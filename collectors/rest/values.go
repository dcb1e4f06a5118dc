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
