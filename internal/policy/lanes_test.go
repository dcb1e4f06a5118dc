package policy

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/chdb"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/policy/prefilter"
	"github.com/lapse-audit/lapse/internal/store"
)

// ample is more than any evaluation here takes, however busy the machine is.
const ample = time.Minute

// subjectTable is a store in which subjects can be put and screened.
type subjectTable struct {
	run   *store.Run
	fault prefilter.Fault // planted in what is screened
}

func openTable(t testing.TB) *subjectTable {
	t.Helper()
	return openTableAt(t, store.Options{URL: "embedded:" + t.TempDir(), Library: libchdb(t)})
}

// openTableHTTP opens one in an engine that is served over HTTP, as a server of one's own is.
func openTableHTTP(t testing.TB) *subjectTable {
	t.Helper()
	engine, err := chdb.Open(t.Context(), chdb.Options{Dir: t.TempDir(), Library: libchdb(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Close() })
	server := httptest.NewServer(engine.Handler())
	t.Cleanup(server.Close)
	return openTableAt(t, store.Options{URL: server.URL + "/lanes"})
}

func libchdb(t testing.TB) string {
	t.Helper()
	library := os.Getenv("LAPSE_LIBCHDB")
	if library == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("LAPSE_LIBCHDB is not set: run `make test`")
		}
		t.Skip("LAPSE_LIBCHDB is not set: run `make test`")
	}
	return library
}

func openTableAt(t testing.TB, o store.Options) *subjectTable {
	t.Helper()
	s, err := store.Open(context.Background(), o)
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
	return &subjectTable{run: run}
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
		key := subjectName(r.Subject) + "\x00" + r.Policy + "\x00" + r.Key
		if _, ok := found[key]; ok {
			return fmt.Errorf("%q is found twice", key)
		}
		found[key] = fmt.Sprint(r.Message, " ", r.Evidence, " ", r.CostMonth, " ", r.ExcludedBy)
		return nil
	}
}

func (tb *subjectTable) full(t testing.TB, pack *Pack, kind access.SubjectKind, rows []access.Row) judged {
	t.Helper()
	e := newEngine(t, pack, EngineOptions{Unindexed: true, Budget: ample})
	ev, found := e.NewEvaluator(), map[string]string{}
	for _, row := range rows {
		if err := ev.Eval(t.Context(), kind, row, note(found)); err != nil {
			t.Fatal(err)
		}
	}
	return judgedBy(e, found)
}

// screened judges the rows through a table, and says how many subjects a rule was spared.
func (tb *subjectTable) screened(t testing.TB, pack *Pack, kind access.SubjectKind, rows []access.Row, sample store.Sample) (j judged, e *Engine, spared int) {
	t.Helper()
	ctx := t.Context()
	if err := tb.run.PutSubjects(ctx, kind, 0, rows); err != nil {
		t.Fatal(err)
	}
	e = newEngine(t, pack, EngineOptions{planted: tb.fault, Budget: ample})
	screen, err := e.Screen(ctx, kind)
	if err != nil {
		t.Fatal(err)
	}
	ev, found := e.NewEvaluator(), map[string]string{}
	asked := toStore(screen)
	asked.Sample = sample
	screening, err := tb.run.Screen(ctx, kind, 0, asked)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range screening.Counts {
		if err := ev.Count(screen, c.Source, c.Facts, c.Subjects); err != nil {
			t.Fatal(err)
		}
	}
	spared = len(rows) * len(screen.Flags)
	for s, err := range screening.Subjects(ctx) {
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
	if doubts := e.Doubts(); len(doubts) > 0 {
		var ids []string
		for _, d := range doubts {
			ids = append(ids, d.Policy)
		}
		only := screen.Only(ids)
		asked := toStore(only)
		asked.Sample = sample
		asked.Sample.LeftOut = true
		again, err := tb.run.Screen(ctx, kind, 0, asked)
		if err != nil {
			t.Fatal(err)
		}
		for s, err := range again.Subjects(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			if err := ev.EvalScreened(ctx, only, s.Row, s.Mask, false, note(found)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return judgedBy(e, found), e, spared
}

func toStore(s *Screen) store.Screen {
	out := store.Screen{Atoms: s.Atoms, Flags: s.Flags, Facts: s.Facts, Columns: s.Columns, Always: s.Always}
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
		if license, ok := d["license"].(doc); ok { // rules reckon with it, and fail if what comes out is no amount of money
			for field, v := range map[string]any{"cost_month": pick(r, 0.0, 12.5), "unassigned": pick(r, 0, 3, 30)} {
				if _, there := license[field]; there {
					license[field] = v
				}
			}
		} else {
			upset(r, root, d)
		}
		id := "id"
		switch kind {
		case access.SubjectLicense:
			id = "sku"
		case access.SubjectSource:
			id = "uid"
		}
		d[string(kind)].(doc)[id] = fmt.Sprintf("%s-%d", kind, i)
		rows[i] = rowOf(t, kind, d)
	}
	return rows
}

// some is fewer in short tests, which the race detector runs.
func some(n int) int {
	if testing.Short() {
		return n / 5
	}
	return n
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
			d[f.Name] = pick(r, 0.05, 0.0999, 12.0, 1e300, 5e-324, 0.1+0.2, math.Copysign(0, -1), math.Nextafter(0.05, 1), math.Nextafter(0.05, 0), 1<<53)
		case f.Type == access.String && f.Enum == nil && f.Name != "id" && f.Name != "sku" && r.IntN(3) == 0:
			d[f.Name] = pick(r, oddTexts...)
		}
	}
}

// The prefilter lane finds what the full lane finds without OPA's index, to the last text, and counts the same.
func TestPrefilterAgreesOnConstructs(t *testing.T) {
	tb := openTable(t)
	pack := constructPack(t)
	rows := perturbed(t, rand.New(rand.NewPCG(17, 4)), access.SubjectAccount, some(170))
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
		for _, d := range c.Dropped {
			if d.File == "" || d.Line == 0 || madeUp.MatchString(d.String()) {
				t.Errorf("%s: what is dropped is not told as it is written: %s", k.name, d)
			}
		}
		t.Logf("%-40s %-8s %5d %s %v", k.name, c.Lane, fired[c.Policy], c.Why, c.Dropped)
	}
}

// madeUp finds names that nobody has written.
var madeUp = regexp.MustCompile(`__local|__not|data\.partial|\$`)

// It is the same over HTTP, where parameters are part of a request's address.
func TestPrefilterAgreesOverHTTP(t *testing.T) {
	tb := openTableHTTP(t)
	rows := perturbed(t, rand.New(rand.NewPCG(9, 2)), access.SubjectAccount, 40)
	tb.agree(t, constructPack(t), access.SubjectAccount, rows)
	tb.agree(t, shipped(t, enableAll(t)), access.SubjectAccount, rows)
}

// Neither do constructs differ that stand under not, or beside another.
func TestPrefilterAgreesOnCompositions(t *testing.T) {
	tb := openTable(t)
	r := rand.New(rand.NewPCG(3, 1415))
	tb.agree(t, composedPack(t, r, some(80)), access.SubjectAccount, perturbed(t, r, access.SubjectAccount, 200))
}

func (tb *subjectTable) agree(t testing.TB, pack *Pack, kind access.SubjectKind, rows []access.Row) judged {
	t.Helper()
	want := tb.full(t, pack, kind, rows)
	got, e, spared := tb.screened(t, pack, kind, rows, store.Sample{})
	wantAgreement(t, want, got)
	if spared == 0 {
		t.Error("nothing is spared")
	}
	t.Logf("%d rules on %d %ss: %d evaluations spared, %d findings, failed %v", len(pack.policies), len(rows), kind, spared, len(want.findings), e.Failures())
	return want
}

// The shipped pack is judged alike, all rules of it on, of which nearly all fire.
func TestPrefilterAgreesOnShipped(t *testing.T) {
	tb := openTable(t)
	pack := shipped(t, enableAll(t))
	r := rand.New(rand.NewPCG(8, 15))
	fired := map[string]bool{}
	for _, kind := range newEngine(t, pack, EngineOptions{}).Kinds() {
		for key := range tb.agree(t, pack, kind, perturbed(t, r, kind, some(600))).findings {
			_, policy, _ := cutLast(key)
			fired[policy] = true
		}
	}
	if len(fired) < 45 && !testing.Short() {
		t.Errorf("of %d rules only %d fired: %v", len(pack.policies), len(fired), slices.Sorted(maps.Keys(fired)))
	}
}

// A table of a rule, its own or the organisation's, is the same to partial evaluation.
func TestPrefilterAgreesOnTables(t *testing.T) {
	tb := openTable(t)
	own := filepath.Join(t.TempDir(), "own.yaml")
	if err := os.WriteFile(own, []byte("names: [alpha]\nages: {root: 3}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	rule := construct{name: "table", body: "true"}.head(0) + `findings contains {"message": "m", "key": "name"} if input.account.username in data.tables["CON-000"].names

findings contains {"message": "m", "key": name} if {
	some name, age in data.tables["CON-000"].ages
	input.account.username == name
	input.account.days_known > age
}
`
	files := map[string]string{"p.rego": rule, "data.yaml": "names: [root, Beta]\nages: {Root: 7, x: 100}\n"}
	rows := perturbed(t, rand.New(rand.NewPCG(6, 1)), access.SubjectAccount, 300)
	var found []map[string]string
	for _, o := range []Options{{}, {Overrides: map[string]Override{"CON-000": {Data: own}}}} {
		pack, err := load(files, o)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, tb.agree(t, pack, access.SubjectAccount, rows).findings)
		coverage, err := newEngine(t, pack, EngineOptions{}).Coverage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if coverage[0].Lane != LaneComplete {
			t.Errorf("%s lane: %s %v", coverage[0].Lane, coverage[0].Why, coverage[0].Dropped)
		}
	}
	if len(found[0]) == 0 || len(found[1]) == 0 || cmp.Equal(found[0], found[1]) {
		t.Errorf("%d findings by the rule's table, %d by the organisation's", len(found[0]), len(found[1]))
	}
}

// A key of a table is a text that a number may find, however it was come by.
func TestPrefilterAgreesOnKeys(t *testing.T) {
	tb := openTable(t)
	rows := perturbed(t, rand.New(rand.NewPCG(6, 7)), access.SubjectAccount, 200)
	for _, key := range []string{
		"input.account.days_since_login + 1", "max([input.account.days_since_login, 7])", "count([g | some g in input.grants; g.direct])",
		"count([g | some g in input.grants; g.direct; g.approved])",
	} {
		rule := construct{name: "keys", body: "true"}.head(0) + "findings contains {\"message\": \"m\"} if data.tables[\"CON-000\"].days[" + key + "]\n"
		pack, err := load(map[string]string{"p.rego": rule, "data.yaml": "days: {\"0\": a, \"1\": b, \"7\": c, \"30\": d, \"31\": e, x: f}\n"}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		want := tb.full(t, pack, access.SubjectAccount, rows)
		got, _, _ := tb.screened(t, pack, access.SubjectAccount, rows, store.Sample{})
		wantAgreement(t, want, got)
		if len(want.findings) == 0 {
			t.Errorf("nothing is found by %s", key)
		}
	}
}

// A statement asks the same of all sources: where policies are set for one, all that judge its kind of subject stay in the
// full lane, and those of other kinds don't.
func TestPrefilterLeavesPoliciesBySource(t *testing.T) {
	off := false
	files := map[string]string{}
	for i, subject := range []string{"account", "account", "person"} {
		head := strings.Replace(construct{name: "source", body: "true"}.head(i), "subject: account", "subject: "+subject, 1)
		files[fmt.Sprintf("c%d/p.rego", i)] = head + "findings contains {\"message\": \"m\"} if input.person.status == \"ended\"\n"
	}
	pack, err := load(files, Options{Overrides: map[string]Override{"CON-001": {Sources: map[string]Override{"crm": {Enabled: &off}}}}})
	if err != nil {
		t.Fatal(err)
	}
	e := newEngine(t, pack, EngineOptions{})
	for kind, want := range map[access.SubjectKind]bool{access.SubjectAccount: false, access.SubjectPerson: true} {
		screen, err := e.Screen(t.Context(), kind)
		if err != nil {
			t.Fatal(err)
		}
		if got := screen != nil; got != want {
			t.Errorf("%s: a screen: %v, want %v", kind, got, want)
		}
	}
	coverage, err := e.Coverage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range coverage {
		got = append(got, fmt.Sprint(c.Policy, " ", c.Lane, " ", c.Why == whyBySource))
	}
	if diff := cmp.Diff([]string{"CON-000 full true", "CON-001 full true", "CON-002 complete false"}, got); diff != "" {
		t.Errorf("coverage (-want +got):\n%s", diff)
	}
}

// Nor do rules about people, whose accounts and grants are gathered over all sources: separation of duties, mostly.
func TestPrefilterAgreesOnPeople(t *testing.T) {
	tb := openTable(t)
	files := map[string]string{}
	for i, body := range []string{
		"some a in input.grants\n\tsome b in input.grants\n\ta.entitlement.id == \"ent-0\"\n\tb.entitlement.id == \"ent-1\"",
		"some a in input.grants\n\tsome b in input.grants\n\ta.source != b.source\n\ta.entitlement.privileged\n\tb.entitlement.high_risk",
		"input.person.status == \"ended\"\n\tsome a in input.accounts\n\ta.enabled\n\tnot a.legal_hold",
		"not signed_in\n}\n\nsigned_in if {\n\tsome a in input.accounts\n\ta.days_since_login < 60",
		"every a in input.accounts { a.mfa == false }\n\tcount(input.accounts) > 0",
		"some s in input.seats\n\tsome a in input.accounts\n\ts.source == a.source\n\ta.privileged",
		"some s in input.seats\n\tnot owned(s)\n}\n\nowned(s) if {\n\tsome a in input.accounts\n\ta.source == s.source\n\ta.kind == \"human\"",
		"input.directory.enabled == false\n\tsome a in input.accounts\n\tlower(a.username) == \"root\"",
	} {
		head := strings.Replace(construct{name: "people", body: "true"}.head(i), "subject: account", "subject: person", 1)
		files[fmt.Sprintf("c%d/p.rego", i)] = head + "findings contains {\"message\": \"m\"} if {\n\t" + body + "\n}\n"
	}
	pack, err := load(files, Options{})
	if err != nil {
		t.Fatal(err)
	}
	fired := map[string]bool{}
	for key := range tb.agree(t, pack, access.SubjectPerson, perturbed(t, rand.New(rand.NewPCG(4, 2)), access.SubjectPerson, some(800))).findings {
		_, policy, _ := cutLast(key)
		fired[policy] = true
	}
	if len(fired) != len(files) && !testing.Short() {
		t.Errorf("only %v fired", fired)
	}
	coverage, err := newEngine(t, pack, EngineOptions{}).Coverage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range coverage {
		if c.Lane != LaneComplete {
			t.Errorf("%s: %s lane: %s %v", c.Policy, c.Lane, c.Why, c.Dropped)
		}
	}
}

// A screen that passes over what a rule flags is caught by the comparison of the lanes. It is caught at run time too, by the
// sample, and once the rule has judged what was passed over nothing differs any more.
func TestPlantedFaultsAreCaught(t *testing.T) {
	tb := openTable(t)
	for fault, body := range map[prefilter.Fault]string{
		prefilter.WrongPolarity:  "not odd\n}\n\nodd if {\n\tinput.account.locked\n\tupper(input.account.username) == \"ROOT\"",
		prefilter.MissingHolds:   "not old\n}\n\nold if {\n\tinput.account.days_since_login > 30",
		prefilter.ForgottenQuery: "input.account.locked\n}\n\nfindings contains {\"message\": \"m\", \"key\": \"k\"} if {\n\tinput.account.mfa == false",
	} {
		pack, err := load(map[string]string{"p.rego": construct{name: "planted", body: "true"}.head(0) + "findings contains {\"message\": \"m\"} if {\n\t" + body + "\n}\n"}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		rows := perturbed(t, rand.New(rand.NewPCG(5, 5)), access.SubjectAccount, 250)
		want := tb.full(t, pack, access.SubjectAccount, rows)
		sound, e, _ := tb.screened(t, pack, access.SubjectAccount, rows, store.Sample{Seed: 1, Every: 10})
		wantAgreement(t, want, sound)
		if d := e.Doubts(); len(d) > 0 {
			t.Errorf("%d: a sound screen is doubted: %v", fault, d)
		}

		tb.fault = fault
		unsound, e, _ := tb.screened(t, pack, access.SubjectAccount, rows, store.Sample{})
		if cmp.Equal(want.findings, unsound.findings) {
			t.Errorf("%d: the comparison does not show it", fault)
		}
		if d := e.Doubts(); len(d) > 0 {
			t.Errorf("%d: doubted without a sample: %v", fault, d)
		}
		again, e, _ := tb.screened(t, pack, access.SubjectAccount, rows, store.Sample{Seed: 1, Every: 10})
		if d := e.Doubts(); len(d) != 1 || d[0].Policy != "CON-000" {
			t.Errorf("%d: the sample does not show it: %v", fault, d)
		}
		wantAgreement(t, want, again)
		tb.fault = prefilter.NoFault
	}
}

// Rules too large for a statement judge every subject.
func TestPrefilterLimits(t *testing.T) {
	list := func(n, size int) string {
		values := make([]string, n)
		for i := range values {
			values[i] = fmt.Sprintf("%q", fmt.Sprintf("%0*d", size, i))
		}
		return "[" + strings.Join(values, ", ") + "]"
	}
	alternatives := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "\n\nfindings contains {\"message\": \"m\", \"key\": \"%[1]d\"} if startswith(input.account.username, \"%[1]d\")", i)
		}
		return b.String()
	}
	for name, c := range map[string]struct{ rules, why string }{
		"a list":          {"findings contains {\"message\": \"m\"} if input.account.username in " + list(1000, 4), ""},
		"a long list":     {"findings contains {\"message\": \"m\"} if input.account.username in " + list(1001, 4), "a list of 1001 values is longer than 1000"},
		"many parameters": {alternatives(513), "more than 512 parameters"},
		"much text":       {strings.ReplaceAll(alternatives(500), "input.account.username", "input.person.previous_department"), ""},
		"large values":    {"findings contains {\"message\": \"m\"} if input.account.username in " + list(900, 400), "the parameters take more than 256 KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			pack, err := load(map[string]string{"p.rego": construct{name: "limit", body: "true"}.head(0) + c.rules + "\n"}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			coverage, err := newEngine(t, pack, EngineOptions{}).Coverage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got := coverage[0]
			if c.why == "" && got.Lane != LaneComplete || c.why != "" && (got.Lane != LaneFull || !strings.Contains(got.Why, c.why)) {
				t.Errorf("%s lane: %s %v, want %q", got.Lane, got.Why, got.Dropped, c.why)
			}
		})
	}
}

// What a rule can't judge is counted alike whatever its METADATA asks for.
func TestPrefilterCountsAlike(t *testing.T) {
	tb := openTable(t)
	files := map[string]string{}
	for i, metadata := range []string{
		"needs: [account.mfa]", "scope: {account.enabled: true}", "scope: {account.enabled: [true, false]}", "scope: {account.mfa: false}",
		"scope: {account.kind: [human, guest], person.status: ended}", "scope: {account.days_since_login: [7, 30]}", "exempt: [leave]",
		"needs: [account.days_since_login|account.never_logged_in, person.kind]", "needs: [coverage.owner]", "needs: [coverage.owner|account.owner_id]",
		"needs: [grants]", "needs: [grants.peer_share]", "needs: [grants.peer_share|grants.days_since_used]", "needs: [seats.cost_month, grants.direct, account.mfa]",
		"needs: [grants.approved|seats.never_used]", "needs: [grants.approved|seats.never_used|account.mfa]", "needs: [owner, directory.enabled]",
		"needs: [source.coverage.mfa]", "needs: [account.attributes.dn]", "needs: [account.keys.active]", "needs: [grants.entitlement.name|grants.entitlement.kind]",
	} {
		key, _, _ := strings.Cut(metadata, ":")
		head := strings.Replace(construct{name: metadata, body: "true"}.head(i), "#   params:", "#   "+metadata+"\n#   params:", 1)
		body := "input.account.privileged\n\tnot input.account.locked"
		if key == "exempt" {
			body = "input.account.enabled"
		}
		files[fmt.Sprintf("c%d/p.rego", i)] = head + "findings contains {\"message\": \"m\"} if {\n\tinput.account.days_known == 1\n\t" + body + "\n}\n"
	}
	pack, err := load(files, Options{})
	if err != nil {
		t.Fatal(err)
	}
	// A hit that METADATA rules out fails the rule in either lane; here the tallies are to be compared.
	rows := perturbed(t, rand.New(rand.NewPCG(2, 7)), access.SubjectAccount, some(600))
	index := newColumns(access.SubjectAccount).index["account_days_known"]
	for _, row := range rows {
		*row[index].(*int64) = 0
	}
	want := tb.agree(t, pack, access.SubjectAccount, rows)
	if len(want.failed) > 0 {
		t.Errorf("failed: %v", want.failed)
	}
	missing := map[string]bool{}
	for _, tally := range want.tallies {
		for path := range tally.Missing {
			missing[tally.Policy+path] = true
		}
	}
	if len(missing) < 20 {
		t.Errorf("only %v are missing", missing)
	}
	for _, row := range rows {
		*row[index].(*int64) = 1
	}
	tb.agree(t, pack, access.SubjectAccount, rows)
}

// FuzzPrefilter puts rules and subjects together by chance: 5,000 pairs each time, few enough for the ten seconds that Go gives each.
func FuzzPrefilter(f *testing.F) {
	for seed := range uint64(2) {
		f.Add(seed)
	}
	tb := openTable(f)
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 1))
		tb.agree(t, composedPack(t, r, 20), access.SubjectAccount, perturbed(t, r, access.SubjectAccount, 250))
	})
}

// BenchmarkPrefilterAgrees is the fuzz target's million: each round judges 1,000,000 pairs of a rule and a subject in both
// lanes.
func BenchmarkPrefilterAgrees(b *testing.B) {
	tb := openTable(b)
	findings, seed := 0, uint64(100)
	for b.Loop() {
		for range 5 {
			r := rand.New(rand.NewPCG(seed, 1))
			seed++
			findings += len(tb.agree(b, composedPack(b, r, 100), access.SubjectAccount, perturbed(b, r, access.SubjectAccount, 2000)).findings)
		}
	}
	b.ReportMetric(1_000_000, "pairs/op")
	b.ReportMetric(float64(findings)/float64(b.N), "findings/op")
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
