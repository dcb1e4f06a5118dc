// Package fold gives texts of foreign systems the form in which they are compared.
package fold

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Text returns the form in which text is compared: NFKC, Unicode case folding, no space around it. Two texts that differ
// only in case or in the encoding of their characters have one form. Folding twice changes nothing.
func Text(s string) string {
	if ascii(s) {
		return strings.ToLower(strings.TrimSpace(s))
	}
	for {
		// A Caser keeps state, so each call has its own. Folding can undo the normal form, and the other way round, for a
		// few characters.
		folded := strings.TrimSpace(norm.NFKC.String(cases.Fold().String(norm.NFKC.String(s))))
		if folded == s {
			return s
		}
		s = folded
	}
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
