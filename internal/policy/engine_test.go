package policy

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
)

func enableAll(t testing.TB) Options {
	on := true
	overrides := map[string]Override{}
	for _, p := range shipped(t, Options{}).Policies() {
		overrides[p.ID] = Override{Enabled: &on}
	}
	return Options{Overrides: overrides}
}

func newEngine(t testing.TB, pack *Pack, o EngineOptions) *Engine {
	t.Helper()
	if o.Time.IsZero() {
		o.Time = runTime
	}
	e, err := NewEngine(context.Background(), pack, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close(context.Background()) })
	return e
}

func evalAll(t testing.TB, ev *Evaluator, kind access.SubjectKind, row access.Row) []Result {
	t.Helper()
	var out []Result
	if err := ev.Eval(context.Background(), kind, row, func(r Result) error { out = append(out, r); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

// naive evaluates as anybody would at first: a map for input, a default store, and a query over the policies' findings.
type naive struct {
	ids   []string
	query rego.PreparedEvalQuery
}

func newNaive(t testing.TB, pack *Pack, kind access.SubjectKind) *naive {
	t.Helper()
	n := &naive{}
	params := map[string]any{}
	modules := pack.library
	var terms []*ast.Term
	for _, p := range pack.policies {
		params[p.ID] = p.Params
		if p.Subject == kind && p.Enabled {
			n.ids = append(n.ids, p.ID)
			modules = append(modules[:len(modules):len(modules)], p.modules...)
			terms = append(terms, ast.MustParseTerm("data."+p.Package+".findings"))
		}
	}
	c := newCompiler("")
	if c.Compile(copies(modules)); c.Failed() {
		t.Fatal(c.Errors)
	}
	var err error
	n.query, err = rego.New(rego.ParsedQuery(ast.NewBody(ast.NewExpr(ast.ArrayTerm(terms...)))), rego.Compiler(c), rego.StrictBuiltinErrors(true),
		rego.Store(inmem.NewFromObject(doc{"params": jsonValue(t, params), "tables": jsonValue(t, tablesOf(pack.policies, false))}))).PrepareForEval(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func jsonValue(t testing.TB, v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// eval returns messages and evidence by policy and key.
func (n *naive) eval(t testing.TB, input doc) map[string]string {
	t.Helper()
	rs, err := n.query.Eval(context.Background(), rego.EvalInput(input), rego.EvalTime(runTime))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for i, findings := range rs[0].Expressions[0].Value.([]any) {
		for _, f := range findings.([]any) {
			f := f.(doc)
			key, _ := f["key"].(string)
			out[n.ids[i]+"/"+key] = fmt.Sprint(f["message"], " ", mustJSON(f["evidence"]), " ", f["cost_month"])
		}
	}
	return out
}

// mustJSON writes numbers in one way, whatever they were read as.
func mustJSON(v any) string {
	text, err := json.Marshal(v)
	if err == nil {
		var again any
		if err = json.Unmarshal(text, &again); err == nil {
			text, err = json.Marshal(again)
		}
	}
	if err != nil {
		panic(err)
	}
	return string(text)
}

func summary(results []Result) map[string]string {
	out := map[string]string{}
	for _, r := range results {
		var evidence any
		if err := json.Unmarshal([]byte(r.Evidence), &evidence); err != nil {
			panic(err)
		}
		cost := r.CostMonth
		if cost == "" {
			cost = "<nil>"
		}
		out[r.Policy+"/"+r.Key] = fmt.Sprint(r.Message, " ", mustJSON(evidence), " ", cost)
	}
	return out
}

// The index, the hand-built documents and the pruning of what nobody reads must not change a single finding.
func TestLanesAgree(t *testing.T) {
	pack := shipped(t, enableAll(t))
	fired := map[string]int{}
	for _, kind := range access.SubjectKinds() {
		indexed := newEngine(t, pack, EngineOptions{})
		unindexed := newEngine(t, pack, EngineOptions{Unindexed: true})
		a, b := indexed.NewEvaluator(), unindexed.NewEvaluator()
		plain, m := newNaive(t, pack, kind), newMapper(kind)
		r := rand.New(rand.NewPCG(7, 11))
		subjects := 200
		if kind == access.SubjectAccount {
			subjects = 1000
		}
		for i := range subjects {
			d := randomDoc(r, access.SchemaOf(kind).Root, []float64{0.03, 0.15, 0.5}[i%3])
			d["run"] = doc{"id": 0, "time": runTime.Format(time.RFC3339)}
			steer(r, d)
			row := rowOf(t, kind, d)
			got := summary(evalAll(t, a, kind, row))
			if diff := cmp.Diff(summary(evalAll(t, b, kind, row)), got); diff != "" {
				t.Fatalf("without index (-), with (+):\n%s\n%s", diff, mustJSON(d))
			}
			want := plain.eval(t, m.doc(row))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("maps (-), terms (+):\n%s\n%s\nfailures %v", diff, mustJSON(d), indexed.Failures())
			}
			for k := range got {
				fired[k[:len(k)-len(k[lastSlash(k):])]]++
			}
		}
		if f := indexed.Failures(); len(f) > 0 {
			t.Fatal(f)
		}
		for _, tally := range indexed.Tallies() {
			if tally.Subjects != tally.OutOfScope+tally.Evaluated+tally.NotEvaluable || tally.Flagged+tally.Excluded > tally.Evaluated {
				t.Errorf("tally does not add up: %+v", tally)
			}
		}
	}
	for _, p := range pack.Policies() {
		if fired[p.ID] == 0 {
			t.Errorf("%s never fired", p.ID)
		}
	}
	t.Log(fired)
}

func lastSlash(s string) int {
	for i := range len(s) {
		if s[i] == '/' {
			return i
		}
	}
	return len(s)
}

func TestManyEvaluators(t *testing.T) {
	e := newEngine(t, shipped(t, enableAll(t)), EngineOptions{})
	r := rand.New(rand.NewPCG(3, 4))
	var rows []access.Row
	for range 200 {
		d := randomDoc(r, access.SchemaOf(access.SubjectAccount).Root, 0.1)
		steer(r, d)
		rows = append(rows, rowOf(t, access.SubjectAccount, d))
	}
	var wg sync.WaitGroup
	hits := make([]int, 4)
	for n := range hits {
		ev := e.NewEvaluator()
		wg.Go(func() {
			for _, row := range rows {
				if err := ev.Eval(context.Background(), access.SubjectAccount, row, func(Result) error { hits[n]++; return nil }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, n := range hits {
		if n == 0 || n != hits[0] {
			t.Errorf("hits of the evaluators differ: %v, failures %v", hits, e.Failures())
		}
	}
	var sum finding.Tally
	for _, tally := range e.Tallies() {
		if tally.Policy == "LVR-01" {
			sum.Subjects += tally.Subjects
		}
	}
	if sum.Subjects != 800 {
		t.Errorf("LVR-01 saw %d subjects, want 800", sum.Subjects)
	}
}
