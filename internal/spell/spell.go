// Package spell finds the word that somebody meant.
package spell

import "strings"

// Nearest returns the candidate most like word, without regard to case, or "" if none is near: at most a third of its
// letters differ. Of equally near ones it is the first in the alphabet.
func Nearest(word string, candidates []string) string {
	best, least := "", len(word)/3+1
	for _, c := range candidates {
		if d := Distance(word, c); d < least || d == least && best != "" && c < best {
			best, least = c, d
		}
	}
	return best
}

// Distance counts the letters to insert, leave out or replace, and the neighbours to swap, that make a of b, without
// regard to case.
func Distance(a, b string) int {
	x, y := []rune(strings.ToLower(a)), []rune(strings.ToLower(b))
	var before, prev []int
	cur := make([]int, len(y)+1)
	for j := range cur {
		cur[j] = j
	}
	for i := range x {
		before, prev, cur = prev, cur, make([]int, len(y)+1)
		cur[0] = i + 1
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			cur[j+1] = min(prev[j+1]+1, cur[j]+1, prev[j]+cost)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				cur[j+1] = min(cur[j+1], before[j-1]+1)
			}
		}
	}
	return cur[len(y)]
}
