package policy

import (
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/test/cases"
	"github.com/open-policy-agent/opa/v1/test/cases/testdata"
	"github.com/open-policy-agent/opa/v1/util"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/store"
)

var whole = flag.Bool("whole", false, "make all rules of all of OPA's conformance cases that can be made")

// What the conformance cases of OPA 1.22.2 come to at the least. Fewer would mean that they are no longer made into rules.
const (
	leastCases   = 2300
	leastApplied = 190 // of the cases that the test takes
	leastFired   = 210 // rules
	leastWhole   = 820 // cases that apply, of all
)

// OPA's own conformance cases are constructs too. What a case asks becomes the condition of a rule, its modules the rule's
// helpers, its data the rule's table; and something constant in it, the field of a subject, so that partial evaluation has
// something that it does not know. Then the lanes are compared on subjects that have the constant there, others that have
// something else, and others that have nothing. Here a few rules are made of some cases; with -whole, all of all.
func TestConformance(t *testing.T) {
	tb := openTable(t)
	c := &conformance{tb: tb, every: 3, most: 2, tries: 8}
	applied, fired := some(leastApplied), some(leastFired)
	switch {
	case *whole:
		c = &conformance{tb: tb, every: 1, most: math.MaxInt, tries: math.MaxInt}
		applied = leastWhole
	case testing.Short():
		c.every = 12
	}
	c.run(t, opaCases(t))
	c.log(t)
	if len(c.applied) < applied {
		t.Errorf("%d cases apply, want %d", len(c.applied), applied)
	}
	if c.fired < fired {
		t.Errorf("%d rules flag a subject, want %d", c.fired, fired)
	}
}

// opaCases are the conformance cases that come with OPA, in a fixed order.
func opaCases(t testing.TB) []cases.TestCase {
	t.Helper()
	var out []cases.TestCase
	err := fs.WalkDir(testdata.V1, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := testdata.V1.ReadFile(name)
		if err != nil {
			return err
		}
		var set cases.Set
		if err := util.Unmarshal(text, &set); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, set.Cases...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < leastCases {
		t.Fatalf("OPA has %d conformance cases, want %d", len(out), leastCases)
	}
	return out
}

// conformance makes rules of cases, and compares the lanes on them batch by batch.
type conformance struct {
	tb    *subjectTable
	every int // it takes one case of so many,
	most  int // makes at most so many rules of it,
	tries int // and tries so many ways

	batch    []*conformanceRule
	lanes    map[Lane]int
	fired    int // rules that flag a subject
	findings int
	failed   int
	applied  map[string]bool   // cases of which some rule is compared, by note
	full     map[string]string // cases of which rules stay in the full lane, and why
	refused  map[string]string // cases of which no rule is made, and why
}

// conformanceRule is a rule made of a case.
type conformanceRule struct {
	note    string
	files   []file
	pack    *Pack
	variant variant
}

// batchSize keeps the statement that screens a batch well below its limits.
const batchSize = 60

// run makes rules of the cases: the same ones each time, spread over all that can be made of a case.
func (c *conformance) run(t testing.TB, all []cases.TestCase) {
	t.Helper()
	c.lanes, c.applied, c.full, c.refused = map[Lane]int{}, map[string]bool{}, map[string]string{}, map[string]string{}
	for i := 0; i < len(all); i += c.every {
		tc := all[i]
		made, ways := 0, variants(tc)
		for n := range min(len(ways), c.tries) {
			rule, why := c.make(tc, ways[(n*stride(len(ways))+i)%len(ways)])
			if why != "" {
				c.refused[tc.Note] = why
				continue
			}
			c.batch = append(c.batch, rule)
			if len(c.batch) == batchSize {
				c.compare(t)
			}
			if made++; made == c.most {
				break
			}
		}
	}
	c.compare(t)
	for note := range c.refused {
		if c.applied[note] || c.full[note] != "" {
			delete(c.refused, note)
		}
	}
	for note := range c.applied {
		delete(c.full, note)
	}
}

// stride goes through n things in an order in which neighbours are far apart.
func stride(n int) int {
	for s := n*2/3 + 1; ; s++ {
		if a, b := s, n; gcd(a, b) == 1 {
			return s
		}
	}
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func (c *conformance) log(t testing.TB) {
	t.Helper()
	count := func(reasons map[string]string) string {
		n := map[string]int{}
		for _, why := range reasons {
			n[why]++
		}
		var b strings.Builder
		for _, why := range slices.SortedFunc(maps.Keys(n), func(a, b string) int { return n[b] - n[a] }) {
			fmt.Fprintf(&b, "\n%6d %s", n[why], why)
		}
		return b.String()
	}
	t.Logf("of %d cases, %d compared by %d rules: %d complete, %d partly; %d fired, %d findings, %d failed in either lane",
		len(c.applied)+len(c.full)+len(c.refused), len(c.applied), c.lanes[LaneComplete]+c.lanes[LanePartly], c.lanes[LaneComplete], c.lanes[LanePartly], c.fired, c.findings, c.failed)
	t.Logf("%d cases, and %d rules in all, in the full lane:%s", len(c.full), c.lanes[LaneFull], count(c.full))
	t.Logf("%d cases not made into rules:%s", len(c.refused), count(c.refused))
}

// make loads a rule, with the case's one module in the rule's own package if that can be, else with all modules in the library.
func (c *conformance) make(tc cases.TestCase, v variant) (*conformanceRule, string) {
	var why string
	for _, library := range []bool{false, true} {
		if !library && len(tc.Modules) > 1 {
			continue
		}
		m := maker{tc: tc, variant: v, index: len(c.batch), library: library}
		files, err := m.files()
		if err != nil {
			why = err.Error()
			continue
		}
		if why = refusal(tc, files); why != "" { // most are refused, and this is cheaper than loading them
			continue
		}
		l := &loader{}
		pack := l.load(Options{}, files)
		if len(l.faults) > 0 {
			why = "is refused by the loader: " + l.faults[0].check
			continue
		}
		return &conformanceRule{note: tc.Note, files: files, pack: pack, variant: v}, ""
	}
	return nil, why
}

// refusal says why OPA's compiler does not take a rule, as the engine uses it; "" if it does.
func refusal(tc cases.TestCase, files []file) string {
	wanted := tc.WantErrorCode != nil && slices.Contains([]string{ast.CompileErr, ast.TypeErr, ast.ParseErr, ast.UnsafeVarErr, ast.RecursionErr}, *tc.WantErrorCode)
	modules := map[string]*ast.Module{}
	for _, f := range files {
		if f.table() {
			continue
		}
		m, err := ast.ParseModuleWithOpts(f.name, f.text, parserOptions())
		if err != nil {
			return "can't be parsed"
		}
		modules[f.name] = m
	}
	c := newCompiler("")
	if c.Compile(modules); !c.Failed() {
		return ""
	}
	for _, e := range c.Errors {
		if name, ok := strings.CutPrefix(e.Message, "undefined function "); ok && forbiddenBuiltin(name) {
			return "calls a forbidden builtin"
		}
	}
	if wanted {
		return "wants an error of the compiler"
	}
	return "is refused by the compiler with a field in it: " + c.Errors[0].Code
}

// compare holds the lanes against each other on what has been made, but for the rules that judge every subject in either.
func (c *conformance) compare(t testing.TB) {
	t.Helper()
	batch := c.batch
	c.batch = nil
	if len(batch) == 0 {
		return
	}
	coverage, err := newEngine(t, packOf(batch), EngineOptions{}).Coverage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var kept []*conformanceRule
	by := map[string]*conformanceRule{}
	for i, rule := range batch {
		c.lanes[coverage[i].Lane]++
		if coverage[i].Lane == LaneFull {
			c.full[rule.note] = shortened(coverage[i])
			continue
		}
		c.applied[rule.note] = true
		kept = append(kept, rule)
		by[coverage[i].Policy] = rule
	}
	if len(kept) == 0 {
		return
	}
	pack := packOf(kept)
	rows := conformanceRows(t, kept)
	want := c.tb.full(t, pack, access.SubjectAccount, rows)
	got, _, _ := c.tb.screened(t, pack, access.SubjectAccount, rows, store.Sample{})
	wantAgreement(t, want, got)
	fired, wrong := map[string]bool{}, map[string]bool{}
	for key, text := range want.findings {
		_, policy, _ := cutLast(key)
		fired[policy] = true
		if got.findings[key] != text {
			wrong[policy] = true
		}
	}
	for _, id := range slices.Concat(want.failed, got.failed) {
		if !slices.Contains(want.failed, id) || !slices.Contains(got.failed, id) {
			wrong[id] = true
		}
	}
	c.fired, c.findings, c.failed = c.fired+len(fired), c.findings+len(want.findings), c.failed+len(want.failed)
	for _, id := range slices.Sorted(maps.Keys(wrong)) {
		t.Logf("%s is made of %s:", id, by[id].note)
		for _, f := range by[id].files {
			t.Logf("%s\n%s", f.name, f.text)
		}
	}
}

var placeInText = regexp.MustCompile(`c\d+/\S*?:\d+: |"[^"]*"|\b(data|lapse)\.[\w.\[\]]+`)

// shortened is why a rule is in the full lane, without what is the rule's own.
func shortened(c Coverage) string {
	why := placeInText.ReplaceAllString(c.Why, "")
	if len(c.Dropped) > 0 {
		why += ": " + c.Dropped[0].Why
	}
	return why
}

func packOf(rules []*conformanceRule) *Pack {
	pack := &Pack{}
	for _, r := range rules {
		pack.policies = append(pack.policies, r.pack.policies...)
		pack.library = append(pack.library, r.pack.library...)
	}
	return pack
}

// conformanceRows are subjects that have in the fields what the rules look for, something else, or nothing.
func conformanceRows(t testing.TB, rules []*conformanceRule) []access.Row {
	t.Helper()
	var texts, numbers []any
	add := func(list *[]any, values ...any) {
		for _, v := range values {
			if !slices.Contains(*list, v) {
				*list = append(*list, v)
			}
		}
	}
	for _, r := range rules {
		for _, v := range r.variant.values {
			switch v := v.(type) {
			case string:
				add(&texts, v)
			case int:
				add(&numbers, v, v-1, v+1)
			}
		}
	}
	add(&texts, "", "another", nil)
	add(&numbers, 0, 7, nil)
	booleans := []any{true, false, nil}
	r := rand.New(rand.NewPCG(uint64(len(texts)), uint64(len(numbers))))
	rows := make([]access.Row, max(len(texts), len(numbers), 24))
	some := func(list []any, i int) any { return list[i%len(list)] }
	for i := range rows {
		d := randomDoc(r, access.SchemaOf(access.SubjectAccount).Root, 0.2)
		d["run"] = doc{"id": 0, "time": "2026-11-23T02:00:00Z"}
		account := d["account"].(doc)
		account["id"] = fmt.Sprintf("account-%d", i)
		account["username"], account["days_since_login"], account["enabled"] = some(texts, i), some(numbers, i), some(booleans, i)
		grants := asList(d["grants"])
		for n, g := range grants {
			g := g.(doc)
			g["entitlement"].(doc)["name"] = some(texts, i+n)
			g["days_since_used"], g["approved"] = some(numbers, i+n), some(booleans, r.IntN(3))
		}
		rows[i] = rowOf(t, access.SubjectAccount, d)
	}
	return rows
}
