package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/scan"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
)

func newScan(g *global) *cobra.Command {
	o := scanOptions{global: g}
	cmd := &cobra.Command{
		Use:   "scan",
		Short: "Read all sources, judge them, and report: the nightly job",
		Long: `Read all sources, link accounts to people, judge every subject by every policy, and write the report.

A source that can't be read, is partial, or shrank or grew beyond its limits is quarantined: the scan goes on with its
last good snapshot, closes nothing that rests on it, and exits with 4.

Exit codes: 0 clean, 1 error, 2 usage, 3 findings at or above --fail-on, 4 completed but stale, quarantined or incomplete.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	cmd.Flags().StringVar(&o.failOn, "fail-on", "", "exit with 3 if findings of this severity or above stand: low, medium, high, critical (backlog and excepted ones don't count)")
	cmd.Flags().BoolVar(&o.noReport, "no-report", false, "write no report files")
	return cmd
}

type scanOptions struct {
	*global
	failOn   string
	noReport bool
}

func (o *scanOptions) run(ctx context.Context) (err error) {
	var failOn finding.Severity
	if o.failOn != "" {
		if failOn, err = finding.ParseSeverity(o.failOn); err != nil {
			return usagef("--fail-on: %w", err)
		}
	}
	a, err := o.open()
	if err != nil {
		return err
	}
	a.Own = longJob
	defer func() { err = errors.Join(err, a.Close()) }()
	out, err := a.Scan(ctx, app.ScanOptions{Progress: o.progress(len(a.Config.Sources)), Actor: state.Actor{ID: o.actor("")}})
	if err != nil {
		return err
	}
	r, err := a.Report(ctx, out.Run.ID)
	if err != nil {
		return err
	}
	dir := ""
	if !o.noReport {
		dir = a.Config.Path(a.Config.Report.Dir)
		if err := app.WriteReport(r, dir); err != nil {
			return fmt.Errorf("run %d is kept, and nobody was told of it: %w. `lapse report --dir FOLDER` writes its report elsewhere", out.Run.ID, err)
		}
	}
	if err := o.printSummary(r, dir); err != nil {
		return err
	}
	if a.Config.Notify.AfterScan {
		if err := o.notify(ctx, a); err != nil {
			return err
		}
	}
	if o.failOn != "" {
		n, err := a.Standing(ctx, out.Run.ID, failOn)
		if err != nil {
			return err
		}
		if n > 0 {
			fmt.Fprintf(o.sys.Stderr, "lapse: findings of severity %s or above that stand: %d\n", failOn, n)
			return exit{exitFindings}
		}
	}
	if out.Run.Status != store.RunComplete {
		return exit{exitIncomplete}
	}
	return nil
}

// longJob is how long a command that works for minutes waits for one that works for moments to give the store up.
const longJob = 3 * time.Second

func newCollect(g *global) *cobra.Command {
	o := collectOptions{global: g}
	cmd := &cobra.Command{
		Use:   "collect [SOURCE...]",
		Short: "Snapshot sources without judging them",
		Long: `Read the sources (all of them, or those named) and keep a snapshot of each, accepted or quarantined.

--accept-shrink vouches for a source that really became so small (or so large, or lost a column): its next snapshot
passes the guard, and the reason goes into the ledger.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	cmd.Flags().StringVar(&o.accept, "accept-shrink", "", "reason for which the guard lets this one snapshot pass")
	cmd.Flags().StringVar(&o.by, "by", "", "who decides (default LAPSE_ACTOR, else the operating system's user, marked as such)")
	return cmd
}

type collectOptions struct {
	*global
	accept, by string
}

func (o *collectOptions) run(ctx context.Context, sources []string) (err error) {
	if o.accept != "" && len(sources) != 1 {
		return usagef("--accept-shrink vouches for one source: name it")
	}
	a, err := o.open()
	if err != nil {
		return err
	}
	a.Own = longJob
	defer func() { err = errors.Join(err, a.Close()) }()
	n := len(sources)
	if n == 0 {
		n = len(a.Config.Sources)
	}
	all, err := a.Collect(ctx, app.ScanOptions{Sources: sources, Progress: o.progress(n), Actor: state.Actor{ID: o.actor(o.by)}, AcceptShrink: o.accept})
	if err != nil {
		return err
	}
	refused := false
	l := list{columns: []string{"source", "status", "records", "rejected", "as of", "why"}}
	for _, c := range all {
		refused = refused || !c.Verdict.Accepted
		asOf := c.Snapshot.AsOf
		if asOf.IsZero() {
			asOf = c.Snapshot.TakenAt
		}
		l.add(collectedJSON(c), c.Source.UID, string(c.Snapshot.Status), fmt.Sprint(c.Result.Total()), fmt.Sprint(c.Result.Rejected),
			asOf.In(a.Config.Location).Format("2006-01-02 15:04"), cmp.Or(c.Verdict.String(), c.Result.Provenance.Stale))
	}
	if err := l.print(o.sys.Stdout, o.format, "There is no source."); err != nil {
		return err
	}
	for _, c := range all {
		for _, r := range c.Result.Rejections[:min(5, len(c.Result.Rejections))] {
			fmt.Fprintf(o.sys.Stderr, "%s: rejected: %s\n", c.Source.UID, printable(r.String()))
		}
	}
	if refused {
		return exit{exitIncomplete}
	}
	return nil
}

// collectedJSON is what came of a source as the command line prints it.
func collectedJSON(c scan.Collected) any {
	type rejection struct {
		Place  string `json:"place"`
		Reason string `json:"reason"`
	}
	out := struct {
		Source   string                     `json:"source"`
		Status   store.SnapshotStatus       `json:"status"`
		Snapshot uint64                     `json:"snapshot"`
		Records  map[collect.Kind]int64     `json:"records"`
		Rejected int64                      `json:"rejected"`
		First    []rejection                `json:"first_rejections,omitempty"`
		Coverage map[string]access.Coverage `json:"coverage"`
		Gaps     []string                   `json:"gaps,omitempty"`
		Verdict  collect.Verdict            `json:"verdict"`
	}{Source: c.Source.UID, Status: c.Snapshot.Status, Snapshot: c.Snapshot.ID, Records: c.Result.Counts, Rejected: c.Result.Rejected,
		Coverage: c.Result.Provenance.Coverage, Verdict: c.Verdict}
	for _, r := range c.Result.Rejections {
		at := collect.Rejection{File: r.File, Line: r.Line, Column: r.Column}
		out.First = append(out.First, rejection{strings.TrimSuffix(at.String(), ": "), r.Reason})
	}
	for _, g := range c.Result.Gaps {
		out.Gaps = append(out.Gaps, g.String())
	}
	return out
}
