package collect

import (
	"fmt"
	"hash/maphash"
	"reflect"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/lapse-audit/lapse/internal/access"
)

// ids are joined with a byte that no valid UTF-8 text holds.
const idSeparator = "\xff"

// identity returns what is unique about a record within its kind, and the column to name when it is not. It is "" when
// the record lacks a part of it.
func identity(r access.Record) (id, column string) {
	parts := func(ids ...string) string {
		for _, id := range ids {
			if id == "" {
				return ""
			}
		}
		return strings.Join(ids, idSeparator)
	}
	switch r := r.(type) {
	case access.Person:
		return r.RecordID, "record_id"
	case access.Account:
		return r.ID, "id"
	case access.Entitlement:
		return r.ID, "id"
	case access.Grant:
		return parts(string(r.HolderKind), r.HolderID, r.EntitlementID), "holder and entitlement"
	case access.License:
		return r.SKU, "sku"
	case access.Seat:
		return parts(r.AccountID, r.SKU), "account and sku"
	case access.Usage:
		if r.AccountID == "" {
			return "", "account_id"
		}
		return strings.Join([]string{r.AccountID, r.SKU, r.EntitlementID}, idSeparator), "account and use"
	}
	panic(fmt.Sprintf("collect: unknown record %T", r))
}

// missing names the first id that a record must have and lacks.
func missing(r access.Record) string {
	first := func(pairs ...string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i+1] == "" {
				return pairs[i]
			}
		}
		return ""
	}
	switch r := r.(type) {
	case access.Person:
		return first("id", r.ID, "record_id", r.RecordID)
	case access.Account:
		return first("id", r.ID)
	case access.Entitlement:
		return first("id", r.ID)
	case access.Grant:
		return first("holder_kind", string(r.HolderKind), "holder_id", r.HolderID, "entitlement_id", r.EntitlementID)
	case access.License:
		return first("sku", r.SKU)
	case access.Seat:
		return first("account_id", r.AccountID, "sku", r.SKU)
	case access.Usage:
		return first("account_id", r.AccountID)
	}
	panic(fmt.Sprintf("collect: unknown record %T", r))
}

var contentSeed = maphash.MakeSeed()

// The store's DateTime64(3) reaches from 1900 to 2299.
const firstYear, lastYear = 1900, 2299

// inspect returns a hash of the record's content, or the column that is at fault and why. The hash is the same only
// within one process.
func inspect(r access.Record) (content uint64, column, reason string) {
	if column = missing(r); column != "" {
		return 0, column, "the id is empty"
	}
	if g, ok := r.(access.Grant); ok && g.HolderKind != access.HolderAccount && g.HolderKind != access.HolderEntitlement {
		return 0, "holder_kind", "want account or entitlement"
	}
	var h maphash.Hash
	h.SetSeed(contentSeed)
	v := reflect.ValueOf(r)
	for i, name := range columnsOf(v.Type()) {
		if reason = inspectValue(&h, v.Field(i)); reason != "" {
			return 0, name, reason
		}
	}
	return h.Sum64(), "", ""
}

func inspectValue(h *maphash.Hash, v reflect.Value) string {
	switch v.Kind() {
	case reflect.String:
		s := v.String()
		h.WriteString(s)
		h.WriteByte(0xff)
		return badText(s)
	case reflect.Pointer:
		if v.IsNil() {
			h.WriteByte(0)
			return ""
		}
		h.WriteByte(1)
		switch p := v.Interface().(type) {
		case *bool:
			maphash.WriteComparable(h, *p)
		case *int64:
			maphash.WriteComparable(h, *p)
		case *time.Time:
			maphash.WriteComparable(h, p.UnixNano())
			if y := p.UTC().Year(); y < firstYear || y > lastYear {
				return fmt.Sprintf("the year %d is outside %d to %d: leave the value absent if it stands for never or unknown", y, firstYear, lastYear)
			}
		default:
			panic(fmt.Sprintf("collect: a record holds a %T", p))
		}
		return ""
	case reflect.Map: // of strings; the sum doesn't depend on the order
		var sum uint64
		for k, s := range v.Interface().(map[string]string) {
			if bad := badText(k); bad != "" {
				return bad
			}
			if bad := badText(s); bad != "" {
				return fmt.Sprintf("%q: %s", k, bad)
			}
			sum += maphash.String(contentSeed, k+idSeparator+s)
		}
		maphash.WriteComparable(h, sum)
		return ""
	case reflect.Slice:
		maphash.WriteComparable(h, v.Len())
		for i := range v.Len() {
			if bad := inspectValue(h, v.Index(i)); bad != "" {
				return bad
			}
		}
		return ""
	case reflect.Struct:
		for i := range v.NumField() {
			if bad := inspectValue(h, v.Field(i)); bad != "" {
				return bad
			}
		}
		return ""
	}
	panic(fmt.Sprintf("collect: a record holds a %s", v.Type()))
}

// maxText is the longest text in bytes that a record may hold: what is longer is no name, id or note of anything.
const maxText = 1 << 20

func badText(s string) string {
	if len(s) > maxText {
		return fmt.Sprintf("is a text of %d bytes: the most is %d", len(s), maxText)
	}
	if !utf8.ValidString(s) {
		return "not valid UTF-8"
	}
	if strings.IndexByte(s, 0) >= 0 {
		return "holds a NUL character"
	}
	return ""
}

var columnNames sync.Map // reflect.Type to []string

// columnsOf names the fields of a record as columns: LastLoginAt is last_login_at.
func columnsOf(t reflect.Type) []string {
	if names, ok := columnNames.Load(t); ok {
		return names.([]string)
	}
	names := make([]string, t.NumField())
	for i := range names {
		names[i] = snake(t.Field(i).Name)
	}
	columnNames.Store(t, names)
	return names
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
