package ldap

import (
	"encoding/hex"

	"github.com/lapse-audit/lapse/internal/collect"
)

// long is a long list in blocks of memory: in one piece, that is copied to grow, it would be there twice.
type long[T any] struct {
	blocks [][]T // of longBlock, the last maybe less
}

const longBlock = 1 << 14

func (l *long[T]) add(v T) {
	if n := len(l.blocks); n == 0 || len(l.blocks[n-1]) == longBlock {
		l.blocks = append(l.blocks, make([]T, 0, longBlock))
	}
	last := &l.blocks[len(l.blocks)-1]
	*last = append(*last, v)
}

func (l *long[T]) len() int {
	n := len(l.blocks)
	if n == 0 {
		return 0
	}
	return (n-1)*longBlock + len(l.blocks[n-1])
}

func (l *long[T]) at(i int) *T { return &l.blocks[i/longBlock][i%longBlock] }

// entryIDs are the ids of entries, by their numbers. Most are 128 bits in hexadecimal, an objectGUID, an entryUUID or an nsUniqueId, and
// take 16 bytes; others are kept as they are.
type entryIDs struct {
	forms  []form
	packed long[[16]byte] // of another form: its number among the others
	others collect.Texts
	n      uint32 // of others
}

// form is how an id is written: one of hexForms, or any other.
type form uint8

const otherForm form = 0

// hexForms are where the hyphens of an id are.
var hexForms = [...][]int{1: {8, 13, 18, 23} /* RFC 9562 */, 2: {8, 17, 26} /* nsUniqueId */}

func (x *entryIDs) add(id string) {
	for f := form(1); int(f) < len(hexForms); f++ {
		if bits, ok := unhyphen(id, hexForms[f]); ok {
			x.forms = append(x.forms, f)
			x.packed.add(bits)
			return
		}
	}
	x.forms = append(x.forms, otherForm)
	x.packed.add([16]byte{byte(x.n), byte(x.n >> 8), byte(x.n >> 16), byte(x.n >> 24)})
	x.others.Add(id)
	x.n++
}

func (x *entryIDs) at(i int) string {
	bits := x.packed.at(i)
	if f := x.forms[i]; f != otherForm {
		return hyphen(bits, hexForms[f])
	}
	id, _ := x.others.At(int(bits[0]) | int(bits[1])<<8 | int(bits[2])<<16 | int(bits[3])<<24)
	return id
}

// unhyphen reads 128 bits that are written in lower case with hyphens at these places and nowhere else.
func unhyphen(id string, hyphens []int) (bits [16]byte, ok bool) {
	var digits [32]byte
	if len(id) != len(digits)+len(hyphens) {
		return bits, false
	}
	n := 0
	for i := range len(id) {
		c := id[i]
		switch {
		case len(hyphens) > 0 && i == hyphens[0]:
			hyphens = hyphens[1:]
			if c != '-' {
				return bits, false
			}
		case c >= '0' && c <= '9' || c >= 'a' && c <= 'f':
			digits[n] = c
			n++
		default:
			return bits, false
		}
	}
	_, err := hex.Decode(bits[:], digits[:])
	return bits, err == nil
}

// hyphen is its reverse.
func hyphen(bits *[16]byte, hyphens []int) string {
	var digits [32]byte
	hex.Encode(digits[:], bits[:])
	out := make([]byte, 0, len(digits)+4)
	rest := digits[:]
	for _, at := range hyphens {
		n := at - len(out)
		out, rest = append(append(out, rest[:n]...), '-'), rest[n:]
	}
	return string(append(out, rest...))
}
