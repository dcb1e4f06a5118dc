package policy

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/lapse-audit/lapse/policies"
)

// clean is a policy that check has nothing to say about; tests plant mistakes in it. Its findings rule begins on line 20.
const clean = `# METADATA
# title: Locked out
# description: An enabled account that is locked.
# scope: package
# custom:
#   id: ACME-01
#   subject: account
#   severity: low
#   controls: ["CIS-8.1:5.1"]
#   action: review
#   params: {days: 3}
#   scope: {account.enabled: true, account.kind: human}
#   needs: [account.locked, account.days_since_login]
package lapse.acme.locked

import rego.v2

import data.lapse.lib

findings contains {"message": message} if {
	input.account.locked
	input.account.enabled
	input.account.kind == "human"
	input.account.days_since_login >= data.params["ACME-01"].days
	message := sprintf("%s is locked", [lib.account_name])
}
`

const cleanTest = `package lapse.acme.locked_test

import rego.v2

import data.lapse.acme.locked

test_flagged if {
	count(locked.findings) == 1 with input as {"source": {"uid": "a", "name": "A"}, "account": {
		"id": "1",
		"enabled": true,
		"kind": "human",
		"locked": true,
		"days_since_login": 3,
	}}
		with data.params as {"ACME-01": {"days": 3}}
}
`

func check(t *testing.T, files map[string]string) []Problem {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	lib, err := policies.FS.ReadFile("lib/lib.rego")
	if err != nil {
		t.Fatal(err)
	}
	fsys["lib/lib.rego"] = &fstest.MapFile{Data: lib}
	problems, err := Check(Options{}, Source{Name: "acme", FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	return problems
}

func TestCheckClean(t *testing.T) {
	if got := check(t, map[string]string{"locked/policy.rego": clean, "locked/policy_test.rego": cleanTest}); len(got) > 0 {
		t.Errorf("%+v", got)
	}
}

// The shipped pack is the first that check must have nothing to say about: what is meant there says why.
func TestCheckShipped(t *testing.T) {
	problems, err := Check(Options{}, Source{Name: "policies", FS: policies.FS})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s:%d: %s %s: %s | %s", p.File, p.Line, p.Level, p.Check, p.Message, p.Instead)
	}
}

// A rule that asks for a place on several lines needs it once.
func TestCheckTellsOfANeedOnce(t *testing.T) {
	text := strings.Replace(clean, "input.account.locked\n", "input.account.locked\n\tinput.account.days_since_password > 30\n\tinput.account.days_since_password < 365\n", 1)
	got := check(t, map[string]string{"locked/policy.rego": text, "locked/policy_test.rego": cleanTest})
	if len(got) != 1 || got[0].Check != "unsaid-need" || got[0].Line != 22 {
		t.Errorf("%+v", got)
	}
}

// Each mistake is planted in the clean policy, and is to be found on its line, by its check, with its cure.
func TestCheckFindsPlantedMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		old, new string
		level    Level
		check    string
		line     int
		message  string
		instead  string
	}{
		"syntax error":           {`[lib.account_name])`, `[lib.account_name]`, Error, "syntax", 26, "unexpected", "correct the Rego here"},
		"old syntax":             {`findings contains {"message": message} if {`, `findings[{"message": message}] {`, Error, "syntax", 20, "`if` keyword is required", "`findings contains {…} if {…}`"},
		"no import":              {"import rego.v2\n\n", "", Error, "import", 14, "import rego.v2 is missing", "`import rego.v2` after the package"},
		"old import":             {"import rego.v2", "import rego.v1", Error, "import", 14, "import rego.v2 is missing", "in place of `import rego.v1`"},
		"package outside":        {"package lapse.acme.locked", "package acme.locked", Error, "package", 14, "is outside of lapse", "package lapse.acme.locked"},
		"METADATA key":           {"severity: low", "severty: low", Error, "metadata", 8, "custom has no key severty", "severity"},
		"METADATA word":          {"severity: low", "severity: urgent", Error, "metadata", 8, `severity "urgent" is unknown`, "want critical, high, info, low or medium"},
		"no METADATA":            {"# METADATA", "# METDATA", Error, "metadata", 1, "is not read as METADATA", "`# METADATA`"},
		"field that is not":      {"input.account.locked", "input.account.lokced", Error, "schema", 21, "account has no field lokced", "locked"},
		"word that never is":     {`input.account.kind == "human"`, `input.account.kind == "person"`, Error, "schema", 23, `input.account.kind is never "person"`, "want guest, human"},
		"types that never match": {`input.account.locked`, `input.account.locked == "yes"`, Error, "schema", 21, "match error", "only the fields in the schema exist"},
		"scope path":             {"scope: {account.enabled", "scope: {account.enabeld", Error, "metadata", 12, "account has no field enabeld", "enabled"},
		"needs path":             {"needs: [account.locked", "needs: [account.loked", Error, "metadata", 13, "account has no field loked", "locked"},
		"network":                {"input.account.locked", `http.send({"method": "get", "url": "x"}).status_code == 200`, Error, "forbidden-builtin", 21, "http.send is not allowed: a policy judges its input only", "put the fact into the source's records"},
		"chance":                 {"input.account.locked", `rand.intn("x", 2) == 1`, Error, "forbidden-builtin", 21, "rand.intn is not allowed", "put the fact into the source's records"},
		"print":                  {"input.account.locked", `print("here")`, Error, "forbidden-builtin", 21, "print is not allowed", "print in a _test.rego file"},
		"parameter that is not":  {`["ACME-01"].days`, `["ACME-01"].dyas`, Error, "reference", 24, "has no parameter dyas", "days"},
		"another's parameter":    {`["ACME-01"].days`, `["ACME-02"].days`, Error, "reference", 24, "a policy reads its own parameters", `data.params["ACME-01"]`},
		"library name":           {"lib.account_name", "lib.acount_name", Error, "reference", 25, "is not defined", "account_name"},
		"no findings":            {"findings contains", "finding contains", Error, "findings", 14, "has no findings", "`findings contains"},
		"no message":             {`{"message": message} if`, `{"key": message} if`, Error, "findings", 20, "a finding has no message", `add "message"`},
		"finding key":            {`{"message": message} if`, `{"message": message, "costs": 1} if`, Error, "findings", 20, "a finding has no key costs", "want cost_month, currency"},
		"unused variable":        {"input.account.locked", "x := input.account.locked", Error, "compile", 21, "assigned var x unused", "correct the rule"},

		"layout":                        {"\tinput.account.locked", "    input.account.locked", Warning, "format", 21, "is not as opa fmt writes it", "input.account.locked"},
		"not over a signal":             {"input.account.locked\n", "input.account.locked\n\tnot input.account.mfa\n", Warning, "unknown-not", 22, "unknown is taken for false", "input.account.mfa == false, and name account.mfa under needs"},
		"not over a need":               {"input.account.locked\n", "not input.account.locked\n", Warning, "unknown-not", 21, "METADATA says that it needs it", "input.account.locked == false"},
		"not over a comparison":         {"input.account.locked\n", "input.account.locked\n\tnot input.account.days_since_password < 90\n", Warning, "unknown-not", 22, "holds also where nobody knows input.account.days_since_password", "input.account.days_since_password >= 90"},
		"not over a list of words":      {"input.account.locked\n", "input.account.locked\n\tnot input.person.kind in {\"contractor\"}\n", Warning, "unknown-not", 22, "holds also where nobody knows input.person.kind", "name person.kind under needs"},
		"not over an object":            {"input.account.locked\n", "input.account.locked\n\tnot input.person.end_first_known_days\n", Warning, "unknown-not", 22, "because nobody knows it", "input.person.end_first_known_days >= 0"},
		"not over a helper":             {"input.account.locked\n", "input.account.locked\n\tnot fresh\n", Warning, "unknown-not", 22, "which fresh asks for", "under needs"},
		"not through an alias":          {"input.account.locked\n", "input.account.locked\n\ta := input.account\n\tnot a.mfa\n", Warning, "unknown-not", 23, "not a.mfa holds also where nobody knows it", "a.mfa == false"},
		"default false":                 {"input.account.locked\n", "input.account.locked\n\tobject.get(input.account, \"mfa\", false) == false\n", Warning, "unknown-default", 22, "makes false of input.account.mfa where nobody knows it", "input.account.mfa"},
		"default zero":                  {"input.account.locked\n", "input.account.locked\n\tobject.get(input, [\"account\", \"days_since_password\"], 0) < 5\n", Warning, "unknown-default", 22, "makes 0 of", "input.account.days_since_password"},
		"default of a helper":           {"input.account.locked\n", "input.account.locked\n\tsecond_factor == false\n", Warning, "unknown-default", 29, "second_factor is false also where nobody knows", "leave the default out"},
		"unread list":                   {"input.account.locked\n", "input.account.locked\n\tcount([g | some g in input.grants; g.entitlement.privileged]) == 0\n", Warning, "unknown-collection", 22, "empty also where nobody has read them", "name grants under needs"},
		"condition without need":        {"input.account.locked\n", "input.account.locked\n\tinput.account.days_since_password > 365\n", Warning, "unsaid-need", 22, "passes for judged and clean", "needs: [account.days_since_password]"},
		"text that is lost":             {"[lib.account_name]", "[input.account.email]", Warning, "lost-finding", 25, "without input.account.email there is no text", "lib.account_name"},
		"text that is lost, elsewhere":  {"[lib.account_name]", "[input.person.department]", Warning, "lost-finding", 25, "no finding", `object.get(input.person, "department", "unknown")`},
		"head that is lost":             {`{"message": message} if`, `{"message": message, "key": input.account.email} if`, Warning, "lost-finding", 20, "without input.account.email", "lib.account_name"},
		"no key in a loop":              {"message := sprintf(\"%s is locked\", [lib.account_name])", "some g in input.grants\n\tmessage := sprintf(\"%s holds %s\", [lib.account_name, g.entitlement.id])", Warning, "missing-key", 20, "two of grants on one subject", `"key": g.entitlement.id`},
		"two words at once":             {"input.account.enabled\n", "input.account.enabled\n\tinput.link.status == \"linked\"\n\tinput.link.status == \"disputed\"\n", Warning, "never-holds", 24, `link.status is "linked" already`, `in {"linked", "disputed"}`},
		"outside of its scope":          {`input.account.kind == "human"`, `input.account.kind == "service"`, Warning, "never-holds", 23, "out of scope", "correct scope or the rule"},
		"a range that is empty":         {"input.account.locked\n", "input.account.locked\n\tinput.account.days_since_login > 90\n\tinput.account.days_since_login < 30\n", Warning, "never-holds", 23, "can't be above 90 and below 30", "two rules"},
		"a rule that is off":            {"input.account.locked\n", "input.account.locked\n\tfalse\n", Warning, "never-holds", 22, "false never holds", "enabled: false"},
		"a helper that is not used":     {"\t[lib", "\t[lib", Warning, "unreachable", 0, "", ""}, // planted below
		"a parameter that is not read":  {"params: {days: 3}", "params: {days: 3, weeks: 1}", Warning, "unused-param", 11, "no rule reads the parameter weeks", `data.params["ACME-01"].weeks`},
		"a number and a text":           {"input.account.locked\n", "input.account.locked\n\tinput.account.days_since_login >= \"30\"\n", Warning, "type-order", 22, "the comparison goes by the types", "a number in place of \"30\""},
		"any kind of account":           {"action: review", "action: disable", Warning, "any-kind", 10, "may befall accounts of any kind", "scope: {account.kind: human}"},
		"a pattern that is none":        {"input.account.locked\n", "input.account.locked\n\tregex.match(\"adm[\", input.account.id)\n", Warning, "bad-pattern", 22, "missing closing ]", "re2"},
		"a verb too many":               {"\"%s is locked\"", "\"%s of %s is locked\"", Warning, "sprintf", 25, "2 verbs and 1 arguments", "as many arguments as verbs: 2"},
		"a loop without end":            {"input.account.locked\n", "input.account.locked\n\tsome n in numbers.range(1, 100000000)\n\tn == input.account.days_since_login\n", Warning, "runaway", 22, "counts from 1 to 100000000", "a list of what is really compared"},
		"no description":                {"# description: An enabled account that is locked.\n", "", Warning, "metadata", 1, "METADATA has no description", "description: one sentence"},
		"no control":                    {"#   controls: [\"CIS-8.1:5.1\"]\n", "", Warning, "metadata", 1, "METADATA names no control", "controls: "},
		"a silencer without a reason":   {"input.account.locked\n", "input.account.locked\n\tnot input.account.mfa # lapse:allow unknown-not\n", Warning, "allow", 22, "gives no reason", "why it is meant here"},
		"a silencer of nothing":         {"input.account.locked\n", "input.account.locked # lapse:allow unknown-nut: meant\n", Warning, "allow", 21, "names no check that there is", "unknown-not"},
		"a silencer that is left over":  {"input.account.locked\n", "input.account.locked # lapse:allow unknown-not: meant\n", Warning, "allow", 21, "silences nothing", "no comment"},
		"a test that does not compile":  {"", "", Error, "test", 8, "undefined function conut", "correct it as said"},
		"a need's helper is explicit":   {"", "", "", "", 0, "", ""},
		"a silencer that silences":      {"", "", "", "", 0, "", ""},
		"tests are missing altogether":  {"", "", Warning, "no-tests", 1, "nothing tests the policy", "a _test.rego beside it"},
		"two policies with one id":      {"", "", Error, "metadata", 6, "id ACME-01 is taken by", "every policy needs an id of its own"},
		"two findings rules, one is ok": {"", "", "", "", 0, "", ""},
		"both cases of a comparison":    {"", "", "", "", 0, "", ""},
		"one case of a comparison":      {"", "", Warning, "unknown-not", 29, "holds also where nobody knows input.account.login_lag_days", "<= 0"},
		"a text with a default":         {"", "", "", "", 0, "", ""},
		"a text without a default":      {"", "", Warning, "lost-finding", 28, "without input.person.department there is no text", "object.get"},
		"an element in a text":          {"", "", "", "", 0, "", ""},
		"an element's field in a text":  {"", "", Warning, "lost-finding", 25, "without g.entitlement.name there is no text", "object.get"},
	} {
		t.Run(name, func(t *testing.T) {
			text, tests := clean, cleanTest
			if c.old != "" && c.old != c.new {
				if !strings.Contains(text, c.old) {
					t.Fatalf("the policy holds no %q", c.old)
				}
				text = strings.Replace(text, c.old, c.new, 1)
			}
			files := map[string]string{}
			switch name {
			case "not over a helper":
				text += "\nfresh if input.account.days_since_created < 30\n"
			case "default of a helper":
				text += "\ndefault second_factor := false\n\nsecond_factor := input.account.mfa\n"
			case "any kind of account":
				text = strings.Replace(strings.Replace(text, ", account.kind: human}", "}", 1), "\tinput.account.kind == \"human\"\n", "", 1)
			case "a helper that is not used":
				text += "\nidle if input.account.days_since_login > 9\n"
				c.line, c.message, c.instead = 28, "findings does not come to idle", "use idle in findings"
			case "a test that does not compile":
				tests = strings.Replace(tests, "count(", "conut(", 1)
			case "a need's helper is explicit":
				text = strings.Replace(text, "input.account.locked\n", "input.account.locked\n\told\n", 1) +
					"\nold if input.person.days_since_end > 3\n\nold if not input.person.days_since_end\n"
			case "a silencer that silences":
				text = strings.Replace(text, "\tinput.account.locked\n", "\tinput.account.locked\n\n\t# lapse:allow unknown-not: no second factor is as good as an unknown one here\n\tnot input.account.mfa\n", 1)
			case "two policies with one id":
				files["other/policy.rego"] = strings.Replace(clean, "acme.locked", "acme.other", 1)
				files["other/policy_test.rego"] = strings.ReplaceAll(cleanTest, "acme.locked", "acme.other")
				files["other/policy_test.rego"] = strings.ReplaceAll(files["other/policy_test.rego"], "locked.", "other.")
			case "both cases of a comparison", "one case of a comparison":
				text = strings.Replace(text, "is locked\", [lib.account_name", "is locked%s\", [lib.account_name, how", 1) +
					"\nhow := \" since\" if {\n\tnot input.account.login_lag_days > 0\n}\n"
				if c.check == "" {
					text += "\nhow := \" about\" if input.account.login_lag_days > 0\n"
				}
			case "a text with a default", "a text without a default":
				text = strings.Replace(text, "is locked\", [lib.account_name", "is locked%s\", [lib.account_name, where", 1)
				if c.check == "" {
					text += "\ndefault where := \"\"\n"
				}
				text += "\nwhere := sprintf(\" in %s\", [input.person.department])\n"
			case "an element in a text":
				text = strings.Replace(text, "\tmessage := sprintf(\"%s is locked\", [lib.account_name])", "\tpaths := [concat(\" > \", [upper(step) | some step in g.path]) | some g in input.grants]\n\tmessage := sprintf(\"%s is locked: %s\", [lib.account_name, concat(\", \", paths)])", 1)
				text = strings.Replace(text, "account.days_since_login]", "account.days_since_login, grants]", 1)
			case "an element's field in a text":
				text = strings.Replace(text, "\tmessage := sprintf(\"%s is locked\", [lib.account_name])", "\tnames := [upper(g.entitlement.name) | some g in input.grants]\n\tmessage := sprintf(\"%s is locked: %s\", [lib.account_name, concat(\", \", names)])", 1)
				text = strings.Replace(text, "account.days_since_login]", "account.days_since_login, grants]", 1)
			case "two findings rules, one is ok":
				text += "\nfindings contains {\"message\": \"locked for good\"} if {\n\tinput.account.locked\n\tinput.account.enabled == true\n}\n"
			}
			files["locked/policy.rego"] = text
			if name != "tests are missing altogether" {
				files["locked/policy_test.rego"] = tests
			}
			got := check(t, files)
			var lines []string
			found := c.check == "" && len(got) == 0
			for _, p := range got {
				lines = append(lines, fmt.Sprintf("%s:%d: %s %s: %s | %s", p.File, p.Line, p.Level, p.Check, p.Message, p.Instead))
				found = found || c.check != "" && p.Level == c.level && p.Check == c.check && p.Line == c.line && strings.Contains(p.Message, c.message) && strings.Contains(p.Instead, c.instead)
			}
			if !found {
				t.Errorf("want line %d: %s %s: %s | %s\ngot %s", c.line, c.level, c.check, c.message, c.instead, strings.Join(lines, "\n    "))
			}
			for _, p := range got {
				if p.Instead == "" || p.Line == 0 || p.Level == Warning && p.Policy == "" {
					t.Errorf("says too little: %+v", p)
				}
				meant := p.Check == c.check || p.Check == "unsaid-need" || p.Check == "unknown-not" && c.check == "allow"
				if p.Level == Warning && c.level != Error && !meant {
					t.Errorf("and besides: %s:%d %s: %s", p.File, p.Line, p.Check, p.Message)
				}
			}
		})
	}
}
