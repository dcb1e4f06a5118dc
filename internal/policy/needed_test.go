package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/internal/access"
)

const reachedLibrary = `package lapse.lib

import rego.v2

locked if input.account.locked

mfa if input.account.mfa

through if also

also if input.account.has_spn

older(n) if input.account.active_sessions > n

default purpose := ""

purpose := input.account.purpose

contractor if input.person.kind == "contractor"

manager := input.manager
`

// A rule reads what the library's rules read that it can come to, by whatever way, and not what the others read.
func TestColumnsOfARule(t *testing.T) {
	all := "account_active_sessions account_has_spn account_locked account_mfa account_purpose manager_email person_kind"
	for _, c := range []struct{ name, body, want string }{
		{"nothing of the library", `input.account.enabled`, ""},
		{"a rule", `lib.locked`, "account_locked"},
		{"by its whole name", `data.lapse.lib.locked`, "account_locked"},
		{"through another", `lib.through`, "account_has_spn"},
		{"a function", `lib.older(3)`, "account_active_sessions"},
		{"with a default", `lib.purpose != ""`, "account_purpose"},
		{"in an argument", `count(lib.purpose) > 2`, "account_purpose"},
		{"in brackets", `input.account.attributes[lib.purpose] == "x"`, "account_purpose"},
		{"negated", `not lib.contractor`, "person_kind"},
		{"in a comprehension", `count([1 | lib.mfa]) > 0`, "account_mfa"},
		{"an object", `lib.manager.status == "active"`, "manager_email"},
		{"all of them", `lib == {"x": 1}`, all},
		{"the whole document", `count(input) > 0`, all},
	} {
		imports := ""
		if strings.Contains(c.body, "lib") && !strings.Contains(c.body, "data.") {
			imports = "import data.lapse.lib\n\n"
		}
		text := ruleText("ACME-01", "", imports+"findings contains {\"message\": \"x\"} if {\n\t"+c.body+"\n}")
		p, err := load(map[string]string{"lib.rego": reachedLibrary, "rule.rego": text}, Options{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		columns, ok := newEngine(t, p, EngineOptions{Only: []string{"ACME-01"}}).Columns(access.SubjectAccount, nil)
		if !ok {
			t.Fatal("the columns are not known")
		}
		got := strings.Join(slices.DeleteFunc(strings.Fields(all), func(c string) bool { return !slices.Contains(columns, c) }), " ")
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
