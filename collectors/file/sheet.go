package file

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/lapse-audit/lapse/internal/collect"
)

// sheetCell is a cell as the sheet holds it.
type sheetCell struct {
	column  int // from 0
	kind    string
	style   int
	text    string
	valued  bool // there is a value, if only an empty one
	formula bool
}

// sheet reads a header and rows. Rows that are hidden or filtered out are rows; those that are blank are none.
func (r *reader) sheet(ctx context.Context, at io.ReaderAt, size int64) error {
	b := r.source.book
	if b == nil {
		var err error
		if b, err = openBook(ctx, at, size, r.source.table.Sheet, r.source.limits); err != nil {
			return r.source.failed(ctx, err)
		}
		r.source.book = b
	} else if err := b.reopen(at, size); err != nil {
		return r.source.failed(ctx, err)
	}
	var places []int
	var above [][]sheetCell // rows to the header
	r.source.rows = 0
	last := int64(0)
	err := b.rows(ctx, r.source.max, func(n int64, cells []sheetCell) error {
		last = n
		if places == nil {
			if n < int64(r.source.table.Header) || blankCells(cells) {
				above = append(above, slices.Clone(cells))
				return nil
			}
			if r.source.table.Header > 0 && n > int64(r.source.table.Header) {
				return r.errorf(0, "header: row %d is blank", r.source.table.Header)
			}
			var err error
			places, err = r.sheetHeader(ctx, b, n, cells)
			return err
		}
		if blankCells(cells) {
			return nil
		}
		return r.sheetRow(b, n, cells, places)
	})
	switch {
	case errors.Is(err, errTooLong):
		return r.errorf(last+1, "a row is longer than %d bytes (max_record)", r.source.max)
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && isFault(err):
		return r.source.failed(ctx, err)
	case err != nil:
		return err
	case places == nil:
		return r.errorf(0, "is empty, without even a header")
	}
	return nil
}

// isFault tells what is wrong with the workbook from the errors of others, which are left as they are.
func isFault(err error) bool {
	var f *faultError
	return errors.As(err, &f)
}

type faultError struct{ error }

func (e *faultError) Unwrap() error { return e.error }

// reopen binds a workbook that was read before to the same bytes.
func (b *book) reopen(at io.ReaderAt, size int64) error {
	z, err := archive(at, size)
	if err != nil {
		return err
	}
	for _, f := range z.File {
		if f.Name == b.sheet.Name {
			b.sheet = f
		}
	}
	return nil
}

// rows calls do with the cells of each row, which are valid until the next. An error of the workbook is a faultError.
func (b *book) rows(ctx context.Context, max int64, do func(n int64, cells []sheetCell) error) error {
	var outside error
	err := b.parseFile(ctx, b.sheet, max, func(d *elements) error {
		var (
			n        int64
			next     int
			cells    []sheetCell
			c        sheetCell
			text     []byte
			take     bool // character data is the cell's
			data     bool // within sheetData
			phonetic bool
		)
		return d.all(func(t xml.Token) error {
			switch t := t.(type) {
			case xml.StartElement:
				switch t.Name.Local {
				case "sheetData":
					data = true
				case "row":
					n++
					if at := attr(t, "r"); at != "" {
						given, err := strconv.ParseInt(at, 10, 32)
						if err != nil || given < n {
							return fmt.Errorf("the rows of the sheet are out of order at row %s", quoteWord(at))
						}
						n = given
					}
					cells, next = cells[:0], 0
				case "c":
					c = sheetCell{column: next, kind: attr(t, "t"), style: -1}
					if at := attr(t, "r"); at != "" {
						i, ok := columnOf(at)
						if !ok || i < next {
							return fmt.Errorf("row %d: the cells are out of order at %s", n, quoteWord(at))
						}
						c.column = i
					}
					if c.column >= maxColumns {
						return fmt.Errorf("row %d: has more than %d columns", n, maxColumns)
					}
					if s, err := strconv.Atoi(attr(t, "s")); err == nil {
						c.style = s
					}
					next = c.column + 1
					text = text[:0]
				case "v":
					take, c.valued = true, true
				case "t":
					take = !phonetic
					c.valued = true
				case "f":
					c.formula = true
				case "rPh":
					phonetic = true
				}
			case xml.CharData:
				if take && data {
					text = append(text, t...)
				}
			case xml.EndElement:
				take = false
				switch t.Name.Local {
				case "sheetData":
					data = false
				case "rPh":
					phonetic = false
				case "c":
					c.text = string(text)
					cells = append(cells, c)
				case "row":
					if !data {
						return nil
					}
					d.mark()
					if outside = do(n, cells); outside != nil {
						return outside
					}
				}
			}
			if !data {
				d.mark()
			}
			return nil
		})
	})
	if err != nil && outside == nil {
		return &faultError{err}
	}
	return err
}

// columnOf is the number of a cell's column: 0 for A17.
func columnOf(ref string) (int, bool) {
	n := 0
	for i, c := range []byte(ref) {
		switch {
		case c >= 'A' && c <= 'Z':
			n = n*26 + int(c-'A') + 1
		default:
			return n - 1, i > 0
		}
		if n > maxColumns {
			return n - 1, true
		}
	}
	return n - 1, n > 0
}

func blankCells(cells []sheetCell) bool {
	return !slices.ContainsFunc(cells, func(c sheetCell) bool {
		return c.formula || c.valued && (c.kind == "s" || strings.TrimSpace(c.text) != "")
	})
}

// sheetHeader reads the headings. One that is merged over several columns is that of the first of them, and with a number
// that of the others: Name, Name 2. One that is merged with rows above stands there.
func (r *reader) sheetHeader(ctx context.Context, b *book, n int64, cells []sheetCell) ([]int, error) {
	width := 0
	for _, c := range cells {
		width = max(width, c.column+1)
	}
	names := make([]string, width)
	for _, c := range cells {
		text, reason := b.value(c)
		if reason != "" {
			return nil, r.errorf(n, "the heading in column %s: %s", letters(c.column), reason)
		}
		names[c.column] = strings.TrimSpace(text)
	}
	if r.source.header == nil && (slices.Contains(names, "") || r.source.table.Header > 1) {
		merged, err := b.mergedNames(ctx, n, r.source.max)
		if errors.Is(err, errTooLong) {
			return nil, err
		}
		if err != nil {
			return nil, r.source.failed(ctx, err)
		}
		for column, name := range merged {
			for len(names) <= column {
				names = append(names, "")
			}
			if names[column] == "" {
				names[column] = name
			}
		}
	}
	if r.source.header != nil {
		names = r.source.header
	}
	r.header = names
	places, err := r.bind()
	if err != nil {
		return nil, err
	}
	r.cells = make([]string, len(r.columns))
	return places, nil
}

// mergedNames reads the sheet for the cells that are merged with those of a row, and what stands in them.
func (b *book) mergedNames(ctx context.Context, row, max int64) (map[int]string, error) {
	type area struct {
		left, right int
		top, bottom int64
	}
	var areas []area
	err := b.parseFile(ctx, b.sheet, max, func(d *elements) error {
		return d.all(func(t xml.Token) error {
			d.mark()
			start, ok := t.(xml.StartElement)
			if !ok || start.Name.Local != "mergeCell" {
				return nil
			}
			from, to, ok := strings.Cut(attr(start, "ref"), ":")
			a := area{top: rowOf(from), bottom: rowOf(to)}
			var known [2]bool
			a.left, known[0] = columnOf(from)
			a.right, known[1] = columnOf(to)
			if ok && known[0] && known[1] && a.top <= row && row <= a.bottom && a.right < maxColumns && len(areas) < maxColumns {
				areas = append(areas, a)
			}
			return nil
		})
	})
	if err != nil || areas == nil {
		return nil, err
	}
	out := map[int]string{}
	err = b.rows(ctx, max, func(n int64, cells []sheetCell) error {
		if n > row {
			return errStop
		}
		for _, a := range areas {
			for _, c := range cells {
				if n != a.top || c.column != a.left {
					continue
				}
				text, reason := b.value(c)
				if reason != "" {
					continue
				}
				name := strings.TrimSpace(text)
				out[a.left] = name
				for column := a.left + 1; column <= a.right && name != ""; column++ {
					out[column] = fmt.Sprintf("%s %d", name, column-a.left+1)
				}
			}
		}
		return nil
	})
	if err == errStop {
		err = nil
	}
	return out, err
}

var errStop = errors.New("stop")

func rowOf(ref string) int64 {
	n, err := strconv.ParseInt(strings.TrimLeft(ref, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"), 10, 32)
	if err != nil {
		return -1
	}
	return n
}

func letters(column int) string {
	s := ""
	for column++; column > 0; column = (column - 1) / 26 {
		s = string(rune('A'+(column-1)%26)) + s
	}
	return s
}

// sheetRow hands on one row, or rejects it.
func (r *reader) sheetRow(b *book, n int64, cells []sheetCell, places []int) error {
	r.source.rows++
	for i, column := range places {
		r.cells[i] = ""
		if column < 0 {
			continue
		}
		j, ok := slices.BinarySearchFunc(cells, column, func(c sheetCell, column int) int { return c.column - column })
		if !ok {
			continue
		}
		text, reason := b.value(cells[j])
		if reason != "" {
			return r.reject(collect.Rejection{File: r.source.name, Line: n, Column: r.header[column], Reason: reason})
		}
		r.cells[i] = strings.TrimSpace(text)
	}
	if i, reason := r.invalid(r.cells); i >= 0 {
		return r.reject(collect.Rejection{File: r.source.name, Line: n, Column: r.columns[i].name, Reason: reason})
	}
	return r.do(n, r.cells)
}
