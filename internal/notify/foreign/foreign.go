// Package foreign makes text of other systems fit to stand beside ours. It escapes nothing: markup is for whoever draws it.
package foreign

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/bidi"
)

const (
	fsi = "\u2068" // first strong isolate
	pdi = "\u2069" // pop directional isolate
)

// Line makes white space single spaces and drops controls, what can't be seen and what sets a direction. The joiners stay:
// Persian and Hindi are written with them.
func Line(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == '\u200c' || r == '\u200d':
			return r
		case unicode.Is(unicode.Cc, r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Co, r), r == '\ufffc':
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// RightToLeft reports whether a text holds a letter that is written from right to left.
func RightToLeft(s string) bool {
	for _, r := range s {
		p, _ := bidi.LookupRune(r)
		if c := p.Class(); c == bidi.R || c == bidi.AL || c == bidi.AN {
			return true
		}
	}
	return false
}

// Isolate keeps a text that runs from right to left from reordering what stands beside it.
func Isolate(s string) string {
	if RightToLeft(s) {
		return fsi + s + pdi
	}
	return s
}
