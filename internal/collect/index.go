package collect

import (
	"fmt"
	"hash/maphash"
	"slices"
	"sort"
)

// Index remembers ids and where each was seen first, in about 24 bytes an id whatever their length: it keeps 96 bits of
// a keyed hash, so that two ids are taken for one with a probability of 10^-15 in ten million.
type Index struct {
	a, b  maphash.Seed
	seen  table // their contents
	runs  []run
	files []string
}

// run says where ids that came one after the other were seen: each so many lines below the one before. Most exports need a
// single one.
type run struct {
	from uint32 // number of the first
	line uint32 // of the first
	step uint16
	file uint16
}

// Seen is where an id was seen first.
type Seen struct {
	File    string // empty when no place was given
	Line    int64
	content uint32
}

// NewIndex returns an empty index.
func NewIndex() *Index {
	return &Index{a: maphash.MakeSeed(), b: maphash.MakeSeed(), files: []string{""}}
}

func (x *Index) hash(space, id string) [2]uint64 {
	var key [2]uint64
	for i, seed := range [...]maphash.Seed{x.a, x.b} {
		var h maphash.Hash
		h.SetSeed(seed)
		h.WriteString(space)
		h.WriteByte(0)
		h.WriteString(id)
		key[i] = h.Sum64()
	}
	return key
}

// Add remembers id within a name space. For an id that is there already it changes nothing and returns where that was
// and true.
func (x *Index) Add(space, id string, content uint64, file string, line int64) (Seen, bool) {
	key := x.hash(space, id)
	if number, ok := x.seen.find(key); ok {
		return x.at(number), true
	}
	x.place(file, uint32(line))
	x.seen.set(key, uint32(content))
	return Seen{}, false
}

// place notes where the next id is seen.
func (x *Index) place(file string, line uint32) {
	at := slices.Index(x.files, file) // few files, the last is the usual one
	if at < 0 && len(x.files) < 1<<16 {
		at, x.files = len(x.files), append(x.files, file)
	}
	in := uint16(max(at, 0))
	if len(x.runs) > 0 {
		r := &x.runs[len(x.runs)-1]
		n := x.seen.count - r.from
		if n == 1 && r.file == in && line >= r.line && line-r.line < 1<<16 {
			r.step = uint16(line - r.line)
		}
		if r.file == in && r.line+n*uint32(r.step) == line {
			return
		}
	}
	x.runs = append(x.runs, run{from: x.seen.count, line: line, file: in})
}

// at is where the id with a number was seen.
func (x *Index) at(number uint32) Seen {
	r := x.runs[sort.Search(len(x.runs), func(i int) bool { return x.runs[i].from > number })-1]
	return Seen{File: x.files[r.file], Line: int64(r.line + (number-r.from)*uint32(r.step)), content: x.seen.value(number)}
}

// Has reports whether id is there.
func (x *Index) Has(space, id string) bool {
	_, ok := x.seen.find(x.hash(space, id))
	return ok
}

// Len is the number of ids.
func (x *Index) Len() int { return int(x.seen.count) }

// Same reports whether what was seen first had this content.
func (s Seen) Same(content uint64) bool { return s.content == uint32(content) }

func (s Seen) String() string {
	switch {
	case s.File != "" && s.Line > 0:
		return fmt.Sprintf("%s line %d", s.File, s.Line)
	case s.File != "":
		return s.File
	}
	return "an earlier record"
}

func (s Seen) reason(column string, content uint64) string {
	if s.Same(content) {
		return fmt.Sprintf("duplicate %s: the same record as %s", column, s)
	}
	return fmt.Sprintf("duplicate %s: another record than %s, which has the same one", column, s)
}
