package app

import (
	"cmp"
	"context"
	"time"

	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/reports"
)

// expiring is how long before its end an exception is called so.
const expiring = 30 * 24 * time.Hour

// maxExamples is how many of its findings are named beside an exception.
const maxExamples = 3

// Accepted is everything that is accepted on purpose, and what of the last run does not stand because of it.
func (a *App) Accepted(ctx context.Context) (reports.Accepted, error) {
	run, err := a.run(ctx, 0)
	if err != nil {
		return reports.Accepted{}, err
	}
	out := reports.Accepted{Made: a.Now().UTC(), Run: run.ID, RunTime: run.Time, Version: a.Version, Zone: a.Config.Location}
	decisions, err := a.State(ctx)
	if err != nil {
		return out, err
	}
	all, err := decisions.Exceptions(ctx, a.Now(), state.ExceptionFilter{All: true})
	if err != nil {
		return out, err
	}
	histories, err := decisions.ExceptionHistories(ctx)
	if err != nil {
		return out, err
	}
	counts, examples := map[string]int{}, map[string][]string{}
	found, err := a.Findings(ctx, FindingQuery{Run: run.ID, Statuses: []finding.Status{finding.Excepted}})
	if err != nil {
		return out, err
	}
	for f, err := range found {
		if err != nil {
			return out, err
		}
		if counts[f.ExceptionID]++; counts[f.ExceptionID] <= maxExamples {
			examples[f.ExceptionID] = append(examples[f.ExceptionID], f.Policy+" "+cmp.Or(f.Name, f.Subject.ID))
		}
	}
	owners, err := a.owners(ctx, run)
	if err != nil {
		return out, err
	}
	for _, e := range all {
		h := histories[e.ID]
		if h.Since.IsZero() {
			h.Since = e.Created
		}
		one := reports.AcceptedEntry{ID: e.ID, Status: string(e.Status(a.Now())), Covers: e.Scope.String(), Breadth: breadth(e.Scope), Findings: counts[e.ID],
			Examples: examples[e.ID], By: e.By, Reason: e.Reason, Ticket: e.Ticket, Created: e.Created, Since: h.Since, Expires: e.Expires, Renewed: h.Renewed}
		if key := owners.People.Find(e.By); key != "" {
			one.ByName = owners.Recipient(key).Name
		}
		switch e.Status(a.Now()) {
		case state.Active:
			if e.Expires.Sub(a.Now()) <= expiring {
				one.Status = "expiring"
			}
		case state.Expired, state.Revoked:
			one.Ended = e.EndedBy(a.Config.Location)
		}
		out.List = append(out.List, one)
	}
	out.Sort()
	return out, nil
}

func breadth(s state.Scope) string {
	switch {
	case s.Fingerprint != "":
		return "finding"
	case s.SubjectID != "":
		return "subject"
	case s.Department != "":
		return "department"
	case s.Source != state.EverySource:
		return "source"
	}
	return "policy"
}
