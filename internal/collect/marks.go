package collect

import "hash/maphash"

// Marks remembers a number for each of many ids, in about 23 bytes an id whatever their length: it keeps 96 bits of a
// keyed hash, as Index does. The zero Marks is not ready: use NewMarks.
type Marks struct {
	a, b  maphash.Seed
	marks table
}

// NewMarks returns marks of no ids.
func NewMarks() *Marks { return &Marks{a: maphash.MakeSeed(), b: maphash.MakeSeed()} }

// Mark is an id's place in Marks.
type Mark [2]uint64

// Of is the place of an id.
func (m *Marks) Of(id string) Mark { return Mark{maphash.String(m.a, id), maphash.String(m.b, id)} }

// Get returns the number at a place, 0 where none was set.
func (m *Marks) Get(at Mark) uint32 {
	n, ok := m.marks.find(at)
	if !ok {
		return 0
	}
	return m.marks.value(n)
}

// Set puts a number at a place.
func (m *Marks) Set(at Mark, n uint32) { m.marks.set(at, n) }

// Number is how many places were set or numbered before this one was: it stands for the place where 16 bytes are too many. One that
// was not set is, to 0.
func (m *Marks) Number(at Mark) uint32 {
	n, ok := m.marks.find(at)
	if !ok {
		n = m.marks.count
		m.marks.set(at, 0)
	}
	return n
}

// Numbered is what is set at the place with a number.
func (m *Marks) Numbered(n uint32) uint32 { return m.marks.value(n) }

// SetNumbered sets it.
func (m *Marks) SetNumbered(n, value uint32) { m.marks.entry(n).value = value }

// Len is the number of ids.
func (m *Marks) Len() int { return int(m.marks.count) }
