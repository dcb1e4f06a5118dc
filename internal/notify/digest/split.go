package digest

import (
	"slices"
	"unicode/utf8"

	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/notify/foreign"
)

// Split parts a digest so that the items and lines of each part weigh at most room, and nothing is cut: an item that is too heavy
// goes on in the next part, a line in the next line. weigh is what an item takes when it is drawn, and head what a heading may
// take. The same message has the same parts.
func (d Digest) Split(room, head int, weigh func(Item) int) []Digest {
	part := d
	part.Groups, part.Lines = nil, nil
	var out []Digest
	used := 0
	for _, whole := range d.Lines {
		for l := range slices.Chunk([]rune(whole), maxLine) {
			need := utf8.UTFMax*len(l) + headLine
			if used > 0 && used+need > room {
				out, used = append(out, part), 0
				part.Counts, part.Lines = nil, nil
			}
			part.Lines = append(part.Lines, string(l))
			used += need
		}
	}
	for _, g := range d.Groups {
		opened := false
		for _, whole := range g.Items {
			for _, it := range whole.pieces(room-head, weigh) {
				need := weigh(it)
				if !opened {
					need += head
				}
				if used > 0 && used+need > room {
					out, used, opened = append(out, part), 0, false
					part.Counts, part.Lines, part.Groups = nil, nil, nil
				}
				if !opened {
					part.Groups = append(part.Groups, Group{Name: g.Name, Urgency: g.Urgency})
					opened, need = true, weigh(it)+head
				}
				last := &part.Groups[len(part.Groups)-1]
				last.Items = append(last.Items, it)
				used += need
			}
		}
	}
	out = append(out, part)
	for i := range out {
		out[i].Part, out[i].Of = i+1, len(out)
	}
	return out
}

// A line of a notice has as many runes at most, and takes as much beside its text.
const (
	maxLine  = 1000
	headLine = 150
)

// pieces are the items whose messages joined are that of an item. Only the last of them can be answered.
func (it Item) pieces(room int, weigh func(Item) int) []Item {
	runes := []rune(it.Message)
	isolated := it
	isolated.Message = foreign.Isolate(it.Message)
	if weigh(isolated) <= room || len(runes) < 2 {
		return []Item{isolated}
	}
	first, rest := it, it
	first.Message, rest.Message = string(runes[:len(runes)/2]), string(runes[len(runes)/2:])
	first.Goes, first.Answers, first.Otherwise = true, nil, ""
	return append(first.pieces(room, weigh), rest.pieces(room, weigh)...)
}

// Findings are those of a digest, each once.
func (d Digest) Findings() []finding.Fingerprint {
	var out []finding.Fingerprint
	for _, g := range d.Groups {
		for _, it := range g.Items {
			if n := len(out); n == 0 || out[n-1] != it.Finding {
				out = append(out, it.Finding)
			}
		}
	}
	return out
}
