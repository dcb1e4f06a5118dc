package synth

import (
	"cmp"
	"iter"
	"slices"
	"time"
)

// Life is an expected hit and where it stands after a night.
type Life struct {
	Expected
	FirstSeen time.Time // time of the first run of this stretch
	State     State
}

// State is what a night did to an expected hit.
type State string

// The states.
const (
	Appears State = "new"
	Stands  State = "open"   // found the night before, too
	Ends    State = "closed" // found the night before, and no more
)

// Lives tells night by night what becomes of all that is found. A hit that turns excluded or back is a new stretch.
func (c *Company) Lives() iter.Seq2[int, []Life] {
	return func(yield func(int, []Life) bool) {
		open := map[Expected]time.Time{}
		for n := range c.nights {
			now := map[Expected]time.Time{}
			var lives []Life
			for _, e := range c.Truth(n) {
				l := Life{e, c.RunTime(n), Appears}
				if first, ok := open[e]; ok {
					l.FirstSeen, l.State = first, Stands
				}
				now[e] = l.FirstSeen
				lives = append(lives, l)
			}
			for e, first := range open {
				if _, ok := now[e]; !ok {
					lives = append(lives, Life{e, first, Ends})
				}
			}
			slices.SortFunc(lives, func(a, b Life) int {
				return cmp.Or(cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Source, b.Source), cmp.Compare(a.SubjectID, b.SubjectID),
					cmp.Compare(a.Key, b.Key), cmp.Compare(a.State, b.State))
			})
			if open = now; !yield(n, lives) {
				return
			}
		}
	}
}
