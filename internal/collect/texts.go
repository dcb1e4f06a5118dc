package collect

import "strings"

// Texts are many short texts in blocks of memory: each on its own would take three times as much, and in one piece, that is
// copied to grow, they would be there twice.
type Texts struct {
	blocks [][]byte   // of textBlock bytes, the last maybe less; a text may go on in the next
	ends   [][]uint32 // of texts, textBlock in each
	count  int
	length int
}

const textBlock = 1 << 16

// Add puts a text behind the others. All texts together may have 4 GiB.
func (t *Texts) Add(s string) {
	for rest := s; rest != ""; {
		if t.length%textBlock == 0 {
			t.blocks = append(t.blocks, make([]byte, 0, textBlock))
		}
		last := &t.blocks[len(t.blocks)-1]
		n := min(len(rest), textBlock-len(*last))
		*last = append(*last, rest[:n]...)
		rest, t.length = rest[n:], t.length+n
	}
	if t.count%textBlock == 0 {
		t.ends = append(t.ends, make([]uint32, 0, textBlock))
	}
	last := &t.ends[len(t.ends)-1]
	*last = append(*last, uint32(t.length))
	t.count++
}

// Size is how many bytes they take.
func (t *Texts) Size() int { return t.length + 4*t.count }

// At is a text by its number, from 0.
func (t *Texts) At(i int) (string, bool) {
	if i < 0 || i >= t.count {
		return "", false
	}
	begin, end := 0, t.end(i)
	if i > 0 {
		begin = t.end(i - 1)
	}
	if begin == end {
		return "", true
	}
	if from := t.blocks[begin/textBlock][begin%textBlock:]; len(from) >= end-begin {
		return string(from[:end-begin]), true
	}
	var b strings.Builder
	for begin < end {
		from := t.blocks[begin/textBlock][begin%textBlock:]
		n := min(len(from), end-begin)
		b.Write(from[:n])
		begin += n
	}
	return b.String(), true
}

func (t *Texts) end(i int) int { return int(t.ends[i/textBlock][i%textBlock]) }
