package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/lapse-audit/lapse/internal/access"
)

// rowsAtOnce is how many rows are asked for by their numbers: a server takes those in the address of a request.
const rowsAtOnce = 4096

// screenedColumn is a column that somebody needs.
type screenedColumn struct {
	access.Column
	always  bool     // of every subject
	readers []uint64 // the flags that need it, as in a mask
}

func screenedColumns(kind access.SubjectKind, s Screen) []screenedColumn {
	var out []screenedColumn
	for _, c := range access.SchemaOf(kind).Columns() {
		column := screenedColumn{c, s.Columns == nil || slices.Contains(s.Always, c.Name), make([]uint64, (len(s.Flags)+63)/64)}
		needed := column.always
		for flag, columns := range s.Columns {
			if slices.Contains(columns, c.Name) {
				column.readers[flag/64] |= 1 << (flag % 64)
				needed = true
			}
		}
		if needed {
			out = append(out, column)
		}
	}
	return out
}

// wanted reports whether somebody needs the column of a subject.
func (c *screenedColumn) wanted(f found) bool {
	if c.always || f.sample {
		return true
	}
	for i, word := range f.needs {
		if word&c.readers[i] != 0 {
			return true
		}
	}
	return false
}

// large reports whether a column is worth being left out of some rows of a result.
func (c *screenedColumn) large() bool {
	return strings.HasPrefix(c.Type, "Array(") || strings.HasPrefix(c.Type, "Map(")
}

// Found is how many subjects need looking at.
func (sc *Screening) Found() int { return len(sc.found) }

// Subjects yields the subjects that need looking at, by number, as Run.Subjects does. The slice must still be there.
func (sc *Screening) Subjects(ctx context.Context) iter.Seq2[Screened, error] {
	return func(yield func(Screened, error) bool) {
		for some := range slices.Chunk(sc.found, rowsAtOnce) {
			for s, err := range sc.read(ctx, some) {
				if err != nil {
					yield(Screened{}, fmt.Errorf("read screened %s subjects, slice %d of run %d: %w", sc.kind, sc.slice, sc.run.ID, err))
					return
				}
				if !yield(s, nil) {
					return
				}
			}
		}
	}
}

// errMoreRows says that a number stands for several subjects.
var errMoreRows = errors.New("there are more rows than numbers")

// read yields some of the subjects.
func (sc *Screening) read(ctx context.Context, some []found) iter.Seq2[Screened, error] {
	return func(yield func(Screened, error) bool) {
		query, columns, args := sc.rowsQuery(some)
		reader, err := newPartReader(sc.kind, columns)
		if err != nil {
			yield(Screened{}, err)
			return
		}
		scan := func(rows driver.Rows, text *string) error { return rows.Scan(text) }
		n := 0
		for text, err := range stream(ctx, sc.run.s, scan, query, args...) {
			if err == nil && n == len(some) {
				err = errMoreRows
			}
			if err != nil {
				yield(Screened{}, err)
				return
			}
			row, err := reader.read(text)
			if err != nil {
				yield(Screened{}, err)
				return
			}
			f := some[n]
			n++
			if !yield(Screened{row, f.mask, f.sample, f.stands}, nil) {
				return
			}
		}
		if n < len(some) {
			yield(Screened{}, fmt.Errorf("%d of %d rows are gone", len(some)-n, len(some)))
		}
	}
}

// rowsQuery asks for some rows, by number. What takes room in a row, such as grants, is empty where nobody needs it.
func (sc *Screening) rowsQuery(some []found) (query string, columns []access.Column, args []any) {
	numbers := func(which func(found) bool) []uint32 {
		var out []uint32
		for _, f := range some {
			if which(f) {
				out = append(out, f.no)
			}
		}
		return out
	}
	args = []any{clickhouse.Named("run", sc.run.ID), clickhouse.Named("slice", sc.slice),
		clickhouse.Named("first", some[0].no), clickhouse.Named("last", some[len(some)-1].no),
		clickhouse.Named("numbers", numbers(func(found) bool { return true }))}
	parameters := map[string]string{} // by their values
	var values []string
	for _, c := range sc.columns {
		columns = append(columns, c.Column)
		value := c.Name
		if wanted := numbers(c.wanted); c.large() && len(wanted) < len(some) {
			key := fmt.Sprint(wanted)
			if parameters[key] == "" {
				parameters[key] = fmt.Sprintf("some%d", len(parameters)+1)
				args = append(args, clickhouse.Named(parameters[key], wanted))
			}
			value = fmt.Sprintf("if(no IN {%s:Array(UInt32)}, %s, defaultValueOfTypeName('%s'))", parameters[key], c.Name, c.Type)
		}
		values = append(values, value)
	}
	// Without a name of its own the result is called by its text, with all numbers written out, in each of its blocks.
	return "SELECT formatRow('RowBinary', " + strings.Join(values, ", ") + ") AS packed\nFROM " + sc.table +
		" PREWHERE no BETWEEN {first:UInt32} AND {last:UInt32} AND no IN {numbers:Array(UInt32)}" +
		" WHERE run = {run:UInt64} AND slice = {slice:UInt32} ORDER BY no SETTINGS max_block_size = 1024, " + screenSettings, columns, args
}
