package synth

import (
	"fmt"
	"testing"
)

// Whatever the company's size and story, each role is played by one person, and no plant says two things.
func TestEveryRoleIsPlayed(t *testing.T) {
	for _, cfg := range []Config{{Seed: 1}, {Seed: 2, People: 251, Nights: 10}, {Seed: 3, People: 2000}, {Seed: 4, People: 1999}} {
		c := New(cfg)
		players := map[role]int{}
		for i := range c.people {
			if p := c.personOf(i); p.role != 0 {
				players[p.role]++
			}
		}
		for r := role(1); r < roles; r++ {
			if players[r] != 1 || c.player(r).role != r {
				t.Errorf("%+v: role %d is played by %d people", cfg, r, players[r])
			}
		}
		last := c.Nights() - 1
		says := map[string]string{}
		found, spared := map[string]int{}, map[string]int{}
		for _, p := range c.Plants(last) {
			key := fmt.Sprintf("%s %s %s/%s %q", p.Policy, p.SubjectKind, p.Source, p.SubjectID, p.Key)
			if was, ok := says[key]; ok && was != p.Lookalike {
				t.Errorf("%+v: %s: both %q and %q", cfg, key, was, p.Lookalike)
			}
			says[key] = p.Lookalike
			if p.Lookalike == "" {
				found[p.Policy]++
			} else {
				spared[p.Policy]++
			}
		}
		if len(found) < 38 || len(spared) < 38 {
			t.Errorf("%+v: planted for %d rules, and lookalikes for %d: %v %v", cfg, len(found), len(spared), found, spared)
		}
		for _, e := range c.Truth(last) {
			key := fmt.Sprintf("%s %s %s/%s %q", e.Policy, e.SubjectKind, e.Source, e.SubjectID, e.Key)
			if is := says[key]; is != "" && !e.Excluded {
				t.Errorf("%+v: %s is found, though it is %s", cfg, key, is)
			}
		}
	}
}
