package app

import (
	"context"
	"errors"
	"time"

	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/serve"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
)

// Measure is what the service's metrics are made of.
func (a *App) Measure(ctx context.Context) (serve.Facts, error) {
	f := serve.Facts{Leavers: map[state.LeaverStatus]int{}}
	decisions, err := a.State(ctx)
	if err != nil {
		return f, err
	}
	counts, err := decisions.CountMessages(ctx)
	if err != nil {
		return f, err
	}
	for _, c := range counts {
		f.Messages = append(f.Messages, serve.Messages(c))
		if s := state.OutboxStatus(c.Outcome); s == state.OutboxQueued || s == state.OutboxSending {
			f.Outbox += c.N
		}
	}
	if counts, err = decisions.CountChanges(ctx); err != nil {
		return f, err
	}
	for _, c := range counts {
		f.Changes = append(f.Changes, serve.Changes{Action: c.Kind, Outcome: c.Outcome, N: c.N})
	}
	leavers, err := decisions.Leavers(ctx, true)
	if err != nil {
		return f, err
	}
	for _, l := range leavers {
		f.Leavers[l.Status]++
	}
	facts, err := a.Store(ctx)
	if err != nil {
		return f, err
	}
	run, err := facts.LatestRun(ctx, time.Time{})
	if errors.Is(err, store.ErrNotFound) {
		return f, nil // nothing was scanned yet
	}
	if err != nil {
		return f, err
	}
	f.Run = &serve.Scanned{ID: run.ID, Time: run.Time, Took: run.FinishedAt.Sub(run.RecordedAt), Complete: run.Status == store.RunComplete}
	if f.Sources, err = measureSources(ctx, facts, run); err != nil {
		return f, err
	}
	f.Findings, err = a.measureFindings(ctx, facts, run)
	return f, err
}

func measureSources(ctx context.Context, facts *store.Store, run store.RunInfo) ([]serve.Source, error) {
	inputs, err := facts.Inputs(ctx, run.ID)
	if err != nil {
		return nil, err
	}
	var out []serve.Source
	for _, in := range inputs {
		s := serve.Source{UID: in.Source, Stale: in.StaleNights}
		if in.Snapshot != 0 {
			if s.AsOf = in.AsOf; s.AsOf.IsZero() {
				s.AsOf = in.Taken
			}
			history, err := facts.Snapshots(ctx, store.SnapshotFilter{Source: in.Source, From: in.Taken, Until: in.Taken})
			if err != nil {
				return nil, err
			}
			for _, snap := range history {
				if snap.ID == in.Snapshot {
					s.Records = snap.Records
				}
			}
		}
		out = append(out, s)
	}
	return out, nil
}

// measureFindings counts by rule and status. Accepted ones are stored as open.
func (a *App) measureFindings(ctx context.Context, facts *store.Store, run store.RunInfo) ([]serve.Findings, error) {
	counts, err := facts.CountFindings(ctx, run.ID, store.FindingFilter{}, store.ByPolicyID, store.ByStatus, store.ByBacklog)
	if err != nil {
		return nil, err
	}
	type kind struct {
		policy  string
		backlog bool
	}
	accepted := map[kind]int{}
	all, err := a.state.Exceptions(ctx, a.Now(), state.ExceptionFilter{})
	if err != nil {
		return nil, err
	}
	if len(all) > 0 {
		found, err := a.Findings(ctx, FindingQuery{Run: run.ID, Statuses: []finding.Status{finding.Excepted}})
		if err != nil {
			return nil, err
		}
		for f, err := range found {
			if err != nil {
				return nil, err
			}
			accepted[kind{f.Policy, f.Backlog}]++
		}
	}
	var out []serve.Findings
	for _, c := range counts {
		n := serve.Findings{Policy: c.Values[0], Status: c.Values[1], Backlog: c.Values[2] == "true", N: int(c.N)}
		if n.Status == string(finding.Open) {
			k := kind{n.Policy, n.Backlog}
			if e := accepted[k]; e > 0 {
				n.N -= e
				out = append(out, serve.Findings{Policy: n.Policy, Status: string(finding.Excepted), Backlog: n.Backlog, N: e})
			}
		}
		out = append(out, n)
	}
	return out, nil
}
