package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
)

// RunInfo is a published run.
type RunInfo struct {
	ID         uint64
	Time       time.Time // the run's clock
	RecordedAt time.Time // when it really began
	FinishedAt time.Time
	Previous   uint64 // the run it carries on from; 0: none
	Status     RunStatus
	Reasons    []string // why it is incomplete

	People, Accounts, Entitlements, Grants, Effective, Seats uint64

	Open, New, Closed, Backlog uint64 // findings; New and Backlog are among Open
}

func runFields() []field[RunInfo] {
	return []field[RunInfo]{
		column("run", func(i *RunInfo) uint64 { return i.ID }),
		column("time", func(i *RunInfo) time.Time { return i.Time }),
		column("recorded_at", func(i *RunInfo) time.Time { return i.RecordedAt }),
		column("finished_at", func(i *RunInfo) time.Time { return i.FinishedAt }),
		column("previous", func(i *RunInfo) uint64 { return i.Previous }),
		column("status", func(i *RunInfo) string { return string(i.Status) }),
		column("reasons", func(i *RunInfo) []string { return i.Reasons }),
		column("people", func(i *RunInfo) uint64 { return i.People }),
		column("accounts", func(i *RunInfo) uint64 { return i.Accounts }),
		column("entitlements", func(i *RunInfo) uint64 { return i.Entitlements }),
		column("grants", func(i *RunInfo) uint64 { return i.Grants }),
		column("effective", func(i *RunInfo) uint64 { return i.Effective }),
		column("seats", func(i *RunInfo) uint64 { return i.Seats }),
		column("open", func(i *RunInfo) uint64 { return i.Open }),
		column("opened", func(i *RunInfo) uint64 { return i.New }),
		column("closed", func(i *RunInfo) uint64 { return i.Closed }),
		column("backlog", func(i *RunInfo) uint64 { return i.Backlog }),
	}
}

func scanRun(rows driver.Rows, i *RunInfo) error {
	var status string
	err := rows.Scan(&i.ID, &i.Time, &i.RecordedAt, &i.FinishedAt, &i.Previous, &status, &i.Reasons, &i.People, &i.Accounts,
		&i.Entitlements, &i.Grants, &i.Effective, &i.Seats, &i.Open, &i.New, &i.Closed, &i.Backlog)
	i.Status = RunStatus(status)
	return err
}

// RunFilter chooses runs. The zero value is all.
type RunFilter struct {
	Since, Until time.Time // of the run's clock, Since included and Until not; zero: open
	Limit        int       // the newest ones; 0: all
}

// Runs lists published runs, the newest clock first.
func (s *Store) Runs(ctx context.Context, f RunFilter) ([]RunInfo, error) {
	var where conditions
	if !f.Since.IsZero() {
		where.add("time >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')", instant("since", f.Since))
	}
	if !f.Until.IsZero() {
		where.add("time < fromUnixTimestamp64Milli({until:Int64}, 'UTC')", instant("until", f.Until))
	}
	runs, err := s.runs(ctx, where, f.Limit)
	if err != nil {
		return nil, fmt.Errorf("read runs: %w", err)
	}
	return runs, nil
}

func (s *Store) runs(ctx context.Context, where conditions, limit int) ([]RunInfo, error) {
	names := make([]string, len(runFields()))
	for i, f := range runFields() {
		names[i] = f.name
	}
	query := "SELECT " + strings.Join(names, ", ") + " FROM runs" + where.sql() + " ORDER BY time DESC, run DESC"
	if limit > 0 {
		query += fmt.Sprintf(" LIMIT %d", limit)
	}
	return list(ctx, s, scanRun, query, where.args...)
}

// LatestRun is the published run with the newest clock, at the latest at; a zero at is no bound. There being none is
// ErrNotFound.
func (s *Store) LatestRun(ctx context.Context, at time.Time) (RunInfo, error) {
	var where conditions
	if !at.IsZero() {
		where.add("time <= fromUnixTimestamp64Milli({at:Int64}, 'UTC')", instant("at", at))
	}
	return s.oneRun(ctx, "latest run", where)
}

// RunByID is a published run; ErrNotFound otherwise.
func (s *Store) RunByID(ctx context.Context, run uint64) (RunInfo, error) {
	var where conditions
	where.add("run = {run:UInt64}", clickhouse.Named("run", run))
	return s.oneRun(ctx, fmt.Sprintf("run %d", run), where)
}

// PrevRun is the run that the given one carries on from; ErrNotFound if there is none.
func (s *Store) PrevRun(ctx context.Context, run uint64) (RunInfo, error) {
	var where conditions
	where.add("run = (SELECT previous FROM runs WHERE run = {run:UInt64})", clickhouse.Named("run", run))
	return s.oneRun(ctx, fmt.Sprintf("run before run %d", run), where)
}

func (s *Store) oneRun(ctx context.Context, what string, where conditions) (RunInfo, error) {
	runs, err := s.runs(ctx, where, 1)
	if err == nil && len(runs) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return RunInfo{}, fmt.Errorf("read %s: %w", what, err)
	}
	return runs[0], nil
}

// Inputs lists the sources of a published run by uid.
func (s *Store) Inputs(ctx context.Context, run uint64) ([]RunInput, error) {
	inputs, err := list(ctx, s, func(rows driver.Rows, i *RunInput) error {
		var taken, asOf *time.Time
		var status string
		var stale int64
		var coverage map[string]string
		if err := rows.Scan(&i.Source, &i.Name, &i.Type, &i.Roster, &i.Directory, &i.Snapshot, &taken, &asOf, &status, &i.Reason,
			&stale, &i.Reads, &coverage); err != nil {
			return err
		}
		i.Status, i.StaleNights = InputStatus(status), int(stale)
		if taken != nil {
			i.Taken = *taken
		}
		if asOf != nil {
			i.AsOf = *asOf
		}
		i.Coverage = make(map[string]access.Coverage, len(coverage))
		for k, v := range coverage {
			i.Coverage[k] = access.Coverage(v)
		}
		return nil
	}, `SELECT source, name, type, roster, directory, snapshot, taken, as_of, status, reason, stale_nights, reads, coverage
		FROM run_inputs WHERE run = {run:UInt64} AND run IN (SELECT run FROM runs) ORDER BY source`, clickhouse.Named("run", run))
	if err != nil {
		return nil, fmt.Errorf("read inputs of run %d: %w", run, err)
	}
	return inputs, nil
}

// Tallies lists the accounts of a published run's policies by policy and source.
func (s *Store) Tallies(ctx context.Context, run uint64) ([]finding.Tally, error) {
	tallies, err := list(ctx, s, func(rows driver.Rows, t *finding.Tally) error {
		return rows.Scan(&t.Policy, &t.Source, &t.Subjects, &t.OutOfScope, &t.Evaluated, &t.Flagged, &t.Excluded,
			&t.NotEvaluable, &t.Missing, &t.Failed)
	}, `SELECT policy, source, subjects, out_of_scope, evaluated, flagged, excluded, not_evaluable, missing, failed
		FROM tallies WHERE run = {run:UInt64} AND run IN (SELECT run FROM runs) ORDER BY policy, source`, clickhouse.Named("run", run))
	if err != nil {
		return nil, fmt.Errorf("read tallies of run %d: %w", run, err)
	}
	return tallies, nil
}

// conditions are conjuncts of a WHERE, with their parameters. The texts are constants of this package.
type conditions struct {
	texts []string
	args  []any
}

func (c *conditions) add(text string, args ...driver.NamedValue) {
	c.texts = append(c.texts, text)
	for _, a := range args {
		c.args = append(c.args, a)
	}
}

func (c *conditions) sql() string {
	if len(c.texts) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.texts, " AND ")
}
