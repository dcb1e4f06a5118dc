// Package foreign makes text of other systems fit to stand beside ours. It escapes nothing: markup is for whoever draws it.
package foreign

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/bidi"
)

const (
	lri = "\u2066" // left-to-right isolate
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

// Isolate keeps a text that runs from right to left, or some of which does, from reordering what stands beside it. A sentence
// from left to right that begins with somebody's name stays one.
func Isolate(s string) string {
	left, right := 0, 0
	for _, r := range s {
		p, _ := bidi.LookupRune(r)
		switch p.Class() {
		case bidi.L:
			left++
		case bidi.R, bidi.AL, bidi.AN:
			right++
		}
	}
	switch {
	case right == 0:
		return s
	case left > right:
		return lri + s + pdi
	}
	return fsi + s + pdi
}
