package file

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/lapse-audit/lapse/internal/collect"
)

// source is one open file, or one member of an archive. It is read twice, so that rows that disagree are known before one
// of them is passed on.
type source struct {
	name   string // as configured, with the member of an archive
	format string
	table  *Table
	max    int64 // of a row
	limits limits
	file   *os.File
	size   int64
	mtime  time.Time
	latest time.Time // the end of what the file's name says it is of
	pack   packing
	member *zip.File
	book   *book
	inline *yaml.Node // a list within another file, in the place of all these
	sum    string     // of the file as it lies there, at the first reading
	rows   int64      // of the last reading
	header []string
	found  []bool // by wanted column
}

// open opens a regular file: as one source, or as one for each member of an archive that is wanted.
func (k *Collector) open(p part, t *Table) ([]*source, error) {
	name := p.name
	info, err := os.Stat(p.path) // first: opening a pipe would wait for its writer
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, cause(err))
	}
	switch {
	case info.IsDir():
		return nil, fmt.Errorf("%s: is a directory: name a file, or say take: newest or all", name)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: is not a regular file", name)
	case info.Size() == 0:
		return nil, fmt.Errorf("%s: is empty, without even a header", name)
	}
	f, err := os.Open(p.path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, cause(err))
	}
	if info, err = f.Stat(); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", name, cause(err))
	}
	s := &source{name: name, table: t, max: int64(k.config.MaxRecord), limits: limits{k.config.MaxUnpacked, k.config.MaxRatio},
		file: f, size: info.Size(), mtime: info.ModTime(), latest: p.latest}
	out, err := s.split()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}

// split finds how the file is packed and written, and the members of an archive.
func (s *source) split() ([]*source, error) {
	var inner string
	var err error
	if s.pack, inner = packed(s.name); s.pack != zipped {
		if s.format, err = s.table.format(inner); err != nil {
			return nil, fmt.Errorf("format: %w", err)
		}
		if s.table.Member != "" {
			return nil, errors.New("member: the file is no zip archive")
		}
		return []*source{s}, nil
	}
	z, err := archive(s.file, s.size)
	if err != nil {
		return nil, err
	}
	found, err := members(z, s.table.Member, s.limits)
	if err != nil {
		return nil, err
	}
	var out []*source
	for _, m := range found {
		one := *s
		one.member, one.name = m, s.name+": "+quoteName(m.Name)
		if one.format, err = s.table.format(m.Name); err != nil {
			return nil, fmt.Errorf("format: %w", err)
		}
		out = append(out, &one)
	}
	return out, nil
}

// asOf is the last moment from which the source's data can be: when it was written, or before that by what its name says.
func (s *source) asOf() time.Time {
	if !s.latest.IsZero() && s.latest.Before(s.mtime) {
		return s.latest.UTC()
	}
	return s.mtime.UTC()
}

var errChanged = errors.New("changed while it was being read: write exports under another name and rename them when they are whole")

// read calls do with every row in order. Rows that can't be read go to reject.
func (s *source) read(ctx context.Context, columns []column, do func(line int64, cells []string) error, reject func(collect.Rejection) error) error {
	if s.inline != nil {
		r := &reader{source: s, columns: columns, do: do, reject: reject}
		err := r.yamlRows(ctx, s.inline)
		s.found, s.header = r.found, r.header
		return err
	}
	digest := sha256.New()
	raw := &counter{r: io.TeeReader(io.NewSectionReader(s.file, 0, s.size), digest)}
	if s.pack == zipped || s.format == xlsx && s.pack == loose { // read by places, not from start to end
		if _, err := io.Copy(io.Discard, &boundedReader{ctx: ctx, r: raw}); err != nil {
			return s.failed(ctx, err)
		}
	}
	r := &reader{source: s, columns: columns, do: do, reject: reject}
	err := r.read(ctx, raw)
	s.found, s.header = r.found, r.header
	if err != nil {
		return err
	}
	return s.unchanged(hex.EncodeToString(digest.Sum(nil)), raw.n)
}

// read reads what the source holds, unpacked.
func (r *reader) read(ctx context.Context, raw io.Reader) error {
	s := r.source
	if s.format == xlsx && s.pack == loose {
		return r.sheet(ctx, s.file, s.size)
	}
	stream := io.NopCloser(raw)
	var err error
	switch s.pack {
	case zipped:
		stream, err = s.limits.open(s.member)
	case gzipped:
		stream, err = s.limits.gunzip(raw, s.size)
	}
	if err != nil {
		return s.failed(ctx, err)
	}
	defer stream.Close() // of a reader: what went wrong it has said
	switch s.format {
	case xlsx:
		return r.packedSheet(ctx, stream)
	case yamlList:
		return r.yaml(ctx, stream)
	}
	if r.text, err = s.decode(ctx, stream); err != nil {
		return s.failed(ctx, err)
	}
	switch s.format {
	case "csv":
		return r.csv(ctx)
	case "jsonl":
		return r.lines(ctx)
	}
	return r.json(ctx)
}

// failed puts the source before what is wrong with it. It leaves an error of ctx as it is.
func (s *source) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%s: %w", s.name, cause(err))
}

// unchanged makes sure that what was read is one state of the file.
func (s *source) unchanged(sum string, n int64) error {
	info, err := s.file.Stat()
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, cause(err))
	}
	if info.Size() != s.size || !info.ModTime().Equal(s.mtime) || n != s.size || s.sum != "" && s.sum != sum {
		return fmt.Errorf("%s: %w", s.name, errChanged)
	}
	s.sum = sum
	return nil
}

// bounded is the file's text in UTF-8. Read fails once it gave more than limit bytes, so that a row without end doesn't
// fill the memory.
type bounded struct {
	*bufio.Reader
	inner *boundedReader
	// replaced says that U+FFFD stands for what the decoder could not read.
	replaced bool
}

type boundedReader struct {
	ctx   context.Context
	r     io.Reader
	given int64
	limit int64
	last  byte // given
}

var errTooLong = errors.New("too long")

const bufferSize = 64 << 10

func (b *boundedReader) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	if b.limit > 0 && b.given > b.limit {
		return 0, errTooLong
	}
	n, err := b.r.Read(p)
	b.given += int64(n)
	if n > 0 {
		b.last = p[n-1]
	}
	return n, err
}

// allow lets the reader go on to max bytes past what the parser has consumed.
func (b *bounded) allow(consumed, max int64) { b.inner.limit = consumed + max + bufferSize }

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (s *source) decode(ctx context.Context, stream io.Reader) (*bounded, error) {
	raw := bufio.NewReaderSize(stream, bufferSize)
	head, err := raw.Peek(4096)
	if err != nil && err != io.EOF {
		return nil, cause(err)
	}
	out := &bounded{}
	var r io.Reader = raw
	switch encoding := s.encoding(head); encoding {
	case "utf-16le", "utf-16be":
		endian := unicode.LittleEndian
		if encoding == "utf-16be" {
			endian = unicode.BigEndian
		}
		r = transform.NewReader(raw, unicode.UTF16(endian, unicode.UseBOM).NewDecoder())
		out.replaced = true
	case "windows-1252":
		r = transform.NewReader(raw, charmap.Windows1252.NewDecoder())
		out.replaced = true
	default:
		if bytes.HasPrefix(head, utf8BOM) {
			if _, err := raw.Discard(len(utf8BOM)); err != nil {
				return nil, err
			}
		}
		if is := magic(head); is != "" {
			return nil, fmt.Errorf("is %s, not text: give it the ending of what it is", is)
		}
		if i := bytes.IndexByte(head, 0); i >= 0 {
			return nil, fmt.Errorf("holds a NUL byte at byte %d: if it is UTF-16 without a byte order mark, set encoding: utf-16le", i)
		}
		if encoding == "auto" {
			r = &utf8Reader{r: raw, line: 1, column: 1}
		}
	}
	out.inner = &boundedReader{ctx: ctx, r: r}
	out.Reader = bufio.NewReaderSize(out.inner, bufferSize)
	return out, nil
}

// magic names what is most often taken for text, by how it begins.
func magic(head []byte) string {
	for _, m := range []struct{ begin, name string }{
		{"PK\x03\x04", "a zip archive or a workbook (.xlsx)"}, {"\x1f\x8b", "a gzip file (.gz)"}, {oldBook, "an old workbook (.xls)"},
	} {
		if bytes.HasPrefix(head, []byte(m.begin)) {
			return m.name
		}
	}
	return ""
}

var utf8BOM = []byte("\xef\xbb\xbf")

func (s *source) encoding(head []byte) string {
	if e := s.table.Encoding; e != "" && e != "auto" {
		return e
	}
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe")):
		return "utf-16le"
	case bytes.HasPrefix(head, []byte("\xfe\xff")):
		return "utf-16be"
	}
	return "auto"
}

// utf8Reader passes UTF-8 on and fails at the first byte that isn't, naming its line and column.
type utf8Reader struct {
	r            io.Reader
	carry        []byte // the begin of a character
	line, column int64  // of the next byte, from 1
}

func (u *utf8Reader) Read(p []byte) (int, error) {
	if len(p) < utf8.UTFMax {
		return 0, io.ErrShortBuffer
	}
	k := copy(p, u.carry)
	n, err := u.r.Read(p[k:])
	n += k
	u.carry = u.carry[:0]
	if err == nil { // keep an unfinished character back
		for i := 1; i < utf8.UTFMax && i <= n; i++ {
			if utf8.RuneStart(p[n-i]) {
				if !utf8.FullRune(p[n-i : n]) {
					u.carry = append(u.carry, p[n-i:n]...)
					n -= i
				}
				break
			}
		}
	}
	if !utf8.Valid(p[:n]) {
		i := 0
		for i < n {
			r, size := utf8.DecodeRune(p[i:n])
			if r == utf8.RuneError && size == 1 {
				break
			}
			i += size
		}
		u.advance(p[:i])
		return 0, fmt.Errorf("line %d, column %d: not valid UTF-8: if the file is an export of Windows, set encoding: windows-1252", u.line, u.column)
	}
	u.advance(p[:n])
	return n, err
}

func (u *utf8Reader) advance(p []byte) {
	if i := bytes.LastIndexByte(p, '\n'); i >= 0 {
		u.line += int64(bytes.Count(p, []byte{'\n'}))
		u.column = int64(len(p) - i)
		return
	}
	u.column += int64(len(p))
}
