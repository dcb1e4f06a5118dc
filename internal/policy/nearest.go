package policy

import (
	"maps"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/spell"
)

// didYouMean suggests the word of those known that is nearest to the one written, or lists them if none is near.
func didYouMean(word string, known []string) string {
	if len(known) == 0 {
		return ""
	}
	known = slices.Clone(known)
	slices.Sort(known)
	best, least := "", 1+max(1, len(word)/3)
	for _, k := range known {
		if d := spell.Distance(word, k); d < least {
			best, least = k, d
		}
	}
	if best != "" {
		return ": did you mean " + best + "?"
	}
	return ": want " + list(known)
}

func list(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
