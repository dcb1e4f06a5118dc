package file

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/lapse-audit/lapse/internal/collect"
)

// csv reads a header and rows.
func (r *reader) csv(ctx context.Context) error {
	comma, skip, err := r.delimiter()
	if err != nil {
		return err
	}
	c := csv.NewReader(r.text.Reader)
	c.Comma, c.FieldsPerRecord, c.ReuseRecord = comma, -1, true
	if err := r.readHeader(ctx, c, skip); err != nil {
		return err
	}
	at, err := r.bind()
	if err != nil {
		return err
	}
	r.cells = make([]string, len(r.columns))
	r.source.rows = 0
	last := int64(1) // line of the last row
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.text.allow(c.InputOffset(), r.source.max)
		record, err := c.Read()
		if err == io.EOF {
			return nil
		}
		var torn *csv.ParseError
		switch {
		case err == nil:
			line, _ := c.FieldPos(0)
			last = int64(line)
			err = r.csvRow(c, record, at, last)
		case errors.As(err, &torn) && !errors.Is(err, errTooLong):
			last = int64(torn.Line)
			err = r.tornRow(torn)
		default:
			err = r.readError(ctx, last+1, err)
		}
		if err != nil {
			return err
		}
	}
}

func (r *reader) readHeader(ctx context.Context, c *csv.Reader, skip bool) error {
	r.text.allow(0, r.source.max)
	header, err := c.Read()
	if skip && err == nil {
		header, err = c.Read()
	}
	for err == nil && r.source.table.Header > 0 {
		line, _ := c.FieldPos(0)
		if line >= r.source.table.Header {
			break
		}
		r.text.allow(c.InputOffset(), r.source.max)
		header, err = c.Read()
	}
	var torn *csv.ParseError
	switch {
	case err == io.EOF:
		return r.errorf(0, "is empty, without even a header")
	case errors.As(err, &torn) && !errors.Is(err, errTooLong):
		return r.errorf(int64(torn.Line), "the header can't be read: %w", torn.Err)
	case err != nil:
		return r.readError(ctx, 1, err)
	}
	r.header = make([]string, len(header))
	for i, h := range header {
		r.header[i] = strings.TrimSpace(h)
		if !utf8.ValidString(h) {
			return r.errorf(1, "column %d of the header is not valid UTF-8: if the file is an export of Windows, set encoding: windows-1252", i+1)
		}
	}
	return nil
}

// csvRow hands on one row, or rejects it. A row of blanks is none: spreadsheets put them at the end.
func (r *reader) csvRow(c *csv.Reader, record []string, at []int, line int64) error {
	if blank(record) {
		return nil
	}
	if len(record) != len(r.header) {
		if len(record) < len(r.header) && r.cutOff() {
			return r.errorf(line, "the file ends in the middle of this row: it was cut off")
		}
		end := line
		for _, cell := range record {
			end += int64(strings.Count(cell, "\n"))
		}
		return r.lost(line, end, fmt.Sprintf("has %d columns, the header has %d", len(record), len(r.header)))
	}
	r.source.rows++
	if i, reason := r.invalid(record); i >= 0 {
		line, col := c.FieldPos(i)
		return r.reject(collect.Rejection{File: r.source.name, Line: int64(line), Column: r.header[i],
			Reason: fmt.Sprintf("%s, in the field at column %d", reason, col)})
	}
	for i, j := range at {
		r.cells[i] = ""
		if j >= 0 {
			r.cells[i] = strings.TrimSpace(record[j])
		}
	}
	return r.do(line, r.cells)
}

// tornRow rejects a row whose quotes are wrong. If the file ends in it, rows may be missing after it or inside it.
func (r *reader) tornRow(torn *csv.ParseError) error {
	first, last := int64(torn.StartLine), int64(torn.Line)
	if r.cutOff() || r.atEnd() && last > first {
		return r.errorf(first, "the file ends in the middle of this row: it was cut off, or a closing quote is missing")
	}
	return r.lost(first, last, fmt.Sprintf("line %d, column %d: %v", torn.Line, torn.Column, torn.Err))
}

// lost rejects what stands in these lines. A stray quote makes one row of many: each line counts, so that the share of
// what is lost is not taken for less than it is.
func (r *reader) lost(first, last int64, reason string) error {
	for line := first; line <= max(first, last); line++ {
		r.source.rows++
		if err := r.reject(collect.Rejection{File: r.source.name, Line: line, Reason: reason}); err != nil {
			return err
		}
	}
	return nil
}

// atEnd reports whether all of the file was read.
func (r *reader) atEnd() bool {
	_, err := r.text.Peek(1)
	return err == io.EOF
}

// cutOff reports whether the row just read is the last one and lacks its end of line: a row that is torn as well is where
// an export was cut off.
func (r *reader) cutOff() bool { return r.atEnd() && r.text.inner.last != '\n' }

func blank(record []string) bool {
	for _, cell := range record {
		if strings.TrimSpace(cell) != "" {
			return false
		}
	}
	return true
}

// delimiter returns the delimiter, and whether the first line only names it, as spreadsheets write it (sep=;), or only the type of
// what follows, as Export-Csv of Windows PowerShell does (#TYPE Microsoft.ActiveDirectory.Management.ADUser).
func (r *reader) delimiter() (comma rune, skip bool, err error) {
	head, err := r.text.Peek(bufferSize / 2)
	if err != nil && err != io.EOF && !errors.Is(err, errTooLong) && len(head) == 0 {
		return 0, false, fmt.Errorf("%s: %w", r.source.name, err)
	}
	first, _, _ := bytes.Cut(head, []byte("\n"))
	first = bytes.TrimRight(first, "\r")
	if len(first) == 5 && bytes.EqualFold(first[:4], []byte("sep=")) {
		comma, skip = rune(first[4]), true
	}
	typed := bytes.HasPrefix(first, []byte("#TYPE "))
	if typed {
		_, rest, _ := bytes.Cut(head, []byte("\n"))
		first, _, _ = bytes.Cut(rest, []byte("\n"))
		skip = true
	}
	if n := r.source.table.Header; n > 1 { // a title has other characters than the headings
		rest := head
		for range n - 1 {
			_, rest, _ = bytes.Cut(rest, []byte("\n"))
		}
		first, _, _ = bytes.Cut(rest, []byte("\n"))
	}
	switch d := r.source.table.Delimiter; d {
	case "", "auto":
		if skip && !typed {
			return comma, true, nil
		}
	case "tab":
		return '\t', skip, nil
	default:
		comma, _ = utf8.DecodeRuneInString(d)
		return comma, skip, nil
	}
	counts := map[rune]int{}
	quoted := false
	for _, c := range string(first) {
		switch c {
		case '"':
			quoted = !quoted
		case ',', ';', '\t', '|':
			if !quoted {
				counts[c]++
			}
		}
	}
	comma = ','
	for _, c := range []rune{';', '\t', '|'} {
		if counts[c] > counts[comma] {
			comma = c
		}
	}
	for c, n := range counts {
		if c != comma && n == counts[comma] {
			return 0, false, r.errorf(1, "the header has as many %q as %q: set delimiter", comma, c)
		}
	}
	return comma, skip, nil
}

// bind finds the place of each wanted column in the header, -1 for none.
func (r *reader) bind() ([]int, error) {
	var errs []error
	at := make([]int, len(r.columns))
	r.found = make([]bool, len(r.columns))
	for i, c := range r.columns {
		at[i] = -1
		for j, h := range r.header {
			if h != c.name && (!c.auto || plain(h) != plain(c.name)) {
				continue
			}
			if at[i] >= 0 {
				errs = append(errs, fmt.Errorf("two columns are called %s: %q and %q", c.name, r.header[at[i]], h))
			}
			at[i] = j
		}
		r.found[i] = at[i] >= 0
		if at[i] < 0 && !c.auto {
			errs = append(errs, fmt.Errorf("has no column %q%s", c.name, suggest(c.name, r.header)))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, r.errorf(0, "%w", err)
	}
	return at, nil
}
