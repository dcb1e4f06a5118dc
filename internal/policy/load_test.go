package policy

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// good is a policy without fault; tests spoil it.
const good = `# METADATA
# title: Locked out
# description: An enabled account that is locked.
# custom:
#   id: ACME-01
#   subject: account
#   severity: low
#   controls: ["CIS-8.1:5.1"]
#   action: none
#   assignee: manager
#   params: {days: 3, kinds: [human, guest]}
#   exempt: [leave]
#   scope: {account.enabled: true, account.kind: [human, guest]}
#   needs: [account.locked, account.days_since_login|account.never_logged_in, coverage.owner, grants.peer_share]
package lapse.acme.locked

import rego.v2

import data.lapse.lib

findings contains {"message": message} if {
	input.account.enabled
	input.account.locked
	input.account.days_since_login >= data.params["ACME-01"].days
	message := sprintf("%s is locked", [lib.name])
}
`

const goodLibrary = `package lapse.lib

import rego.v2

name := input.account.username

name := input.account.id if not input.account.username

owner := input.entitlement.owner_id
`

func load(files map[string]string, o Options) (*Pack, error) {
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return Load(o, Source{Name: "acme", FS: fsys})
}

func TestLoadGood(t *testing.T) {
	pack, err := load(map[string]string{"locked.rego": good, "lib.rego": goodLibrary, "README.md": "x", ".git/x.rego": "nonsense"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, ok := pack.Policy("ACME-01")
	if !ok || len(pack.Policies()) != 1 {
		t.Fatalf("policies: %+v", pack.Policies())
	}
	want := []any{"Locked out", "account", "low", "none", "manager", true, "lapse.acme.locked", "acme/locked.rego", 21,
		map[string]any{"days": int64(3), "kinds": []any{"human", "guest"}}, []string{"leave"},
		[]Condition{{"account.enabled", []any{true}}, {"account.kind", []any{"human", "guest"}}},
		[]Need{{"account.locked"}, {"account.days_since_login", "account.never_logged_in"}, {"coverage.owner"}, {"grants.peer_share"}}}
	got := []any{p.Title, string(p.Subject), p.Severity.String(), p.Action, p.Assignee, p.Enabled, p.Package, p.File, p.Line, p.Params, p.Exempt, p.Scope, p.Needs}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRefusals(t *testing.T) {
	// Each case replaces text in the good policy or library; want is what every line of the error begins with.
	type edit struct{ old, new string }
	for name, c := range map[string]struct {
		policy  []edit
		library []edit
		also    map[string]string
		want    []string
	}{
		"no METADATA": {
			policy: []edit{{good[:strings.Index(good, "package")], ""}},
			want:   []string{"acme/locked.rego:1: package lapse.acme.locked has no METADATA: write a `# METADATA` block"}},
		"misspelt METADATA": {
			policy: []edit{{"# METADATA", "# METDATA"}},
			want:   []string{"acme/locked.rego:1: \"# METDATA\" is not read as METADATA: write `# METADATA`"}},
		"METADATA in small letters": {
			policy: []edit{{"# METADATA", "# Metadata:"}},
			want:   []string{"acme/locked.rego:1: \"# Metadata:\" is not read as METADATA: write `# METADATA`"}},
		"METADATA after the package": {
			policy: []edit{{good[:strings.Index(good, "package")], ""}, {"findings contains", "# METADATA\n# title: x\nfindings contains"}},
			want:   []string{"acme/locked.rego:7: METADATA stands after the package"}},
		"METADATA twice": {
			also: map[string]string{"more.rego": "# METADATA\n# title: x\npackage lapse.acme.locked\n\nimport rego.v2\n\nx := 1\n"},
			want: []string{"acme/more.rego:1: package lapse.acme.locked has METADATA in acme/locked.rego:1 already"}},
		"METADATA not YAML": {
			policy: []edit{{"severity: low", "severity: [low"}},
			want:   []string{"acme/locked.rego:7: METADATA is not YAML: did not find expected"}},
		"METADATA empty": {
			policy: []edit{{"# METADATA\n", "# METADATA\n\n"}},
			want:   []string{"acme/locked.rego:1: METADATA is empty"}},
		"unknown key": {
			policy: []edit{{"# description:", "# descripton:"}},
			want:   []string{"acme/locked.rego:3: METADATA has no key descripton: did you mean description?"}},
		"unknown custom key": {
			policy: []edit{{"assignee:", "asignee:"}},
			want:   []string{"acme/locked.rego:10: custom has no key asignee: did you mean assignee?"}},
		"custom key at the top": {
			policy: []edit{{"# custom:", "# severity: low\n# custom:"}},
			want:   []string{"acme/locked.rego:4: key severity belongs under custom"}},
		"a field where only the schema knows its type": {
			policy: []edit{{"import rego.v2\n", "import rego.v2\n\nodd if {\n\tx := {input.account.locked: true}\n\tjson.marshal_with_options({\"a\": 1}, x) != \"x\"\n}\n"}},
			want:   []string{"acme/locked.rego:21: json.marshal_with_options: invalid argument(s) (have: (object<a: number>, object[any: boolean], ???)"}},
		"key twice": {
			policy: []edit{{"#   action: none", "#   action: none\n#   action: none"}},
			want:   []string{"acme/locked.rego:10: custom has key action twice"}},
		"missing keys": {
			policy: []edit{{"# title: Locked out\n", ""}, {"#   id: ACME-01\n", ""}, {"#   subject: account\n", ""}, {"#   severity: low\n", ""}, {`data.params["ACME-01"].days`, "3"}},
			want: []string{"acme/locked.rego:1: METADATA has no title", "acme/locked.rego:1: METADATA has no id", "acme/locked.rego:1: METADATA has no subject",
				"acme/locked.rego:1: METADATA has no severity: write it under custom: info, low, medium, high or critical"}},
		"no custom": {
			policy: []edit{{good[strings.Index(good, "# custom"):strings.Index(good, "package")], ""}, {`data.params["ACME-01"].days`, "3"}},
			want:   []string{"acme/locked.rego:1: METADATA has no custom"}},
		"custom of the wrong type": {
			policy: []edit{{good[strings.Index(good, "# custom"):strings.Index(good, "package")], "# custom: yes\n"}, {`data.params["ACME-01"].days`, "3"}},
			want: []string{"acme/locked.rego:1: METADATA has no id", "acme/locked.rego:1: METADATA has no subject", "acme/locked.rego:1: METADATA has no severity",
				"acme/locked.rego:4: custom is not a map"}},
		"wrong types": {
			policy: []edit{{"title: Locked out", "title: [x]"}, {`controls: ["CIS-8.1:5.1"]`, "controls: CIS"}, {"exempt: [leave]", "exempt: [3]\n#   enabled: sometimes"},
				{"{days: 3,", "{days: {a: 1}, day: null,"}, {".days\n", ".kinds[0]\n"}},
			want: []string{"acme/locked.rego:2: title is not text", "acme/locked.rego:8: controls is not a list", "acme/locked.rego:11: parameter day is neither a number",
				"acme/locked.rego:11: parameter days is neither a number", "acme/locked.rego:12: exempt holds something that is not text", "acme/locked.rego:13: enabled is sometimes: write true or false"}},
		"a control without framework": {
			policy: []edit{{"CIS-8.1:5.1", "5.1"}},
			want:   []string{"acme/locked.rego:8: control \"5.1\" does not name its framework: write it as \"CIS-8.1:6.2\""}},
		"scope of METADATA": {
			policy: []edit{{"# custom:", "# scope: rule\n# custom:"}},
			want:   []string{"acme/locked.rego:4: scope \"rule\" describes something else"}},
		"id form": {
			policy: []edit{{"id: ACME-01", "id: acme_1"}, {`data.params["ACME-01"].days`, "3"}},
			want:   []string{"acme/locked.rego:5: id \"acme_1\" is not of the form ACME-01"}},
		"duplicate id": {
			also: map[string]string{"other.rego": strings.Replace(good, "package lapse.acme.locked", "package lapse.acme.other", 1)},
			want: []string{"acme/other.rego:5: id ACME-01 is taken by acme/locked.rego:5: every policy needs an id of its own"}},
		"unknown words": {
			policy: []edit{{"subject: account", "subject: acount"}, {"severity: low", "severity: hihg"}, {"action: none", "action: delete"}, {"assignee: manager", "assignee: menager"},
				{"exempt: [leave]", "exempt: [leaves]"}},
			want: []string{"acme/locked.rego:6: subject \"acount\" is unknown: did you mean account?", "acme/locked.rego:7: severity \"hihg\" is unknown: did you mean high?",
				"acme/locked.rego:9: action \"delete\" is unknown: want disable, end_sessions, handover, none, reclaim, review, revoke or rotate_key",
				"acme/locked.rego:10: assignee \"menager\" is unknown: did you mean manager?", "acme/locked.rego:12: exemption \"leaves\" is unknown: did you mean leave?"}},
		"scope paths": {
			policy: []edit{{"{account.enabled: true, account.kind: [human, guest]}",
				"{account.enabeld: true, account.kind: [human, gest], account.days_known: x, grants: true, person: true, acount.id: x, grants.direct: true, account.mfa: yes please, account.locked: []}"}},
			want: []string{"acme/locked.rego:13: account has no field enabeld: did you mean enabled?", "acme/locked.rego:13: scope account.kind is never \"gest\": did you mean guest?",
				"acme/locked.rego:13: scope account.days_known is of type integer: x is none", "acme/locked.rego:13: scope grants is not a single value", "acme/locked.rego:13: scope person is not a single value",
				"acme/locked.rego:13: subject account has no field acount: did you mean account?", "acme/locked.rego:13: scope grants.direct is not a single value",
				"acme/locked.rego:13: scope account.mfa is of type boolean", "acme/locked.rego:13: scope account.locked allows nothing"}},
		"needs paths": {
			policy: []edit{{"[account.locked, account.days_since_login|account.never_logged_in, coverage.owner, grants.peer_share]",
				"[account.loked, account.days_since_login|account.never_loged_in, coverage.owners, grants.peer_shar]"}},
			want: []string{"acme/locked.rego:14: account has no field loked: did you mean locked?", "acme/locked.rego:14: account has no field never_loged_in: did you mean never_logged_in?",
				"acme/locked.rego:14: need coverage.owners: there is no signal owners: did you mean owner?", "acme/locked.rego:14: grants has no field peer_shar: did you mean peer_share?"}},
		"parse error": {
			policy: []edit{{"[lib.name])", "[lib.name]"}},
			want:   []string{"acme/locked.rego:2"}},
		"old syntax": {
			policy: []edit{{"import rego.v2\n\n", ""}, {"findings contains {\"message\": message} if {", "findings[{\"message\": message}] {"}},
			want:   []string{"acme/locked.rego:19: `if` keyword is required before rule body: this is the old syntax", "acme/locked.rego:19: `contains` keyword is required for partial set rules: this is the old syntax"}},
		"no import": {
			policy: []edit{{"import rego.v2\n\n", ""}},
			want:   []string{"acme/locked.rego:15: import rego.v2 is missing: without it a `not` over an absent field passes over silently; write `import rego.v2` after the package"}},
		"old import": {
			policy: []edit{{"import rego.v2", "import rego.v1"}},
			want:   []string{"acme/locked.rego:15: import rego.v2 is missing: without it a `not` over an absent field passes over silently; write `import rego.v2` after the package in place of `import rego.v1`"}},
		"package outside": {
			policy: []edit{{"package lapse.acme.locked", "package acme.locked"}},
			want:   []string{"acme/locked.rego:15: package acme.locked is outside of lapse, where no rule is looked for: write package lapse.acme.locked"}},
		"package too short": {
			policy: []edit{{"package lapse.acme.locked", "package lapse.acme"}},
			want:   []string{"acme/locked.rego:15: package lapse.acme does not name an area and a rule"}},
		"no findings": {
			policy: []edit{{"findings contains", "finding contains"}},
			want:   []string{"acme/locked.rego:15: package lapse.acme.locked has no findings (finding is not read): write `findings contains {\"message\": …} if {…}`"}},
		"findings not a set": {
			policy: []edit{{"findings contains {\"message\": message} if", "findings[message] := {\"message\": message} if"}},
			want:   []string{"acme/locked.rego:21: findings is not a set"}},
		"finding with an unknown key": {
			policy: []edit{{`{"message": message}`, `{"message": message, "evidense": {}}`}},
			want:   []string{"acme/locked.rego:21: a finding has no key evidense: did you mean evidence?"}},
		"finding without message": {
			policy: []edit{{`{"message": message}`, `{"key": message}`}},
			want:   []string{"acme/locked.rego:21: a finding has no message"}},
		"a typo in a field": {
			policy: []edit{{"input.account.locked", "input.account.loked"}},
			want:   []string{"acme/locked.rego:23: input.account.loked: account has no field loked: did you mean locked?"}},
		"a typo through an alias": {
			policy: []edit{{"input.account.locked", "a := input.account\n\ta.loked"}},
			want:   []string{"acme/locked.rego:24: undefined ref: a.loked: did you mean locked?"}},
		"a typo under not": {
			policy: []edit{{"input.account.locked", "not input.account.loked"}},
			want:   []string{"acme/locked.rego:23: input.account.loked: account has no field loked: did you mean locked?"}},
		"a typo in an element": {
			policy: []edit{{"input.account.locked", "some g in input.grants\n\tg.dircet"}},
			want:   []string{"acme/locked.rego:24: undefined ref: g.dircet: did you mean direct?"}},
		"a typo in object.get": {
			policy: []edit{{"input.account.locked", `object.get(input.account, "loked", false)`}},
			want:   []string{"acme/locked.rego:23: object.get: account has no field loked: did you mean locked?"}},
		"a typo in json.filter": {
			policy: []edit{{"{\"message\": message}", `{"message": message, "evidence": json.filter(input, ["account/enabled", "account/loked"])}`}},
			want:   []string{"acme/locked.rego:21: json.filter: account has no field loked: did you mean locked?"}},
		"a typo in a function": {
			policy: []edit{{"input.account.locked", "stale(input.account)"}, {"findings contains", "stale(a) if a.days_since_logon > 3\n\nfindings contains"}},
			want:   []string{"acme/locked.rego:21: a.days_since_logon: account has no field days_since_logon: did you mean days_since_login?"}},
		"a typo in a function of a function, on an element": {
			policy: []edit{{"input.account.locked", "some g in input.grants\n\tstale(g)"},
				{"findings contains", "stale(g) if old(g.entitlement)\n\nold(e) if {\n\tx := e\n\tobject.get(x, \"nmae\", \"\") == \"x\"\n}\n\nfindings contains"}},
			want: []string{"acme/locked.rego:25: object.get: grants.entitlement has no field nmae: did you mean name?"}},
		"a typo in a function, through an alias": {
			policy: []edit{{"input.account.locked", "some g in input.grants\n\tstale(g)"}, {"findings contains", "stale(g) if {\n\tx := g.entitlement\n\tx.nmae == \"x\"\n}\n\nfindings contains"}},
			want:   []string{"acme/locked.rego:23: x.nmae: grants.entitlement has no field nmae: did you mean name?"}},
		"a typo in a function of the library": {
			policy:  []edit{{"[lib.name]", "[lib.label(input.person)]"}},
			library: []edit{{"owner :=", "label(x) := x.nam\n\nowner :="}},
			want:    []string{"acme/lib.rego:9: x.nam: person has no field nam: did you mean name?"}},
		"a word that never is": {
			policy: []edit{{"input.account.locked", "input.account.kind == \"humans\"\n\tinput.link.status in {\"linked\", \"unlinked\"}"}},
			want: []string{"acme/locked.rego:23: input.account.kind is never \"humans\": did you mean human?",
				"acme/locked.rego:24: input.link.status is never \"unlinked\": did you mean linked?"}},
		"types that never match": {
			policy: []edit{{"input.account.locked", `input.account.locked == "yes"`}},
			want:   []string{"acme/locked.rego:23: match error (left : boolean right : string)"}},
		"a typo in a parameter": {
			policy: []edit{{".days\n", ".day\n"}},
			want:   []string{"acme/locked.rego:24: data.params[\"ACME-01\"].day: METADATA of ACME-01 has no parameter day: did you mean days?"}},
		"a parameter of another policy": {
			policy: []edit{{`data.params["ACME-01"]`, `data.params["ACME-02"]`}},
			want:   []string{"acme/locked.rego:24: data.params[\"ACME-02\"].days: a policy reads its own parameters: write data.params[\"ACME-01\"]"}},
		"data that is not there": {
			policy: []edit{{`data.params["ACME-01"].days`, `data.config.days`}},
			want:   []string{"acme/locked.rego:24: data.config.days holds nothing: a policy reads input, data.params[\"ACME-01\"] and data.lapse.lib"}},
		"a typo in a name of the library": {
			policy: []edit{{`lib.name`, `lib.nmae`}},
			want:   []string{"acme/locked.rego:25: data.lapse.lib.nmae is not defined: did you mean name?"}},
		"a library that is not there": {
			policy: []edit{{`lib.name`, `lib.name_of(input.account)`}},
			want:   []string{"acme/locked.rego:25: data.lapse.lib.name_of is not defined: want name or owner"}},
		"forbidden builtins": {
			policy: []edit{{"input.account.locked", "http.send({\"url\": \"x\"}).body.ok\n\tprint(\"x\")\n\trand.intn(\"x\", 2) == 1\n\topa.runtime().env.HOME\n\tio.jwt.decode(\"x\")[0]\n\tnet.lookup_ip_addr(\"x\")\n\tuuid.rfc4122(\"x\") == \"y\""}},
			want: []string{"acme/locked.rego:23: http.send is not allowed: a policy judges its input only", "acme/locked.rego:24: print is not allowed: print in a _test.rego file",
				"acme/locked.rego:25: rand.intn is not allowed", "acme/locked.rego:26: opa.runtime is not allowed", "acme/locked.rego:27: io.jwt.decode is not allowed",
				"acme/locked.rego:28: net.lookup_ip_addr is not allowed", "acme/locked.rego:29: uuid.rfc4122 is not allowed"}},
		"an unused variable": {
			policy: []edit{{"input.account.locked", "x := input.account.locked"}},
			want:   []string{"acme/locked.rego:23: assigned var x unused"}},
		"a typo in the library": {
			library: []edit{{"name := input.account.username", "name := input.account.usrname"}},
			want:    []string{"acme/lib.rego:5: input.account.usrname: account has no field usrname: did you mean username?"}},
		"a parameter in the library": {
			library: []edit{{"if not input.account.username", `if not data.params["ACME-01"].days`}},
			want:    []string{"acme/lib.rego:7: data.params[\"ACME-01\"].days: the library has no parameters: take the value as an argument"}},
		"not UTF-8": {
			policy: []edit{{"Locked out", "Locked \xff out"}},
			want:   []string{"acme/locked.rego:2: is not UTF-8"}},
		"empty file": {
			also: map[string]string{"empty.rego": "# nothing\n"},
			want: []string{"acme/empty.rego:"}},
		"faults of two files at once": {
			also:   map[string]string{"other.rego": "package lapse.acme.other\n"},
			policy: []edit{{"severity: low", "severity: lo"}, {"input.account.locked", "input.account.loked"}},
			want: []string{"acme/locked.rego:7: severity \"lo\" is unknown: did you mean low?", "acme/locked.rego:23: input.account.loked",
				"acme/other.rego:1: import rego.v2 is missing", "acme/other.rego:1: package lapse.acme.other has no METADATA", "acme/other.rego:1: package lapse.acme.other has no findings"}},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"locked.rego": good, "lib.rego": goodLibrary}
			for file, edits := range map[string][]edit{"locked.rego": c.policy, "lib.rego": c.library} {
				for _, e := range edits {
					if !strings.Contains(files[file], e.old) {
						t.Fatalf("%s holds no %q", file, e.old)
					}
					files[file] = strings.Replace(files[file], e.old, e.new, 1)
				}
			}
			for n, text := range c.also {
				files[n] = text
			}
			_, err := load(files, Options{})
			if err == nil {
				t.Fatal("no error")
			}
			got := strings.Split(err.Error(), "\n")
			missing := false
			for i, w := range c.want {
				missing = missing || i >= len(got) || !containsPrefix(got, w)
			}
			if missing || len(got) != len(c.want) {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(c.want, "\n  "))
			}
		})
	}
}

func containsPrefix(lines []string, prefix string) bool {
	for _, l := range lines {
		if strings.HasPrefix(l, prefix) {
			return true
		}
	}
	return false
}

func TestOverrides(t *testing.T) {
	off := false
	files := map[string]string{"locked.rego": good, "lib.rego": goodLibrary}
	pack, err := load(files, Options{Overrides: map[string]Override{"ACME-01": {Enabled: &off, Severity: "critical", Params: map[string]any{"days": 5}, Action: "disable", Assignee: "security"}}})
	if err != nil {
		t.Fatal(err)
	}
	p, _ := pack.Policy("ACME-01")
	want := []any{false, "critical", "disable", "security", map[string]any{"days": int64(5), "kinds": []any{"human", "guest"}}}
	if diff := cmp.Diff(want, []any{p.Enabled, p.Severity.String(), p.Action, p.Assignee, p.Params}); diff != "" {
		t.Error(diff)
	}
	for name, c := range map[string]struct {
		id   string
		o    Override
		want string
	}{
		"unknown id":         {"ACME-1", Override{Place: "lapse.yaml:12"}, "lapse.yaml:12: there is no policy ACME-1: did you mean ACME-01?"},
		"unknown severity":   {"ACME-01", Override{Place: "lapse.yaml:12", Severity: "bad"}, "lapse.yaml:12: severity of ACME-01: unknown severity \"bad\""},
		"unknown action":     {"ACME-01", Override{Action: "disabel"}, "override of ACME-01: action of ACME-01 \"disabel\" is unknown: did you mean disable?"},
		"unknown assignee":   {"ACME-01", Override{Assignee: "boss"}, "override of ACME-01: assignee of ACME-01 \"boss\" is unknown: want account_owner, app_owner, manager or security"},
		"unknown parameter":  {"ACME-01", Override{Params: map[string]any{"day": 4}}, "override of ACME-01: ACME-01 has no parameter day: did you mean days?"},
		"parameter's type":   {"ACME-01", Override{Params: map[string]any{"days": "4"}}, "override of ACME-01: parameter days of ACME-01 is a text, want a number such as 3"},
		"parameter's nature": {"ACME-01", Override{Params: map[string]any{"days": map[string]any{}}}, "override of ACME-01: parameter days of ACME-01 is neither a number"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(files, Options{Overrides: map[string]Override{c.id: c.o}})
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// A closed finding is blamed on the rule if the hash has changed: so it must change exactly when the verdict can.
func TestHash(t *testing.T) {
	hash := func(policy, library string, o Options) string {
		t.Helper()
		pack, err := load(map[string]string{"locked.rego": policy, "lib.rego": library}, o)
		if err != nil {
			t.Fatal(err)
		}
		return pack.Policies()[0].Hash
	}
	was := hash(good, goodLibrary, Options{})
	edit := func(text, old, new string) string {
		if !strings.Contains(text, old) {
			t.Fatalf("no %q", old)
		}
		return strings.Replace(text, old, new, 1)
	}
	for name, got := range map[string]string{
		"title":                    hash(edit(good, "Locked out", "Shut out"), goodLibrary, Options{}),
		"severity":                 hash(good, goodLibrary, Options{Overrides: map[string]Override{"ACME-01": {Severity: "high"}}}),
		"comments and layout":      hash(edit(good, "findings contains", "# why\n\nfindings contains"), goodLibrary, Options{}),
		"an unused part of lib":    hash(good, edit(goodLibrary, "input.entitlement.owner_id", "input.entitlement.id"), Options{}),
		"a default written out":    hash(good, goodLibrary, Options{Overrides: map[string]Override{"ACME-01": {Params: map[string]any{"days": 3}}}}),
		"another order of the lib": hash(good, edit(edit(goodLibrary, "owner := input.entitlement.owner_id\n", ""), "name := input.account.username", "owner := input.entitlement.owner_id\n\nname := input.account.username"), Options{}),
	} {
		if got != was {
			t.Errorf("%s changes the hash", name)
		}
	}
	for name, got := range map[string]string{
		"code":      hash(edit(good, "\tinput.account.enabled\n", ""), goodLibrary, Options{}),
		"lib":       hash(good, edit(goodLibrary, "input.account.id if", "input.account.email if"), Options{}),
		"parameter": hash(good, goodLibrary, Options{Overrides: map[string]Override{"ACME-01": {Params: map[string]any{"days": 4}}}}),
		"scope":     hash(edit(good, "account.kind: [human, guest]", "account.kind: human"), goodLibrary, Options{}),
		"needs":     hash(edit(good, "needs: [account.locked, ", "needs: ["), goodLibrary, Options{}),
		"exempt":    hash(edit(good, "#   exempt: [leave]\n", ""), goodLibrary, Options{}),
	} {
		if got == was {
			t.Errorf("%s leaves the hash as it was", name)
		}
	}
}

// FuzzLoad feeds anything to the loader: it may refuse, but must not panic.
func FuzzLoad(f *testing.F) {
	f.Add(good)
	f.Add("# METADATA\n# custom:\n#   params: {a: &x [*x]}\npackage lapse.a.b\n")
	f.Add("# METADATA\n# - 1\npackage lapse.a.b\nimport rego.v2\nfindings contains input[x] if some x in input")
	f.Add("package lapse.lib.x\nimport rego.v2\ndefault f(_) := 1\nx[y].z := 1 if y := data[z]")
	f.Add("package lapse[\"a\"].b\nfindings := 1")
	f.Fuzz(func(t *testing.T, text string) {
		if pack, err := load(map[string]string{"a.rego": text, "lib.rego": goodLibrary}, Options{}); err == nil && pack == nil {
			t.Error("neither a pack nor an error")
		}
	})
}
