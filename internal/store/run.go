package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/lapse-audit/lapse/internal/access"
)

//go:embed sql/*.sql
var sqlFiles embed.FS

// InputStatus says how good a source's part in a run is.
type InputStatus string

// A fresh input is a snapshot of this run. A stale one is so too, but of data that is older than the source may be. A
// quarantined one is older, or none, because this run's snapshot was refused.
const (
	InputFresh       InputStatus = "fresh"
	InputStale       InputStatus = "stale"
	InputQuarantined InputStatus = "quarantined"
)

// RunInput is one source's part in a run.
type RunInput struct {
	Source    string
	Name      string
	Type      string
	Roster    bool
	Directory bool   // its accounts are candidates for a person's main directory account
	Snapshot  uint64 // 0: there is none
	Status    InputStatus
	Reason    string // why it isn't fresh

	StaleNights int // runs in a row without a fresh snapshot

	// Filled by the store from the snapshot.
	Taken    time.Time
	AsOf     time.Time // zero: the source doesn't say
	Reads    []string
	Coverage map[string]access.Coverage
}

// RunSpec says what a run is about.
type RunSpec struct {
	Time       time.Time // the run's clock: all ages are counted to it
	RecordedAt time.Time // when it really runs; zero: the store's clock
	Inputs     []RunInput
}

// Run is a run that is being made. Its methods are called in this order, by one goroutine:
//
//	BeginRun → WritePeople → WriteLinks → Number → Edges → WriteClosure →
//	for each kind and slice: BuildSubjects, Subjects → WriteHits, WriteTallies → CarryStates → Publish
//
// Nothing of it is visible before Publish. A run that is not published, for whatever reason, leaves nothing behind but
// what the next BeginRun clears away. One run is made at a time; the caller holds the lease.
type Run struct {
	ID       uint64
	Time     time.Time
	Previous uint64 // the published run whose findings, links and people are carried forward; 0: none
	Inputs   []RunInput

	s            *Store
	recordedAt   time.Time
	previousTime time.Time
	counts       runCounts
	hits         *batch[HitRow]
	written      int      // calls of WriteTallies
	past         int64    // which revisit of a published run this is; 0: the run is being made
	plan         *plan    // of a revisit: what of the subjects is made; nil: all
	spans        sync.Map // what ranges has read, by kind
}

// BeginRun starts a run: it clears away what killed runs left, gives the run the next number, and writes down its inputs.
// The run before is the newest published one whose time isn't later than this one's.
func (s *Store) BeginRun(ctx context.Context, spec RunSpec) (*Run, error) {
	r := &Run{s: s, Time: spec.Time.UTC().Truncate(time.Millisecond), Inputs: spec.Inputs, recordedAt: spec.RecordedAt}
	if r.recordedAt.IsZero() {
		r.recordedAt = s.now()
	}
	if err := r.begin(ctx); err != nil {
		return nil, fmt.Errorf("begin run at %s: %w", r.Time.Format(time.RFC3339), err)
	}
	return r, nil
}

func (r *Run) begin(ctx context.Context) error {
	var last uint64 // of killed runs too: a number is given once
	err := r.s.row(ctx, []any{&last}, "SELECT greatest((SELECT max(run) FROM runs), (SELECT max(run) FROM run_inputs))")
	if err != nil {
		return err
	}
	r.ID = last + 1
	if err := r.s.dropDebris(ctx); err != nil {
		return err
	}
	if err := r.s.emptyWork(ctx); err != nil {
		return err
	}
	if err := r.s.prepareSubjects(ctx); err != nil {
		return err
	}
	err = r.s.row(ctx, []any{&r.Previous, &r.previousTime}, `SELECT run, time FROM runs
		WHERE time <= fromUnixTimestamp64Milli({now:Int64}, 'UTC') ORDER BY time DESC, run DESC LIMIT 1`, instant("now", r.Time))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return r.writeInputs(ctx)
}

// Abandon takes a run away that will not be published. It does nothing to a published one.
func (r *Run) Abandon(ctx context.Context) error {
	var published uint64
	err := r.s.row(ctx, []any{&published}, "SELECT count() FROM runs WHERE run = {run:UInt64}", clickhouse.Named("run", r.ID))
	if err == nil && published == 0 {
		err = r.s.dropRun(ctx, r.ID)
	}
	if err != nil {
		return fmt.Errorf("abandon run %d: %w", r.ID, err)
	}
	return nil
}

// input is a row of run_inputs.
type input struct {
	RunInput
	previousCoverage map[string]string
	previousKnown    bool
}

func (r *Run) writeInputs(ctx context.Context) error {
	b := newBatch(ctx, r.s, "run_inputs", r.token("inputs"), []field[input]{
		column("run", func(*input) uint64 { return r.ID }),
		column("time", func(*input) time.Time { return r.Time }),
		column("source", func(i *input) string { return i.Source }),
		column("name", func(i *input) string { return i.Name }),
		column("type", func(i *input) string { return i.Type }),
		column("roster", func(i *input) bool { return i.Roster }),
		column("directory", func(i *input) bool { return i.Directory }),
		column("snapshot", func(i *input) uint64 { return i.Snapshot }),
		column("taken", func(i *input) *time.Time { return known(i.Taken) }),
		column("as_of", func(i *input) *time.Time { return known(i.AsOf) }),
		column("status", func(i *input) string { return string(i.Status) }),
		column("reason", func(i *input) string { return i.Reason }),
		column("stale_nights", func(i *input) int64 { return int64(i.StaleNights) }),
		column("reads", func(i *input) []string { return i.Reads }),
		column("coverage", func(i *input) map[string]string { return plainCoverage(i.Coverage) }),
		column("previous_coverage", func(i *input) map[string]string { return i.previousCoverage }),
		column("previous_known", func(i *input) bool { return i.previousKnown }),
	})
	pairs := newBatch(ctx, r.s, "work_pairs", r.token("pairs"), []field[pair]{
		column("source", func(p *pair) string { return p.source }),
		column("snapshot", func(p *pair) uint64 { return p.snapshot }),
		column("before_snapshot", func(p *pair) uint64 { return p.beforeSnapshot }),
		column("before_run", func(p *pair) uint64 { return p.beforeRun }),
		column("before_time", func(p *pair) time.Time { return p.beforeTime }),
	})
	described, err := r.describe(ctx)
	if err != nil {
		return err
	}
	before, err := r.before(ctx)
	if err != nil {
		return err
	}
	for n := range described {
		if err := b.put(described[n]); err != nil {
			return err
		}
		i := r.Inputs[n]
		p, ok := before[i.Source]
		if !ok || i.Snapshot == 0 || i.Status != InputFresh || p.beforeSnapshot == i.Snapshot {
			continue
		}
		p.snapshot = i.Snapshot
		if err := pairs.put(p); err != nil {
			return err
		}
	}
	return errors.Join(b.close(), pairs.close())
}

// describe fills in what the snapshots of the inputs say.
func (r *Run) describe(ctx context.Context) ([]input, error) {
	var sources []string
	var snapshots []uint64
	for _, i := range r.Inputs {
		if i.Snapshot != 0 {
			sources, snapshots = append(sources, i.Source), append(snapshots, i.Snapshot)
		}
	}
	type snapshot struct {
		snapshotKey
		taken    time.Time
		asOf     *time.Time
		reads    []string
		coverage map[string]string
	}
	const these = "arrayZip({sources:Array(String)}, {snapshots:Array(UInt64)})"
	named := []any{clickhouse.Named("sources", sources), clickhouse.Named("snapshots", snapshots)}
	all, err := list(ctx, r.s, func(rows driver.Rows, s *snapshot) error {
		return rows.Scan(&s.source, &s.snapshot, &s.taken, &s.asOf, &s.reads, &s.coverage)
	}, "SELECT CAST(source, 'String'), snapshot, taken, as_of, reads, coverage FROM snapshots WHERE (source, snapshot) IN "+these, named...)
	if err != nil {
		return nil, err
	}
	found := make(map[snapshotKey]snapshot, len(all))
	for _, s := range all {
		found[s.snapshotKey] = s
	}
	// A signal that was lost is missed for as long as one of the snapshots before had it, not for one night.
	earlier, err := list(ctx, r.s, func(rows driver.Rows, s *snapshot) error { return rows.Scan(&s.source, &s.coverage) }, `SELECT CAST(b.source, 'String'), b.coverage
		FROM (SELECT source, snapshot, taken, coverage FROM snapshots WHERE status = 'accepted' AND source IN {sources:Array(String)}) AS b
		INNER JOIN (SELECT source, snapshot, taken FROM snapshots WHERE (source, snapshot) IN `+these+`) AS s ON s.source = b.source
		WHERE (b.taken, b.snapshot) < (s.taken, s.snapshot)
		ORDER BY b.taken DESC, b.snapshot DESC LIMIT 7 BY b.source`, named...)
	if err != nil {
		return nil, err
	}
	before := map[string][]map[string]string{}
	for _, s := range earlier {
		before[s.source] = append(before[s.source], s.coverage)
	}
	out := make([]input, len(r.Inputs))
	for n := range r.Inputs {
		i := &r.Inputs[n]
		if i.Snapshot == 0 {
			out[n] = input{RunInput: *i}
			continue
		}
		s, ok := found[snapshotKey{i.Source, i.Snapshot}]
		if !ok {
			return nil, fmt.Errorf("source %s: snapshot %d: %w", i.Source, i.Snapshot, ErrNotFound)
		}
		i.Taken, i.Reads = s.taken, s.reads
		if s.asOf != nil {
			i.AsOf = *s.asOf
		}
		i.Coverage = make(map[string]access.Coverage, len(s.coverage))
		for k, v := range s.coverage {
			i.Coverage[k] = access.Coverage(v)
		}
		out[n] = input{RunInput: *i}
		out[n].previousCoverage, out[n].previousKnown = bestCoverage(before[i.Source]), len(before[i.Source]) > 0
	}
	return out, nil
}

// bestCoverage is the best that any of the snapshots gave, signal by signal.
func bestCoverage(snapshots []map[string]string) map[string]string {
	order := []string{string(access.CoverageNone), string(access.CoveragePartial), string(access.CoverageFull)}
	best := map[string]string{}
	for _, coverage := range snapshots {
		for signal, c := range coverage {
			if was, ok := best[signal]; !ok || slices.Index(order, c) > slices.Index(order, was) {
				best[signal] = c
			}
		}
	}
	return best
}

// pair is a source's snapshot and the one that the last published run used: what changes are found between. beforeRun is
// the last run in which the older one was fresh.
type pair struct {
	source                   string
	snapshot, beforeSnapshot uint64
	beforeRun                uint64
	beforeTime               time.Time
}

// before says by source what pairs begin with: the snapshots that the published runs used last.
func (r *Run) before(ctx context.Context) (map[string]pair, error) {
	all, err := list(ctx, r.s, func(rows driver.Rows, p *pair) error {
		return rows.Scan(&p.source, &p.beforeSnapshot, &p.beforeRun, &p.beforeTime)
	}, `SELECT CAST(source, 'String'), snapshot, run, time FROM run_inputs
		WHERE run IN (SELECT run FROM runs) AND (source, snapshot) IN (
			SELECT source, argMax(snapshot, (time, run)) FROM run_inputs
			WHERE snapshot > 0 AND run IN (SELECT run FROM runs)
				AND (source, snapshot) IN (SELECT source, snapshot FROM snapshots) AND time <= fromUnixTimestamp64Milli({now:Int64}, 'UTC')
			GROUP BY source)
		ORDER BY status = 'fresh' DESC, time DESC, run DESC LIMIT 1 BY source`, instant("now", r.Time))
	if err != nil {
		return nil, err
	}
	out := make(map[string]pair, len(all))
	for _, p := range all {
		out[p.source] = p
	}
	return out, nil
}

// known turns a zero time into an absent one.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func plainCoverage(m map[string]access.Coverage) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[k] = string(v)
	}
	return out
}

// token names one writing of the run for deduplication.
func (r *Run) token(what string) string {
	if r.past != 0 {
		what = fmt.Sprintf("past%d/%s", r.past, what)
	}
	return fmt.Sprintf("run/%s/%d/%s", r.s.id, r.ID, what)
}

// smallBlocks keep an INSERT SELECT from gathering a million rows in memory before it sorts and writes them.
func smallBlocks() clickhouse.Settings {
	return clickhouse.Settings{"min_insert_block_size_rows": 1_048_576, "min_insert_block_size_bytes": 32 << 20, "max_block_size": 16_384}
}

// sqlFile is the text of sql/name.sql.
func sqlFile(name string) string {
	text, err := sqlFiles.ReadFile("sql/" + name + ".sql")
	if err != nil {
		panic("store: " + err.Error())
	}
	return string(text)
}

// do runs sql/name.sql with the run's parameters and those given.
func (r *Run) do(ctx context.Context, name string, more ...driver.NamedValue) error {
	return r.run(ctx, name, sqlFile(name), more...)
}

func (r *Run) run(ctx context.Context, name, text string, more ...driver.NamedValue) error {
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(smallBlocks()))
	if err := r.s.exec(ctx, text, r.parameters(more)...); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (r *Run) parameters(more []driver.NamedValue) []any {
	args := []any{
		clickhouse.Named("run", r.ID), clickhouse.Named("previous", r.Previous),
		instant("now", r.Time), instant("previous_time", r.previousTime),
		clickhouse.Named("run_time", r.Time.Format("2006-01-02T15:04:05.999Z07:00")),
	}
	for _, m := range more {
		args = append(args, m)
	}
	return args
}

// all runs several of the files.
func (r *Run) all(ctx context.Context, names ...string) error {
	for _, name := range names {
		if err := r.do(ctx, name); err != nil {
			return err
		}
	}
	return nil
}
