package collect

import "math/bits"

// table numbers hashes from 0 in the order in which they come, and keeps a value for each. It is made for millions of hashes
// that come one by one and are never taken out: it takes 23 bytes for each, where a map takes three times that. It grows part by
// part, so that it is never there twice.
type table struct {
	parts   [1 << partBits]part
	entries [][]entry // by number, blockSize in each: what grows is never copied
	count   uint32
}

const partBits = 8

// blockSize is how many entries share a block.
const blockSize = 1 << 14

// part finds the hashes that begin with the same bits.
type part struct {
	slots []slot
	used  int
}

// slot is 32 bits of a hash and the number of its entry, counted from 1. It lies at or after the place that these bits
// give. A slot of zeros is free.
type slot struct{ tag, number uint32 }

// entry is another 64 bits of a hash, in halves, so that no room is left behind the value.
type entry struct{ low, high, value uint32 }

// at is where a hash is in a part, or else where it belongs.
func (t *table) at(p *part, hash [2]uint64) int {
	tag := uint32(hash[1])
	for at := place(tag, len(p.slots)); ; at++ {
		if at == len(p.slots) {
			at = 0
		}
		s := p.slots[at]
		if s.number == 0 {
			return at
		}
		if s.tag == tag {
			if e := t.entry(s.number - 1); e.low == uint32(hash[0]) && e.high == uint32(hash[0]>>32) {
				return at
			}
		}
	}
}

func place(tag uint32, slots int) int {
	i, _ := bits.Mul64(uint64(tag)<<32, uint64(slots))
	return int(i)
}

func (t *table) part(hash [2]uint64) *part { return &t.parts[hash[0]>>(64-partBits)] }

func (t *table) entry(number uint32) *entry { return &t.entries[number/blockSize][number%blockSize] }

// find returns the number of a hash, if it is there.
func (t *table) find(hash [2]uint64) (number uint32, ok bool) {
	p := t.part(hash)
	if len(p.slots) == 0 {
		return 0, false
	}
	n := p.slots[t.at(p, hash)].number
	return n - 1, n > 0
}

// value is what is kept for the hash with a number.
func (t *table) value(number uint32) uint32 { return t.entry(number).value }

// set keeps a value for a hash.
func (t *table) set(hash [2]uint64, value uint32) {
	p := t.part(hash)
	if len(p.slots) > 0 {
		if n := p.slots[t.at(p, hash)].number; n > 0 {
			t.entry(n - 1).value = value
			return
		}
	}
	if p.used*5 >= len(p.slots)*4 {
		p.grow()
	}
	at := t.at(p, hash)
	if t.count%blockSize == 0 {
		t.entries = append(t.entries, make([]entry, 0, blockSize))
	}
	last := &t.entries[len(t.entries)-1]
	*last = append(*last, entry{low: uint32(hash[0]), high: uint32(hash[0] >> 32), value: value})
	t.count++
	p.slots[at] = slot{tag: uint32(hash[1]), number: t.count}
	p.used++
}

func (p *part) grow() {
	old := p.slots
	p.slots = make([]slot, max(8, len(old)*5/4))
	for _, s := range old {
		if s.number == 0 {
			continue
		}
		at := place(s.tag, len(p.slots))
		for p.slots[at].number != 0 {
			if at++; at == len(p.slots) {
				at = 0
			}
		}
		p.slots[at] = s
	}
}
