package config

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func parse(t *testing.T, text string) (*Config, error) {
	t.Helper()
	return Parse("lapse.yaml", "/etc/lapse", []byte(text))
}

func TestFaultsNameTheirPlace(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"unknown key":        {"timezone: UTC\nsouces: []\n", `lapse.yaml:2:1: unknown key "souces": did you mean "sources"?`},
		"unknown, far":       {"zzzzzzz: 1\n", `lapse.yaml:1:1: unknown key "zzzzzzz": there are contracts, exceptions, guard, inventory, `},
		"nested":             {"scan:\n  paralel: 3\n", `lapse.yaml:2:3: scan: unknown key "paralel": did you mean "parallel"?`},
		"wrong type":         {"scan:\n  parallel: many\n", `lapse.yaml:2:13: scan.parallel: want a whole number, got "many"`},
		"not a list":         {"sources: hr\n", `lapse.yaml:1:10: sources: want a list, got "hr"`},
		"twice":              {"timezone: UTC\ntimezone: UTC\n", `lapse.yaml:2:1: key "timezone" stands already in line 1`},
		"zone":               {"timezone: Mars/Base\n", `"Mars/Base" is not in the time zone database`},
		"percent":            {"guard:\n  max_shrink: ten\n", `lapse.yaml:2:15: guard.max_shrink: "ten" is no share: write 10% or 0.1`},
		"store section":      {"store:\n  ulr: x\n", `lapse.yaml:2:3: store: unknown key "ulr": did you mean "url"?`},
		"secret in clear":    {"store:\n  url: x\n  password: hunter2\n", `a secret is only referred to: write env:NAME`},
		"source guard":       {"sources:\n- uid: a\n  type: file\n  guard: {max_shrnk: 5%}\n", `lapse.yaml:4:11: sources[a].guard: unknown key "max_shrnk": did you mean "max_shrink"?`},
		"source uid twice":   {"sources:\n- {uid: a, type: file}\n- {uid: a, type: file}\n", `lapse.yaml:3:1: sources: uid "a" stands already in line 2`},
		"source without uid": {"sources:\n- {type: file}\n", `sources: uid "": want`},
		"links to no roster": {"sources:\n- {uid: a, type: file, links: {employee_id: [hr]}}\n", `"hr" is not a source with a roster section`},
		"rule":               {"policies: {rules: {DOR-01: {parms: {days: 3}}}}\n", `policies.rules.DOR-01: unknown key "parms": did you mean "params"?`},
		"bundle, no key":     {"policies:\n  bundles:\n  - {path: a.tar.gz}\n", `lapse.yaml:3:1: policies.bundles: a.tar.gz: key is missing: name the PEM file`},
		"bundle, both":       {"policies:\n  bundles:\n  - {path: a.tar.gz, key: k.pem, unsigned: true}\n", `it has a key and is unsigned: keep one of them`},
		"bundle, no path":    {"policies:\n  bundles:\n  - {key: k.pem}\n", `lapse.yaml:3:1: policies.bundles: path is missing`},
		"bundle key":         {"policies:\n  bundles:\n  - {path: a.tar.gz, kye: k.pem}\n", `policies.bundles: unknown key "kye": did you mean "key"?`},
		"bundle algorithm":   {"policies:\n  bundles:\n  - {path: a.tar.gz, key: k.pem, algorithm: none}\n", `algorithm "none": want one of RS256`},
		"rule of a source":   {"policies: {rules: {DOR-01: {sources: {crm: {parms: {days: 3}}}}}}\n", `policies.rules.DOR-01.sources.crm: unknown key "parms": did you mean "params"?`},
		"notify, unknown":    {"notify:\n  remind_day: [3]\n", `lapse.yaml:2:3: notify: unknown key "remind_day": did you mean "remind_days"?`},
		"notify, quiet":      {"notify:\n  quiet: {from: 8pm}\n", `notify.quiet.from: "8pm" is no time of day: write it as 07:30`},
		"notify, quiet when": {"notify: {quiet: always}\n", `"always": write {from: "20:00", to: "07:00", weekend: true}, or never`},
		"notify, reminders":  {"notify: {remind_days: [7, 3]}\n", `notify.remind_days: [7 3]: want growing numbers of days, from 1`},
		"notify, deadline":   {"notify: {deadline_days: 0}\n", `notify.deadline_days: 0 is less than 1`},
		"notify, zone":       {"notify: {zones: {Berlin: Europe/Berln}}\n", `notify.zones.Berlin: "Europe/Berln" is not in the time zone database`},
		"notify, address":    {"notify: {security: {email: security}}\n", `notify.security.email: "security" is no address`},
		"notify, tickets":    {"notify: {tickets: {recipe: jira, url: 'https://acme.atlassian.net'}}\n", `notify.tickets.user and password are missing`},
		"notify, teams":      {"notify: {teams: {}}\n", `notify.teams.url is missing`},
		"notify, teams' url": {"notify: {teams: {url: 'https://x.example.com/hunter2'}}\n", `notify.teams.url`},
		"notify, mail":       {"notify: {email: {host: smtp.example.com, tls: maybe, from: Lapse <l@example.com>}}\n", `notify.email.tls: "maybe": want starttls, implicit`},
		"notify, mail key":   {"notify: {email: {hots: smtp.example.com}}\n", `notify.email: unknown key "hots": did you mean "host"?`},
		"notify, links":      {"notify: {links: {url: 'http://lapse.example.com', keys: {k1: env:K}}}\n", `notify.links.url: want https`},
		"notify, links' key": {"notify: {links: {url: 'https://lapse.example.com', keys: {k1: hunter2}}}\n", `notify.links.keys.k1`},
		"notify, unsigned":   {"notify: {webhook: {url: \"https://example.com/hook\"}}\n", `notify.webhook.secret: it is missing`},
		"notify, password":   {"notify: {webhook: {url: \"https://u:hunter2@example.com/hook\", secret: env:X}}\n", `notify.webhook.url: it holds a password`},
		"notify, source":     {"notify: {owners: {crm: hr:1}}\n", `notify.owners.crm: there is no such source`},
		"serve, place":       {"timezone: UTC\nserve:\n  address: ':80'\n  schedule: nightly\n", `lapse.yaml:4:3: serve.schedule: "nightly"`},
		"timezone, place":    {"\nscan: {lane: full}\ntimezone: Berlin\n", `lapse.yaml:3:1: timezone: "Berlin"`},
		"owner, place":       {"notify:\n  owners:\n    crm: a@example.com\n    erp: b@example.com\n", `lapse.yaml:4:5: notify.owners.erp: there is no such source`},
		"serve, unknown":     {"serve:\n  shedule: never\n", `lapse.yaml:2:3: serve: unknown key "shedule": did you mean "schedule"?`},
		"serve, schedule":    {"serve: {schedule: at two}\n", `serve.schedule: "at two": want five fields`},
		"serve, zone":        {"serve: {timezone: Mars/Base}\n", `serve.timezone: "Mars/Base" is not in the time zone database`},
		"serve, address":     {"serve: {address: localhost}\n", `serve.address: "localhost" is no address to listen on`},
		"serve, after scan":  {"serve: {after_scan: [aply]}\n", `serve.after_scan: [aply]: want notify, apply, or both`},
		"serve, attempts":    {"serve: {attempts: 0}\n", `serve.attempts: 0 is less than 1`},
		"hook, no secret":    {"serve: {webhooks: [{name: a, id: .id, event: .e, leaver: x, person: .p}]}\n", `serve.webhooks.a: want a secret that requests are signed with, or a bearer token`},
		"hook, in clear":     {"serve: {webhooks: [{name: a, secret: hunter2}]}\n", `a secret is only referred to: write env:NAME`},
		"hook, no person":    {"serve: {webhooks: [{name: a, secret: 'env:X', id: .id, event: .e, leaver: x}]}\n", `serve.webhooks.a.person is missing`},
		"hook, jq":           {"serve: {webhooks: [{name: a, secret: 'env:X', id: '.id |'}]}\n", `jq: `},
		"hook, roster":       {"serve: {webhooks: [{name: a, secret: 'env:X', roster: hr, id: .id, event: .e, leaver: x, person: .p}]}\n", `serve.webhooks.a.roster: "hr" is not a source with a roster section`},
		"empty":              {"", "the file is empty"},
		"two documents":      {"timezone: UTC\n---\ntimezone: UTC\n", "more than one YAML document"},
		"syntax":             {"timezone: [\n", "lapse.yaml: line"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error = %v\nwant it to say %s", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	_, err := parse(t, "souces: []\nscan: {paralel: 1}\ntimezon: UTC\n")
	for _, want := range []string{"souces", "paralel", "timezon"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want it to name %s", err, want)
		}
	}
}

func TestDefaultsAndOverlay(t *testing.T) {
	c, err := parse(t, `
timezone: Europe/Berlin
store: {memory: 2GiB}
guard: {max_shrink: 5%}
sources:
- {uid: hr, type: file, roster: {}, guard: {max_shrink: 0%}, files: {people: {path: x.csv}}}
- {uid: crm, type: file, links: {employee_id: [hr]}}
`)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.StoreURL(); got != "embedded:/etc/lapse/lapse-data" {
		t.Errorf("store = %s", got)
	}
	if got := c.StateURL(); got != "/etc/lapse/lapse-data/state.db" {
		t.Errorf("state = %s", got)
	}
	if c.Store.Memory != 2<<30 || c.Retention.Nights != 35 {
		t.Errorf("memory %d, nights %d", c.Store.Memory, c.Retention.Nights)
	}
	if g := c.Sources[0].Guard; g.MaxShrink != 0 || g.MaxGrowth != 1 {
		t.Errorf("guard of hr = %+v", g)
	}
	if g := c.Sources[1].Guard; g.MaxShrink != 0.05 {
		t.Errorf("guard of crm = %+v", g)
	}
	if !c.Sources[0].Roster || c.Sources[1].Roster {
		t.Error("hr is the roster and crm is none")
	}
	var section struct {
		Roster struct{} `yaml:"roster"`
		Files  map[string]struct {
			Path string `yaml:"path"`
		} `yaml:"files"`
	}
	if err := c.Sources[0].Decode(&section); err != nil || section.Files["people"].Path != "x.csv" {
		t.Errorf("section = %+v, %v", section, err)
	}
	var other struct {
		Field string `yaml:"field"`
	}
	if err := c.Sources[0].Decode(&other); err == nil || !strings.Contains(err.Error(), `lapse.yaml:6:`) {
		t.Errorf("decoding an unknown key of the type: %v", err)
	}
}

func TestSecretsNeverPrint(t *testing.T) {
	t.Setenv("LAPSE_TEST_SECRET", "hunter2")
	c, err := parse(t, "store: {url: 'clickhouse://h/db', password: 'env:LAPSE_TEST_SECRET'}\n")
	if err != nil {
		t.Fatal(err)
	}
	v, err := c.Store.Password.Resolve(context.Background(), "/")
	if err != nil || v != "hunter2" {
		t.Fatalf("Resolve = %q, %v", v, err)
	}
	for _, printed := range []string{fmt.Sprint(c.Store), fmt.Sprintf("%+v %#v", c.Store, c.Store), slog.AnyValue(c.Store.Password).Resolve().String()} {
		if strings.Contains(printed, "hunter2") || strings.Contains(printed, "LAPSE_TEST_SECRET") {
			t.Errorf("printed %s", printed)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("timezone: UTC\nsources:\n- {uid: a, type: file, guard: {max_shrink: 5%}}\n")
	f.Add("store: {password: 'env:X'}")
	f.Add("a: &a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := Parse("f", "/", []byte(text)); err == nil && c == nil {
			t.Error("neither a configuration nor an error")
		}
	})
}
