package app

import (
	"context"
	"fmt"
	"slices"

	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/review"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/reports"
)

// ReviewerID is whom a reviewer's name means: a person's key, or a role.
func (a *App) ReviewerID(ctx context.Context, name string) (string, error) {
	run, err := a.run(ctx, 0)
	if err != nil {
		return "", err
	}
	owners, err := a.owners(ctx, run)
	if err != nil {
		return "", err
	}
	if notify.IsRole(name) {
		return name, nil
	}
	if who := speaker(owners, name); who != "" {
		return who, nil
	}
	return "", fmt.Errorf("the rosters know nobody, or several, called %q: give the key (ROSTER:ID) or the address", name)
}

// ReviewReport is a review for the auditor; with items it is these alone, and with a reviewer what waits for them.
func (a *App) ReviewReport(ctx context.Context, f ReviewFile, items []int64, reviewer string) (reports.Review, error) {
	name, err := a.ReviewerName(ctx)
	if err != nil {
		return reports.Review{}, err
	}
	s := f.Summarise()
	out := reports.Review{Name: f.ID, Scope: f.Scope, Reviewers: f.Reviewers, Run: f.Run, RunTime: f.RunTime, Started: f.At, StartedBy: f.By, Due: f.Due,
		Closed: f.Closed, ClosedBy: f.ClosedBy, Hash: f.Hash, Notes: f.Notes, Count: s.Items, Open: s.Open, Approved: s.Approved, Revoked: s.Revoked,
		Settled: s.Settled, Escalated: s.Escalated, Made: a.Now().UTC(), Zone: a.Config.Location, Version: a.Version,
		People: []reports.Reviewer{}, Signs: []string{}, Reviewed: []string{}, Items: []reports.Reviewed{}}
	if reviewer != "" {
		out.For = name(reviewer)
	}
	if s.Approved+s.Revoked > 0 {
		out.Median = review.InWords(s.Median)
	}
	for _, r := range s.Reviewers {
		out.People = append(out.People, reports.Reviewer{ID: r.Reviewer, Name: name(r.Reviewer), Waiting: r.Waiting(), Approved: r.Approved, Revoked: r.Revoked, First: r.First, Last: r.Last})
	}
	for _, sign := range s.Signs {
		out.Signs = append(out.Signs, name(sign.Reviewer)+": "+sign.Text)
	}
	rows := make([]state.ReviewItem, len(f.List))
	for i, it := range f.List {
		rows[i] = state.ReviewItem{N: it.N, Source: it.Source, Account: it.Account, Entitlement: it.Entitlement, Holders: it.Holders}
		if plan := must(f, it.N).Plan; plan != "" && !slices.Contains(out.Plans, plan) {
			out.Plans = append(out.Plans, plan)
		}
	}
	labels := map[[2]string]string{}
	for _, it := range f.List {
		labels[[2]string{it.Source, it.Entitlement}] = it.Entitled() + " in " + it.SourceName
	}
	for _, r := range f.Reviewed(rows, a.Now()) {
		if r.Account == "" {
			out.Reviewed = append(out.Reviewed, labels[[2]string{r.Source, r.Entitlement}])
		}
	}
	if items == nil && reviewer == "" {
		for n := range f.List {
			items = append(items, int64(n+1))
		}
	}
	for _, n := range items {
		it, s := f.List[n-1], must(f, n)
		one := reports.Reviewed{Item: n, Source: it.Source, SourceName: it.SourceName, Account: it.Holder(), AccountID: it.Account, Person: it.PersonName, PersonID: it.Person,
			Department: it.Department, Entitlement: it.Entitled(), EntitledID: it.Entitlement, Hard: it.Hard, Suggested: it.Suggested, Evidence: it.Evidence,
			Status: string(s.Status), Reviewer: name(s.Reviewer), At: s.At, Method: s.Method, Reason: s.Reason, Plan: s.Plan}
		if !it.Direct {
			one.Path = it.Path
		}
		if s.By != "" {
			one.By = name(s.By)
		}
		out.Items = append(out.Items, one)
	}
	return out, nil
}

// must is how an item that there is stands.
func must(f ReviewFile, n int64) review.Standing {
	s, _ := f.Item(n)
	return s
}
