package policy

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/policies"
)

// Every finding of the shipped rules can be explained, and recorded as a test case that passes and names nobody.
func TestExplainAndRecordWhateverIsFound(t *testing.T) {
	pack := shipped(t, enableAll(t))
	e := newEngine(t, pack, EngineOptions{})
	ev := e.NewEvaluator()
	r := rand.New(rand.NewPCG(9, 4))
	const each = 1                                                                  // findings of a rule
	words := regexp.MustCompile(`"(type|mailbox_type|currency|method|kind)": ".*"`) // which name nobody
	seen := map[string]int{}
	tests := fstest.MapFS{}
	for _, kind := range access.SubjectKinds() {
		for range 700 {
			d := randomDoc(r, access.SchemaOf(kind).Root, 0.1)
			steer(r, d)
			for _, s := range asList(d["seats"]) { // a currency names nobody and stays, in messages too
				s.(doc)["currency"] = "USD"
			}
			row := rowOf(t, kind, d)
			for _, found := range evalAll(t, ev, kind, row) {
				if seen[found.Policy]++; seen[found.Policy] > each {
					continue
				}
				x, err := Explain(context.Background(), pack, found.Policy, found.Key, row, EngineOptions{Time: runTime}, false)
				if err != nil {
					t.Fatal(err)
				}
				if !x.Holds || len(x.Rules) == 0 || len(x.Rules[0].Lines) == 0 {
					t.Errorf("%s is not explained: %+v\n%s", found.Policy, x, mustJSON(d))
				}
				for _, rule := range x.Rules {
					for _, l := range rule.Lines {
						if l.Words == "" || l.Text == "" || l.Line == 0 || strings.HasPrefix(l.Words, "this holds") {
							t.Errorf("%s:%d: %q in words: %q", rule.File, l.Line, l.Text, l.Words)
						}
					}
				}
				text, err := Record(context.Background(), pack, found.Policy, fmt.Sprint(seen[found.Policy]), row, EngineOptions{Time: runTime})
				if p, _ := pack.Policy(found.Policy); err != nil && p.Table != "" && strings.Contains(err.Error(), "write the test by hand") {
					continue // what its table names is not there any more once it is anonymous
				}
				if err != nil {
					t.Errorf("%v\n%s", err, mustJSON(d))
					continue
				}
				if rest := words.ReplaceAllString(text, ""); strings.Contains(rest, "Beta") || strings.Contains(rest, "γ") || strings.Contains(rest, "quoted") {
					t.Errorf("%s: a name is left: %s", found.Policy, text)
				}
				name := fmt.Sprintf("recorded/r%d_test.rego", len(tests))
				tests[name] = &fstest.MapFile{Data: []byte(fmt.Sprintf("package lapse.recorded.r%d_test\n\nimport rego.v2\n\n%s", len(tests), text))}
			}
		}
	}
	for _, p := range pack.Policies() {
		if seen[p.ID] == 0 {
			t.Errorf("%s was never found, so nothing was shown of it", p.ID)
		}
	}
	whole, err := Load(Options{}, Source{Name: "built-in", FS: policies.FS}, Source{Name: "x", FS: tests})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	report, err := Test(context.Background(), whole, &out, TestOptions{Run: "lapse.recorded"})
	if err != nil {
		t.Fatal(err)
	}
	if report.Passed != len(tests) || report.Failed > 0 {
		t.Errorf("%d of %d recorded cases pass\n%s", report.Passed, len(tests), out.String())
	}
	t.Logf("%d findings explained and recorded", len(tests))
}

// A subject that the policy no longer flags is said to be none, and is not recorded.
func TestExplainWhatIsNoFinding(t *testing.T) {
	p := pack(t, ruleText("ACME-01", "", "findings contains {\"message\": \"x\"} if input.account.locked"))
	x, err := Explain(context.Background(), p, "ACME-01", "", accountRow(t, nil), EngineOptions{Time: runTime}, true)
	if err != nil || x.Holds || x.Trace == "" {
		t.Errorf("%+v, %v", x, err)
	}
	if _, err := Record(context.Background(), p, "ACME-01", "x", accountRow(t, nil), EngineOptions{Time: runTime}); err == nil || !strings.Contains(err.Error(), "does not flag the subject") {
		t.Errorf("recorded: %v", err)
	}
	if _, err := Explain(context.Background(), p, "ACME-02", "", accountRow(t, nil), EngineOptions{Time: runTime}, false); err == nil {
		t.Error("a policy that is not is explained")
	}
}

// The catalogue shows every policy, and whatever a policy says is text in it.
func TestCatalogue(t *testing.T) {
	p, err := load(map[string]string{"lib.rego": goodLibrary, "a.rego": strings.Replace(good, "title: Locked out", "title: \"<script> | *out*\"", 1)}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var markdown, page strings.Builder
	if err := p.WriteMarkdown(&markdown); err != nil {
		t.Fatal(err)
	}
	if err := p.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`| [ACME-01](#acme-01) | low | yes | &lt;script> \| \*out\* |`, "- parameter `days`: `3`", "`account.days_since_login or account.never_logged_in is known`", "- controls: CIS-8.1:5.1"} {
		if !strings.Contains(markdown.String(), want) {
			t.Errorf("Markdown lacks %s:\n%s", want, markdown.String())
		}
	}
	for _, want := range []string{`<section id="acme-01">`, "&lt;script&gt; | *out*", "<dd>CIS-8.1:5.1</dd>"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("HTML lacks %s:\n%s", want, page.String())
		}
	}
	for _, w := range []func(io.Writer) error{shipped(t, Options{}).WriteMarkdown, shipped(t, Options{}).WriteHTML} {
		var b strings.Builder
		if err := w(&b); err != nil || strings.Count(b.String(), "LVR-01") < 2 {
			t.Errorf("%v: %d bytes", err, b.Len())
		}
	}
}
