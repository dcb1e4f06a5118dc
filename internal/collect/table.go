package collect

import "math/bits"

// table finds a number by a hash. It is made for millions of hashes that come one by one and are never taken out: 16 bytes
// each and a third more for room, where a map takes three times that. It grows part by part, so that it is never there
// twice.
type table struct {
	parts [1 << partBits]part
}

const partBits = 8

// part holds the hashes that begin with the same bits, each at or after the place that its further bits give.
type part struct {
	slots []slot
	used  int
}

// slot is 96 bits of a hash, not all of them 0, and its number. A slot of zeros is free.
type slot struct {
	high   uint64
	low    uint32
	number uint32
}

// slotOf is a slot for a hash.
func slotOf(hash [2]uint64, number uint32) slot {
	return slot{high: max(hash[0], 1), low: uint32(hash[1]), number: number}
}

func (t *table) part(s slot) *part { return &t.parts[s.high>>(64-partBits)] }

// at is where s is in a part, or else where it belongs.
func (p *part) at(s slot) int {
	i, _ := bits.Mul64(s.high<<partBits, uint64(len(p.slots)))
	for at := int(i); ; at++ {
		if at == len(p.slots) {
			at = 0
		}
		if there := &p.slots[at]; there.high == 0 || there.high == s.high && there.low == s.low {
			return at
		}
	}
}

// find returns the number of a hash, if it is there.
func (t *table) find(hash [2]uint64) (number uint32, ok bool) {
	s := slotOf(hash, 0)
	p := t.part(s)
	if len(p.slots) == 0 {
		return 0, false
	}
	there := p.slots[p.at(s)]
	return there.number, there.high != 0
}

// set gives a hash a number.
func (t *table) set(hash [2]uint64, number uint32) {
	s := slotOf(hash, number)
	p := t.part(s)
	if len(p.slots) > 0 {
		if there := &p.slots[p.at(s)]; there.high != 0 {
			there.number = number
			return
		}
	}
	if p.used*5 >= len(p.slots)*4 {
		old := p.slots
		p.slots = make([]slot, max(8, len(old)*5/4))
		for _, o := range old {
			if o.high != 0 {
				p.slots[p.at(o)] = o
			}
		}
	}
	p.slots[p.at(s)] = s
	p.used++
}
