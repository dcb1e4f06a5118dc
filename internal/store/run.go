package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"
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
	written      int   // calls of WriteTallies
	past         int64 // which revisit of a published run this is; 0: the run is being made
	plan         *plan // of a revisit: what of the subjects is made; nil: all
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
	for n := range r.Inputs {
		in, err := r.describe(ctx, &r.Inputs[n])
		if err != nil {
			return fmt.Errorf("source %s: %w", r.Inputs[n].Source, err)
		}
		if err := b.put(in); err != nil {
			return err
		}
		p, err := r.pair(ctx, r.Inputs[n])
		if err != nil {
			return fmt.Errorf("source %s: %w", r.Inputs[n].Source, err)
		}
		if p.beforeSnapshot != 0 && p.beforeSnapshot != p.snapshot {
			if err := pairs.put(p); err != nil {
				return err
			}
		}
	}
	return errors.Join(b.close(), pairs.close())
}

// describe fills in what the snapshot of an input says.
func (r *Run) describe(ctx context.Context, i *RunInput) (input, error) {
	if i.Snapshot == 0 {
		return input{RunInput: *i}, nil
	}
	var asOf *time.Time
	var coverage map[string]string
	err := r.s.row(ctx, []any{&i.Taken, &asOf, &i.Reads, &coverage}, `SELECT taken, as_of, reads, coverage FROM snapshots
		WHERE source = {source:String} AND snapshot = {snapshot:UInt64}`,
		clickhouse.Named("source", i.Source), clickhouse.Named("snapshot", i.Snapshot))
	if err != nil {
		return input{}, fmt.Errorf("snapshot %d: %w", i.Snapshot, err)
	}
	if asOf != nil {
		i.AsOf = *asOf
	}
	i.Coverage = make(map[string]access.Coverage, len(coverage))
	for k, v := range coverage {
		i.Coverage[k] = access.Coverage(v)
	}
	in := input{RunInput: *i}
	// A signal that was lost is missed for as long as one of the snapshots before had it, not for one night.
	before, err := list(ctx, r.s, func(rows driver.Rows, c *map[string]string) error { return rows.Scan(c) }, `SELECT coverage FROM snapshots
		WHERE source = {source:String} AND status = 'accepted'
			AND (taken, snapshot) < (fromUnixTimestamp64Milli({taken:Int64}, 'UTC'), {snapshot:UInt64})
		ORDER BY taken DESC, snapshot DESC LIMIT 7`,
		clickhouse.Named("source", i.Source), clickhouse.Named("snapshot", i.Snapshot), instant("taken", i.Taken))
	if err != nil {
		return input{}, err
	}
	in.previousCoverage, in.previousKnown = bestCoverage(before), len(before) > 0
	return in, nil
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

func (r *Run) pair(ctx context.Context, i RunInput) (pair, error) {
	p := pair{source: i.Source, snapshot: i.Snapshot}
	if i.Snapshot == 0 || i.Status != InputFresh {
		return p, nil
	}
	err := r.s.row(ctx, []any{&p.beforeSnapshot, &p.beforeRun, &p.beforeTime}, `
		WITH (SELECT argMax(snapshot, (time, run)) FROM run_inputs
			WHERE source = {source:String} AND snapshot > 0 AND run IN (SELECT run FROM runs)
				AND (source, snapshot) IN (SELECT source, snapshot FROM snapshots) AND time <= fromUnixTimestamp64Milli({now:Int64}, 'UTC')) AS before
		SELECT snapshot, run, time FROM run_inputs
		WHERE source = {source:String} AND snapshot = before AND run IN (SELECT run FROM runs)
		ORDER BY status = 'fresh' DESC, time DESC, run DESC LIMIT 1`,
		clickhouse.Named("source", i.Source), instant("now", r.Time))
	if errors.Is(err, ErrNotFound) {
		return p, nil
	}
	return p, err
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
	return clickhouse.Settings{"min_insert_block_size_rows": 131_072, "min_insert_block_size_bytes": 32 << 20, "max_block_size": 16_384}
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
