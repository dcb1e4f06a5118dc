package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unsafe"

	"github.com/lapse-audit/lapse/internal/access"
)

// A subject comes as one text: its columns in RowBinary (ClickHouse's docs, Formats). That reads several times faster than
// 130 columns through the driver, which takes arrays apart by reflection, an element at a time.

// rowReader unpacks rows of one kind. It writes into the same memory again and again.
type rowReader struct {
	columns []access.Column
	read1   []func(*packed, *any)
	row     access.Row
}

// errTruncated says that a row ended before its columns did.
var errTruncated = errors.New("row is cut short")

func newRowReader(columns []access.Column) (*rowReader, error) {
	r := &rowReader{columns: columns, row: make(access.Row, len(columns))}
	for _, c := range columns {
		read, err := columnReader(c.Type)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", c.Name, err)
		}
		r.read1 = append(r.read1, read)
	}
	return r, nil
}

func (r *rowReader) read(text string) (access.Row, error) {
	p := packed{text: text}
	for i, read := range r.read1 {
		read(&p, &r.row[i])
		if p.short {
			return nil, fmt.Errorf("column %s: %w", r.columns[i].Name, errTruncated)
		}
	}
	if p.at != len(text) {
		return nil, fmt.Errorf("row has %d bytes more than its columns", len(text)-p.at)
	}
	return r.row, nil
}

// columnReader makes the reader of a column type. Each has memory of its own, which its next value overwrites.
func columnReader(typ string) (func(*packed, *any), error) {
	switch typ {
	case "Bool":
		return func(p *packed, v *any) { *v = p.bool() }, nil
	case "Nullable(Bool)":
		return nullable((*packed).bool), nil
	case "Nullable(Int64)":
		return nullable((*packed).int64), nil
	case "Nullable(Float64)":
		return nullable((*packed).float64), nil
	case "Nullable(String)":
		return nullable((*packed).string), nil
	case "Map(String, String)":
		return stringMap(), nil
	case "Array(String)":
		return array((*packed).string), nil
	case "Array(Bool)":
		return array((*packed).bool), nil
	case "Array(Int64)":
		return array((*packed).int64), nil
	case "Array(Float64)":
		return array((*packed).float64), nil
	case "Array(Nullable(String))":
		return nullableArray((*packed).string), nil
	case "Array(Nullable(Bool))":
		return nullableArray((*packed).bool), nil
	case "Array(Nullable(Int64))":
		return nullableArray((*packed).int64), nil
	case "Array(Nullable(Float64))":
		return nullableArray((*packed).float64), nil
	case "Array(Array(String))":
		return nestedArray((*packed).string), nil
	}
	return nil, fmt.Errorf("unknown type %s", typ)
}

func nullable[T any](get func(*packed) T) func(*packed, *any) {
	value := new(T)
	var present, absent any = value, (*T)(nil)
	return func(p *packed, v *any) {
		if p.byte() != 0 {
			*v = absent
			return
		}
		*value = get(p)
		*v = present
	}
}

func array[T any](get func(*packed) T) func(*packed, *any) {
	var values []T
	var none any = []T{}
	return func(p *packed, v *any) {
		n := p.length()
		if n == 0 {
			*v = none
			return
		}
		values = resize(values, n)
		for i := range values {
			values[i] = get(p)
		}
		*v = values
	}
}

func nullableArray[T any](get func(*packed) T) func(*packed, *any) {
	var values []T
	var pointers []*T
	var none any = []*T{}
	return func(p *packed, v *any) {
		n := p.length()
		if n == 0 {
			*v = none
			return
		}
		values, pointers = resize(values, n), resize(pointers, n)
		for i := range values {
			if p.byte() != 0 {
				pointers[i] = nil
				continue
			}
			values[i] = get(p)
			pointers[i] = &values[i]
		}
		*v = pointers
	}
}

func nestedArray[T any](get func(*packed) T) func(*packed, *any) {
	var flat []T
	var lists [][]T
	var ends []int
	var none any = [][]T{}
	return func(p *packed, v *any) {
		n := p.length()
		if n == 0 {
			*v = none
			return
		}
		flat, ends, lists = flat[:0], resize(ends, n), resize(lists, n)
		for i := range ends {
			for range p.length() {
				flat = append(flat, get(p))
			}
			ends[i] = len(flat)
		}
		start := 0 // only now, because flat may have moved
		for i, end := range ends {
			lists[i] = flat[start:end:end]
			start = end
		}
		*v = lists
	}
}

// stringMap keeps the map of the row before where the bytes are the same: all rows of a source share their coverage.
func stringMap() func(*packed, *any) {
	var last string
	var m any = map[string]string{}
	first := true
	return func(p *packed, v *any) {
		start := p.at
		n := p.length()
		for range n {
			p.skip()
			p.skip()
		}
		if p.short {
			return
		}
		if bytes := p.text[start:p.at]; first || bytes != last {
			first, last = false, bytes
			again := packed{text: p.text, at: start}
			values := make(map[string]string, again.length())
			for range n {
				k := again.string()
				values[k] = again.string()
			}
			m = values
		}
		*v = m
	}
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/2)
	}
	return s[:n]
}

// packed is a text that is read from left to right. Past its end everything is zero, and short is set.
type packed struct {
	text  string
	at    int
	short bool
}

func (p *packed) byte() byte {
	if p.at >= len(p.text) {
		p.short = true
		return 0
	}
	b := p.text[p.at]
	p.at++
	return b
}

func (p *packed) bool() bool { return p.byte() != 0 }

func (p *packed) word() uint64 {
	if len(p.text)-p.at < 8 {
		p.short = true
		p.at = len(p.text)
		return 0
	}
	b := unsafe.Slice(unsafe.StringData(p.text), len(p.text)) // read only
	w := binary.LittleEndian.Uint64(b[p.at:])
	p.at += 8
	return w
}

func (p *packed) int64() int64     { return int64(p.word()) }
func (p *packed) float64() float64 { return math.Float64frombits(p.word()) }

// length reads an unsigned LEB128 number: of bytes or of elements, each of which takes at least one byte.
func (p *packed) length() int {
	var n uint64
	for shift := 0; shift < 63; shift += 7 {
		b := p.byte()
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if n > uint64(len(p.text)-p.at) {
				p.short = true
				return 0
			}
			return int(n)
		}
	}
	p.short = true
	return 0
}

func (p *packed) string() string {
	n := p.length()
	s := p.text[p.at : p.at+n]
	p.at += n
	return s
}

func (p *packed) skip() {
	p.at += p.length()
}
