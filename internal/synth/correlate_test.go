package synth_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/correlate"
	"github.com/lapse-audit/lapse/internal/fold"
	"github.com/lapse-audit/lapse/internal/synth"
)

// What the company says about people and links is what correlate finds out from the same records.
func TestTruthAgainstCorrelate(t *testing.T) {
	c := synth.New(synth.Config{Seed: 5, People: 2000})
	for n := range c.Nights() {
		var records []correlate.RosterRecord
		for r := range c.Records(synth.HR, n) {
			records = append(records, correlate.RosterRecord{Roster: synth.HR, Person: r.(access.Person)})
		}
		all := correlate.Identities(records, nil, c.RunTime(n))
		people := slices.Collect(all.All())
		truth := c.Persons(n)
		if len(people) != len(truth) {
			t.Fatalf("night %d: %d people, want %d", n, len(people), len(truth))
		}
		for i, want := range truth {
			got := synth.PersonTruth{ID: people[i].ID, Status: people[i].Status, EndAt: people[i].EndAt, Department: people[i].Department}
			if d := cmp.Diff(want, got); d != "" {
				t.Fatalf("night %d: %s", n, d)
			}
		}
		linker := correlate.NewLinker(all, correlate.Options{EmployeeIDRosters: func(source string) []string {
			if source == synth.AD || source == synth.Lab || source == synth.Cloud {
				return []string{synth.HR}
			}
			return nil
		}})
		foreign := linker.NewForeign(bearers(c, n))
		links := map[string]access.Link{}
		for _, source := range synth.Sources()[1:] {
			for r := range c.Records(source, n) {
				if a, ok := r.(access.Account); ok {
					l := linker.Link(source, correlate.Account{
						ID: a.ID, EmployeeID: fold.Text(a.EmployeeID), Email: fold.Text(a.Email), Username: fold.Text(a.Username), CreatedAt: a.CreatedAt, Kind: a.Kind,
					})
					if !foreign.Take(l) {
						links[source+" "+a.ID] = l
					}
				}
			}
		}
		for l := range foreign.Links() {
			links[l.Source+" "+l.AccountID] = l
		}
		for _, source := range synth.Sources()[1:] {
			want := map[string]synth.LinkTruth{}
			for _, l := range c.Links(source, n) {
				want[l.AccountID] = l
			}
			for r := range c.Records(source, n) {
				a, ok := r.(access.Account)
				if !ok {
					continue
				}
				l := links[source+" "+a.ID]
				got := synth.LinkTruth{Source: l.Source, AccountID: l.AccountID, Status: l.Status, Method: l.Method}
				if l.Person != "" {
					got.Person = l.Person[len("hr:"):]
				}
				for _, p := range l.Candidates {
					got.Candidates = append(got.Candidates, p[len("hr:"):])
				}
				if d := cmp.Diff(want[a.ID], got); d != "" {
					t.Fatalf("night %d, %s, %+v: %s (%s)", n, source, a, d, l.Reason)
				}
			}
		}
	}
}

// bearers are all accounts with a SID, of which linking keeps those that a foreign security principal stands for.
func bearers(c *synth.Company, n int) []correlate.SIDBearer {
	var out []correlate.SIDBearer
	for _, source := range []string{synth.AD, synth.Lab} {
		for r := range c.Records(source, n) {
			if a, ok := r.(access.Account); ok && a.Attributes["sid"] != "" {
				out = append(out, correlate.SIDBearer{
					Source: source, ID: a.ID, Username: a.Username, SID: a.Attributes["sid"], Foreign: a.Attributes["object_class"] == "foreign_security_principal",
				})
			}
		}
	}
	return out
}
