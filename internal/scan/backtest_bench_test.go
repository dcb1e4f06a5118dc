package scan

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/policy"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
	"github.com/lapse-audit/lapse/policies"
)

// BenchmarkBacktest judges LAPSE_BENCH_NIGHTS (30) nights of a company of LAPSE_BENCH_ACCOUNTS (100,000, and no more: the nights
// have to be scanned first) accounts again, by one rule after the other (LAPSE_BENCH_RULES), and compares with what scanning the last
// of these nights takes just before, by the rules that are on: in all, and without the reading of the sources. From night to night
// a few thousandths of the accounts, the people and the grants change. No rule flags more than 15% of the company: most people have their accounts
// in different sources, most accounts are used every month, and most hold what their team holds. The nights are kept in
// LAPSE_BENCH_DIR, if it is set, and found there the next time.
func BenchmarkBacktest(b *testing.B) {
	accounts, nights := min(setting(b, "LAPSE_BENCH_ACCOUNTS", 100_000), 100_000), setting(b, "LAPSE_BENCH_NIGHTS", 30)
	dir := os.Getenv("LAPSE_BENCH_DIR")
	if dir == "" {
		dir = b.TempDir()
	}
	pack, err := policy.Load(policy.Options{}, policy.Source{Name: "policies", FS: policies.FS})
	if err != nil {
		b.Fatal(err)
	}
	facts, err := store.Open(b.Context(), store.Options{URL: "embedded:" + dir, Library: engine(b)})
	if err != nil {
		b.Fatal(err)
	}
	defer facts.Close()
	decisions, err := state.Open(b.Context(), state.Options{Path: filepath.Join(dir, "state.db")})
	if err != nil {
		b.Fatal(err)
	}
	defer decisions.Close()
	o := Options{Store: facts, State: decisions, Pack: pack, Actor: state.Actor{ID: "test"}, Holder: "test", Parallel: 1, Lane: LanePrefilter,
		Retention: store.Retention{Nights: 2 * nights, Months: 1, ChangesMonths: 1}, Log: slog.New(slog.DiscardHandler), Progress: silent{}}
	nightly(b, o, accounts, nights)
	runs, err := facts.Runs(b.Context(), store.RunFilter{})
	if err != nil {
		b.Fatal(err)
	}
	runs = slices.DeleteFunc(runs, func(r store.RunInfo) bool { return r.Time.Sub(night)%(24*time.Hour) != 0 }) // that were scanned to measure it
	slices.Reverse(runs)
	if runs = runs[:min(nights, len(runs))]; len(runs) < nights {
		b.Fatal(len(runs))
	}
	rules := strings.Fields(os.Getenv("LAPSE_BENCH_RULES"))
	if len(rules) == 0 {
		rules = []string{"LVR-01", "DOR-01", "MFA-01", "PRV-02", "ORP-03"}
	}
	for _, rule := range rules {
		b.Run(rule, func(b *testing.B) {
			took, scanned, judged := cost{}, cost{}, cost{}
			found := 0
			for range b.N {
				all, judging := nightly(b, o, accounts, nights) // each time: a machine is not always as fast
				scanned, judged = scanned.plus(all), judged.plus(judging)
				before := now(b)
				found = backtestOnce(b, facts, pack, rule, runs)
				took = took.plus(now(b).since(before))
			}
			n := float64(b.N)
			b.ReportMetric(took.cpu.Seconds()/n, "cpu-s")
			b.ReportMetric(took.cpu.Seconds()/scanned.cpu.Seconds(), "x-of-a-scan's-cpu")
			b.ReportMetric(took.cpu.Seconds()/judged.cpu.Seconds(), "x-of-its-judging's-cpu")
			b.ReportMetric(took.wall.Seconds()/scanned.wall.Seconds(), "x-of-a-scan's-time")
			b.ReportMetric(float64(found)/float64(nights), "found-a-night")
		})
	}
}

func backtestOnce(b *testing.B, s *store.Store, pack *policy.Pack, rule string, runs []store.RunInfo) (found int) {
	again := Rejudging{Store: s, Pack: pack, Only: []string{rule}}
	defer again.Close(b.Context())
	for _, run := range runs {
		judged, err := again.Run(b.Context(), run.ID)
		if err != nil {
			b.Fatal(err)
		}
		for _, err := range judged.Failures {
			b.Fatal(err)
		}
		found += len(judged.Results)
	}
	return found
}

// nightly scans as many nights as are not there yet, and says what the last of them took, and what without the reading of sources.
func nightly(b *testing.B, o Options, accounts, nights int) (all, judging cost) {
	b.Helper()
	have, err := o.Store.Runs(b.Context(), store.RunFilter{})
	if err != nil {
		b.Fatal(err)
	}
	for i := max(0, min(len(have), nights-1)); i < nights || i == len(have) && i == nights-1; i++ {
		if i < len(have) { // the last night once more, to measure it
			o.Time = night.AddDate(0, 0, i).Add(time.Duration(len(have)) * time.Minute)
		} else {
			o.Time = night.AddDate(0, 0, i)
		}
		o.Sources = []Source{{UID: "hr", Name: "HR", Type: "file", Roster: true, Limits: collect.DefaultLimits(), Collector: people{accounts / 2, i}}}
		for k := range 4 {
			uid := fmt.Sprintf("s%d", k)
			o.Sources = append(o.Sources, Source{UID: uid, Name: "Source " + uid, Type: "file", Directory: k == 0, EmployeeIDs: []string{"hr"}, Limits: collect.DefaultLimits(), Collector: shop{accounts, k, i}})
		}
		err := o.writing(b.Context(), func(ctx context.Context, l *state.Lease) (err error) {
			var out Outcome
			begun := now(b)
			if out.Collected, err = collectAll(ctx, o); err != nil {
				return err
			}
			read := now(b)
			if err := judgeAll(ctx, o, l, &out); err != nil {
				return err
			}
			all, judging = now(b).since(begun), now(b).since(read)
			b.Logf("night %d: %s, %d open, %.1f s, %.1f s of processor, %.1f without reading %v", i, out.Run.Status, out.Run.Open, all.wall.Seconds(), all.cpu.Seconds(), judging.cpu.Seconds(), out.Run.Reasons)
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return all, judging
}

// changes says whether something is changed from a night on: of all things, three in a thousand each night.
func changes(what string, i, night int) bool {
	for n := 1; n <= night; n++ {
		if mix(what, i, n)%1000 < 3 {
			return true
		}
	}
	return false
}

func mix(what string, i, n int) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range []byte(what) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	for _, v := range []uint64{uint64(i), uint64(n)} {
		h = (h ^ v) * 0x9e3779b97f4a7c15
		h ^= h >> 29
	}
	return h
}

type people struct{ n, night int }

func (p people) Collect(_ context.Context, out collect.Sink) (collect.Provenance, error) {
	start := night.AddDate(-3, 0, 0)
	for i := range p.n {
		r := access.Person{ID: fmt.Sprintf("P%07d", i), RecordID: fmt.Sprintf("P%07d", i), EmployeeID: fmt.Sprintf("E%07d", i), Name: fmt.Sprintf("Person Number %d", i),
			Email: fmt.Sprintf("person.%d@example.com", i), Username: fmt.Sprintf("person%d", i), Kind: "employee", Status: access.PersonActive,
			Department: fmt.Sprintf("Department %d", i%1000), Title: fmt.Sprintf("Title %d", i%300), ManagerID: fmt.Sprintf("P%07d", i/10), StartAt: &start}
		if i%100 == 0 || i%3 == 0 && changes("end", i, p.night) {
			end := night.AddDate(0, 0, -10)
			r.Status, r.EndAt = access.PersonEnded, &end
		}
		if changes("move", i, p.night) {
			r.Department = fmt.Sprintf("Department %d", (i+1)%1000)
		}
		if err := out.Put(r); err != nil {
			return collect.Provenance{}, err
		}
	}
	return collect.Provenance{Reads: []string{string(collect.People)}}, nil
}

// shop is one of four sources with a quarter of the accounts each: five direct grants an account, nested groups, a seat.
type shop struct{ n, source, night int }

func (s shop) Collect(_ context.Context, out collect.Sink) (collect.Provenance, error) {
	var fault error
	put := func(r access.Record) {
		if fault == nil {
			fault = out.Put(r)
		}
	}
	yes := func(v bool) *bool { return &v }
	entitlements := max(s.n/10, 40)
	group := func(e int) string { return fmt.Sprintf("e7f0c2aa-1111-2222-3333-%012d", e/4*4+s.source) }
	for e := s.source; e < entitlements; e += 4 {
		put(access.Entitlement{ID: group(e), Name: fmt.Sprintf("Group of department number %d", e), Kind: "group", Resource: fmt.Sprintf("Resource %d", e%50), Privileged: yes(e%200 == 8), HighRisk: yes(false)})
		if e >= 400 {
			put(access.Grant{HolderKind: access.HolderEntitlement, HolderID: group(e), EntitlementID: group(e / 4 / 10 * 4)})
		}
	}
	for i := s.source; i < s.n; i += 4 {
		id := fmt.Sprintf("0b5d3c1e-7a4f-4e2b-9c6d-%012d", i)
		owner := s.owner(i)
		created, login := night.AddDate(0, 0, -100-i%1000), night.AddDate(0, 0, -int(mix("login", i, 0)%30))
		if i%8 == 0 {
			login = night.AddDate(0, 0, -int(mix("login", i, 0)%95))
		}
		if changes("login", i, s.night) {
			login = night.AddDate(0, 0, s.night)
		}
		password := created.AddDate(0, 0, i%90)
		put(access.Account{ID: id, Username: fmt.Sprintf("user%d", i), Email: fmt.Sprintf("user%d@example.com", i), Name: fmt.Sprintf("User Number %d", i),
			EmployeeID: fmt.Sprintf("E%07d", owner), Kind: access.KindHuman, Enabled: yes(!changes("disabled", i, s.night)), MFA: yes(i%50 > 0), PasswordNeverExpires: yes(false),
			CreatedAt: &created, LastLoginAt: &login, PasswordChangedAt: &password,
			Attributes: map[string]string{"dn": fmt.Sprintf("CN=User %d,OU=People,DC=example,DC=com", i)}})
		granted := night.AddDate(0, 0, -i%100)
		held := map[string]bool{}
		for k := range 5 {
			e := int(mix("team", owner%1000, k) % uint64(entitlements))
			if changes("grant", 5*i+k, s.night) || k < 2 && i%10 == 0 {
				e = int(mix("own", i, k) % uint64(entitlements))
			}
			if !held[group(e)] {
				held[group(e)] = true
				put(access.Grant{HolderKind: access.HolderAccount, HolderID: id, EntitlementID: group(e), GrantedAt: &granted})
			}
		}
		put(access.Seat{AccountID: id, SKU: "suite", LastUsedAt: &login})
	}
	price := access.License{SKU: "suite", Product: "Suite", CostMonth: "20", Currency: "USD"}
	put(price)
	reads := []string{string(collect.Accounts), string(collect.Entitlements), string(collect.Grants), string(collect.Licenses), string(collect.Seats)}
	return collect.Provenance{Reads: reads}, fault
}

// owner is the person whom an account belongs to.
func (s shop) owner(i int) int {
	person := i % (s.n / 2)
	if i != person && person%50 > 0 { // the second account of most people is in the next source
		person = (person + 1) % (s.n / 2)
	}
	return person
}

// cost is time on the clock and of the processor.
type cost struct{ wall, cpu time.Duration }

func now(b *testing.B) cost {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return cost{time.Duration(time.Now().UnixNano()), time.Duration(u.Utime.Nano() + u.Stime.Nano())}
}

func (c cost) since(before cost) cost { return cost{c.wall - before.wall, c.cpu - before.cpu} }
func (c cost) plus(o cost) cost       { return cost{c.wall + o.wall, c.cpu + o.cpu} }

func setting(b *testing.B, name string, otherwise int) int {
	b.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatal(err)
	}
	return n
}
