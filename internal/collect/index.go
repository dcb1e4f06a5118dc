package collect

import (
	"fmt"
	"hash/maphash"
	"slices"
)

// Index remembers ids and where each was seen first, in about 40 bytes an id whatever their length: it keeps 128 bits of
// a keyed hash, so that two ids are taken for one with a probability of 10^-25 in ten million.
type Index struct {
	a, b  maphash.Seed
	seen  map[[2]uint64]entry
	files []string
}

type entry struct {
	content uint32
	line    uint32
	file    uint16
}

// Seen is where an id was seen first.
type Seen struct {
	File    string // empty when no place was given
	Line    int64
	content uint32
}

// NewIndex returns an empty index.
func NewIndex() *Index {
	return &Index{a: maphash.MakeSeed(), b: maphash.MakeSeed(), seen: map[[2]uint64]entry{}, files: []string{""}}
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
	if e, ok := x.seen[key]; ok {
		return Seen{File: x.files[e.file], Line: int64(e.line), content: e.content}, true
	}
	at := slices.Index(x.files, file) // few files, the last is the usual one
	if at < 0 && len(x.files) < 1<<16 {
		at, x.files = len(x.files), append(x.files, file)
	}
	x.seen[key] = entry{content: uint32(content), line: uint32(line), file: uint16(max(at, 0))}
	return Seen{}, false
}

// Has reports whether id is there.
func (x *Index) Has(space, id string) bool {
	_, ok := x.seen[x.hash(space, id)]
	return ok
}

// Len is the number of ids.
func (x *Index) Len() int { return len(x.seen) }

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
