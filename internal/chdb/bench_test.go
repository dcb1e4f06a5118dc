//go:build (linux || darwin) && (amd64 || arm64) && !noembedded

package chdb

import (
	"fmt"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	native "github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

// wide is the shape of an account: 25 columns of the kinds that a snapshot stores.
var wide = []struct{ name, typ, expr string }{
	{"snapshot", "UInt64", "toUInt64(7)"},
	{"source", "LowCardinality(String)", "'corp-ad'"},
	{"id", "String", "concat('S-1-5-21-', toString(number * 7919))"},
	{"username", "String", "concat('user', toString(number))"},
	{"username_folded", "String", "concat('user', toString(number))"},
	{"email", "String", "concat('user', toString(number), '@example.com')"},
	{"display_name", "String", "concat('Given Family ', toString(number))"},
	{"kind", "LowCardinality(String)", "['human', 'service', 'shared', 'unknown'][number % 4 + 1]"},
	{"enabled", "Nullable(Bool)", "number % 3 = 0 ? NULL : toBool(number % 2)"},
	{"privileged", "Nullable(Bool)", "toBool(number % 20 = 0)"},
	{"external", "Nullable(Bool)", "toBool(number % 11 = 0)"},
	{"mfa", "Nullable(Bool)", "number % 5 = 0 ? NULL : toBool(1)"},
	{"break_glass", "Bool", "false"},
	{"legal_hold", "Bool", "false"},
	{"created", "Nullable(DateTime64(3, 'UTC'))", "toDateTime64('2024-01-01 00:00:00', 3, 'UTC') + toIntervalSecond(number)"},
	{"last_login", "Nullable(DateTime64(3, 'UTC'))", "number % 4 = 0 ? NULL : toDateTime64('2026-01-01 00:00:00', 3, 'UTC') + toIntervalSecond(number)"},
	{"password_changed", "Nullable(DateTime64(3, 'UTC'))", "toDateTime64('2025-01-01 00:00:00', 3, 'UTC') + toIntervalSecond(number)"},
	{"expires", "Nullable(DateTime64(3, 'UTC'))", "NULL"},
	{"first_seen", "DateTime64(3, 'UTC')", "toDateTime64('2026-06-01 00:00:00', 3, 'UTC')"},
	{"employee_id", "Nullable(String)", "number % 6 = 0 ? NULL : toString(number)"},
	{"department", "LowCardinality(String)", "concat('department ', toString(number % 200))"},
	{"manager", "String", "concat('user', toString(number % 5000))"},
	{"dn", "String", "concat('CN=user', toString(number), ',OU=', toString(number % 200), ',DC=corp,DC=example,DC=com')"},
	{"aliases", "Array(String)", "[concat('u', toString(number))]"},
	{"attributes", "Map(LowCardinality(String), String)", "map('office', toString(number % 50))"},
}

func wideList(f func(name, typ, expr string) string) string {
	var out []string
	for _, c := range wide {
		out = append(out, f(c.name, c.typ, c.expr))
	}
	return strings.Join(out, ", ")
}

func sumOf(table string) string {
	return "SELECT toString((count(), sum(cityHash64(toString(tuple(*)))))) FROM " + table
}

// accounts has the values by column, as a collector that fills columns has them.
type accounts struct {
	n          int
	snapshot   []uint64
	text       map[string][]string
	flag       map[string][]bool
	maybe      map[string][]*bool
	when       map[string][]*time.Time
	firstSeen  []time.Time
	employee   []*string
	aliases    [][]string
	attributes []map[string]string
}

func makeAccounts(n int) *accounts {
	a := &accounts{n: n, text: map[string][]string{}, flag: map[string][]bool{}, maybe: map[string][]*bool{}, when: map[string][]*time.Time{}}
	yes, no := true, false
	pick := func(b bool) *bool {
		if b {
			return &yes
		}
		return &no
	}
	at := func(year, i int) *time.Time {
		t := time.Date(year, 1, 1, 0, 0, i, 0, time.UTC)
		return &t
	}
	put := func(m map[string][]string, k, v string) { m[k] = append(m[k], v) }
	for i := range n {
		a.snapshot = append(a.snapshot, 7)
		user := fmt.Sprint("user", i)
		put(a.text, "source", "corp-ad")
		put(a.text, "id", fmt.Sprint("S-1-5-21-", i*7919))
		put(a.text, "username", user)
		put(a.text, "username_folded", user)
		put(a.text, "email", user+"@example.com")
		put(a.text, "display_name", fmt.Sprint("Given Family ", i))
		put(a.text, "kind", []string{"human", "service", "shared", "unknown"}[i%4])
		put(a.text, "department", fmt.Sprint("department ", i%200))
		put(a.text, "manager", fmt.Sprint("user", i%5000))
		put(a.text, "dn", fmt.Sprintf("CN=user%d,OU=%d,DC=corp,DC=example,DC=com", i, i%200))
		enabled, mfa, login, employee := pick(i%2 == 1), pick(true), at(2026, i), fmt.Sprint(i)
		if i%3 == 0 {
			enabled = nil
		}
		if i%5 == 0 {
			mfa = nil
		}
		if i%4 == 0 {
			login = nil
		}
		a.maybe["enabled"] = append(a.maybe["enabled"], enabled)
		a.maybe["privileged"] = append(a.maybe["privileged"], pick(i%20 == 0))
		a.maybe["external"] = append(a.maybe["external"], pick(i%11 == 0))
		a.maybe["mfa"] = append(a.maybe["mfa"], mfa)
		a.flag["break_glass"] = append(a.flag["break_glass"], false)
		a.flag["legal_hold"] = append(a.flag["legal_hold"], false)
		a.when["created"] = append(a.when["created"], at(2024, i))
		a.when["last_login"] = append(a.when["last_login"], login)
		a.when["password_changed"] = append(a.when["password_changed"], at(2025, i))
		a.when["expires"] = append(a.when["expires"], nil)
		a.firstSeen = append(a.firstSeen, time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC))
		if i%6 == 0 {
			a.employee = append(a.employee, nil)
		} else {
			a.employee = append(a.employee, &employee)
		}
		a.aliases = append(a.aliases, []string{fmt.Sprint("u", i)})
		a.attributes = append(a.attributes, map[string]string{"office": fmt.Sprint(i % 50)})
	}
	return a
}

func (a *accounts) column(name string, from, to int) any {
	switch name {
	case "snapshot":
		return a.snapshot[from:to]
	case "first_seen":
		return a.firstSeen[from:to]
	case "employee_id":
		return a.employee[from:to]
	case "aliases":
		return a.aliases[from:to]
	case "attributes":
		return a.attributes[from:to]
	}
	if v, ok := a.text[name]; ok {
		return v[from:to]
	}
	if v, ok := a.flag[name]; ok {
		return v[from:to]
	}
	if v, ok := a.maybe[name]; ok {
		return v[from:to]
	}
	return a.when[name][from:to]
}

func (a *accounts) row(i int) []any {
	out := make([]any, len(wide))
	for c, col := range wide {
		switch v := a.column(col.name, i, i+1).(type) {
		case []uint64:
			out[c] = v[0]
		case []string:
			out[c] = v[0]
		case []bool:
			out[c] = v[0]
		case []*bool:
			out[c] = v[0]
		case []*time.Time:
			out[c] = v[0]
		case []time.Time:
			out[c] = v[0]
		case []*string:
			out[c] = v[0]
		case [][]string:
			out[c] = v[0]
		case []map[string]string:
			out[c] = v[0]
		}
	}
	return out
}

// BenchmarkInsertAccounts stores wide rows through the driver: by row, by column, and by column with the next batch
// filled while the last one is sent. x-insert-select is the time against INSERT SELECT of the same rows, taken in turn;
// x-cpu the same of processor time.
func BenchmarkInsertAccounts(b *testing.B) {
	const n = 200_000
	e := openEngine(b, Options{})
	c := inDatabase(b, e.ClientOptions())
	create := func(table string) {
		run(b, c, "CREATE OR REPLACE TABLE "+table+" ("+wideList(func(name, typ, _ string) string { return name + " " + typ })+
			") ENGINE = MergeTree ORDER BY (source, snapshot, id)")
	}
	create("origin")
	run(b, c, fmt.Sprintf("INSERT INTO origin SELECT %s FROM numbers(%d)", wideList(func(_, _, expr string) string { return expr }), n))
	into := "INSERT INTO target (" + wideList(func(name, _, _ string) string { return name }) + ")"
	data := makeAccounts(n)

	var rows [][]any
	byRow := func(in driver.Batch, from, to int) error {
		for i := from; i < to; i++ {
			if err := in.Append(rows[i]...); err != nil {
				return err
			}
		}
		return nil
	}
	byColumn := func(in driver.Batch, from, to int) error {
		for i, col := range wide {
			if err := in.Column(i).Append(data.column(col.name, from, to)); err != nil {
				return fmt.Errorf("%s: %w", col.name, err)
			}
		}
		return nil
	}
	for _, test := range []struct {
		name  string
		fill  func(in driver.Batch, from, to int) error
		ahead int
	}{{"row", byRow, 0}, {"column", byColumn, 0}, {"column-ahead", byColumn, 1}} {
		rows = nil // of no use to the others, and work for the collector
		if test.name == "row" {
			for i := range n {
				rows = append(rows, data.row(i))
			}
		}
		for _, batch := range []int{25_000, 50_000, 100_000} {
			b.Run(fmt.Sprintf("%s/%dk", test.name, batch/1000), func(b *testing.B) {
				var reference, referenceCPU, spentCPU time.Duration
				for b.Loop() {
					b.StopTimer()
					create("target")
					runtime.GC()
					start, cpu := time.Now(), cpuTime(b)
					run(b, c, "INSERT INTO target SELECT * FROM origin")
					reference += time.Since(start)
					referenceCPU += cpuTime(b) - cpu
					create("target")
					cpu = cpuTime(b)
					b.StartTimer()

					sending := new(errgroup.Group)
					sending.SetLimit(max(1, test.ahead))
					for from := 0; from < n; from += batch {
						in, err := c.PrepareBatch(b.Context(), into)
						if err != nil {
							b.Fatal(err)
						}
						if err := test.fill(in, from, min(from+batch, n)); err != nil {
							b.Fatal(err)
						}
						sending.Go(in.Send)
						if test.ahead == 0 {
							if err := sending.Wait(); err != nil {
								b.Fatal(err)
							}
						}
					}
					if err := sending.Wait(); err != nil {
						b.Fatal(err)
					}
					spentCPU += cpuTime(b) - cpu
				}
				b.StopTimer()
				if want, got := scalar[string](b, c, sumOf("origin")), scalar[string](b, c, sumOf("target")); got != want {
					b.Fatalf("stored %s, want %s", got, want)
				}
				b.ReportMetric(float64(b.Elapsed())/float64(reference), "x-insert-select")
				b.ReportMetric(float64(spentCPU)/float64(referenceCPU), "x-cpu")
				b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "rows/s")
			})
		}
	}
}

// cpuTime is the process's, which neighbours on the machine disturb less than the clock.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkFillColumn shows what each column type costs the driver, by row and by column, without the engine.
func BenchmarkFillColumn(b *testing.B) {
	const n = 50_000
	data := makeAccounts(n)
	seen := map[string]bool{}
	for _, c := range wide {
		if seen[c.typ] {
			continue
		}
		seen[c.typ] = true
		values := data.column(c.name, 0, n)
		rows := reflect.ValueOf(values)
		for _, how := range []string{"row", "column"} {
			b.Run(c.typ+"/"+how, func(b *testing.B) {
				for b.Loop() {
					block := native.NewBlock()
					if err := block.AddColumn(c.name, column.Type(c.typ)); err != nil {
						b.Fatal(err)
					}
					col := block.Columns[0]
					if how == "column" {
						if _, err := col.Append(values); err != nil {
							b.Fatal(err)
						}
					} else {
						for i := range n {
							if err := col.AppendRow(rows.Index(i).Interface()); err != nil {
								b.Fatal(err)
							}
						}
					}
					if col.Rows() != n {
						b.Fatalf("%d rows", col.Rows())
					}
				}
				b.ReportMetric(float64(b.Elapsed())/float64(b.N)/n, "ns/value")
			})
		}
	}
}

// BenchmarkOpen opens and closes an empty folder: 300 ms to open at the most.
func BenchmarkOpen(b *testing.B) {
	lib, dir := libraryPath(b), filepath.Join(b.TempDir(), "data")
	for b.Loop() {
		e, err := Open(b.Context(), Options{Dir: dir, Library: lib})
		if err != nil {
			b.Fatal(err)
		}
		if err := e.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
