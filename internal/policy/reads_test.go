package policy

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/access"
)

// A rule is built what it reads itself and by what it uses of the library: not what else the library holds, nor all of an
// object that object.get takes one key of.
func TestReadsOfARule(t *testing.T) {
	l := newEngine(t, shipped(t, enableAll(t)), EngineOptions{}).any(access.SubjectAccount)
	i := slices.IndexFunc(l.rules, func(r *rule) bool { return r.ID == "LIC-02" })
	d := newDocument(l.columns, l.rules[i].reads, map[int]*leaf{})
	got := l.columns.names(d.columns())
	for column, want := range map[string]bool{
		"account_username": true, "person_name": true, "seats_sku": true, "seats_product": true, "account_enabled": true,
		"account_login_lag_days": false, "account_attributes": false, "grants_path": false, "owner_name": false,
	} {
		if slices.Contains(got, column) != want {
			t.Errorf("%s is read: %v, want %v", column, !want, want)
		}
	}
}

// Of an element that is handed to functions is read what these read.
func TestReadsOfFunctions(t *testing.T) {
	library := `package lapse.lib

import rego.v2

deep(grant) if grant.depth > 3

far(grant) if deep(grant)

far(grant) := false if grant.entitlement.name == "x"

itself(grant) := grant

default has(_) := true

has(grant) := false if grant.approved

otherwise(grant) := 1 if {
	grant.direct
} else := 2 if {
	grant.days_since_used > 3
}

some_of(grant) := json.filter(grant, ["peer_share", "entitlement/kind"])

both(a, b) if a.depth > b.depth

used(x) := x.days_since_used

inner(grant) if {
	some other in input.grants
	deep(other)
	other.direct != grant.direct
}
`
	whole := "grants_approved grants_days_known grants_days_since_granted grants_days_since_review grants_days_since_used grants_days_until_expiry grants_depth grants_direct " +
		"grants_entitlement_high_risk grants_entitlement_kind grants_entitlement_name grants_entitlement_privileged grants_entitlement_resource grants_path " +
		"grants_peer_count grants_peer_share"
	for _, c := range []struct{ name, body, want string }{
		{"one", `lib.deep(grant)`, "grants_depth"},
		{"by its whole name", `data.lapse.lib.deep(grant)`, "grants_depth"},
		{"of its own", `mine(grant)`, "grants_days_known"},
		{"handed on", `lib.far(grant)`, "grants_depth grants_entitlement_name"},
		{"handed back", `lib.itself(grant).depth > 2`, whole},
		{"a default", `lib.has(grant)`, "grants_approved"},
		{"else", `lib.otherwise(grant) > 1`, "grants_days_since_used grants_direct"},
		{"a filter", `count(lib.some_of(grant)) > 1`, "grants_entitlement_kind grants_peer_share"},
		{"with a result", `lib.otherwise(grant, n)`, "grants_days_since_used grants_direct"},
		{"two", "some other in input.grants\n\tlib.both(grant, other)", "grants_depth"},
		{"elements of two arrays", "some seat in input.seats\n\tlib.used(seat) == lib.used(grant)", "grants_days_since_used seats_days_since_used"},
		{"another element inside", `lib.inner(grant)`, "grants_depth grants_direct"},
		{"by another name", "other := grant\n\tlib.deep(other)", whole},
		{"to what is built in", `count(grant) > 2`, whole},
		{"in an array", `count([grant]) > 2`, whole},
		{"through every", `every g in input.grants { lib.deep(g) }`, "grants_depth"},
	} {
		imports := "import data.lapse.lib\n\n"
		if !strings.Contains(c.body, "lib.") || strings.Contains(c.body, "data.") {
			imports = ""
		}
		text := ruleText("ACME-01", "", imports+"mine(g) if g.days_known > 3\n\nfindings contains {\"message\": \"x\"} if {\n\tsome grant in input.grants\n\t"+c.body+"\n}")
		if c.name == "through every" {
			text = strings.Replace(text, "\tsome grant in input.grants\n", "", 1)
		}
		p, err := load(map[string]string{"lib.rego": library, "rule.rego": text}, Options{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		columns, _ := newEngine(t, p, EngineOptions{Only: []string{"ACME-01"}}).Columns(access.SubjectAccount, nil)
		all := append(strings.Fields(whole), "seats_days_since_used", "seats_product")
		if got := strings.Join(slices.DeleteFunc(all, func(c string) bool { return !slices.Contains(columns, c) }), " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// Each rule finds by itself, of a document with what it reads, what it finds of the whole.
func TestRulesAloneAgree(t *testing.T) {
	pack := shipped(t, enableAll(t))
	for _, kind := range access.SubjectKinds() {
		plain, m := newNaive(t, pack, kind), newMapper(kind)
		alone := map[string]*Evaluator{}
		for _, p := range pack.Policies() {
			if p.Subject == kind {
				alone[p.ID] = newEngine(t, pack, EngineOptions{Only: []string{p.ID}}).NewEvaluator()
			}
		}
		r := rand.New(rand.NewPCG(23, uint64(len(alone))))
		for i := range 150 {
			d := randomDoc(r, access.SchemaOf(kind).Root, []float64{0.03, 0.15, 0.5}[i%3])
			d["run"] = doc{"id": 0, "time": runTime.Format(time.RFC3339)}
			steer(r, d)
			row := rowOf(t, kind, d)
			got := map[string]string{}
			for _, ev := range alone {
				maps.Copy(got, summary(evalAll(t, ev, kind, row)))
			}
			if diff := cmp.Diff(plain.eval(t, m.doc(row)), got); diff != "" {
				t.Fatalf("together and whole (-), alone (+):\n%s\n%s", diff, mustJSON(d))
			}
		}
	}
}
