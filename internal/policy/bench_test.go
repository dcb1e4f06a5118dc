package policy

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/store"
	"github.com/lapse-audit/lapse/internal/store/storetest"
)

// company makes the accounts of an ordinary company: most of them in order, less than 15% flagged by any rule, 15 grants each.
// It makes some of n, from one on.
func company(t testing.TB, from, some, n int) []access.Row {
	r := rand.New(rand.NewPCG(2026, 11+uint64(from)))
	coverage := doc{}
	for _, s := range coverageSignals {
		coverage[s] = "full"
	}
	departments := []string{"Sales", "Finance", "Engineering", "People", "Support", "Legal", "Operations", "Marketing"}
	rows := make([]access.Row, 0, some)
	for i := from; i < from+some; i++ {
		name := fmt.Sprintf("First%d Last%d", i%997, i)
		user := fmt.Sprintf("first%d.last%d", i%997, i)
		department := departments[i%len(departments)]
		source := i * 7 / n
		d := doc{
			"run":    doc{"id": 412, "time": runTime.Format(time.RFC3339)},
			"source": doc{"uid": fmt.Sprintf("app-%d", source), "name": fmt.Sprintf("App %d", source), "type": "file", "roster": false, "coverage": coverage},
			"account": doc{
				"id": fmt.Sprintf("%08x-%04x", i*2654435761, i), "username": user, "email": user + "@example.com", "name": name, "kind": "human",
				"enabled": r.IntN(33) > 0, "privileged": r.IntN(25) == 0, "external": false, "break_glass": false, "legal_hold": false,
				"locked": false, "mfa": r.IntN(30) > 0, "days_known": 35, "days_since_created": 30 + r.IntN(2000), "days_since_login": r.IntN(40),
				"hours_since_login": r.IntN(960), "never_logged_in": false, "days_since_password": r.IntN(400), "password_never_expires": false,
				"attributes": doc{"dn": "CN=" + name + ",OU=" + department + ",DC=example,DC=com", "office": "B2"},
			},
			"link": doc{"method": "employee_id", "status": "linked", "days": 35},
			"person": doc{
				"id": fmt.Sprintf("hr:%06d", i), "employee_id": fmt.Sprintf("%06d", i), "name": name, "email": user + "@example.com", "status": "active",
				"kind": "employee", "department": department, "title": "Analyst", "location": "Berlin", "on_leave": false, "manager_id": fmt.Sprintf("hr:%06d", i/10),
				"hours_since_start": 20000, "days_since_start": 833, "records": 1,
			},
			"manager":   doc{"id": fmt.Sprintf("hr:%06d", i/10), "name": "A Manager", "email": "manager@example.com", "status": "active", "department": department},
			"directory": doc{"id": fmt.Sprintf("d-%d", i), "source": "corp-ad", "username": user, "enabled": true},
		}
		person, account := d["person"].(doc), d["account"].(doc)
		switch v := r.IntN(100); {
		case v < 3:
			person["status"], person["days_since_end"], person["hours_since_end"] = "ended", 30, 720
		case v < 5:
			person["kind"] = "contractor"
		case v < 7:
			person["status"], person["on_leave"] = "leave", true
		case v < 8:
			delete(d, "person")
			d["link"] = doc{"method": "none", "status": "unmatched", "days": 35}
		case v < 9:
			account["kind"] = "service"
		case v < 10:
			account["days_since_login"] = 200
		case v < 11:
			delete(account, "days_since_login")
			account["never_logged_in"] = true
		}
		grants, has := []any{}, map[int]bool{}
		for g := range 5 + r.IntN(21) {
			e := i%len(departments)*60 + r.IntN(60) // what the department holds, what all hold, and the odd one
			if g%3 == 0 {
				e = 1000 + r.IntN(20)
			} else if r.IntN(12) == 0 {
				e = 2000 + r.IntN(2000)
			}
			if has[e] {
				continue
			}
			has[e] = true
			grant := doc{
				"entitlement": doc{"id": fmt.Sprintf("e-%d", e), "name": fmt.Sprintf("Group %d", e), "kind": "group", "resource": "Corp AD", "privileged": e%50 == 0},
				"direct":      e%2 == 0, "depth": e % 2, "path": []any{"Staff", fmt.Sprintf("Group %d", e)}, "days_known": 35, "days_since_granted": r.IntN(900),
				"peer_share": 0.1 + float64(e*len(department)%9000)/10000, "peer_count": 100,
			}
			if r.IntN(50) > 0 {
				grant["days_since_review"] = r.IntN(90)
			}
			grants = append(grants, grant)
		}
		if r.IntN(50) == 0 {
			grants[0].(doc)["peer_share"], grants[0].(doc)["direct"] = 0.01, true
		}
		d["grants"] = grants
		d["seats"] = []any{doc{"sku": "E5", "product": "Office E5", "cost_month": 57.25, "currency": "USD", "days_since_assigned": 400, "days_since_used": r.IntN(61)}}
		rows = append(rows, rowOf(t, access.SubjectAccount, d))
	}
	return rows
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchSlice is how many accounts are made, put and judged at a time, about as many as a scan asks at a time.
const benchSlice = 80_000

// BenchmarkLanes compares the CPU time of an account, for companies of 10,000 and 100,000 accounts, and of LAPSE_BENCH_ACCOUNTS
// if that is more: rego.EvalInput over a map and a default store, the full lane and the prefilter lane, both from the table, and
// SQL that somebody has written by hand to count the same. It does so for the policies that the SQL knows, and without it for
// the whole pack. The first two are measured on the first 10,000 accounts only: they cost the same for each. Documents as maps
// are made beforehand. Of the prefilter lane it says what it takes to translate the policies, which is done once a run, to ask
// the table, to read the rows of candidates and to evaluate them. It ends with a table.
func BenchmarkLanes(b *testing.B) {
	sizes := storetest.Sizes(b)
	options := enableAll(b)
	whole := shipped(b, options)
	for id, o := range options.Overrides {
		on := slices.Contains(storetest.Written(), id)
		o.Enabled = &on
		options.Overrides[id] = o
	}
	for _, c := range []struct {
		name string
		pack *Pack
		ways []string
	}{
		{fmt.Sprintf("%d_rules", len(storetest.Written())), shipped(b, options), []string{"map", "full", "prefilter", "sql"}},
		{"whole_pack", whole, []string{"map", "full", "prefilter"}},
	} {
		each := map[int]map[string]float64{}
		for _, n := range sizes {
			b.Run(fmt.Sprintf("%s/%d", c.name, n), func(b *testing.B) { each[n] = benchmarkLanes(b, c.pack, n, c.pack != whole) })
		}
		if len(each) > 0 {
			fmt.Print(lanesTable(c.name, c.ways, each))
		}
	}
}

// lanesTable lists µs an account by way and size, and by how much an account is dearer in the largest company than in the smallest.
func lanesTable(name string, ways []string, each map[int]map[string]float64) string {
	sizes := slices.Sorted(maps.Keys(each))
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "µs an account, %s\t", strings.ReplaceAll(name, "_", " "))
	for _, n := range sizes {
		fmt.Fprintf(w, "%d\t", n)
	}
	fmt.Fprintf(w, "growth\t\n")
	for _, way := range slices.Concat(ways, laneParts) {
		first, last := each[sizes[0]][way], each[sizes[len(sizes)-1]][way]
		fmt.Fprintf(w, "%s\t", strings.ReplaceAll(way, "_", " "))
		for _, n := range sizes {
			fmt.Fprintf(w, "%.2f\t", each[n][way])
		}
		fmt.Fprintf(w, "%+.0f%%\t\n", 100*(last/first-1))
	}
	w.Flush()
	return "\n" + out.String()
}

// laneParts are what the prefilter lane consists of.
var laneParts = []string{"of_it_translating", "of_it_asking", "of_it_reading", "of_it_evaluating"}

func benchmarkLanes(b *testing.B, pack *Pack, accounts int, sql bool) map[string]float64 {
	ctx, tb := b.Context(), openTable(b)
	var engine *Engine
	took, judged, hits := map[string]time.Duration{}, map[string]int{}, map[string]int{}
	flagged := map[string]bool{}
	measure := func(way string, accounts int, f func(found func(Result) error) error) {
		runtime.GC()
		start := cpu()
		if err := f(func(Result) error { hits[way]++; return nil }); err != nil {
			b.Fatal(way, err)
		}
		took[way] += cpu() - start
		judged[way] += accounts
	}
	var screen *Screen
	for from := 0; from < accounts; from += benchSlice {
		n := min(benchSlice, accounts-from)
		rows := company(b, from, n, accounts)
		if err := tb.run.PutSubjects(ctx, access.SubjectAccount, 0, rows); err != nil {
			b.Fatal(err)
		}
		if from > 0 {
			clear(rows)
		} else {
			few := rows[:min(n, 10_000)]
			if n > len(few) {
				if err := tb.run.PutSubjects(ctx, access.SubjectAccount, 1, few); err != nil {
					b.Fatal(err)
				}
			}
			benchmarkMap(b, pack, few, measure) // before there is an engine, which has garbage collected more rarely
			engine = newEngine(b, pack, EngineOptions{})
			measure("of_it_translating", accounts, func(func(Result) error) (err error) {
				screen, err = engine.Screen(ctx, access.SubjectAccount)
				return err
			})
			clear(rows) // a scan has none of them in memory
			measure("full", min(n, 10_000), func(found func(Result) error) error { return tb.judgeAll(ctx, engine, min(1, n/10_001), found) })
		}
		ev := engine.NewEvaluator()
		var screening *store.Screening
		measure("of_it_asking", n, func(func(Result) error) (err error) {
			screening, err = tb.ask(ctx, ev, screen)
			return err
		})
		measure("candidates", n, func(func(Result) error) error {
			return tb.judgeScreened(ctx, ev, screen, screening, func(r Result) error {
				flagged[r.Subject.ID] = true
				hits["prefilter"]++
				return nil
			})
		})
		measure("of_it_reading", n, func(func(Result) error) error {
			for _, err := range screening.Subjects(ctx) {
				if err != nil {
					return err
				}
			}
			return nil
		})
		if from == 0 && n <= 10_000 && (hits["map"] != hits["full"] || hits["full"] != hits["prefilter"]) {
			b.Fatalf("findings: %v; failures %v", hits, engine.Failures())
		}
		if !sql {
			continue
		}
		measure("sql", n, func(func(Result) error) error {
			screening, err := tb.run.Screen(ctx, access.SubjectAccount, 0, store.Screen{Facts: facts(storetest.ByHand())})
			if err != nil {
				return err
			}
			for _, c := range screening.Counts {
				for _, n := range c.Facts {
					hits["sql"] += int(n) * int(c.Subjects)
				}
			}
			return nil
		})
	}
	if hits["map"] == 0 || hits["map"] != hits["full"] || sql && hits["sql"] != hits["prefilter"] || len(engine.Failures()) > 0 {
		b.Fatalf("findings: %v; failures %v", hits, engine.Failures())
	}
	each := map[string]float64{}
	for way, d := range took {
		each[way] = float64(d.Microseconds()) / float64(judged[way])
	}
	each["prefilter"] = each["of_it_translating"] + each["of_it_asking"] + each["candidates"]
	each["of_it_evaluating"] = each["candidates"] - each["of_it_reading"]
	delete(each, "candidates")
	b.ReportMetric(0, "ns/op")
	for way, us := range each {
		b.ReportMetric(us, "µs_"+way+"/account")
	}
	b.ReportMetric(100*float64(len(flagged))/float64(accounts), "%flagged")
	b.ReportMetric(each["map"]/each["prefilter"], "x_cheaper_than_map")
	b.ReportMetric(each["full"]/each["prefilter"], "x_cheaper_than_full")
	if sql {
		b.ReportMetric(each["prefilter"]/each["sql"], "x_dearer_than_sql")
	}
	return each
}

func benchmarkMap(b *testing.B, pack *Pack, rows []access.Row, measure func(string, int, func(func(Result) error) error)) {
	naive, m := newNaive(b, pack, access.SubjectAccount), newMapper(access.SubjectAccount)
	for some := range slices.Chunk(rows, 500) {
		docs := make([]doc, len(some))
		for i, row := range some {
			docs[i] = m.doc(row)
		}
		measure("map", len(docs), func(found func(Result) error) error {
			for _, d := range docs {
				rs, err := naive.query.Eval(b.Context(), rego.EvalInput(d), rego.EvalTime(runTime))
				if err != nil {
					return err
				}
				for _, findings := range rs[0].Expressions[0].Value.([]any) {
					for range findings.([]any) {
						if err := found(Result{}); err != nil {
							return err
						}
					}
				}
			}
			return nil
		})
	}
}

func (tb *subjectTable) judgeAll(ctx context.Context, engine *Engine, slice int, found func(Result) error) error {
	ev := engine.NewEvaluator()
	for row, err := range tb.run.Subjects(ctx, access.SubjectAccount, slice) {
		if err != nil {
			return err
		}
		if err := ev.Eval(ctx, access.SubjectAccount, row, found); err != nil {
			return err
		}
	}
	return nil
}

// ask counts the first slice's accounts and finds the candidates among them.
func (tb *subjectTable) ask(ctx context.Context, ev *Evaluator, screen *Screen) (*store.Screening, error) {
	screening, err := tb.run.Screen(ctx, access.SubjectAccount, 0, toStore(screen))
	if err != nil {
		return nil, err
	}
	for _, c := range screening.Counts {
		if err := ev.Count(screen, c.Source, c.Facts, c.Subjects); err != nil {
			return nil, err
		}
	}
	return screening, nil
}

func (tb *subjectTable) judgeScreened(ctx context.Context, ev *Evaluator, screen *Screen, screening *store.Screening, found func(Result) error) error {
	for s, err := range screening.Subjects(ctx) {
		if err != nil {
			return err
		}
		if err := ev.EvalScreened(ctx, screen, s.Row, s.Mask, false, found); err != nil {
			return err
		}
	}
	return nil
}

// facts makes what a screen counts of SQL that counts findings.
func facts(counts []string) []string {
	out := make([]string, len(counts))
	for i, c := range counts {
		out[i] = "toUInt16(" + c + ")"
	}
	return out
}
