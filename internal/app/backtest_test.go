package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/policy"
	"github.com/lapse-audit/lapse/internal/scan"
	"github.com/lapse-audit/lapse/internal/store"
)

// backtested holds a backtest to what the scans of those nights recorded: they judged each night when it was the last one,
// and carried findings from night to night by other means.
func backtested(t *testing.T, a *app.App, nights int) {
	s, err := a.Store(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	runs, err := s.Runs(t.Context(), store.RunFilter{Limit: nights})
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(runs)
	rejudged(t, a, s, runs)
	policies := []string{"LVR-01", "DOR-01", "LIC-02", "ORP-01", "PEER-01"}
	b, err := a.Backtest(t.Context(), app.BacktestOptions{Chosen: app.Chosen{IDs: policies}, Since: runs[0].Time})
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Nights) != len(runs) || len(b.Missing) > 0 || len(b.Policies) != len(policies) {
		t.Fatalf("%d nights, missing %v, %d policies", len(b.Nights), b.Missing, len(b.Policies))
	}
	var days []string
	open := map[string][]map[finding.Fingerprint]finding.Finding{} // by policy, a night each
	excluded := map[string][]int{}
	flagged := make([]map[finding.Subject][]string, len(runs)) // which policies flag a subject
	for i, r := range runs {
		days = append(days, r.Time.In(a.Config.Location).Format(time.DateOnly))
		flagged[i] = map[finding.Subject][]string{}
		for _, p := range policies {
			open[p] = append(open[p], map[finding.Fingerprint]finding.Finding{})
			excluded[p] = append(excluded[p], 0)
		}
		all, err := a.Findings(t.Context(), app.FindingQuery{Run: r.ID, Statuses: []finding.Status{finding.Open, finding.Excluded}})
		if err != nil {
			t.Fatal(err)
		}
		for f, err := range all {
			if err != nil {
				t.Fatal(err)
			}
			if f.Status == finding.Open {
				flagged[i][f.Subject] = append(flagged[i][f.Subject], f.Policy)
			}
			switch {
			case !slices.Contains(policies, f.Policy):
			case f.Status == finding.Open:
				open[f.Policy][i][f.Fingerprint] = f
			default:
				excluded[f.Policy][i]++
			}
		}
	}
	for _, p := range b.Policies {
		id := p.Policy.ID
		var want []app.NightCount
		ever := map[finding.Fingerprint]bool{}
		var lives []string
		overlap := map[string]map[finding.Subject]bool{}
		for i, day := range days {
			if why := p.Nights[i].Failed; why != "" { // then nothing that follows can be right
				t.Fatalf("%s was broken off on %s: %s", id, day, why)
			}
			n := app.NightCount{Day: day, Flagged: len(open[id][i]), Excluded: excluded[id][i], Evaluated: p.Nights[i].Evaluated, NotEvaluable: p.Nights[i].NotEvaluable}
			for f, stands := range open[id][i] {
				ever[f] = true
				for _, other := range flagged[i][stands.Subject] {
					if other != id {
						if overlap[other] == nil {
							overlap[other] = map[finding.Subject]bool{}
						}
						overlap[other][stands.Subject] = true
					}
				}
				if i > 0 {
					if _, had := open[id][i-1][f]; had {
						continue
					}
				}
				n.New++
				last := i
				for last+1 < len(days) && has(open[id][last+1], f) {
					last++
				}
				lives = append(lives, fmt.Sprintf("%s %s to %s, %v", f, day, days[last], last == len(days)-1))
			}
			if i > 0 {
				for f := range open[id][i-1] {
					if !has(open[id][i], f) {
						n.Gone++
					}
				}
			}
			want = append(want, n)
		}
		if diff := cmp.Diff(want, p.Nights); diff != "" {
			t.Errorf("%s, nights (-as recorded +backtest):\n%s", id, diff)
		}
		var got []string
		for _, l := range p.Lives {
			got = append(got, fmt.Sprintf("%s %s to %s, %v", l.Finding, l.First, l.Last, l.Stands))
		}
		slices.Sort(lives)
		slices.Sort(got)
		if diff := cmp.Diff(lives, got); diff != "" {
			t.Errorf("%s, lives (-as recorded +backtest):\n%s", id, diff)
		}
		gotOverlap := map[string]int{}
		for _, o := range p.Overlap {
			gotOverlap[o.Policy] = o.Subjects
		}
		wantOverlap := map[string]int{}
		for other, subjects := range overlap {
			wantOverlap[other] = len(subjects)
		}
		if diff := cmp.Diff(wantOverlap, gotOverlap); diff != "" {
			t.Errorf("%s, overlap (-as recorded +backtest):\n%s", id, diff)
		}
		acted := 0
		if p.Policy.Action != "none" && p.Policy.Action != "review" {
			acted = len(ever)
		}
		if p.Findings != len(ever) || p.Acted != acted || p.Standing != len(open[id][len(days)-1]) || len(ever) == 0 || p.Change != "unchanged" {
			t.Errorf("%s: %d findings, %d acted on, %d standing, %s; want %d, %d, %d", id, p.Findings, p.Acted, p.Standing, p.Change, len(ever), acted, len(open[id][len(days)-1]))
		}
		t.Logf("%s: %d findings over %d nights, %d stretches", id, p.Findings, len(p.Nights), len(p.Lives))
	}
	try, err := a.Try(t.Context(), app.Chosen{IDs: policies}, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range try.Policies { // the same rules on the same run: nothing new, nothing gone
		if p.New != 0 || p.Gone != 0 || p.Same != len(open[p.Policy.ID][len(days)-1]) || p.Failed != "" {
			t.Errorf("try %s: %d new, %d gone, %d stand: %s", p.Policy.ID, p.New, p.Gone, p.Same, p.Failed)
		}
	}
}

// rejudged judges the last night again by every third policy by itself, of which no more is made than it looks at, in either lane.
// Each must say the very same as when everything is made and all are asked together.
func rejudged(t *testing.T, a *app.App, s *store.Store, runs []store.RunInfo) {
	t.Helper()
	pack, err := a.Pack()
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, p := range pack.Policies() {
		ids = append(ids, p.ID)
	}
	last := runs[len(runs)-1].ID
	of := func(j scan.Rejudging) (scan.Rejudged, error) {
		defer j.Close(t.Context())
		return j.Run(t.Context(), last)
	}
	whole, err := of(scan.Rejudging{Store: s, Pack: pack, Only: ids, Lane: scan.LaneFull, Whole: true})
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for i, id := range ids {
		if i%3 > 0 { // all of them would take a minute
			continue
		}
		lane := scan.LanePrefilter
		if i%4 == 0 {
			lane = scan.LaneFull
		}
		part, err := of(scan.Rejudging{Store: s, Pack: pack, Only: []string{id}, Lane: lane})
		if err != nil {
			t.Fatal(err)
		}
		want, got := sayings(whole, id), sayings(part, id)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s, %s lane (-of everything +of what it looks at):\n%s", id, lane, diff)
		}
		found += len(want.Results)
	}
	if found == 0 {
		t.Error("nothing was found, so nothing is shown")
	}
}

// saying is what one policy says of a night.
type saying struct {
	Results []policy.Result
	Tallies []finding.Tally
	Failure string
}

func sayings(r scan.Rejudged, id string) (out saying) {
	for _, result := range r.Results {
		if result.Policy == id {
			out.Results = append(out.Results, result)
		}
	}
	slices.SortFunc(out.Results, func(a, b policy.Result) int { return strings.Compare(string(a.Fingerprint), string(b.Fingerprint)) })
	for _, tally := range r.Tallies {
		if tally.Policy == id {
			out.Tallies = append(out.Tallies, tally)
		}
	}
	if err := r.Failures[id]; err != nil {
		out.Failure = err.Error()
	}
	return out
}

func has(night map[finding.Fingerprint]finding.Finding, f finding.Fingerprint) bool {
	_, ok := night[f]
	return ok
}
