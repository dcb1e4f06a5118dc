package policy

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/store"
)

// table is a store in which subjects can be put and screened.
type table struct {
	run *store.Run
}

func openTable(t testing.TB) *table {
	t.Helper()
	library := os.Getenv("LAPSE_LIBCHDB")
	if library == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("LAPSE_LIBCHDB is not set: run `make test`")
		}
		t.Skip("LAPSE_LIBCHDB is not set: run `make test`")
	}
	s, err := store.Open(context.Background(), store.Options{URL: "embedded:" + t.TempDir(), Library: library})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	run, err := s.BeginRun(t.Context(), store.RunSpec{Time: runTime})
	if err != nil {
		t.Fatal(err)
	}
	return &table{run}
}

// judged is what a lane came to: findings by subject, policy and key, tallies, and which policies failed.
type judged struct {
	findings map[string]string
	tallies  []finding.Tally
	failed   []string
}

func judgedBy(e *Engine, findings map[string]string) judged {
	j := judged{findings: findings}
	for _, tally := range e.Tallies() {
		if tally.Failed != "" {
			if !slices.Contains(j.failed, tally.Policy) {
				j.failed = append(j.failed, tally.Policy)
			}
			continue
		}
		j.tallies = append(j.tallies, tally)
	}
	for key := range findings {
		for _, id := range j.failed { // what a failed policy has found is to be disregarded
			if _, policy, _ := cutLast(key); policy == id {
				delete(findings, key)
			}
		}
	}
	return j
}

func cutLast(key string) (subject, policy, rest string) {
	var parts [3]string
	n, start := 0, 0
	for i := range len(key) {
		if key[i] == '\x00' && n < 2 {
			parts[n], start = key[start:i], i+1
			n++
		}
	}
	parts[n] = key[start:]
	return parts[0], parts[1], parts[2]
}

func note(found map[string]string) func(Result) error {
	return func(r Result) error {
		key := name(r.Subject) + "\x00" + r.Policy + "\x00" + r.Key
		if _, ok := found[key]; ok {
			return fmt.Errorf("%q is found twice", key)
		}
		found[key] = fmt.Sprint(r.Message, " ", r.Evidence, " ", r.CostMonth, " ", r.ExcludedBy)
		return nil
	}
}

func (tb *table) full(t testing.TB, pack *Pack, kind access.SubjectKind, rows []access.Row) judged {
	t.Helper()
	e := newEngine(t, pack, EngineOptions{Unindexed: true})
	ev, found := e.NewEvaluator(), map[string]string{}
	for _, row := range rows {
		if err := ev.Eval(t.Context(), kind, row, note(found)); err != nil {
			t.Fatal(err)
		}
	}
	return judgedBy(e, found)
}

// screened judges the rows through a table, and says how many subjects a rule was spared.
func (tb *table) screened(t testing.TB, pack *Pack, kind access.SubjectKind, rows []access.Row, sample store.Sample) (j judged, e *Engine, spared int) {
	t.Helper()
	ctx := t.Context()
	if err := tb.run.PutSubjects(ctx, kind, 0, rows); err != nil {
		t.Fatal(err)
	}
	e = newEngine(t, pack, EngineOptions{})
	screen, err := e.Screen(ctx, kind)
	if err != nil {
		t.Fatal(err)
	}
	ev, found := e.NewEvaluator(), map[string]string{}
	asked := toStore(screen)
	asked.Sample = sample
	verdicts, err := tb.run.CountVerdicts(ctx, kind, 0, asked)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range verdicts {
		if err := ev.Count(screen, v.Source, v.Verdicts, v.Subjects); err != nil {
			t.Fatal(err)
		}
	}
	spared = len(rows) * len(screen.Flags)
	for s, err := range tb.run.ScreenSubjects(ctx, kind, 0, asked) {
		if err != nil {
			t.Fatal(err)
		}
		if err := ev.EvalScreened(ctx, screen, s.Row, s.Mask, s.Sample, note(found)); err != nil {
			t.Fatal(err)
		}
		for i := range screen.Flags {
			if (screened{mask: s.Mask}).flags(i) {
				spared--
			}
		}
	}
	return judgedBy(e, found), e, spared
}

func toStore(s *Screen) store.Screen {
	out := store.Screen{Flags: s.Flags, Verdicts: s.Verdicts}
	for _, p := range s.Parameters {
		out.Parameters = append(out.Parameters, store.Parameter{Name: p.Name, Value: p.Value})
	}
	return out
}

// perturbed are random subjects around which rules decide, with anything absent that may be, odd texts, numbers beyond
// 2^53, empty and unknown arrays and absent elements.
func perturbed(t testing.TB, r *rand.Rand, kind access.SubjectKind, n int) []access.Row {
	t.Helper()
	root := access.SchemaOf(kind).Root
	rows := make([]access.Row, n)
	for i := range rows {
		d := randomDoc(r, root, []float64{0.03, 0.15, 0.5}[i%3])
		d["run"] = doc{"id": 0, "time": "2026-11-23T02:00:00Z"}
		steer(r, d)
		upset(r, root, d)
		d[string(kind)].(doc)["id"] = fmt.Sprintf("%s-%d", kind, i)
		rows[i] = rowOf(t, kind, d)
	}
	return rows
}

var oddTexts = []string{"", "root", "ROOT", "Root", "ro\u212At", "\u212Aroot", "é", "É", "Beta", "it's", "a\tb\nc", "b\\s", "b\nc", "bxc", "{p1:String}", "%", "?", "\x01", "x\x00y",
	"adm1", "administrator", "it\u2019s", "\U0001F600", "NULL", "\\N", "null", "a", "A", "Z", "z", "ended", "full", "x"}

var oddNumbers = []int{math.MaxInt64, math.MinInt64, 1 << 53, 1<<53 + 1, 1<<53 - 1, -(1<<53 + 1), 3, 29, 30, 31, 6, 7, -1, 0, 60, 61}

func upset(r *rand.Rand, n *access.Node, d doc) {
	for _, f := range n.Fields {
		v, ok := d[f.Name]
		if !ok || f.Name == "run" {
			continue
		}
		switch {
		case f.Array && !f.Leaf():
			if r.IntN(10) == 0 {
				d[f.Name] = []any{}
				continue
			}
			for _, e := range asList(v) {
				upset(r, f, e.(doc))
			}
		case f.Object:
			upset(r, f, v.(doc))
		case f.Type == access.StringMap:
			if r.IntN(3) == 0 {
				delete(v.(doc), pick(r, "mfa", "owner", "last_login"))
			}
			if r.IntN(3) == 0 {
				v.(doc)["dn"] = pick(r, oddTexts...)
			}
		case f.Array:
		case f.Type == access.Int && r.IntN(8) == 0:
			d[f.Name] = pick(r, oddNumbers...)
		case f.Type == access.Number && r.IntN(3) == 0:
			d[f.Name] = pick(r, 0.05, 0.0999, 12.0, 1e300, 5e-324, 0.1+0.2, -0.0, math.Nextafter(0.05, 1), math.Nextafter(0.05, 0), 1<<53)
		case f.Type == access.String && f.Enum == nil && f.Name != "id" && r.IntN(3) == 0:
			d[f.Name] = pick(r, oddTexts...)
		}
	}
}

// The prefilter lane finds what the full lane finds without OPA's index, to the last text, and counts the same.
func TestPrefilterAgreesOnConstructs(t *testing.T) {
	tb := openTable(t)
	pack := constructPack(t)
	rows := perturbed(t, rand.New(rand.NewPCG(17, 4)), access.SubjectAccount, 650)
	want := tb.full(t, pack, access.SubjectAccount, rows)
	got, e, spared := tb.screened(t, pack, access.SubjectAccount, rows, store.Sample{})
	wantAgreement(t, want, got)
	t.Logf("%d rules on %d subjects: %d of %d evaluations spared, %d findings, failed %v", len(pack.policies), len(rows), spared,
		len(rows)*len(pack.policies), len(want.findings), want.failed)
	fired := map[string]int{}
	for key := range want.findings {
		_, policy, _ := cutLast(key)
		fired[policy]++
	}
	coverage, err := e.Coverage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range coverage {
		k := constructs[i]
		if k.lane != "" && c.Lane != k.lane {
			t.Errorf("%s: %s lane, want %s: %s %v", k.name, c.Lane, k.lane, c.Why, c.Dropped)
		}
		t.Logf("%-40s %-8s %5d %s %v", k.name, c.Lane, fired[c.Policy], c.Why, c.Dropped)
	}
}

func wantAgreement(t testing.TB, want, got judged) {
	t.Helper()
	if diff := cmp.Diff(want.findings, got.findings); diff != "" {
		t.Errorf("findings of the full lane (-) and of the prefilter (+):\n%s", diff)
	}
	if diff := cmp.Diff(want.tallies, got.tallies); diff != "" {
		t.Errorf("tallies of the full lane (-) and of the prefilter (+):\n%s", diff)
	}
	if diff := cmp.Diff(want.failed, got.failed); diff != "" {
		t.Errorf("failed policies of the full lane (-) and of the prefilter (+):\n%s", diff)
	}
}
