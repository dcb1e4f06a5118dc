package app

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/scan"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
	"github.com/lapse-audit/lapse/reports"
)

// trendNights is how many runs the trend shows.
const trendNights = 35

// Report reads everything of one run (0: the last one) and counts it.
func (a *App) Report(ctx context.Context, id uint64) (*reports.Report, error) {
	data, err := a.reportData(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return reports.New(data)
}

func (a *App) reportData(ctx context.Context, id uint64) (reports.Data, error) {
	s, err := a.Store(ctx)
	if err != nil {
		return reports.Data{}, err
	}
	run, err := a.run(ctx, id)
	if err != nil {
		return reports.Data{}, err
	}
	data := reports.Data{
		Zone: a.Config.Location,
		Run: reports.Run{ID: run.ID, Time: run.Time, Recorded: run.RecordedAt, Duration: run.FinishedAt.Sub(run.RecordedAt),
			Version: a.Version, Reasons: run.Reasons},
	}
	switch before, err := s.PrevRun(ctx, run.ID); {
	case err == nil:
		data.Run.Previous = &reports.RunRef{ID: before.ID, Time: before.Time}
		if data.Gone, err = a.gone(ctx, run.ID, before.ID); err != nil {
			return data, err
		}
	case !errors.Is(err, store.ErrNotFound):
		return data, err
	}
	if data.Inputs, err = a.reportInputs(ctx, run.ID); err != nil {
		return data, err
	}
	if data.Policies, err = a.reportPolicies(); err != nil {
		return data, err
	}
	if data.Findings, err = a.Findings(ctx, FindingQuery{Run: run.ID}); err != nil {
		return data, err
	}
	if data.AssigneeName, err = a.assigneeNames(ctx, run.ID, data.Findings); err != nil {
		return data, err
	}
	if data.Tallies, err = s.Tallies(ctx, run.ID); err != nil {
		return data, err
	}
	if data.Nights, err = a.reportNights(ctx, run); err != nil {
		return data, err
	}
	if data.Exceptions, err = a.reportExceptions(ctx, data.Run.Previous); err != nil {
		return data, err
	}
	if data.Changes, err = reportChanges(ctx, s, run.ID); err != nil {
		return data, err
	}
	return data, a.reportLists(ctx, &data)
}

// gone lists the sources of the run before that are none of the run.
func (a *App) gone(ctx context.Context, run, before uint64) ([]reports.Gone, error) {
	now, err := a.store.Inputs(ctx, run)
	if err != nil {
		return nil, err
	}
	then, err := a.store.Inputs(ctx, before)
	if err != nil {
		return nil, err
	}
	var out []reports.Gone
	for _, was := range then {
		if !slices.ContainsFunc(now, func(in store.RunInput) bool { return in.Source == was.Source }) {
			out = append(out, reports.Gone{UID: was.Source, Name: was.Name})
		}
	}
	return out, nil
}

// assigneeNames names those who are asked about the findings; roles stay as they are.
func (a *App) assigneeNames(ctx context.Context, run uint64, findings iter.Seq2[finding.Finding, error]) (func(string) string, error) {
	names := map[string]string{}
	for f, err := range findings {
		if err != nil {
			return nil, err
		}
		if f.Assignee == f.Person && f.PersonName != "" {
			names[f.Assignee] = f.PersonName
		} else if _, ok := names[f.Assignee]; !ok && strings.Contains(f.Assignee, ":") {
			names[f.Assignee] = ""
		}
	}
	if len(names) > 0 {
		for p, err := range a.store.RunPeople(ctx, run) {
			if err != nil {
				return nil, err
			}
			if _, ok := names[p.Key]; ok {
				names[p.Key] = p.Name
			}
		}
	}
	return func(assignee string) string { return cmp.Or(names[assignee], assignee) }, nil
}

func (a *App) reportInputs(ctx context.Context, run uint64) ([]reports.Input, error) {
	in, err := a.store.Inputs(ctx, run)
	if err != nil {
		return nil, err
	}
	var out []reports.Input
	for _, i := range in {
		r := reports.Input{UID: i.Source, Name: i.Name, Type: i.Type, Roster: i.Roster, Status: reports.InputStatus(i.Status),
			Taken: i.Taken, AsOf: i.AsOf, Coverage: i.Coverage}
		if i.Reason != "" {
			r.Reasons = []string{i.Reason}
		}
		if i.Snapshot == 0 {
			r.Status = reports.Absent
			out = append(out, r)
			continue
		}
		snap, err := a.store.SnapshotByID(ctx, i.Source, i.Snapshot)
		if err != nil {
			return nil, err
		}
		r.Records, r.Rejected = snap.Records, snap.Rejected
		e, err := scan.ReadEvidence(snap)
		if err != nil {
			return nil, err
		}
		r.Provenance = e.Provenance
		for rej, err := range a.store.Rejections(ctx, i.Source, i.Snapshot) {
			if err != nil {
				return nil, err
			}
			if r.Rejections = append(r.Rejections, collect.Rejection(rej)); len(r.Rejections) == 20 {
				break
			}
		}
		out = append(out, r)
	}
	return out, nil
}

func (a *App) reportPolicies() ([]reports.Policy, error) {
	pack, err := a.Pack()
	if err != nil {
		return nil, err
	}
	var out []reports.Policy
	for _, p := range pack.Policies() {
		out = append(out, reports.Policy{ID: p.ID, Title: p.Title, Description: p.Description, Severity: p.Severity, Subject: p.Subject,
			Action: p.Action, Controls: p.Controls, Enabled: p.Enabled})
	}
	return out, nil
}

func (a *App) reportNights(ctx context.Context, run store.RunInfo) ([]reports.Night, error) {
	runs, err := a.store.Runs(ctx, store.RunFilter{Until: run.Time.Add(time.Millisecond), Limit: trendNights})
	if err != nil {
		return nil, err
	}
	slices.Reverse(runs)
	var out []reports.Night
	for i, r := range runs {
		n := reports.Night{Time: r.Time, Complete: r.Status == store.RunComplete, Open: r.Open - r.Backlog, Backlog: r.Backlog, Closed: r.Closed, New: r.New}
		if i == 0 && r.Previous == 0 {
			n.New = 0 // the first night is a backlog
		}
		out = append(out, n)
	}
	return out, nil
}

// reportExceptions lists those in force and those that ran out since the run before.
func (a *App) reportExceptions(ctx context.Context, before *reports.RunRef) ([]reports.Exception, error) {
	decisions, err := a.State(ctx)
	if err != nil {
		return nil, err
	}
	now := a.Now()
	all, err := decisions.Exceptions(ctx, now, state.ExceptionFilter{All: true})
	if err != nil {
		return nil, err
	}
	var out []reports.Exception
	for _, e := range all {
		switch e.Status(now) {
		case state.Active:
		case state.Expired:
			if before == nil || e.Expires.Before(before.Time) {
				continue
			}
		default:
			continue
		}
		out = append(out, reports.Exception{ID: e.ID, Covers: e.Scope.String(), Reason: e.Reason, By: e.By, Ticket: e.Ticket, Created: e.Created, Expires: e.Expires})
	}
	return out, nil
}

// reportChanges counts what changed since the run before, by sort of change.
func reportChanges(ctx context.Context, s *store.Store, run uint64) ([]reports.Change, error) {
	type sort struct{ kind, field, from, to string }
	counts := map[sort]uint64{}
	var order []sort
	for c, err := range s.Changes(ctx, store.ChangeFilter{RunAfter: run}) {
		if err != nil {
			return nil, err
		}
		k := sort{c.Kind, c.Field, c.Before, c.After}
		if c.Field == "owner" || c.Field == "link" { // who it is differs each time
			k.from, k.to = "", ""
		}
		if counts[k]++; counts[k] == 1 {
			order = append(order, k)
		}
	}
	var out []reports.Change
	for _, k := range order {
		out = append(out, reports.Change{Field: k.kind + "." + k.field, From: k.from, To: k.to, Count: counts[k]})
	}
	return out, nil
}

// WriteReport writes report.html, report.json and findings.csv into dir. Each is replaced whole or not at all.
func WriteReport(r *reports.Report, dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{"findings.csv", r.CSV},
		{"report.json", r.JSON},
		{"report.html", func(w io.Writer) error { return r.HTML(w, reports.HTMLOptions{CSV: "findings.csv"}) }},
	} {
		if err := replace(filepath.Join(dir, f.name), f.write); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	return nil
}

// replace writes a file beside path and then puts it in its place.
func replace(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".lapse-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	w := bufio.NewWriterSize(f, 1<<16)
	if err := write(w); err != nil {
		return err
	}
	if err := errors.Join(w.Flush(), f.Chmod(0o640), f.Sync()); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
