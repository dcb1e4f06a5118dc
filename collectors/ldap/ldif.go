package ldap

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
)

// How much of a file is held in memory: a line, unfolded, and all lines of an entry. An attribute of 10 MB is 14 MB in
// base64; a group of a million members has 100 MB.
const (
	maxLDIFLine  = 32 << 20
	maxLDIFEntry = 256 << 20
)

// readLDIF reads the entries of an LDIF file (RFC 2849) one after the other, up to the first fault, which names the file
// and the line. Of the file's two kinds it reads content; change records are refused, as are values in other files. Beyond
// the RFC it takes text in UTF-8 that should be in base64, an entry without attributes, as ldapsearch writes it where none
// may be read, and a byte order mark. What was exported in part is refused where the export says so.
//
// Only Values is filled of an attribute, not ByteValues. Values keep their order; lines of one attribute description make
// one attribute, under the first spelling of it.
func readLDIF(r io.Reader, name string) iter.Seq2[located, error] {
	return readLimited(r, name, maxLDIFLine, maxLDIFEntry)
}

func readLimited(r io.Reader, name string, maxLine, maxEntry int) iter.Seq2[located, error] {
	return func(yield func(located, error) bool) {
		l := ldifReader{name: name, in: bufio.NewReaderSize(r, 64<<10), max: maxLine, maxEntry: maxEntry, known: map[string]description{}, index: map[string]int{}}
		for {
			e, err := l.entry()
			if err == io.EOF {
				return
			}
			if err != nil {
				err = l.place(err)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// ldifReader reads one file.
type ldifReader struct {
	name          string
	in            *bufio.Reader
	max, maxEntry int

	next    int64  // number of the line to come, less one
	at      int64  // number of the line last returned
	buf     []byte // of a line that is folded or lies across the end of in's buffer
	decoded []byte // of a value in base64
	begun   bool   // something other than comments was read

	entryLine int64
	size      int
	known     map[string]description // by spelling
	index     map[string]int         // of the entry's attributes, by key
}

// description is an attribute description as it is spelt, and in the form in which two are compared.
type description struct{ name, key string }

// manyNames is more attribute descriptions than a directory has.
const manyNames = 10_000

// place puts the file and the line before a fault of the file, and the file before an error of reading.
func (l *ldifReader) place(err error) error {
	var f *ldifFault
	if errors.As(err, &f) {
		return fmt.Errorf("%s: line %d: %w", l.name, l.at, err)
	}
	return fmt.Errorf("%s: %w", l.name, err)
}

// ldifFault is what is wrong with a line.
type ldifFault struct{ text string }

func (f *ldifFault) Error() string { return f.text }

func faultf(format string, args ...any) error { return &ldifFault{fmt.Sprintf(format, args...)} }

// entry reads the next entry. At the end of the file it returns io.EOF.
func (l *ldifReader) entry() (located, error) {
	var e *ldap.Entry
	for {
		line, err := l.line()
		switch {
		case err == io.EOF && e != nil:
			return located{e, l.name, l.entryLine}, nil
		case err != nil:
			return located{}, err
		case len(line) == 0:
			if e != nil {
				return located{e, l.name, l.entryLine}, nil
			}
			continue
		case line[0] == '#':
			if err := cutShort(line); err != nil {
				return located{}, err
			}
			continue
		case line[0] == ' ':
			return located{}, faultf("begins with a space but continues no line")
		}
		attribute, value, err := l.split(line)
		if err != nil {
			return located{}, err
		}
		if e == nil {
			first := !l.begun
			l.begun = true
			switch {
			case first && attribute.key == "version":
				if value != "1" {
					return located{}, faultf("LDIF of a version other than 1 is not known")
				}
			case attribute.key == "dn":
				if !utf8.ValidString(value) {
					return located{}, faultf("the DN is not valid UTF-8")
				}
				e = &ldap.Entry{DN: value}
				l.entryLine, l.size = l.at, len(line)
				clear(l.index)
			default:
				return located{}, faultf("an entry begins with dn:, not with %s: an export by ldapsearch is LDIF with its option -LLL", attribute.name)
			}
			continue
		}
		if l.size += len(line); l.size > l.maxEntry {
			return located{}, faultf("the entry that began in line %d is larger than %d bytes: is the empty line between entries missing?", l.entryLine, l.maxEntry)
		}
		if err := l.add(e, attribute, value); err != nil {
			return located{}, err
		}
	}
}

// add puts a value to an entry.
func (l *ldifReader) add(e *ldap.Entry, d description, value string) error {
	switch {
	case d.key == "dn":
		return faultf("a second dn: in the entry that began in line %d: an empty line between entries is missing", l.entryLine)
	case len(e.Attributes) > 0:
	case d.key == "changetype" && strings.EqualFold(value, "add"):
		return faultf("a change record: ldifde writes changetype: add into each entry of an export; remove these lines")
	case d.key == "changetype" || d.key == "control":
		return faultf("a change record: give an export of entries, as slapcat and ldapsearch -LLL write it")
	}
	if i, ok := l.index[d.key]; ok {
		a := e.Attributes[i]
		a.Values = append(a.Values, value)
		return nil
	}
	l.index[d.key] = len(e.Attributes)
	e.Attributes = append(e.Attributes, &ldap.EntryAttribute{Name: d.name, Values: []string{value}})
	return nil
}

const optionChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

var errNoAttribute = faultf("no attribute is spelt like what comes before the colon")

// describes checks an attribute description: a type and options (RFC 4512, 2.5). Some servers allow underscores.
func describes(name string) error {
	typ, rest, more := strings.Cut(name, ";")
	ok := attributeType(strings.ReplaceAll(typ, "_", "-"))
	for more && ok {
		var option string
		option, rest, more = strings.Cut(rest, ";")
		if part, ranged := strings.CutPrefix(strings.ToLower(option), "range="); ranged {
			if part != "0-*" {
				return faultf("only values %s of %s were exported, as Active Directory gives them a part at a time: export all of them", part, typ)
			}
			continue
		}
		ok = option != "" && strings.Trim(option, optionChars) == ""
	}
	if !ok {
		return errNoAttribute
	}
	return nil
}

// cutShort looks at a comment: ldapsearch -L says in one how the search ended.
func cutShort(comment []byte) error {
	result, ok := bytes.CutPrefix(comment, []byte("# result: "))
	if !ok || len(result) == 0 || result[0] < '0' || result[0] > '9' || bytes.HasPrefix(result, []byte("0 ")) {
		return nil
	}
	return faultf("the export is not whole: the search ended with result %.80q", result)
}

// split reads a line into its attribute description and its value.
func (l *ldifReader) split(line []byte) (d description, value string, err error) {
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		return d, "", faultf("is no attribute with a colon and a value")
	}
	if d, err = l.describe(line[:colon]); err != nil {
		return d, "", err
	}
	raw := line[colon+1:]
	kind := byte(0)
	if len(raw) > 0 && (raw[0] == ':' || raw[0] == '<') {
		kind, raw = raw[0], raw[1:]
	}
	raw = bytes.TrimLeft(raw, " ")
	switch {
	case kind == '<':
		return d, "", faultf("the value of %s is in another file, which is not read: export the value itself", d.name)
	case kind == ':':
		l.decoded, err = base64.StdEncoding.Strict().AppendDecode(l.decoded[:0], raw)
		if err != nil || bytes.IndexByte(raw, '\r') >= 0 { // which the decoder passes over
			return d, "", faultf("the value of %s is not in base64, as two colons say", d.name)
		}
		return d, string(l.decoded), nil
	case bytes.IndexByte(raw, 0) >= 0 || bytes.IndexByte(raw, '\r') >= 0:
		return d, "", faultf("the value of %s holds a NUL or a carriage return: it belongs in base64, after two colons", d.name)
	case !utf8.Valid(raw):
		return d, "", faultf("the value of %s is not valid UTF-8: it belongs in base64, after two colons", d.name)
	}
	return d, string(raw), nil
}

// describe returns an attribute description. What was seen before costs no memory.
func (l *ldifReader) describe(text []byte) (description, error) {
	if d, ok := l.known[string(text)]; ok {
		return d, nil
	}
	d := description{name: string(text), key: strings.ToLower(string(text))}
	if err := describes(d.name); err != nil {
		return d, err
	}
	if len(l.known) >= manyNames {
		clear(l.known)
	}
	l.known[d.name] = d
	return d, nil
}

// line returns the next line, unfolded and without its end. It is valid until the next one only.
func (l *ldifReader) line() ([]byte, error) {
	line, err := l.physical(nil)
	if err != nil {
		return nil, err
	}
	l.at = l.next
	if l.at == 1 {
		if line, err = l.mark(line); err != nil {
			return nil, err
		}
	}
	if len(line) == 0 { // ends an entry; a space in the next line continues nothing
		return line, nil
	}
	// line may lie in the buffer of l.in, which stays as it is while there is something in it.
	if l.in.Buffered() == 0 {
		l.buf = append(l.buf[:0], line...)
		line = l.buf
	}
	folded := false
	for {
		c, err := l.in.Peek(1)
		if err != nil || c[0] != ' ' {
			if err != nil && err != io.EOF {
				return nil, err
			}
			return line, nil
		}
		if !folded {
			l.buf = append(l.buf[:0], line...)
			folded = true
		}
		if _, err := l.in.Discard(1); err != nil {
			return nil, err
		}
		if line, err = l.physical(l.buf); err != nil {
			return nil, err
		}
	}
}

// physical reads up to the end of a line. What it reads is appended to before, which is l.buf, or, if before is nil, may
// lie in the buffer of l.in.
func (l *ldifReader) physical(before []byte) ([]byte, error) {
	l.next++
	line := before
	whole := before != nil // copied
	for {
		part, err := l.in.ReadSlice('\n')
		if len(line)+len(part) > l.max {
			l.at = l.next
			return nil, faultf("is longer than %d bytes", l.max)
		}
		switch {
		case err == nil && !whole:
			return trimEnd(part), nil
		case err == nil:
			l.buf = trimEnd(append(line, part...))
			return l.buf, nil
		case err == bufio.ErrBufferFull:
			if !whole {
				line, whole = l.buf[:0], true
			}
			line = append(line, part...)
			l.buf = line
			continue
		case err == io.EOF && len(part) == 0 && !whole:
			return nil, io.EOF
		case err == io.EOF:
			l.at = l.next
			return nil, faultf("the file ends in the middle of this line: it was cut off, or the end of its last line is missing")
		}
		return nil, err
	}
}

func trimEnd(line []byte) []byte {
	line = line[:len(line)-1]
	return bytes.TrimSuffix(line, []byte("\r"))
}

// mark takes a byte order mark off the first line.
func (l *ldifReader) mark(line []byte) ([]byte, error) {
	if bytes.HasPrefix(line, []byte("\xff\xfe")) || bytes.HasPrefix(line, []byte("\xfe\xff")) {
		return nil, faultf("the file is in UTF-16: LDIF is in UTF-8, which ldifde writes without its option -u")
	}
	return bytes.TrimPrefix(line, []byte("\ufeff")), nil
}

// writeLDIF writes an entry and an empty line. readLDIF reads back what it is given, but for attributes without values,
// which have no form in LDIF. Lines are not folded.
func writeLDIF(w io.Writer, e *ldap.Entry) error {
	var b []byte
	line := func(name, value string) error {
		if safe(value) {
			b = append(append(append(b[:0], name...), ": "...), value...)
			if value == "" {
				b = b[:len(b)-1]
			}
		} else {
			b = base64.StdEncoding.AppendEncode(append(append(b[:0], name...), ":: "...), []byte(value))
		}
		if len(b) >= maxLDIFLine {
			return fmt.Errorf("%s of %s has %d bytes: a line has up to %d", name, e.DN, len(value), maxLDIFLine)
		}
		_, err := w.Write(append(b, '\n'))
		return err
	}
	if err := line("dn", e.DN); err != nil {
		return err
	}
	first := true
	for _, a := range e.Attributes {
		if len(a.Values) == 0 {
			continue
		}
		key := strings.ToLower(a.Name)
		if err := describes(a.Name); err != nil || key == "dn" || first && (key == "changetype" || key == "control") {
			return fmt.Errorf("%q of %s is no attribute that LDIF can hold", a.Name, e.DN)
		}
		first = false
		for _, v := range a.Values {
			if err := line(a.Name, v); err != nil {
				return err
			}
		}
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// safe reports whether a value can be written as it is: a SAFE-STRING of RFC 2849 that doesn't end in a space.
func safe(s string) bool {
	if s == "" {
		return true
	}
	if s[0] == ' ' || s[0] == ':' || s[0] == '<' || s[len(s)-1] == ' ' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c == 0 || c == '\n' || c == '\r' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
