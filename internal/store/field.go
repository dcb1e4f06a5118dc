package store

import (
	"github.com/lapse-audit/lapse/internal/fold"

	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// field is one column of a table and its place in records of type R.
type field[R any] struct {
	name   string
	values func([]R) any // for writing: one slice with the column's value of each record; nil: never written
	dest   func(*R) any  // for reading: where the column's value goes; nil: not read
}

// kept is a field that is read as it was written. T is what the driver takes for the column's type: string, *bool, *int64,
// []string, map[string]string, ... A nil pointer is NULL.
func kept[R, T any](name string, place func(*R) *T) field[R] {
	f := column(name, func(r *R) T { return *place(r) })
	f.dest = func(r *R) any { return place(r) }
	return f
}

// column is a field that is worked out when a record is written, and not read.
func column[R, T any](name string, get func(*R) T) field[R] {
	return field[R]{name: name, values: func(records []R) any {
		out := make([]T, len(records))
		for i := range records {
			out[i] = get(&records[i])
		}
		return out
	}}
}

// folded is the form of a text in which it is matched.
func folded[R any](name string, place func(*R) *string) field[R] {
	return column(name, func(r *R) string { return fold.Text(*place(r)) })
}

// moment is a Nullable(DateTime64(3, 'UTC')).
func moment[R any](name string, place func(*R) **time.Time) field[R] {
	f := column(name, func(r *R) *time.Time { return storable(*place(r)) })
	f.dest = func(r *R) any { return place(r) }
	return f
}

// The instants that the driver and the engine both hold. Rosters use the year 9999 for "no end", directories the year
// 1601 for "never set": those are kept as the nearest instant that can be.
var (
	firstInstant = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)
	lastInstant  = time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC)
)

func storable(t *time.Time) *time.Time {
	switch {
	case t == nil:
		return nil
	case t.Before(firstInstant):
		return &firstInstant
	case t.After(lastInstant):
		return &lastInstant
	}
	return t
}

// money is a Nullable(Decimal(18, 4)) whose absent value is the empty text.
func money[R any](name string, place func(*R) *string) field[R] {
	f := column(name, func(r *R) *string {
		if p := place(r); *p != "" {
			return p
		}
		return nil
	})
	f.dest = func(r *R) any { return &decimalText{place(r)} }
	return f
}

// presence is the Bool beside a map or a slice that tells an absent one from an empty one. It must come after it: when it is
// read, it corrects what was read there.
func presence[R any](name string, is func(*R) bool, correct func(r *R, known bool)) field[R] {
	f := column(name, is)
	f.dest = func(r *R) any { return presenceScan(func(known bool) { correct(r, known) }) }
	return f
}

type presenceScan func(known bool)

func (p presenceScan) Scan(v any) error {
	is, ok := v.(bool)
	if !ok {
		return fmt.Errorf("presence column holds %T", v)
	}
	p(is)
	return nil
}

type decimalText struct{ to *string }

func (d *decimalText) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*d.to = ""
	case fmt.Stringer:
		*d.to = v.String()
	default:
		return fmt.Errorf("decimal column holds %T", v)
	}
	return nil
}

// written are the fields that an INSERT names.
func written[R any](fields []field[R]) (names []string) {
	for _, f := range fields {
		if f.values == nil {
			panic("store: field " + f.name + " can't be written")
		}
		names = append(names, f.name)
	}
	return names
}

// selection is the list of columns of a SELECT, and the scan that goes with it.
func selection[R any](fields []field[R]) (columns string, scan func(driver.Rows, *R) error) {
	var names []string
	var dests []func(*R) any
	for _, f := range fields {
		if f.dest != nil {
			names, dests = append(names, f.name), append(dests, f.dest)
		}
	}
	var of *R // usually the same for all rows
	var to []any
	return strings.Join(names, ", "), func(rows driver.Rows, r *R) error {
		if r != of {
			of, to = r, make([]any, len(dests))
			for i, d := range dests {
				to[i] = d(r)
			}
		}
		return rows.Scan(to...)
	}
}
