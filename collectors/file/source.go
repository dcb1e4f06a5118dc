package file

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/lapse-audit/lapse/internal/collect"
)

// source is one open file. It is read twice, so that rows that disagree are known before one of them is passed on.
type source struct {
	name   string // as configured
	format string
	table  *Table
	max    int64
	file   *os.File
	size   int64
	mtime  time.Time
	sum    string // of the first reading
	rows   int64  // of the last reading
	header []string
	found  []bool // by wanted column
}

// open opens a regular file.
func open(name, path string, t *Table, max int64) (*source, error) {
	format, err := t.format(name)
	if err != nil {
		return nil, fmt.Errorf("format: %w", err)
	}
	info, err := os.Stat(path) // first: opening a pipe would wait for its writer
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, cause(err))
	}
	switch {
	case info.IsDir():
		return nil, fmt.Errorf("%s: is a directory: name a file", name)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: is not a regular file", name)
	case info.Size() == 0:
		return nil, fmt.Errorf("%s: is empty, without even a header", name)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, cause(err))
	}
	if info, err = f.Stat(); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", name, cause(err))
	}
	return &source{name: name, format: format, table: t, max: max, file: f, size: info.Size(), mtime: info.ModTime()}, nil
}

// cause leaves out the operation and the path, which the message has already.
func cause(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

var errChanged = errors.New("changed while it was being read: write exports under another name and rename them when they are whole")

// read calls do with every row in order. Rows that can't be read go to reject.
func (s *source) read(ctx context.Context, columns []column, do func(line int64, cells []string) error, reject func(collect.Rejection) error) error {
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("%s: %w", s.name, cause(err))
	}
	digest := sha256.New()
	text, err := s.decode(ctx, digest)
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	r := &reader{source: s, columns: columns, text: text, do: do, reject: reject}
	switch s.format {
	case "csv":
		err = r.csv(ctx)
	case "jsonl":
		err = r.lines(ctx)
	default:
		err = r.json(ctx)
	}
	s.found, s.header = r.found, r.header
	if err != nil {
		return err
	}
	return s.unchanged(hex.EncodeToString(digest.Sum(nil)), text.raw)
}

// unchanged makes sure that what was read is one state of the file.
func (s *source) unchanged(sum string, n *int64) error {
	info, err := s.file.Stat()
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, cause(err))
	}
	if info.Size() != s.size || !info.ModTime().Equal(s.mtime) || *n != s.size || s.sum != "" && s.sum != sum {
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
	raw   *int64 // bytes of the file so far
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

func (s *source) decode(ctx context.Context, digest hash.Hash) (*bounded, error) {
	count := &counter{r: io.TeeReader(s.file, digest)}
	raw := bufio.NewReaderSize(count, bufferSize)
	head, err := raw.Peek(4096)
	if err != nil && err != io.EOF {
		return nil, cause(err)
	}
	out := &bounded{raw: &count.n}
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
