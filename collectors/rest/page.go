package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"unicode/utf8"

	"github.com/itchyny/gojq"
)

// row is one element of an answer's list. One that can't be read has a reason.
type row struct {
	raw    json.RawMessage // what decode makes a value of; nil where there is one already
	value  any
	reason string
}

// decode makes a value of what was read. Whoever makes records of rows does it, and not whoever reads them: the next page
// is asked for sooner.
func (r *row) decode() {
	if r.raw == nil {
		return
	}
	v, err := decode(r.raw)
	r.raw = nil
	if r.value = v; err != nil { // which the reader would have found
		r.reason = err.Error()
	}
}

// parser reads the answers of one request.
type parser struct {
	path         []string // to the list
	expr         *Expr    // that yields the rows instead; or nil
	allowMissing bool
	maxRecord    int
	hash         maphash.Hash // of the rows of the answer
}

// The largest value in a stream, and the largest stream, that are read at all.
const (
	maxValue  = 64 << 20
	maxStream = 8 << 30
)

// parse calls do with each row and returns what stands around the list, which it does as far as it can where there is no
// list. It reads no further ahead than one row.
func (p *parser) parse(ctx context.Context, r io.Reader, vars []any, do func(row) error) (around any, err error) {
	in := &metered{r: r}
	p.hash.Reset()
	d := json.NewDecoder(in)
	d.UseNumber()
	if p.expr != nil {
		return p.yielded(ctx, d, in, vars, do)
	}
	found := false
	around, err = p.descend(d, in, p.path, &found, do)
	switch {
	case err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("the JSON is cut off after %d bytes", in.n)
	case err != nil:
		return nil, asSyntax(err)
	case !found && !p.allowMissing:
		return around, fmt.Errorf("there is no list at %s", p.where())
	}
	return around, end(d)
}

// end makes sure that nothing follows the document.
func end(d *json.Decoder) error {
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the JSON document")
	}
	return nil
}

func asSyntax(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("is no JSON at byte %d", syntax.Offset)
	}
	return err
}

func (p *parser) where() string {
	if len(p.path) == 0 {
		return "the top"
	}
	return "." + joinPath(p.path)
}

func joinPath(path []string) string {
	var b bytes.Buffer
	for i, key := range path {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(key)
	}
	return b.String()
}

// yielded reads the answer whole and has an expression yield the rows.
func (p *parser) yielded(ctx context.Context, d *json.Decoder, in *metered, vars []any, do func(row) error) (any, error) {
	in.limit(d, maxPage)
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("the JSON is cut off after %d bytes", in.n)
		}
		return nil, asSyntax(err)
	}
	if err := end(d); err != nil {
		return nil, err
	}
	if !utf8.Valid(raw) {
		return nil, errors.New("is not valid UTF-8")
	}
	p.hash.Write(raw)
	doc, err := decode(raw)
	if err != nil {
		return nil, err
	}
	return doc, p.expr.all(ctx, doc, vars, func(v any) error {
		if v == nil {
			return nil
		}
		if len(raw) > p.maxRecord { // only then can a row be too long
			if text, err := gojq.Marshal(v); err != nil || len(text) > p.maxRecord {
				return do(p.tooLong())
			}
		}
		return do(row{value: v})
	})
}

// descend reads a value in which the list is at path.
func (p *parser) descend(d *json.Decoder, in *metered, path []string, found *bool, do func(row) error) (any, error) {
	in.limit(d, maxValue)
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	if len(path) == 0 {
		switch t {
		case json.Delim('['):
		case nil:
			return nil, nil
		default:
			return nil, fmt.Errorf("%s is %s, want a list", p.where(), describeToken(t))
		}
		*found = true
		for d.More() {
			row, err := p.row(d, in)
			if err != nil {
				return nil, err
			}
			if err := do(row); err != nil {
				return nil, err
			}
		}
		_, err := d.Token()
		return nil, err
	}
	if t != json.Delim('{') {
		if t == nil {
			return nil, nil
		}
		return nil, fmt.Errorf("the answer is %s where there should be an object with %s", describeToken(t), path[0])
	}
	around := map[string]any{}
	for d.More() {
		in.limit(d, maxValue)
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, ok := key.(string)
		if !ok {
			return nil, errors.New("an object has a key that is no text")
		}
		if name == path[0] {
			if *found {
				return nil, fmt.Errorf("%s stands twice in the answer", name)
			}
			if around[name], err = p.descend(d, in, path[1:], found, do); err != nil {
				return nil, err
			}
			continue
		}
		in.limit(d, maxValue)
		var v any
		if err := d.Decode(&v); err != nil {
			return nil, err
		}
		around[name] = v
	}
	_, err = d.Token()
	return around, err
}

func describeToken(t json.Token) string {
	switch t {
	case json.Delim('{'):
		return "an object"
	case json.Delim('['):
		return "a list"
	}
	return describe(t)
}

// row reads one element. One that is too long or no UTF-8 is passed over.
func (p *parser) row(d *json.Decoder, in *metered) (row, error) {
	in.limit(d, maxValue)
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return row{}, err
	}
	p.hash.Write(raw)
	switch {
	case len(raw) > p.maxRecord:
		return p.tooLong(), nil
	case !utf8.Valid(raw):
		return row{reason: "not valid UTF-8"}, nil
	}
	if string(raw) == "null" {
		return row{reason: "the record is null"}, nil
	}
	return row{raw: raw}, nil
}

func (p *parser) tooLong() row {
	return row{reason: fmt.Sprintf("the record is longer than %d bytes: raise max_record if it is right", p.maxRecord)}
}

// decode keeps numbers as they are written: ids may have more digits than a float64.
func decode(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, asSyntax(err)
}

// metered counts what is read, and keeps a value without end from filling the memory.
type metered struct {
	r     io.Reader
	n     int64
	allow int64
}

// limit lets the reader go on to max bytes past what the decoder has consumed.
func (m *metered) limit(d *json.Decoder, max int64) { m.allow = d.InputOffset() + max }

func (m *metered) Read(p []byte) (int, error) {
	if m.n > m.allow {
		return 0, fmt.Errorf("a value is longer than %d MiB", maxValue>>20)
	}
	if m.n > maxStream {
		return 0, fmt.Errorf("the answer is longer than %d GiB", maxStream>>30)
	}
	n, err := m.r.Read(p)
	m.n += int64(n)
	return n, err
}
