package prefilter

import (
	"slices"
	"strings"
)

// Rules that go through a list of parameters leave one query for each element, all of one shape: such queries become one,
// with arrays in place of the constants in which they differ.

// maxAlike is how many predicates of one shape may stand side by side where one would not be the same.
const maxAlike = 8

// maxUnder is how many predicates an under-approximation may consist of; the rest is left out.
const maxUnder = 64

// mergeOver merges predicates of one shape, all joined by or. Where they differ in several constants, more than a few are
// replaced by one that holds for any combination.
func mergeOver(ps []pred) []pred { return merge(ps, false) }

// mergeUnder merges them only where the result is the same.
func mergeUnder(ps []pred) []pred {
	out := merge(ps, true)
	if len(out) > maxUnder {
		out = out[:maxUnder]
	}
	return out
}

func merge(ps []pred, same bool) []pred {
	if len(ps) < 2 {
		return ps
	}
	groups := map[string][]pred{}
	var shapes []string
	for _, p := range ps {
		shape := shapeOf(p)
		if groups[shape] == nil {
			shapes = append(shapes, shape)
		}
		groups[shape] = append(groups[shape], p)
	}
	var out []pred
	for _, shape := range shapes {
		out = append(out, mergeAlike(groups[shape], same)...)
	}
	return out
}

func mergeAlike(group []pred, same bool) []pred {
	first := slots(group[0], true, nil)
	differ := make([]bool, len(first))
	n, movable := 0, true
	for _, p := range group[1:] {
		for i, s := range slots(p, true, nil) {
			if !differ[i] && !slices.Equal(s.c.values, first[i].c.values) {
				differ[i] = true
				n++
				movable = movable && first[i].list && first[i].positive
			}
		}
	}
	switch {
	case n == 0:
		return group[:1]
	case !movable, n > 1 && (same || len(group) <= maxAlike):
		return group
	}
	merged := make([]*constant, len(first))
	for i, s := range first {
		merged[i] = s.c
		if !differ[i] {
			continue
		}
		merged[i] = &constant{}
		seen := map[any]bool{}
		for _, p := range group {
			for _, v := range slots(p, true, nil)[i].c.values {
				if !seen[v] {
					seen[v] = true
					merged[i].values = append(merged[i].values, v)
				}
			}
		}
	}
	next := 0
	return []pred{replace(group[0], merged, &next)}
}

// slot is a constant in a predicate. A list may be any number of values; positive says that more of them make the
// predicate hold for more.
type slot struct {
	c        *constant
	list     bool
	positive bool
}

func slots(p pred, positive bool, to []slot) []slot {
	switch p := p.(type) {
	case and:
		for _, e := range p {
			to = slots(e, positive, to)
		}
	case or:
		for _, e := range p {
			to = slots(e, positive, to)
		}
	case not:
		return slots(p.p, !positive, to)
	case exists:
		return slots(p.p, positive, to)
	case oneOf:
		return append(to, slot{p.c, true, positive})
	case holds:
		return append(to, slot{p.c, true, positive})
	case compare:
		return append(to, slot{p.c, false, positive})
	case text:
		return append(to, slot{p.c, false, positive})
	}
	return to
}

// replace puts constants into a predicate, in the order of slots.
func replace(p pred, constants []*constant, next *int) pred {
	take := func() *constant {
		*next++
		return constants[*next-1]
	}
	switch p := p.(type) {
	case and:
		out := make(and, len(p))
		for i, e := range p {
			out[i] = replace(e, constants, next)
		}
		return out
	case or:
		out := make(or, len(p))
		for i, e := range p {
			out[i] = replace(e, constants, next)
		}
		return out
	case not:
		return not{replace(p.p, constants, next)}
	case exists:
		p.p = replace(p.p, constants, next)
		return p
	case oneOf:
		p.c = take()
		return p
	case holds:
		p.c = take()
		return p
	case compare:
		p.c = take()
		return p
	case text:
		p.c = take()
		return p
	}
	return p
}

// shapeOf is the predicate's text without its constants and with elements called in the order of their appearance.
func shapeOf(p pred) string {
	w := &writer{shape: true, names: map[string]string{}}
	w.pred(p)
	return strings.Clone(w.text.String())
}
