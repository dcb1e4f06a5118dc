package ldap

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
)

// view looks up the attributes of an entry by name, whatever their case and options. One is reused for all entries of a
// collection, as the spellings are the same in each.
type view struct {
	entry  *ldap.Entry
	names  map[string]spelling
	byName map[string]*ldap.EntryAttribute
	// unreadable counts values that are not what their attribute should hold. They are taken for unknown: a broken name must
	// not hide an account.
	unreadable map[string]int64
}

// spelling is an attribute description as it came: userCertificate;binary, cn;lang-de.
type spelling struct {
	name     string // lower case, without options
	language bool
}

func newView() *view {
	return &view{names: map[string]spelling{}, byName: map[string]*ldap.EntryAttribute{}, unreadable: map[string]int64{}}
}

// of turns to another entry.
func (v *view) of(e *ldap.Entry) {
	v.entry = e
	clear(v.byName)
	for _, a := range e.Attributes {
		s, ok := v.names[a.Name]
		if !ok {
			name, options, _ := strings.Cut(strings.ToLower(a.Name), ";")
			s = spelling{name, strings.Contains(";"+options, ";lang-")}
			v.names[a.Name] = s
		}
		if _, taken := v.byName[s.name]; taken && s.language || len(a.Values) == 0 { // the one without a language wins
			continue
		}
		v.byName[s.name] = a
	}
}

// has reports whether the entry has an attribute (lower case).
func (v *view) has(name string) bool { return v.byName[name] != nil }

// text is the first value of an attribute, "" for none and for one that is no text.
func (v *view) text(name string) string {
	a := v.byName[name]
	if a == nil {
		return ""
	}
	if s := a.Values[0]; utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	v.unreadable[name]++
	return ""
}

// number is the first value of an attribute as a whole number.
func (v *view) number(name string) (n int64, ok bool) {
	a := v.byName[name]
	if a == nil {
		return 0, false
	}
	n, err := strconv.ParseInt(a.Values[0], 10, 64)
	if err != nil {
		v.unreadable[name]++
		return 0, false
	}
	return n, true
}

// fileTime is the first value of an attribute as a FILETIME: nil and false where there is none, nil and true for never.
func (v *view) fileTime(name string) (t *time.Time, never bool) {
	a := v.byName[name]
	if a == nil {
		return nil, false
	}
	at, never, err := fileTime(a.Values[0])
	if err != nil {
		v.unreadable[name]++
		return nil, false
	}
	if never {
		return nil, true
	}
	return &at, false
}

// time is the first value of an attribute as a Generalized Time, nil for none.
func (v *view) time(name string) *time.Time {
	a := v.byName[name]
	if a == nil {
		return nil
	}
	at, err := generalizedTime(a.Values[0])
	if err != nil {
		v.unreadable[name]++
		return nil
	}
	return &at
}

// is reports whether the entry is of a class (lower case).
func (v *view) is(class string) bool {
	for _, c := range v.texts("objectclass") {
		if strings.EqualFold(c, class) {
			return true
		}
	}
	return false
}

// notes say which values could not be read.
func (v *view) notes() []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(v.unreadable)) {
		out = append(out, fmt.Sprintf("%d values of %s could not be read as what they should be, and are unknown", v.unreadable[name], name))
	}
	return out
}

// texts are the values of an attribute.
func (v *view) texts(name string) []string {
	if a := v.byName[name]; a != nil {
		return a.Values
	}
	return nil
}

// bytes is the first value of an attribute as it came, nil for none.
func (v *view) bytes(name string) []byte {
	if a := v.byName[name]; a != nil {
		return []byte(a.Values[0])
	}
	return nil
}
