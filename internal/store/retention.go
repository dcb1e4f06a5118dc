package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"golang.org/x/sync/errgroup"
)

// Retention says how long facts are kept. A night is represented by its last complete run, a month by its last one.
type Retention struct {
	Nights        int            // days, the current one included, whose last run is kept with its snapshots
	Months        int            // months, the current one included, whose last run is kept with its snapshots
	ChangesMonths int            // months, the current one included, of changes, findings and their closing
	Zone          *time.Location // in which days and months begin; nil: UTC
}

// DefaultRetention is what is kept when nothing else is said.
func DefaultRetention() Retention { return Retention{Nights: 35, Months: 13, ChangesMonths: 25} }

// Pruned says what Prune took away.
type Pruned struct {
	Runs       int // whose people, links and open findings went; their numbers and what they closed stay
	Snapshots  int
	Partitions int // that were dropped whole
}

// comparedSnapshots is how many accepted snapshots of a source are kept whatever runs refer to: a new one is compared
// with them.
const comparedSnapshots = 7

// Prune takes away what r doesn't keep at the time now: runs that represent neither a night nor a month, snapshots that
// no kept run refers to, and changes and findings that are too old. It keeps the runs and snapshots of the current day,
// whatever came after the newest complete run, and the snapshots that the next ones are compared with. Killed half way
// it leaves a store in which everything visible is whole; the next Prune goes on. Its caller holds the lease.
func (s *Store) Prune(ctx context.Context, r Retention, now time.Time) (Pruned, error) {
	p, err := s.prune(ctx, r, now)
	if err != nil {
		return p, fmt.Errorf("prune store %s: %w", s.where, err)
	}
	return p, nil
}

func (s *Store) prune(ctx context.Context, r Retention, now time.Time) (p Pruned, err error) {
	if r.Nights < 1 || r.Months < 1 || r.ChangesMonths < r.Months {
		return p, fmt.Errorf("retention keeps %d nights, %d months and %d months of changes: want at least 1, 1 and as many months of changes as of runs",
			r.Nights, r.Months, r.ChangesMonths)
	}
	if r.Zone == nil {
		r.Zone = time.UTC
	}
	runs, err := s.publishedRuns(ctx)
	if err != nil {
		return p, err
	}
	_, unkept := r.split(runs, now)
	if p.Runs, err = s.pruneRuns(ctx, unkept); err != nil {
		return p, err
	}
	doomed, err := s.unreferenced(ctx, unkept, r, now)
	if err != nil {
		return p, err
	}
	if p.Snapshots, err = len(doomed), s.unpublish(ctx, doomed); err != nil {
		return p, err
	}
	if p.Partitions, err = s.dropDays(ctx); err != nil {
		return p, err
	}
	if err := s.dropRows(ctx, doomed); err != nil {
		return p, err
	}
	months, err := s.dropMonths(ctx, monthStart(now.In(r.Zone), r.ChangesMonths-1))
	p.Partitions += months
	return p, err
}

type runStamp struct {
	run      uint64
	time     time.Time
	complete bool
}

func (s *Store) publishedRuns(ctx context.Context) ([]runStamp, error) {
	return list(ctx, s, func(r driver.Rows, v *runStamp) error { return r.Scan(&v.run, &v.time, &v.complete) },
		"SELECT run, time, status = 'complete' FROM runs ORDER BY time, run")
}

// split tells the runs that are kept from those that are not. runs are ordered by time.
func (r Retention) split(runs []runStamp, now time.Time) (kept, unkept []uint64) {
	const day, month = "2006-01-02", "2006-01"
	now = now.In(r.Zone)
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, r.Zone)
	nights, months := today.AddDate(0, 0, 1-r.Nights), monthStart(now, r.Months-1)

	last := map[string]int{} // day or month to the last complete run in it
	newest := -1
	for i, run := range runs {
		at := run.time.In(r.Zone)
		if !run.complete {
			continue
		}
		newest = i
		if !at.Before(nights) {
			last[at.Format(day)] = i
		}
		if !at.Before(months) {
			last[at.Format(month)] = i
		}
	}
	keep := map[int]bool{}
	for _, i := range last {
		keep[i] = true
	}
	for i, run := range runs {
		if keep[i] || i >= newest || !run.time.Before(today) {
			kept = append(kept, run.run)
		} else {
			unkept = append(unkept, run.run)
		}
	}
	return kept, unkept
}

// monthStart is the first instant of the month that is back months before that of t, in t's zone.
func monthStart(t time.Time, back int) time.Time {
	return time.Date(t.Year(), t.Month()-time.Month(back), 1, 0, 0, 0, 0, t.Location())
}

// unreferenced are the accepted and quarantined snapshots that nothing needs any more.
func (s *Store) unreferenced(ctx context.Context, unkept []uint64, r Retention, now time.Time) ([]begun, error) {
	now = now.In(r.Zone)
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, r.Zone)
	return list(ctx, s, func(rows driver.Rows, b *begun) error { return rows.Scan(&b.source, &b.snapshot, &b.taken) }, `
		WITH (SELECT max(time) FROM runs WHERE status = 'complete') AS newest
		SELECT source, snapshot, taken FROM snapshots
		WHERE (source, snapshot) NOT IN (SELECT source, snapshot FROM run_inputs WHERE NOT has({unkept:Array(UInt64)}, run))
			AND (source, snapshot) NOT IN (SELECT source, snapshot FROM snapshots WHERE status = 'accepted'
				ORDER BY taken DESC, snapshot DESC LIMIT {compared:UInt64} BY source)
			AND taken <= newest AND taken < fromUnixTimestamp64Milli({today:Int64}, 'UTC')
			AND (status = 'accepted' OR taken < fromUnixTimestamp64Milli({nights:Int64}, 'UTC'))
		ORDER BY source, snapshot`,
		clickhouse.Named("unkept", unkept), clickhouse.Named("compared", comparedSnapshots),
		instant("today", today), instant("nights", today.AddDate(0, 0, 1-r.Nights)))
}

// atATime is how many snapshots one statement names.
const atATime = 500

// unpublish makes snapshots invisible. They are registered first, so that CleanUnpublished finds their rows if this
// program doesn't come to delete them.
func (s *Store) unpublish(ctx context.Context, doomed []begun) error {
	for some := range slices.Chunk(doomed, atATime) {
		keys := keyArrays(some)
		taken := make([]int64, len(some))
		for i, d := range some {
			taken[i] = d.taken.UnixMilli()
		}
		err := s.exec(ctx, `INSERT INTO snapshot_writes (source, snapshot, taken, begun_at)
			SELECT k.1, k.2, fromUnixTimestamp64Milli(k.3, 'UTC'), fromUnixTimestamp64Milli({now:Int64}, 'UTC')
			FROM (SELECT arrayJoin(arrayZip({sources:Array(String)}, {snapshots:Array(UInt64)}, {taken:Array(Int64)})) AS k)`,
			append(keys, clickhouse.Named("taken", taken), instant("now", s.now()))...)
		if err != nil {
			return fmt.Errorf("register snapshots to delete: %w", err)
		}
		if err := s.exec(ctx, "ALTER TABLE snapshots DELETE WHERE "+inKeys, keys...); err != nil {
			return fmt.Errorf("unpublish snapshots: %w", err)
		}
	}
	return nil
}

// inKeys chooses the snapshots of keyArrays.
const inKeys = "has(arrayZip({sources:Array(String)}, {snapshots:Array(UInt64)}), (source::String, snapshot))"

func keyArrays(snapshots []begun) []any {
	sources, ids := make([]string, len(snapshots)), make([]uint64, len(snapshots))
	for i, b := range snapshots {
		sources[i], ids[i] = b.source, b.snapshot
	}
	return []any{clickhouse.Named("sources", sources), clickhouse.Named("snapshots", ids)}
}

// dropRows deletes what is left of unpublished snapshots: those that share their day with others. A statement names
// those of one day, because it rewrites that day's parts.
func (s *Store) dropRows(ctx context.Context, doomed []begun) error {
	days := map[string][]begun{}
	for _, d := range doomed {
		days[partition(d.taken)] = append(days[partition(d.taken)], d)
	}
	for day, all := range days {
		parts, err := s.partitions(ctx, day)
		if err != nil {
			return err
		}
		g, deleting := errgroup.WithContext(ctx)
		for _, table := range parts {
			g.Go(func() error {
				for some := range slices.Chunk(all, atATime) {
					if err := s.exec(deleting, "ALTER TABLE "+table+" DELETE IN PARTITION "+day+" WHERE "+inKeys, keyArrays(some)...); err != nil {
						return fmt.Errorf("delete from %s: %w", table, err)
					}
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	for some := range slices.Chunk(doomed, atATime) {
		if err := s.exec(ctx, "ALTER TABLE snapshot_writes DELETE WHERE "+inKeys, keyArrays(some)...); err != nil {
			return fmt.Errorf("delete from snapshot_writes: %w", err)
		}
	}
	return nil
}

// partitions are the snapshot tables that hold rows of a day.
func (s *Store) partitions(ctx context.Context, day string) ([]string, error) {
	return list(ctx, s, scanText, `SELECT DISTINCT table FROM system.parts
		WHERE database = currentDatabase() AND active AND partition_id = {day:String} AND has({tables:Array(String)}, table) ORDER BY table`,
		clickhouse.Named("day", day), clickhouse.Named("tables", snapshotTables()))
}

func snapshotTables() []string {
	tables := make([]string, len(identity))
	for i, t := range identity {
		tables[i] = t.table
	}
	return tables
}

func scanText(r driver.Rows, v *string) error { return r.Scan(v) }

// tablePart is a partition of a table.
type tablePart struct{ table, partition string }

// dropDays drops the days of which no snapshot is published, and none is being written here, without reading them.
func (s *Store) dropDays(ctx context.Context) (int, error) {
	s.mu.Lock()
	live := make([]string, 0, len(s.live))
	for _, taken := range s.live {
		live = append(live, partition(taken))
	}
	s.mu.Unlock()
	all, err := list(ctx, s, scanPart, `
		SELECT DISTINCT table, partition_id FROM system.parts
		WHERE database = currentDatabase() AND active AND has({tables:Array(String)}, table)
			AND partition_id NOT IN (SELECT toString(toYYYYMMDD(taken)) FROM snapshots)
			AND NOT has({live:Array(String)}, partition_id)
		ORDER BY table, partition_id`, clickhouse.Named("tables", snapshotTables()), clickhouse.Named("live", live))
	if err != nil {
		return 0, fmt.Errorf("list days: %w", err)
	}
	return s.dropParts(ctx, all)
}

// dropMonths drops the months before first of everything that is kept by month: changes, findings.
func (s *Store) dropMonths(ctx context.Context, first time.Time) (int, error) {
	all, err := list(ctx, s, scanPart, `
		SELECT DISTINCT table, partition_id FROM system.parts
		WHERE database = currentDatabase() AND active AND toUInt32OrZero(partition_id) < {first:UInt32}
			AND table IN (SELECT name FROM system.tables WHERE database = currentDatabase() AND startsWith(partition_key, 'toYYYYMM('))
		ORDER BY table, partition_id`, clickhouse.Named("first", first.Year()*100+int(first.Month())))
	if err != nil {
		return 0, fmt.Errorf("list months: %w", err)
	}
	return s.dropParts(ctx, all)
}

// pruneRuns takes away what only a kept run needs. A closed finding, and the hit that describes it, stays: it is in the
// run that closed it and in none after. The partitions go last: while there are any, a repetition finds the run.
func (s *Store) pruneRuns(ctx context.Context, unkept []uint64) (int, error) {
	ids := make([]string, len(unkept))
	for i, run := range unkept {
		ids[i] = strconv.FormatUint(run, 10)
	}
	parts, err := list(ctx, s, scanPart, `
		SELECT DISTINCT table, partition_id FROM system.parts
		WHERE database = currentDatabase() AND active AND has({runs:Array(String)}, partition_id)
			AND table IN (SELECT name FROM system.tables WHERE database = currentDatabase() AND partition_key = 'run')
		ORDER BY table, partition_id`, clickhouse.Named("runs", ids))
	if err != nil {
		return 0, fmt.Errorf("list parts of runs: %w", err)
	}
	pruned := map[string]bool{}
	var runs []uint64
	for _, p := range parts {
		if run, err := strconv.ParseUint(p.partition, 10, 64); err == nil && !pruned[p.partition] {
			pruned[p.partition] = true
			runs = append(runs, run)
		}
	}
	if len(runs) == 0 {
		return 0, nil
	}
	arg := clickhouse.Named("runs", runs)
	err = s.exec(ctx, `ALTER TABLE finding_hits DELETE WHERE run IN {runs:Array(UInt64)} AND (run, fingerprint) NOT IN (
		SELECT hit_run, fingerprint FROM finding_states
		WHERE hit_run IN {runs:Array(UInt64)} AND (status = 'closed' OR run NOT IN {runs:Array(UInt64)}))
		SETTINGS allow_nondeterministic_mutations = 1`, arg)
	if err != nil {
		return 0, fmt.Errorf("delete hits: %w", err)
	}
	if err := s.exec(ctx, "ALTER TABLE finding_states DELETE WHERE run IN {runs:Array(UInt64)} AND status != 'closed'", arg); err != nil {
		return 0, fmt.Errorf("delete finding states: %w", err)
	}
	_, err = s.dropParts(ctx, parts)
	return len(runs), err
}

func scanPart(r driver.Rows, p *tablePart) error { return r.Scan(&p.table, &p.partition) }

func (s *Store) dropParts(ctx context.Context, all []tablePart) (int, error) {
	for i, p := range all {
		if strings.Trim(p.partition, "0123456789") != "" {
			return i, fmt.Errorf("table %s has the unexpected partition %q", p.table, p.partition)
		}
		if err := s.exec(ctx, "ALTER TABLE "+p.table+" DROP PARTITION ID '"+p.partition+"'"); err != nil {
			return i, fmt.Errorf("drop partition %s of %s: %w", p.partition, p.table, err)
		}
	}
	return len(all), nil
}
