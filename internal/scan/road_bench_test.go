package scan

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/policy"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
	"github.com/lapse-audit/lapse/internal/store/storetest"
	"github.com/lapse-audit/lapse/policies"
)

// BenchmarkRoad goes the whole road from published snapshots to a published run, by the whole pack in the prefilter lane, for
// companies of 10,000 and 100,000 accounts, and of LAPSE_BENCH_ACCOUNTS if that is more. It reports the processor time of each
// part and in all, for the first night and for the second, which carries on what the first has found; the greatest memory; and
// how much dearer it is than SQL that somebody has written by hand to make the same account subjects and count the findings of
// some of the policies. Run it with -benchtime=1x.
func BenchmarkRoad(b *testing.B) {
	for _, n := range storetest.Sizes(b) {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			r := newRoad(b, n)
			for range b.N {
				r.night(b, 1)
				r.night(b, 2)
				r.byHand(b)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkRoadManyNights goes the road on the second night, and on one before which the store has kept 35 nights: it should
// cost the same.
func BenchmarkRoadManyNights(b *testing.B) {
	const accounts, kept = 20_000, 35
	for range b.N {
		r := newRoad(b, accounts)
		r.night(b, 1)
		r.night(b, 2)
		r.company.Repeat(r.beside, 2, kept)
		r.night(b, kept+1)
		b.ReportMetric(r.cost[kept+1].Seconds()/r.cost[2].Seconds(), "x_of_second_night")
	}
	b.ReportMetric(0, "ns/op")
}

// road is a company with a store of its own.
type road struct {
	company storetest.Company
	beside  *storetest.Beside
	facts   *store.Store
	state   *state.State
	pack    *policy.Pack
	cost    map[int]time.Duration
	found   map[string]uint64 // findings of the first night, by policy
}

func newRoad(b *testing.B, accounts int) *road {
	b.Helper()
	library := os.Getenv("LAPSE_LIBCHDB")
	if library == "" {
		b.Skip("LAPSE_LIBCHDB is not set: run `make bench`")
	}
	ctx, dir := b.Context(), b.TempDir()
	r := &road{company: storetest.Company{Accounts: accounts, Night: night}, cost: map[int]time.Duration{}}
	var err error
	if r.facts, err = store.Open(ctx, store.Options{URL: "embedded:" + dir, Library: library}); err != nil {
		b.Fatal(err)
	}
	if r.state, err = state.Open(ctx, state.Options{Path: filepath.Join(dir, "state.db")}); err != nil {
		b.Fatal(err)
	}
	r.beside = storetest.NewBeside(b, dir)
	b.Cleanup(func() {
		if err := r.facts.Close(); err != nil {
			b.Error(err)
		}
		if err := r.state.Close(); err != nil {
			b.Error(err)
		}
	})
	r.pack = wholePack(b)
	return r
}

// wholePack are all shipped policies, enabled.
func wholePack(b *testing.B) *policy.Pack {
	b.Helper()
	shipped := policy.Source{Name: "policies", FS: policies.FS}
	pack, err := policy.Load(policy.Options{}, shipped)
	if err != nil {
		b.Fatal(err)
	}
	on, all := true, map[string]policy.Override{}
	for _, p := range pack.Policies() {
		all[p.ID] = policy.Override{Enabled: &on}
	}
	if pack, err = policy.Load(policy.Options{Overrides: all}, shipped); err != nil {
		b.Fatal(err)
	}
	return pack
}

// night publishes the snapshots of a night and goes the road.
func (r *road) night(b *testing.B, number int) {
	b.Helper()
	ctx := b.Context()
	b.StopTimer()
	r.company.Publish(r.beside, number)
	var collected []Collected
	add := func(s Source) {
		s.Type = "file"
		collected = append(collected, Collected{Source: s, Snapshot: store.Snapshot{ID: uint64(number)}, Verdict: collect.Verdict{Accepted: true}})
	}
	add(Source{UID: storetest.Roster, Name: "HR", Roster: true})
	for i, uid := range storetest.Sources() {
		add(Source{UID: uid, Name: "App", Directory: i == 0, EmployeeIDs: []string{storetest.Roster}})
	}
	runtime.GC()
	resetPeak(b)
	b.StartTimer()
	wall := time.Now()
	laps := &laps{b: b, last: spent(), name: "beginning", begun: wall}
	o := Options{Time: night.AddDate(0, 0, number-1), Store: r.facts, State: r.state, Pack: r.pack, Actor: state.Actor{ID: "bench"}, Holder: "bench",
		Lane: LanePrefilter, Backlog: 30 * 24 * time.Hour, Retention: store.DefaultRetention(), Log: slog.New(slog.DiscardHandler), Progress: laps}
	for _, c := range collected {
		o.Sources = append(o.Sources, c.Source)
	}
	out := Outcome{Collected: collected}
	if err := o.writing(ctx, func(ctx context.Context, l *state.Lease) error { return judgeAll(ctx, o, l, &out) }); err != nil {
		b.Fatal(err)
	}
	laps.Phase("", 0)
	b.StopTimer()
	if out.Run.Status != store.RunComplete || out.Run.Accounts != uint64(r.company.Accounts) {
		b.Fatalf("run %d is %s %v over %d accounts", out.Run.ID, out.Run.Status, out.Run.Reasons, out.Run.Accounts)
	}
	r.cost[number] = laps.all
	if r.found == nil {
		r.found = r.findings(b, out.Run)
	}
	b.Logf("night %d: %d accounts, %d direct and %d effective grants, %d seats; %d findings, %d new, %d closed; %.2f s of processor, %.2f s, peak %d MB",
		number, out.Run.Accounts, out.Run.Grants, out.Run.Effective, out.Run.Seats, out.Run.Open, out.Run.New, out.Run.Closed, laps.all.Seconds(),
		time.Since(wall).Seconds(), laps.peak)
	b.ReportMetric(float64(laps.all.Microseconds())/float64(r.company.Accounts), fmt.Sprintf("µs/account_night_%d", number))
	b.ReportMetric(float64(laps.peak), fmt.Sprintf("peak-MB_night_%d", number))
}

// findings counts a run's findings by policy, and reports how many of its accounts are flagged.
func (r *road) findings(b *testing.B, run store.RunInfo) map[string]uint64 {
	b.Helper()
	tallies, err := r.facts.Tallies(b.Context(), run.ID)
	if err != nil {
		b.Fatal(err)
	}
	flagged := map[string]uint64{}
	for _, t := range tallies {
		flagged[t.Policy] += t.Flagged
	}
	accounts := r.beside.Numbers("SELECT uniqExact(source, subject) FROM finding_hits WHERE subject_kind = 'account'")[0]
	b.Logf("%.1f%% of the accounts are flagged: %v", 100*float64(accounts)/float64(run.Accounts), flagged)
	b.ReportMetric(100*float64(accounts)/float64(run.Accounts), "%flagged")
	found := map[string]uint64{}
	for _, id := range storetest.Written() {
		found[id] = r.beside.Numbers("SELECT count() FROM finding_hits WHERE policy = {policy:String}", storetest.Named("policy", id))[0]
	}
	return found
}

// byHand makes the first night's subjects by hand-written SQL and compares what it counts, and what it costs.
func (r *road) byHand(b *testing.B) {
	b.Helper()
	runtime.GC()
	resetPeak(b)
	wall := time.Now()
	start := spent()
	last := start
	hand := storetest.NewHand(r.beside, r.company, func(step string) {
		b.Logf("  by hand, %s: %.2f s", step, (spent() - last).Seconds())
		last = spent()
	})
	hand.Make()
	counts := hand.Count()
	took := spent() - start
	b.Logf("by hand: %s; %.2f s of processor, %.2f s, peak %d MB", hand.Size(), took.Seconds(), time.Since(wall).Seconds(), peak(b)>>20)
	b.ReportMetric(float64(took.Microseconds())/float64(r.company.Accounts), "µs/account_by_hand")
	var differ []string
	for i, id := range storetest.Written() {
		if counts[i] != r.found[id] {
			differ = append(differ, fmt.Sprintf("%s %d, by hand %d", id, r.found[id], counts[i]))
		}
	}
	if differ != nil {
		b.Fatalf("findings differ: %s", strings.Join(differ, "; "))
	}
	for _, n := range slices.Sorted(maps.Keys(r.cost)) {
		b.ReportMetric(r.cost[n].Seconds()/took.Seconds(), fmt.Sprintf("x_dearer_than_sql_night_%d", n))
	}
}

// laps reports the parts of a scan as they go by.
type laps struct {
	silent
	b     *testing.B
	name  string
	begun time.Time
	last  time.Duration
	all   time.Duration
	peak  int64 // in MB
}

func (l *laps) Phase(name string, _ int) {
	now, top := spent(), peak(l.b)>>20
	l.b.Logf("  %s: %.2f s of processor, %.2f s, peak %d MB", l.name, (now - l.last).Seconds(), time.Since(l.begun).Seconds(), top)
	resetPeak(l.b)
	l.peak, l.begun = max(l.peak, top), time.Now()
	l.all += now - l.last
	l.name, l.last = name, now
}

// spent is the processor time that the process has used.
func spent() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// resetPeak starts the kernel's measuring of the greatest memory anew (proc(5), clear_refs).
func resetPeak(b *testing.B) {
	b.Helper()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		b.Log(err)
	}
}

// peak is the process's greatest resident memory in bytes since resetPeak, 0 where the system doesn't say.
func peak(b *testing.B) int64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return kb << 10
		}
	}
	return 0
}
