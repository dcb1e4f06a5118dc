package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/policy"
	"github.com/lapse-audit/lapse/internal/scan"
	"github.com/lapse-audit/lapse/internal/store"
)

// Try is what policies say of the last run, beside what stands. Nothing of it is recorded.
type Try struct {
	Run      store.RunInfo
	Stale    []string // sources that were not fresh, by uid
	Policies []Tried
}

// Tried is one policy's part in a Try.
type Tried struct {
	Policy   policy.Policy
	Change   string // from what the run was judged by: new, changed or unchanged
	Failed   string // why it was broken off; the numbers then say nothing
	Tally    finding.Tally
	Flagged  int // findings, without the excluded ones
	New      int // of them, those that don't stand
	Same     int // of them, those that stand
	Gone     int // findings that stand and would go
	Excluded int

	BySource, ByAssignee []Count // of the new ones
	GoneBySource         []Count

	NewExamples, GoneExamples []Example
}

// Example is one finding, to be looked at.
type Example struct {
	Finding  finding.Fingerprint `json:"finding"`
	Source   string              `json:"source,omitempty"`
	Subject  string              `json:"subject"`
	Name     string              `json:"name,omitempty"`
	Assignee string              `json:"assignee"`
	Message  string              `json:"message"`
}

// Try judges the last run again by the chosen policies and compares with the findings that stand. It gives at most so many
// examples of each kind.
func (a *App) Try(ctx context.Context, c Chosen, examples int) (Try, error) {
	last, err := a.run(ctx, 0)
	if err != nil {
		return Try{}, err
	}
	chosen, err := a.candidates(ctx, c, last)
	if err != nil {
		return Try{}, err
	}
	pack, err := a.Pack()
	if err != nil {
		return Try{}, err
	}
	out := Try{Run: last}
	var judged scan.Rejudged
	err = a.rejudging(ctx, "lapse policy try", func(ctx context.Context, s *store.Store) (err error) {
		again := a.rejudgingBy(s, pack, ids(chosen))
		defer again.Close(ctx)
		again.Sandbox = a.Sandbox
		judged, err = again.Run(ctx, last.ID)
		return err
	})
	if err != nil {
		return out, fmt.Errorf("try policies on run %d: %w", last.ID, err)
	}
	for _, in := range judged.Inputs {
		if in.Status != store.InputFresh {
			out.Stale = append(out.Stale, in.Source)
		}
	}
	standing, err := a.standing(ctx, last.ID, ids(chosen))
	if err != nil {
		return out, err
	}
	name, err := a.peopleNames(ctx, last.ID)
	if err != nil {
		return out, err
	}
	for _, p := range chosen {
		out.Policies = append(out.Policies, tried(p, judged, standing[p.ID], name, examples))
	}
	return out, nil
}

// standing are the findings of a run that are open or excepted, by policy.
func (a *App) standing(ctx context.Context, run uint64, policies []string) (map[string][]finding.Finding, error) {
	all, err := a.Findings(ctx, FindingQuery{Run: run, Policies: policies, Statuses: []finding.Status{finding.Open, finding.Excepted}})
	if err != nil {
		return nil, err
	}
	out := map[string][]finding.Finding{}
	for f, err := range all {
		if err != nil {
			return nil, err
		}
		out[f.Policy] = append(out[f.Policy], f)
	}
	return out, nil
}

func tried(p candidate, judged scan.Rejudged, standing []finding.Finding, name func(string) string, examples int) Tried {
	t := Tried{Policy: p.Policy, Change: p.Change, Tally: sumTallies(p.ID, judged.Tallies)}
	if err := judged.Failures[p.ID]; err != nil {
		t.Failed = err.Error()
		return t
	}
	stands := map[finding.Fingerprint]bool{}
	for _, f := range standing {
		stands[f.Fingerprint] = true
	}
	var results []policy.Result
	for _, r := range judged.Results {
		if r.Policy == p.ID {
			results = append(results, r)
		}
	}
	slices.SortFunc(results, func(a, b policy.Result) int {
		return cmp.Or(strings.Compare(a.Subject.Source, b.Subject.Source), strings.Compare(a.Subject.ID, b.Subject.ID), strings.Compare(a.Key, b.Key))
	})
	hit := map[finding.Fingerprint]bool{}
	bySource, byAssignee, goneBySource := map[string]int{}, map[string]int{}, map[string]int{}
	for _, r := range results {
		if r.ExcludedBy != "" {
			t.Excluded++
			continue
		}
		t.Flagged++
		hit[r.Fingerprint] = true
		if stands[r.Fingerprint] {
			t.Same++
			continue
		}
		t.New++
		bySource[r.Subject.Source]++
		byAssignee[r.Assignee]++
		if len(t.NewExamples) < examples {
			t.NewExamples = append(t.NewExamples, Example{r.Fingerprint, r.Subject.Source, r.Subject.ID, r.Name, r.Assignee, r.Message})
		}
	}
	for _, f := range standing {
		if hit[f.Fingerprint] || f.Carried {
			continue
		}
		t.Gone++
		goneBySource[f.Subject.Source]++
		if len(t.GoneExamples) < examples {
			t.GoneExamples = append(t.GoneExamples, Example{f.Fingerprint, f.Subject.Source, f.Subject.ID, f.Name, f.Assignee, f.Message})
		}
	}
	same := func(of string) string { return of }
	t.BySource, t.ByAssignee, t.GoneBySource = counted(bySource, same), counted(byAssignee, name), counted(goneBySource, same)
	return t
}

// sumTallies adds up a policy's tallies over its sources.
func sumTallies(id string, tallies []finding.Tally) finding.Tally {
	sum := finding.Tally{Policy: id, Missing: map[string]uint64{}}
	for _, t := range tallies {
		if t.Policy != id {
			continue
		}
		sum.Subjects += t.Subjects
		sum.OutOfScope += t.OutOfScope
		sum.Evaluated += t.Evaluated
		sum.Flagged += t.Flagged
		sum.Excluded += t.Excluded
		sum.NotEvaluable += t.NotEvaluable
		for field, n := range t.Missing {
			sum.Missing[field] += n
		}
	}
	return sum
}
