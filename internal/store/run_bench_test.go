package store

import (
	"fmt"
	"iter"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
)

// BenchmarkSubjects builds and reads all account subjects of a made-up company: LAPSE_BENCH_ACCOUNTS accounts (100,000 by
// default) in four sources, half as many people, a tenth as many entitlements, five direct grants an account and about
// fifteen effective ones. It reports the time of each part and the process's greatest memory. Run it with -benchtime=1x.
func BenchmarkSubjects(b *testing.B) {
	n := 100_000
	if text := os.Getenv("LAPSE_BENCH_ACCOUNTS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	s := openEmbedded(b)
	inputs := largeCompany(b, s, n)
	resetPeak(b)
	b.ResetTimer()
	for range b.N {
		benchmarkRun(b, s, n, inputs)
	}
	b.ReportMetric(float64(peak(b))/(1<<20), "peak-MB")
}

func benchmarkRun(b *testing.B, s *Store, n int, inputs []RunInput) {
	ctx := b.Context()
	check := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	last, used := time.Now(), processor(b)
	lap := func(what string) {
		b.ReportMetric(time.Since(last).Seconds(), what+"-s")
		b.Logf("%s: %.2f s (%.2f s of processor), peak %d MB", what, time.Since(last).Seconds(), processor(b)-used, peak(b)>>20)
		used = processor(b)
		last = time.Now()
	}
	r, err := s.BeginRun(ctx, RunSpec{Time: night, Inputs: inputs})
	check(err)
	check(r.WritePeople(ctx, manyPeople(n/2)))
	lap("people")
	check(r.WriteLinks(ctx, manyLinks(n)))
	lap("links")
	check(r.Number(ctx))
	lap("number")
	var edges []Edge
	for e, err := range r.Edges(ctx) {
		check(err)
		edges = append(edges, e)
	}
	check(r.WriteClosure(ctx, each(closeNesting(edges))))
	lap("effective")
	slices, err := r.Slices(ctx, access.SubjectAccount)
	check(err)
	for slice := range slices {
		check(r.BuildSubjects(ctx, access.SubjectAccount, slice))
	}
	lap("build")
	rows, grants := 0, 0
	at := columnAt(access.SubjectAccount, "grants_entitlement_id")
	for slice := range slices {
		for row, err := range r.Subjects(ctx, access.SubjectAccount, slice) {
			check(err)
			rows++
			grants += len(row[at].([]string))
		}
	}
	lap("read")
	var hits []HitRow
	for i := range n / 7 {
		h := HitRow{Severity: finding.Medium, Category: "DOR", Title: "Dormant account", Name: fmt.Sprintf("user%d", i), Person: fmt.Sprintf("hr:P%07d", i)}
		h.Policy, h.Message = "DOR-01", fmt.Sprintf("user%d has not signed in for a long time", i)
		h.Subject = finding.Subject{Kind: access.SubjectAccount, Source: fmt.Sprintf("s%d", i%4), ID: accountID(i)}
		if hits = append(hits, h); len(hits) == 1000 {
			check(r.WriteHits(ctx, hits))
			hits = hits[:0]
		}
	}
	check(r.WriteHits(ctx, hits))
	check(r.CarryStates(ctx, Carry{Policies: []RunPolicy{{ID: "DOR-01", Hash: "1"}}}))
	_, err = r.Publish(ctx, RunComplete, nil)
	check(err)
	lap("findings")
	b.Logf("%d slices, %d subjects, %d effective grants", slices, rows, grants)
	if rows != n || grants < 10*n {
		b.Fatalf("read %d subjects with %d grants", rows, grants)
	}
}

func columnAt(kind access.SubjectKind, name string) int {
	for i, c := range access.SchemaOf(kind).Columns() {
		if c.Name == name {
			return i
		}
	}
	panic("no column " + name)
}

func manyPeople(n int) iter.Seq2[access.Identity, error] {
	start := night.AddDate(-3, 0, 0)
	return func(yield func(access.Identity, error) bool) {
		for i := range n {
			p := worker(access.Person{ID: fmt.Sprintf("P%07d", i), EmployeeID: fmt.Sprintf("E%07d", i), Name: fmt.Sprintf("Person Number %d", i),
				Email: fmt.Sprintf("person.%d@example.com", i), Username: fmt.Sprintf("person%d", i), Kind: "employee", Status: access.PersonActive,
				Department: fmt.Sprintf("Department %d", i%1000), Title: fmt.Sprintf("Title %d", i%300), ManagerID: fmt.Sprintf("P%07d", i/10), StartAt: &start})
			if !yield(p, nil) {
				return
			}
		}
	}
}

// accountID is what the SQL of largeCompany makes.
func accountID(i int) string { return fmt.Sprintf("0b5d3c1e-7a4f-4e2b-9c6d-%012d", i) }

func manyLinks(n int) iter.Seq2[access.Link, error] {
	return func(yield func(access.Link, error) bool) {
		for i := range n {
			if !yield(linked(fmt.Sprintf("s%d", i%4), accountID(i), fmt.Sprintf("hr:P%07d", i%(n/2))), nil) {
				return
			}
		}
	}
}

// largeCompany makes the snapshots inside the engine.
func largeCompany(b *testing.B, s *Store, n int) []RunInput {
	b.Helper()
	ctx := b.Context()
	entitlements := max(n/10, 40)
	do := func(query string) {
		b.Helper()
		if err := s.exec(ctx, query, clickhouse.Named("n", uint64(n)), clickhouse.Named("e", uint64(entitlements)), instant("taken", night)); err != nil {
			b.Fatal(err)
		}
	}
	const taken = "fromUnixTimestamp64Milli({taken:Int64}, 'UTC')"
	do(`INSERT INTO accounts (source, snapshot, taken, id, username, username_key, email, email_key, name, employee_id, kind, enabled, mfa,
			created_at, last_login_at, attributes, attributes_known)
		SELECT concat('s', toString(number % 4)), 1, ` + taken + `, concat('0b5d3c1e-7a4f-4e2b-9c6d-', leftPad(toString(number), 12, '0')),
			concat('user', toString(number)), concat('user', toString(number)), concat('user', toString(number), '@example.com'), '',
			concat('User Number ', toString(number)), toString(number), 'human', true, number % 2 = 0,
			` + taken + ` - toIntervalDay(number % 1000), ` + taken + ` - toIntervalHour(number % 4000),
			map('dn', concat('CN=User ', toString(number), ',OU=People,DC=example,DC=com')), true
		FROM numbers({n:UInt64})`)
	do(`INSERT INTO entitlements (source, snapshot, taken, id, name, kind, resource, privileged)
		SELECT concat('s', toString(number % 4)), 1, ` + taken + `, concat('e7f0c2aa-1111-2222-3333-', leftPad(toString(number), 12, '0')),
			concat('Group of department number ', toString(number)), 'group', concat('Resource ', toString(number % 50)), number % 20 = 0
		FROM numbers({e:UInt64})`)
	do(`INSERT INTO grants (source, snapshot, taken, holder_kind, holder_id, entitlement_id, granted_at)
		SELECT concat('s', toString(account % 4)), 1, ` + taken + `, 'account', concat('0b5d3c1e-7a4f-4e2b-9c6d-', leftPad(toString(account), 12, '0')),
			concat('e7f0c2aa-1111-2222-3333-', leftPad(toString(entitlement), 12, '0')), ` + taken + ` - toIntervalDay(number % 100)
		FROM (
			SELECT number, intDiv(number, 5) AS account,
				intDiv(if(number % 5 < 2, cityHash64(number) % {e:UInt64}, cityHash64(account % 1000, number % 5) % {e:UInt64}), 4) * 4 + account % 4 AS entitlement
			FROM numbers(5 * {n:UInt64}))`)
	do(`INSERT INTO grants (source, snapshot, taken, holder_kind, holder_id, entitlement_id)
		SELECT concat('s', toString(number % 4)), 1, ` + taken + `, 'entitlement', concat('e7f0c2aa-1111-2222-3333-', leftPad(toString(number), 12, '0')),
			concat('e7f0c2aa-1111-2222-3333-', leftPad(toString(intDiv(intDiv(number, 4), 10) * 4 + number % 4), 12, '0'))
		FROM numbers({e:UInt64}) WHERE number >= 40`)
	do(`INSERT INTO seats (source, snapshot, taken, account_id, sku, last_used_at)
		SELECT concat('s', toString(number % 4)), 1, ` + taken + `, concat('0b5d3c1e-7a4f-4e2b-9c6d-', leftPad(toString(number), 12, '0')), 'suite',
			` + taken + ` - toIntervalDay(number % 300) FROM numbers({n:UInt64})`)
	for _, h := range hashes {
		do(`INSERT INTO first_seen (source, kind, id_hash, first_seen, snapshot)
			SELECT source, '` + h.kind + `', ` + h.hash + `, taken - toIntervalDay(30), 1 FROM ` + h.table)
	}
	do(`INSERT INTO snapshots (source, snapshot, taken, recorded_at, name, type, status, reads)
		SELECT concat('s', toString(number)), 1, ` + taken + `, ` + taken + `, 'Source', 'file', 'accepted',
			['accounts', 'entitlements', 'grants', 'seats'] FROM numbers(4)`)
	do(`INSERT INTO snapshots (source, snapshot, taken, recorded_at, name, type, roster, status, reads)
		SELECT 'hr', 1, ` + taken + `, ` + taken + `, 'HR', 'file', true, 'accepted', ['people']`)
	inputs := []RunInput{{Source: "hr", Name: "HR", Type: "file", Roster: true, Snapshot: 1, Status: InputFresh}}
	for i := range 4 {
		inputs = append(inputs, RunInput{Source: fmt.Sprintf("s%d", i), Name: "Source", Type: "file", Directory: i == 0, Snapshot: 1, Status: InputFresh})
	}
	return inputs
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

// processor is the processor time that the process has used, in seconds.
func processor(b *testing.B) float64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}
