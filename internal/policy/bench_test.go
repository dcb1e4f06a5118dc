package policy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/lapse-audit/lapse/internal/access"
)

// company makes the accounts of an ordinary company: most of them in order, about 15% flagged, 15 grants each.
func company(t testing.TB, n int) []access.Row {
	r := rand.New(rand.NewPCG(2026, 11))
	coverage := doc{}
	for _, s := range coverageSignals {
		coverage[s] = "full"
	}
	departments := []string{"Sales", "Finance", "Engineering", "People", "Support", "Legal", "Operations", "Marketing"}
	rows := make([]access.Row, 0, n)
	for i := range n {
		name := fmt.Sprintf("First%d Last%d", i%997, i)
		user := fmt.Sprintf("first%d.last%d", i%997, i)
		department := departments[i%len(departments)]
		source := i * 7 / n
		d := doc{
			"run":    doc{"id": 412, "time": runTime.Format(time.RFC3339)},
			"source": doc{"uid": fmt.Sprintf("app-%d", source), "name": fmt.Sprintf("App %d", source), "type": "file", "roster": false, "coverage": coverage},
			"account": doc{
				"id": fmt.Sprintf("%08x-%04x", i*2654435761, i), "username": user, "email": user + "@example.com", "name": name, "kind": "human",
				"enabled": r.IntN(20) > 0, "privileged": r.IntN(25) == 0, "external": false, "break_glass": false, "legal_hold": false,
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
		case v < 4:
			person["status"], person["days_since_end"], person["hours_since_end"] = "ended", 30, 720
		case v < 6:
			person["kind"] = "contractor"
		case v < 8:
			person["status"], person["on_leave"] = "leave", true
		case v < 10:
			delete(d, "person")
			d["link"] = doc{"method": "none", "status": "unmatched", "days": 35}
		case v < 12:
			account["kind"] = "service"
		case v < 14:
			account["days_since_login"] = 200
		case v < 15:
			delete(account, "days_since_login")
			account["never_logged_in"] = true
		}
		grants := []any{}
		for g := range 5 + r.IntN(21) {
			e := i%len(departments)*60 + r.IntN(60) // what the department holds, what all hold, and the odd one
			if g%3 == 0 {
				e = 1000 + r.IntN(20)
			} else if r.IntN(12) == 0 {
				e = 2000 + r.IntN(2000)
			}
			grants = append(grants, doc{
				"entitlement": doc{"id": fmt.Sprintf("e-%d", e), "name": fmt.Sprintf("Group %d", e), "kind": "group", "resource": "Corp AD", "privileged": e%50 == 0},
				"direct":      e%2 == 0, "depth": e % 2, "path": []any{"Staff", fmt.Sprintf("Group %d", e)}, "days_known": 35, "days_since_granted": r.IntN(900),
				"peer_share": 0.1 + float64(e*len(department)%9000)/10000, "peer_count": 100,
			})
		}
		if r.IntN(50) == 0 {
			grants[0].(doc)["peer_share"], grants[0].(doc)["direct"] = 0.01, true
		}
		d["grants"] = grants
		d["seats"] = []any{doc{"sku": "E5", "product": "Office E5", "cost_month": 57.25, "currency": "USD", "days_since_assigned": 400, "days_since_used": r.IntN(62)}}
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

// BenchmarkLanes compares the CPU time of an account in the full lane with that of rego.EvalInput over a map and a default
// store. Both build their input from the same rows, and all policies are on.
func BenchmarkLanes(b *testing.B) {
	pack := shipped(b, enableAll(b))
	rows := company(b, 20_000)
	naive, m := newNaive(b, pack, access.SubjectAccount), newMapper(access.SubjectAccount)
	engine := newEngine(b, pack, EngineOptions{})
	ev := engine.NewEvaluator()
	ctx := context.Background()
	var slow, fast time.Duration
	var slowHits, fastHits int
	for b.Loop() {
		start := cpu()
		slowHits = 0
		for _, row := range rows {
			rs, err := naive.query.Eval(ctx, rego.EvalInput(m.doc(row)), rego.EvalTime(runTime))
			if err != nil {
				b.Fatal(err)
			}
			for _, findings := range rs[0].Expressions[0].Value.([]any) {
				slowHits += len(findings.([]any))
			}
		}
		slow += cpu() - start
		start = cpu()
		fastHits = 0
		for _, row := range rows {
			if err := ev.Eval(ctx, access.SubjectAccount, row, func(Result) error { fastHits++; return nil }); err != nil {
				b.Fatal(err)
			}
		}
		fast += cpu() - start
	}
	if slowHits != fastHits || fastHits == 0 {
		b.Fatalf("%d findings by maps, %d by the engine; failures %v", slowHits, fastHits, engine.Failures())
	}
	accounts := float64(b.N) * float64(len(rows))
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(fastHits), "findings")
	b.ReportMetric(float64(slow.Microseconds())/accounts, "µs_map/account")
	b.ReportMetric(float64(fast.Microseconds())/accounts, "µs_lane/account")
	b.ReportMetric(slow.Seconds()/fast.Seconds(), "x_cheaper")
}
