package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/lapse-audit/lapse/internal/access"
)

func TestRetentionSplit(t *testing.T) {
	oslo := time.FixedZone("Oslo", 2*3600)
	r := Retention{Nights: 3, Months: 3, ChangesMonths: 3, Zone: oslo}
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, oslo)
	runs := []runStamp{
		{1, time.Date(2026, 8, 31, 21, 59, 0, 0, time.UTC), true},    // August in Oslo, and out
		{2, time.Date(2026, 8, 31, 22, 30, 0, 0, time.UTC), true},    // September in Oslo
		{3, time.Date(2026, 9, 30, 21, 30, 0, 0, time.UTC), true},    // the last of September
		{4, time.Date(2026, 9, 30, 22, 30, 0, 0, time.UTC), true},    // October
		{5, time.Date(2026, 10, 31, 2, 0, 0, 0, time.UTC), false},    // incomplete: 4 stays the last of October
		{6, time.Date(2026, 11, 20, 2, 0, 0, 0, time.UTC), true},     // four nights ago
		{7, time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC), true},     // three nights ago, not the last of the night
		{8, time.Date(2026, 11, 21, 21, 59, 0, 0, time.UTC), true},   // the last of the night
		{9, time.Date(2026, 11, 21, 21, 59, 30, 0, time.UTC), false}, // incomplete
		{10, time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC), true},
		{11, time.Date(2026, 11, 22, 22, 30, 0, 0, time.UTC), false}, // today
		{12, time.Date(2026, 11, 22, 23, 30, 0, 0, time.UTC), true},
		{13, time.Date(2026, 11, 23, 0, 30, 0, 0, time.UTC), false}, // after the newest complete one
	}
	kept, unkept := r.split(runs, now)
	wantEqual(t, "kept", kept, []uint64{3, 4, 8, 10, 11, 12, 13})
	wantEqual(t, "unkept", unkept, []uint64{1, 2, 5, 6, 7, 9})

	// Nobody scanned for a year: the newest complete run stays.
	kept, _ = r.split(runs, now.AddDate(1, 0, 0))
	wantEqual(t, "kept a year later", kept, []uint64{12, 13})
	kept, unkept = r.split(nil, now)
	wantEqual(t, "of nothing", len(kept)+len(unkept), 0)
}

// Each night has a run over an accepted snapshot; the first of a month also an earlier run of the night, over a snapshot
// of its own, and a refused snapshot.
func TestPrune(t *testing.T) {
	s := openHTTP(t, openEmbedded(t))
	var runs []runInsert
	collect := func(at time.Time, status SnapshotStatus, accounts int) uint64 {
		w := begin(t, s, "prune", at)
		for j := range accounts {
			put(t, w, access.Account{ID: fmt.Sprint(j)})
		}
		return publish(t, w, status).ID
	}
	evaluate := func(at time.Time, snapshot uint64) {
		runs = append(runs, runInsert{uint64(len(runs) + 1), at, snapshot})
	}
	for _, date := range []string{"2026-09-30", "2026-10-01", "2026-10-30", "2026-10-31", "2026-11-01", "2026-11-17", "2026-11-18", "2026-11-19",
		"2026-11-20", "2026-11-21", "2026-11-22", "2026-11-23"} {
		at := *at(date + "T02:00:00Z")
		if at.Day() == 1 || at.Day() == 19 {
			evaluate(at.Add(-time.Hour), collect(at.Add(-2*time.Hour), Accepted, 1))
			collect(at.Add(-time.Minute), Quarantined, 1)
		}
		evaluate(at.Add(time.Hour), collect(at, Accepted, 2))
	}
	insertRuns(t, s, runs)

	r := Retention{Nights: 5, Months: 2, ChangesMonths: 2}
	p, err := s.Prune(t.Context(), r, night.Add(2*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	left, err := s.Snapshots(t.Context(), SnapshotFilter{Source: "prune"})
	if err != nil {
		t.Fatal(err)
	}
	var days []string
	for _, snap := range left {
		days = append(days, snap.TakenAt.Format("0102 ")+string(snap.Status))
		if n, err := gatherError(s.Accounts(t.Context(), "prune", snap.ID)); err != nil || uint64(n) != snap.Records["accounts"] {
			t.Errorf("snapshot of %s has %d accounts, want %d (%v)", snap.TakenAt, n, snap.Records["accounts"], err)
		}
	}
	slices.Reverse(days)
	wantEqual(t, "snapshots left", days, []string{"1031 accepted", // the last of its month
		"1118 accepted", // compared with, as one of the last 7 (both of the 19th count)
		"1119 accepted", "1119 quarantined", "1119 accepted", "1120 accepted", "1121 accepted", "1122 accepted", "1123 accepted"})
	if p.Runs != 9 || p.Snapshots != 9 || p.Partitions == 0 {
		t.Errorf("pruned %+v, want 9 runs, 9 snapshots and some partitions", p)
	}
	wantCount(t, s, 7*2+1+1, "SELECT count() FROM accounts WHERE source = 'prune'")
	wantCount(t, s, 0, "SELECT count() FROM snapshot_writes WHERE source = 'prune' AND (source, snapshot) NOT IN (SELECT source, snapshot FROM snapshots)")
	wantCount(t, s, 15, "SELECT count() FROM runs")
	wantCount(t, s, 6, "SELECT count() FROM run_links")
	wantCount(t, s, 6, "SELECT count() FROM finding_states WHERE status = 'open'")
	wantCount(t, s, 6, "SELECT count() FROM finding_hits WHERE fingerprint LIKE 'open%'")
	wantCount(t, s, 14, "SELECT count() FROM finding_states WHERE status = 'closed'") // September is too old
	wantCount(t, s, 14, "SELECT count() FROM finding_hits WHERE fingerprint LIKE 'shut%'")
	// Ids known from pruned snapshots stay known.
	wantCount(t, s, 2, "SELECT uniqExact(id_hash) FROM first_seen WHERE source = 'prune' AND kind = 'account'")

	again, err := s.Prune(t.Context(), r, night.Add(2*time.Hour))
	if err != nil || again != (Pruned{}) {
		t.Errorf("pruned again: %+v, %v", again, err)
	}
}

type runInsert struct {
	run      uint64
	time     time.Time
	snapshot uint64
}

// insertRuns writes complete runs over the source prune, each with a link, an open finding and one that it closed.
func insertRuns(t *testing.T, s *Store, runs []runInsert) {
	t.Helper()
	ids, times, snapshots := make([]uint64, len(runs)), make([]int64, len(runs)), make([]uint64, len(runs))
	for i, r := range runs {
		ids[i], times[i], snapshots[i] = r.run, r.time.UnixMilli(), r.snapshot
	}
	for _, statement := range []string{
		"run_inputs (run, time, source, snapshot) SELECT r, at, 'prune', snapshot",
		"run_links (run, source, account) SELECT r, 'prune', '1'",
		"finding_states (run, time, fingerprint, status, hit_run) SELECT r, at, 'open', 'open', r",
		"finding_states (run, time, fingerprint, status, hit_run) SELECT r, at, 'shut' || toString(r), 'closed', r",
		"finding_hits (run, time, fingerprint, policy) SELECT r, at, 'open', 'P'",
		"finding_hits (run, time, fingerprint, policy) SELECT r, at, 'shut' || toString(r), 'P'",
		"runs (run, time, status) SELECT r, at, 'complete'",
	} {
		err := s.exec(t.Context(), "INSERT INTO "+statement+` FROM (
			SELECT arrayJoin(arrayZip({runs:Array(UInt64)}, {times:Array(Int64)}, {snapshots:Array(UInt64)})) AS a,
				a.1 AS r, fromUnixTimestamp64Milli(a.2, 'UTC') AS at, a.3 AS snapshot)`,
			clickhouse.Named("runs", ids), clickhouse.Named("times", times), clickhouse.Named("snapshots", snapshots))
		if err != nil {
			t.Fatal(err)
		}
	}
}

func wantCount(t testing.TB, s *Store, want uint64, query string) {
	t.Helper()
	var n int64
	if err := s.row(t.Context(), []any{&n}, "SELECT toInt64(("+query+"))"); err != nil {
		t.Fatal(err)
	}
	if n != int64(want) {
		t.Errorf("%s = %d, want %d", query, n, want)
	}
}
