package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/access"
)

// What lapse.yaml says of a policy for one source holds for its subjects alone.
func TestOverridesBySource(t *testing.T) {
	yes, no := true, false
	rule := func(id, custom string) string {
		return ruleText(id, "#   params: {days: 10}\n"+custom, "findings contains {\"message\": sprintf(\"%v days\", [data.params[\""+id+"\"].days])} if input.account.days_known >= data.params[\""+id+"\"].days")
	}
	p, err := load(map[string]string{"lib.rego": goodLibrary, "a.rego": rule("ACME-01", ""), "b.rego": rule("ACME-02", ""), "c.rego": rule("ACME-03", "#   enabled: false\n")}, Options{Overrides: map[string]Override{
		"ACME-01": {Severity: "medium", Sources: map[string]Override{"crm": {Severity: "critical", Params: map[string]any{"days": 5}, Action: "disable", Assignee: "app_owner"}}},
		"ACME-02": {Sources: map[string]Override{"crm": {Enabled: &no}}},
		"ACME-03": {Params: map[string]any{"days": 7}, Sources: map[string]Override{"crm": {Enabled: &yes}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string]string{"ad": "security", "crm": "app_owner"} {
		if got := p.Assignee("ACME-01", source); got != want {
			t.Errorf("%s is asked first in %s, want %s", got, source, want)
		}
	}
	if got := p.Assignee("ACME-99", "ad"); got != "" {
		t.Errorf("%s is asked about a policy that is not there", got)
	}
	for name, c := range map[string]struct {
		only []string
		want map[string][]string
	}{
		"all": {nil, map[string][]string{
			"ad":  {"ACME-01 medium none security: 10 days", "ACME-02 low none security: 10 days"},
			"crm": {"ACME-01 critical disable app_owner: 5 days", "ACME-03 low none security: 7 days"},
		}},
		"only those named": {[]string{"ACME-02", "ACME-03"}, map[string][]string{
			"ad":  {"ACME-02 low none security: 10 days"},
			"crm": {"ACME-03 low none security: 7 days"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, p, EngineOptions{Only: c.only})
			ev := e.NewEvaluator()
			for source, want := range c.want {
				var got []string
				for _, r := range evalAll(t, ev, access.SubjectAccount, accountRow(t, doc{"source": doc{"uid": source}, "account": doc{"days_known": 12}})) {
					got = append(got, strings.Join([]string{r.Policy, r.Severity.String(), r.Action, r.Assignee}, " ")+": "+r.Message)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", source, diff)
				}
			}
			tallies := map[string]int{}
			for _, tally := range e.Tallies() {
				tallies[tally.Source] += int(tally.Flagged)
			}
			if tallies["ad"] != len(c.want["ad"]) || tallies["crm"] != len(c.want["crm"]) {
				t.Errorf("tallies %v", tallies)
			}
		})
	}
	// A rule that fails on one source's subjects is broken off for all.
	p, err = load(map[string]string{"lib.rego": goodLibrary, "a.rego": ruleText("ACME-01", "#   params: {text: \"1\"}\n", `findings contains {"message": "x"} if to_number(data.params["ACME-01"].text) == 1`)}, Options{Overrides: map[string]Override{
		"ACME-01": {Sources: map[string]Override{"crm": {Params: map[string]any{"text": "one"}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	e := newEngine(t, p, EngineOptions{})
	ev := e.NewEvaluator()
	for source, want := range map[string]int{"crm": 0} {
		if got := evalAll(t, ev, access.SubjectAccount, accountRow(t, doc{"source": doc{"uid": source}})); len(got) != want {
			t.Errorf("%s: %v", source, got)
		}
	}
	if got := evalAll(t, ev, access.SubjectAccount, accountRow(t, nil)); len(got) != 0 || len(e.Failures()) != 1 {
		t.Errorf("after it failed: %v, %v", got, e.Failures())
	}
	for _, tally := range e.Tallies() {
		if tally.Failed == "" {
			t.Errorf("%+v", tally)
		}
	}
	// A person has no source, and what is wrong in an override of a source is said.
	for text, o := range map[string]Override{
		"ACME-01 judges people, who are of no source": {Sources: map[string]Override{"crm": {Enabled: &no}}},
	} {
		_, err := load(map[string]string{"a.rego": strings.Replace(ruleText("ACME-01", "", `findings contains {"message": "x"} if input.person.status == "ended"`), "subject: account", "subject: person", 1)}, Options{Overrides: map[string]Override{"ACME-01": o}})
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("got %v, want %s", err, text)
		}
	}
	_, err = load(map[string]string{"lib.rego": goodLibrary, "a.rego": rule("ACME-01", "")}, Options{Overrides: map[string]Override{"ACME-01": {Sources: map[string]Override{"crm": {Params: map[string]any{"dyas": 1}}}}}})
	if err == nil || !strings.Contains(err.Error(), "ACME-01 has no parameter dyas: did you mean days?") {
		t.Errorf("got %v", err)
	}
}
