package store

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"golang.org/x/sync/errgroup"
)

// Tables with rows of runs. The first kind has a partition a run.
var (
	runPartitioned = []string{"run_people", "run_aliases", "run_links", "run_privileged"}
	runOrdered     = []string{"run_judged", "tallies", "finding_hits", "finding_states"}
)

// dropDebris deletes the rows of runs that were begun and never published.
func (s *Store) dropDebris(ctx context.Context) error {
	runs, err := list(ctx, s, func(rows driver.Rows, run *uint64) error { return rows.Scan(run) },
		"SELECT DISTINCT run FROM run_inputs WHERE run NOT IN (SELECT run FROM runs) ORDER BY run")
	if err != nil {
		return err
	}
	for _, run := range runs {
		if err := s.dropRun(ctx, run); err != nil {
			return fmt.Errorf("clear away run %d, which was not finished: %w", run, err)
		}
	}
	return nil
}

// dropRun deletes all rows of a run. run_inputs comes last: while it names the run, a repetition finds it.
func (s *Store) dropRun(ctx context.Context, run uint64) error {
	for _, table := range runPartitioned {
		if err := s.exec(ctx, fmt.Sprintf("ALTER TABLE %s DROP PARTITION %d", table, run)); err != nil {
			return err
		}
	}
	for _, table := range append(runOrdered[:len(runOrdered):len(runOrdered)], "run_inputs") {
		if err := s.deleteRun(ctx, table, "run", run); err != nil {
			return err
		}
	}
	return s.deleteRun(ctx, "changes", "run_after", run)
}

// deleteRun deletes one run's rows, if there are any: a deletion rewrites parts even for nothing.
func (s *Store) deleteRun(ctx context.Context, table, column string, run uint64) error {
	var n uint64
	id := clickhouse.Named("run", run)
	if err := s.row(ctx, []any{&n}, fmt.Sprintf("SELECT count() FROM %s WHERE %s = {run:UInt64}", table, column), id); err != nil || n == 0 {
		return err
	}
	return s.exec(ctx, fmt.Sprintf("DELETE FROM %s WHERE %s = {run:UInt64}", table, column), id)
}

// emptyWork truncates what runs compute with, and the subjects of kept runs that were judged again.
func (s *Store) emptyWork(ctx context.Context) error {
	tables, err := list(ctx, s, func(rows driver.Rows, name *string) error { return rows.Scan(name) },
		`SELECT name FROM system.tables WHERE database = currentDatabase() AND (startsWith(name, 'work_') OR startsWith(name, 'past_'))
			AND ifNull(total_rows, 1) > 0 ORDER BY name`)
	if err != nil {
		return err
	}
	g, emptying := errgroup.WithContext(ctx) // each waits for the disk
	g.SetLimit(4)
	for _, table := range tables {
		g.Go(func() error { return s.exec(emptying, "TRUNCATE TABLE "+table) })
	}
	return g.Wait()
}
