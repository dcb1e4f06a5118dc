package policy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/access"
)

// rule writes a policy of one findings rule on line 10 and following.
func ruleText(id, custom, body string) string {
	return fmt.Sprintf(`# METADATA
# title: %s
# custom:
#   id: %s
#   subject: account
#   severity: low
%spackage lapse.acme.%s

import rego.v2

%s
`, id, id, custom, strings.ToLower(strings.ReplaceAll(id, "-", "_")), body)
}

func pack(t *testing.T, rules ...string) *Pack {
	t.Helper()
	files := map[string]string{"lib.rego": goodLibrary}
	for i, r := range rules {
		files[fmt.Sprintf("r%d.rego", i)] = r
	}
	p, err := load(files, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func accountRow(t testing.TB, changes ...doc) access.Row {
	d := doc{
		"source":  doc{"uid": "ad", "name": "Corp AD", "type": "ldap"},
		"account": doc{"id": "a-1", "username": "ada", "enabled": true, "kind": "human", "days_known": 9},
		"link":    doc{"method": "email", "status": "linked"},
		"person":  doc{"id": "hr:1", "name": "Ada", "department": "Sales", "status": "active"},
	}
	for _, change := range changes {
		d = merge(d, change)
	}
	return rowOf(t, access.SubjectAccount, d)
}

const sound = `findings contains {"message": "sound"} if input.account.enabled`

// Whatever goes wrong in one rule must neither stop nor silence another, nor pass for "nothing found".
func TestFailuresAreIsolated(t *testing.T) {
	for name, c := range map[string]struct {
		custom, body string
		change       doc
		want         string
	}{
		"a builtin error": {
			body: `findings contains {"message": "x"} if to_number(input.account.username) > 1`,
			want: "ACME-02 (acme/r1.rego:11) on account ad/a-1: to_number: "},
		"a conflict": {
			body: "findings contains {\"message\": x}\n\nx := input.account.username\n\nx := input.account.id",
			want: "ACME-02 (acme/r1.rego:15) on account ad/a-1: rule data.lapse.acme.acme_02.x produced conflicting values: "},
		"no end": {
			body: "findings contains {\"message\": \"x\"} if {\n\tsome a in numbers.range(1, 100000)\n\tsome b in numbers.range(1, 100000)\n\ta * b < 0\n}",
			want: "ACME-02 (acme/r1.rego:11) on account ad/a-1: it takes longer than 100ms"},
		"one key twice": {
			body: "findings contains {\"message\": m} if some m in [\"x\", \"y\"]",
			want: `ACME-02 (acme/r1.rego:11) on account ad/a-1: two findings on one subject have the same key "" ("x" and "y"): give each a key`},
		"an unknown key": {
			body: "findings contains f if {\n\tinput.account.enabled\n\tf := {\"message\": \"x\", \"costs\": 3}\n}",
			want: "ACME-02 (acme/r1.rego:11) on account ad/a-1: a finding has no key costs: want cost_month, currency, evidence, key, message or severity"},
		"no message": {
			body: "findings contains f if {\n\tinput.account.enabled\n\tf := {\"key\": \"x\"}\n}",
			want: "ACME-02 (acme/r1.rego:11) on account ad/a-1: a finding has no message"},
		"an empty message": {
			body: "findings contains {\"message\": \"\"} if input.account.enabled",
			want: "ACME-02 (acme/r1.rego:11) on account ad/a-1: message of a finding is \"\": want text"},
		"no object": {
			body: "findings contains \"x\" if input.account.enabled",
			want: "ACME-02 (acme/r1.rego:11) on account ad/a-1: a finding is string, not an object with a message"},
		"evidence of the wrong type": {
			body: "findings contains {\"message\": \"x\", \"evidence\": [1]} if input.account.enabled",
			want: "ACME-02 (acme/r1.rego:11) on account ad/a-1: evidence of a finding is array: want an object"},
		"cost of the wrong type": {
			body: "findings contains {\"message\": \"x\", \"cost_month\": \"3\"} if input.account.enabled",
			want: "ACME-02 (acme/r1.rego:11) on account ad/a-1: cost_month of a finding is \"3\": want a number"},
		"a negative cost": {
			body: "findings contains {\"message\": \"x\", \"cost_month\": -3} if input.account.enabled",
			want: "ACME-02 (acme/r1.rego:11) on account ad/a-1: cost_month of a finding is -3: want an amount of money"},
		"an unknown severity": {
			body: "findings contains f if {\n\tinput.account.enabled\n\tf := {\"message\": \"x\", \"severity\": \"grave\"}\n}",
			want: "ACME-02 (acme/r1.rego:11) on account ad/a-1: severity of a finding is \"grave\": want info, low, medium, high or critical"},
		"out of scope": {
			custom: "#   scope: {account.kind: service}\n",
			body:   `findings contains {"message": "x"} if input.account.enabled`,
			want:   "ACME-02 (acme/r1.rego:12) on account ad/a-1: it flags a subject that its METADATA puts out of scope"},
		"scope unknown": {
			custom: "#   scope: {account.kind: human}\n",
			body:   `findings contains {"message": "x"} if input.account.enabled`,
			change: doc{"account": doc{"kind": nil}},
			want:   "ACME-02 (acme/r1.rego:12) on account ad/a-1: it flags a subject although its METADATA needs account.kind, which is unknown"},
		"needs unmet": {
			custom: "#   needs: [account.mfa|account.locked]\n",
			body:   `findings contains {"message": "x"} if input.account.enabled`,
			want:   "ACME-02 (acme/r1.rego:12) on account ad/a-1: it flags a subject although its METADATA needs account.mfa|account.locked, which is unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, pack(t, ruleText("ACME-01", "", sound), ruleText("ACME-02", c.custom, c.body), ruleText("ACME-03", "", sound)), EngineOptions{Budget: 100 * time.Millisecond})
			ev := e.NewEvaluator()
			for range 2 {
				var got []string
				for _, r := range evalAll(t, ev, access.SubjectAccount, accountRow(t, c.change)) {
					got = append(got, r.Policy+" "+r.Message)
				}
				if diff := cmp.Diff([]string{"ACME-01 sound", "ACME-03 sound"}, got); diff != "" {
					t.Errorf("hits (-want +got):\n%s", diff)
				}
			}
			f := e.Failures()
			if len(f) != 1 || f["ACME-02"] == nil || !strings.HasPrefix(f["ACME-02"].Error(), c.want) {
				t.Errorf("failures %v, want %s", f, c.want)
			}
			for _, tally := range e.Tallies() {
				if (tally.Failed != "") != (tally.Policy == "ACME-02") || tally.Policy != "ACME-02" && tally.Flagged != 2 {
					t.Errorf("tally %+v", tally)
				}
			}
		})
	}
}

// A rule that failed on its very first subject still has to be reported.
func TestFailedRuleHasATally(t *testing.T) {
	e := newEngine(t, pack(t, ruleText("ACME-02", "", `findings contains {"message": "x"} if to_number(input.account.username) > 1`)), EngineOptions{})
	evalAll(t, e.NewEvaluator(), access.SubjectAccount, accountRow(t, nil))
	tallies := e.Tallies()
	if len(tallies) != 1 || tallies[0].Failed == "" || tallies[0].Source != "ad" {
		t.Errorf("tallies %+v", tallies)
	}
}

func TestErrorsThatAreNoFailures(t *testing.T) {
	e := newEngine(t, pack(t, ruleText("ACME-01", "", sound)), EngineOptions{})
	ev := e.NewEvaluator()
	row := accountRow(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := ev.Eval(ctx, access.SubjectAccount, row, func(Result) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	full := errors.New("disk full")
	if err := ev.Eval(context.Background(), access.SubjectAccount, row, func(Result) error { return full }); !errors.Is(err, full) {
		t.Errorf("emit: %v", err)
	}
	if err := ev.Eval(context.Background(), access.SubjectAccount, row[1:], nil); err == nil {
		t.Error("a short row is evaluated")
	}
	wrong := append(access.Row{}, row...)
	for i, c := range access.SchemaOf(access.SubjectAccount).Columns() {
		if c.Name == "account_enabled" {
			wrong[i] = "true"
		}
	}
	if err := ev.Eval(context.Background(), access.SubjectAccount, wrong, nil); err == nil || !strings.Contains(err.Error(), "column account_enabled holds a string") {
		t.Errorf("wrong type: %v", err)
	}
	if len(e.Failures()) > 0 {
		t.Error(e.Failures())
	}
}

func TestResult(t *testing.T) {
	p, err := load(map[string]string{"lib.rego": goodLibrary, "r.rego": ruleText("ACME-01",
		"#   action: reclaim\n#   assignee: manager\n#   controls: [\"CIS-8.1:2.1\"]\n#   exempt: [leave]\n#   needs: [seats]\n",
		"findings contains f if {\n\tsome s in input.seats\n\tf := {\"key\": s.sku, \"message\": \"<unused>\", \"cost_month\": s.cost_month * 1, \"currency\": s.currency, \"evidence\": {\"z\": s, \"a\": input.run.time, \"n\": time.now_ns()}}\n}")}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	e := newEngine(t, p, EngineOptions{RunID: 7})
	seats := []any{doc{"sku": "b", "cost_month": 57.10, "currency": "USD"}, doc{"sku": "a", "cost_month": 1200000.0, "currency": "EUR"}}
	ev := e.NewEvaluator()
	got := evalAll(t, ev, access.SubjectAccount, accountRow(t, doc{"seats": seats, "manager": doc{"id": "hr:9", "status": "active"}}))
	if len(got) != 2 {
		t.Fatalf("%+v %v", got, e.Failures())
	}
	r := got[1]
	want := []string{"ACME-01", "account", "ad", "a-1", "b", "<unused>", "57.1", "USD", "", "low", "ACME-01", "ACME", "reclaim", "CIS-8.1:2.1", "ada", "Corp AD", "hr:1", "Ada", "Sales", "hr:9",
		`{"a":"2026-11-23T02:00:00Z","n":1795399200000000000,"z":{"cost_month":57.1,"currency":"USD","sku":"b"}}`}
	have := []string{r.Policy, string(r.Subject.Kind), r.Subject.Source, r.Subject.ID, r.Key, r.Message, r.CostMonth, r.Currency, r.ExcludedBy, r.Severity.String(), r.Title, r.Category, r.Action,
		strings.Join(r.Controls, " "), r.Name, r.SourceName, r.Person, r.PersonName, r.Department, r.Assignee, r.Evidence}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Error(diff)
	}
	if got[0].CostMonth != "1200000" || got[0].Key != "a" {
		t.Errorf("%+v", got[0])
	}

	onLeave := doc{"person": doc{"status": "leave", "on_leave": true}, "seats": seats, "manager": doc{"id": "hr:9", "status": "leave"}}
	got = evalAll(t, ev, access.SubjectAccount, accountRow(t, onLeave))
	if len(got) != 2 || got[0].ExcludedBy != "leave" || got[0].Assignee != "security" {
		t.Errorf("on leave: %+v", got)
	}
	evalAll(t, ev, access.SubjectAccount, accountRow(t, nil))
	evalAll(t, ev, access.SubjectAccount, accountRow(t, doc{"seats": []any{}}))
	tally := e.Tallies()[0]
	if tally.Subjects != 4 || tally.Evaluated != 3 || tally.Flagged != 1 || tally.Excluded != 1 || tally.NotEvaluable != 1 || tally.Missing["seats"] != 1 || tally.Source != "ad" {
		t.Errorf("tally %+v", tally)
	}
}

func TestAssignees(t *testing.T) {
	for _, c := range []struct {
		assignee string
		change   doc
		want     string
	}{
		{"account_owner", doc{"owner": doc{"id": "hr:3", "status": "active"}}, "hr:3"},
		{"account_owner", doc{"owner": doc{"id": "hr:3", "status": "ended"}}, "security"},
		{"account_owner", nil, "security"},
		{"manager", doc{"manager": doc{"id": "hr:2", "status": "active"}}, "hr:2"},
		{"manager", doc{"manager": doc{"id": "hr:2"}}, "security"},
		{"manager", nil, "security"},
		{"app_owner", nil, "app_owner"},
		{"security", nil, "security"},
	} {
		e := newEngine(t, pack(t, ruleText("ACME-01", "#   assignee: "+c.assignee+"\n", sound)), EngineOptions{})
		got := evalAll(t, e.NewEvaluator(), access.SubjectAccount, accountRow(t, c.change))
		if len(got) != 1 || got[0].Assignee != c.want {
			t.Errorf("%s %v: %+v", c.assignee, c.change, got)
		}
	}
}

func TestApplicability(t *testing.T) {
	const metadata = "#   scope: {account.enabled: true, account.kind: [human, guest]}\n#   needs: [account.days_since_login|account.never_logged_in, coverage.owner, grants, grants.peer_share|grants.peer_count, account.keys.id]\n"
	met := doc{
		"source":  doc{"coverage": doc{"owner": "partial"}},
		"account": doc{"days_since_login": 3, "keys": []any{}},
		"grants": []any{doc{"entitlement": doc{"id": "x"}, "direct": true, "depth": 0, "peer_share": 0.5},
			doc{"entitlement": doc{"id": "y"}, "direct": true, "depth": 0, "peer_count": 5}},
	}
	for name, c := range map[string]struct {
		change  doc
		want    verdict
		missing string
	}{
		"evaluable":                      {nil, evaluable, ""},
		"the other alternative":          {doc{"account": doc{"days_since_login": nil, "never_logged_in": false}}, evaluable, ""},
		"no grants at all":               {doc{"grants": []any{}}, evaluable, ""},
		"out of scope":                   {doc{"account": doc{"enabled": false}}, outOfScope, ""},
		"out of scope, though unknown":   {doc{"account": doc{"enabled": nil, "kind": "service"}}, outOfScope, ""},
		"out of scope, though unmet":     {doc{"account": doc{"days_since_login": nil, "kind": "service"}}, outOfScope, ""},
		"scope unknown":                  {doc{"account": doc{"enabled": nil}}, notEvaluable, "account.enabled"},
		"both scopes unknown":            {doc{"account": doc{"enabled": nil, "kind": nil}}, notEvaluable, "account.enabled"},
		"neither alternative":            {doc{"account": doc{"days_since_login": nil}}, notEvaluable, "account.days_since_login|account.never_logged_in"},
		"not covered":                    {doc{"source": doc{"coverage": doc{"owner": "none"}}}, notEvaluable, "coverage.owner"},
		"coverage of another signal":     {doc{"source": doc{"coverage": doc{"owner": nil, "mfa": "full"}}}, notEvaluable, "coverage.owner"},
		"coverage unknown":               {doc{"source": doc{"coverage": nil}}, notEvaluable, "coverage.owner"},
		"grants unread":                  {doc{"grants": nil}, notEvaluable, "grants"},
		"one element without":            {doc{"grants": []any{met["grants"].([]any)[0], doc{"entitlement": doc{"id": "z"}, "direct": true, "depth": 0}}}, notEvaluable, "grants.peer_share|grants.peer_count"},
		"the first of several missing":   {doc{"grants": nil, "source": doc{"coverage": nil}}, notEvaluable, "coverage.owner"},
		"an array within is unread":      {doc{"account": doc{"keys": nil}}, notEvaluable, "account.keys.id"},
		"an array within has an element": {doc{"account": doc{"keys": []any{doc{"id": "k", "kind": "key"}}}}, evaluable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := pack(t, ruleText("ACME-01", metadata, sound)).policies[0]
			cols := newColumns(access.SubjectAccount)
			a := newApplicability(p, cols)
			v, missing, _ := a.judge(accountRow(t, met, c.change))
			if v != c.want || missing != c.missing {
				t.Errorf("got %v %q, want %v %q", v, missing, c.want, c.missing)
			}
		})
	}
}

// A need through an array may be unmet by an element that had no part in the finding.
func TestFlaggedDespiteAnUnknownElement(t *testing.T) {
	e := newEngine(t, pack(t, ruleText("ACME-01", "#   needs: [grants.peer_share]\n", "findings contains {\"message\": \"x\"} if {\n\tsome g in input.grants\n\tg.peer_share < 0.1\n}")), EngineOptions{})
	known := doc{"entitlement": doc{"id": "x"}, "direct": true, "depth": 0, "peer_share": 0.05}
	unknown := doc{"entitlement": doc{"id": "y"}, "direct": true, "depth": 0}
	got := evalAll(t, e.NewEvaluator(), access.SubjectAccount, accountRow(t, doc{"grants": []any{known, unknown}}))
	if tally := e.Tallies()[0]; len(got) != 1 || tally.Evaluated != 1 || tally.Flagged != 1 || tally.NotEvaluable != 0 {
		t.Errorf("%+v %+v %v", got, tally, e.Failures())
	}
}

// Subjects of every kind get the identity by which their findings live on.
func TestIdentities(t *testing.T) {
	source := doc{"uid": "ad", "name": "Corp AD", "type": "ldap"}
	for _, c := range []struct {
		kind access.SubjectKind
		d    doc
		want []string
	}{
		{access.SubjectPerson, doc{"person": doc{"id": "hr:1", "name": "Ada", "department": "Sales"}}, []string{"", "hr:1", "Ada", "", "hr:1", "Sales"}},
		{access.SubjectEntitlement, doc{"source": source, "entitlement": doc{"id": "g", "name": "Payroll"}, "owner": doc{"id": "hr:3", "name": "Grace", "department": "People"}},
			[]string{"ad", "g", "Payroll", "Corp AD", "hr:3", "People"}},
		{access.SubjectLicense, doc{"source": source, "license": doc{"sku": "E5", "assigned": 3}}, []string{"ad", "E5", "E5", "Corp AD", "", ""}},
		{access.SubjectSource, doc{"source": merge(source, doc{"status": "fresh"})}, []string{"ad", "ad", "Corp AD", "Corp AD", "", ""}},
	} {
		text := strings.Replace(ruleText("ACME-01", "", `findings contains {"message": "x"}`), "subject: account", "subject: "+string(c.kind), 1)
		p, err := load(map[string]string{"r.rego": text}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		e := newEngine(t, p, EngineOptions{})
		got := evalAll(t, e.NewEvaluator(), c.kind, rowOf(t, c.kind, c.d))
		if len(got) != 1 {
			t.Fatalf("%s: %+v %v", c.kind, got, e.Failures())
		}
		r := got[0]
		if diff := cmp.Diff(c.want, []string{r.Subject.Source, r.Subject.ID, r.Name, r.SourceName, r.Person, r.Department}); diff != "" {
			t.Errorf("%s: %s", c.kind, diff)
		}
		if kinds := e.Kinds(); len(kinds) != 1 || kinds[0] != c.kind {
			t.Errorf("kinds %v", kinds)
		}
	}
}
