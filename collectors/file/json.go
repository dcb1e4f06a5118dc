package file

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/lapse-audit/lapse/internal/collect"
)

// lines reads one JSON object a line.
func (r *reader) lines(ctx context.Context) error {
	o := r.object()
	r.source.rows = 0
	var consumed, n int64
	for {
		n++
		r.text.allow(consumed, r.source.max)
		var line []byte
		for {
			part, err := r.text.ReadSlice('\n')
			consumed += int64(len(part))
			if line == nil && err == nil {
				line = part
				break
			}
			line = append(line[:len(line):len(line)], part...)
			if err == io.EOF || err == nil {
				break
			}
			if err.Error() != "bufio: buffer full" {
				return r.readError(ctx, n, err)
			}
		}
		end := len(line) == 0 || line[len(line)-1] != '\n'
		if line = bytes.TrimSpace(line); len(line) > 0 {
			if err := r.jsonRow(ctx, o, n, line); err != nil {
				return err
			}
		}
		if end {
			return r.complete(o)
		}
	}
}

// jsonRow hands on one object.
func (r *reader) jsonRow(ctx context.Context, o *object, line int64, raw []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r.source.rows++
	bad := func(column, reason string) error {
		return r.reject(collect.Rejection{File: r.source.name, Line: line, Column: column, Reason: reason})
	}
	if !utf8.Valid(raw) {
		return bad("", "not valid UTF-8")
	}
	if column, reason, err := o.read(raw); err != nil {
		return r.errorf(line, "%w", err)
	} else if reason != "" && column == "" && r.source.format == "jsonl" && r.cutOff() {
		return r.errorf(line, "the file ends in the middle of this row: it was cut off")
	} else if reason != "" {
		return bad(column, reason)
	}
	if i, reason := r.invalid(o.cells); i >= 0 {
		return bad(r.columns[i].name, reason)
	}
	return r.do(line, o.cells)
}

// json reads an array of objects, at Rows in the document or at its top, or objects one after the other.
func (r *reader) json(ctx context.Context) error {
	lines := &newlines{r: r.text.Reader}
	d := json.NewDecoder(lines)
	r.text.allow(0, r.source.max)
	fail := func(err error) error {
		line := lines.at(lines.given)
		var s *json.SyntaxError
		if errors.As(err, &s) {
			return r.errorf(lines.at(d.InputOffset()), "not valid JSON: %w", err)
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return r.readError(ctx, line, err)
	}
	next := func() (json.Token, error) {
		r.text.allow(d.InputOffset(), r.source.max)
		return d.Token()
	}
	array := r.source.table.Rows != ""
	for name := range strings.SplitSeq(r.source.table.Rows, ".") {
		if name == "" {
			continue
		}
		if found, err := enter(next, d, name); err != nil {
			return fail(err)
		} else if !found {
			return r.errorf(0, "rows: there is no %q in the document", r.source.table.Rows)
		}
	}
	if !array {
		head, _ := r.text.Peek(512)
		array = bytes.HasPrefix(bytes.TrimSpace(head), []byte("["))
	}
	if array {
		t, err := next()
		if err != nil {
			return fail(err)
		}
		if t != json.Delim('[') {
			return r.errorf(lines.at(d.InputOffset()), "rows: want an array of objects")
		}
	}
	o := r.object()
	r.source.rows = 0
	for {
		r.text.allow(d.InputOffset(), r.source.max)
		if array && !d.More() {
			break
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err == io.EOF && !array {
			return r.complete(o)
		} else if err != nil {
			return fail(err)
		}
		line := lines.at(d.InputOffset() - int64(len(raw)))
		if err := r.jsonRow(ctx, o, line, raw); err != nil {
			return err
		}
	}
	if _, err := next(); err != nil { // ]
		return fail(err)
	}
	if r.source.table.Rows == "" {
		if _, err := d.Token(); err != io.EOF {
			return r.errorf(lines.at(d.InputOffset()), "there is more after the end of the array")
		}
		return r.complete(o)
	}
	for { // the rest of the document must be there, too
		if _, err := next(); err == io.EOF {
			return r.complete(o)
		} else if err != nil {
			return fail(err)
		}
	}
}

// enter goes to the value of a name in the object that comes next.
func enter(next func() (json.Token, error), d *json.Decoder, name string) (bool, error) {
	t, err := next()
	if err != nil || t != json.Delim('{') {
		return false, err
	}
	for d.More() {
		key, err := next()
		if err != nil {
			return false, err
		}
		if key == name {
			return true, nil
		}
		for depth := 0; ; { // skip its value
			t, err := next()
			if err != nil {
				return false, err
			}
			switch t {
			case json.Delim('{'), json.Delim('['):
				depth++
			case json.Delim('}'), json.Delim(']'):
				depth--
			}
			if depth == 0 {
				break
			}
		}
	}
	return false, nil
}

// newlines tells the line of an offset. Offsets must be asked for in ascending order.
type newlines struct {
	r     io.Reader
	given int64
	ahead []int64 // offsets of newlines not yet passed
	line  int64   // newlines passed
}

func (n *newlines) Read(p []byte) (int, error) {
	k, err := n.r.Read(p)
	for i, b := range p[:k] {
		if b == '\n' {
			n.ahead = append(n.ahead, n.given+int64(i))
		}
	}
	n.given += int64(k)
	return k, err
}

func (n *newlines) at(offset int64) int64 {
	i := 0
	for i < len(n.ahead) && n.ahead[i] < offset {
		i++
	}
	n.line += int64(i)
	n.ahead = append(n.ahead[:0], n.ahead[i:]...)
	return n.line + 1
}
