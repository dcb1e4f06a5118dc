package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/lapse-audit/lapse/internal/scan"
	"github.com/lapse-audit/lapse/internal/state"
)

// ScanOptions are what one scan or collection is asked for.
type ScanOptions struct {
	Sources      []string // uids; nil for all
	Actor        state.Actor
	AcceptShrink string
	Progress     scan.Progress
}

// Scan runs the nightly job.
func (a *App) Scan(ctx context.Context, o ScanOptions) (scan.Outcome, error) {
	opts, err := a.scanOptions(ctx, o)
	if err != nil {
		return scan.Outcome{}, err
	}
	if opts.Pack, err = a.Pack(); err != nil {
		return scan.Outcome{}, err
	}
	if err := a.importFiles(ctx, o.Actor); err != nil {
		return scan.Outcome{}, err
	}
	out, err := scan.Run(ctx, opts)
	if err != nil {
		return out, err
	}
	_, err = opts.State.Record(ctx, o.Actor, "scan.completed", map[string]any{
		"run": out.Run.ID, "time": out.Run.Time.Format(time.RFC3339), "status": string(out.Run.Status),
		"open": out.Run.Open, "opened": out.Run.New, "closed": out.Run.Closed,
	})
	return out, err
}

// Collect snapshots sources.
func (a *App) Collect(ctx context.Context, o ScanOptions) ([]scan.Collected, error) {
	opts, err := a.scanOptions(ctx, o)
	if err != nil {
		return nil, err
	}
	return scan.Collect(ctx, opts)
}

func (a *App) scanOptions(ctx context.Context, o ScanOptions) (scan.Options, error) {
	sources, err := a.Sources(o.Sources)
	if err != nil {
		return scan.Options{}, err
	}
	if len(sources) == 0 {
		return scan.Options{}, fmt.Errorf("%s: sources: there is none: name an export of HR and of an app", a.Config.File)
	}
	contracts, err := a.Contracts(ctx)
	if err != nil {
		return scan.Options{}, err
	}
	if _, err := a.Inventory(ctx); err != nil { // before the work is done, not when it is reported
		return scan.Options{}, err
	}
	decisions, err := a.State(ctx)
	if err != nil {
		return scan.Options{}, err
	}
	reviewed, err := a.reviewed(ctx, decisions, a.Now())
	if err != nil {
		return scan.Options{}, err
	}
	for i := range sources {
		sources[i].Contracts, sources[i].Reviews = contracts, reviewed
	}
	facts, err := a.Store(ctx)
	if err != nil {
		return scan.Options{}, err
	}
	c := a.Config
	return scan.Options{
		Time: a.Now().UTC().Truncate(time.Millisecond), Sources: sources, Retired: c.Retired, Store: facts, State: decisions,
		Actor: o.Actor, AcceptShrink: o.AcceptShrink, Holder: holder("lapse scan"),
		Parallel: c.Scan.Parallel, Workers: c.Scan.Workers, Lane: scan.Lane(c.Scan.Lane), Backlog: time.Duration(c.Scan.BacklogDays) * 24 * time.Hour,
		Retention: a.retention(), Sandbox: a.Sandbox,
		Log: a.Log, Progress: o.Progress,
	}, nil
}

// importFiles brings exceptions and joined people in line with the files that lapse.yaml names.
func (a *App) importFiles(ctx context.Context, actor state.Actor) error {
	decisions, err := a.State(ctx)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		path string
		load func(context.Context, state.Actor, io.Reader, state.ImportOptions) (state.ImportReport, error)
	}{
		{a.Config.Exceptions, decisions.ImportExceptions},
		{a.Config.People, decisions.ImportPeople},
	} {
		if f.path == "" {
			continue
		}
		file, err := os.Open(a.Config.Path(f.path))
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s names %s, which is not there", a.Config.File, f.path)
		}
		if err != nil {
			return err
		}
		report, err := f.load(ctx, actor, file, state.ImportOptions{Name: f.path, Location: a.Config.Location})
		if err = errors.Join(err, file.Close()); err != nil {
			return err
		}
		for _, s := range report.Skipped {
			a.Log.Warn("entry passed over", "place", s.Place, "why", s.Why)
		}
		if len(report.Missing) > 0 {
			a.Log.Warn("decisions that stand only in the database", "file", f.path, "ids", report.Missing)
		}
	}
	return nil
}
