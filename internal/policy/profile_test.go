package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/policies"
)

func shippedProfiles(t *testing.T) Profiles {
	t.Helper()
	p, err := ReadProfiles("policies/profiles.yaml", policies.Profiles)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestShippedProfiles(t *testing.T) {
	profiles := shippedProfiles(t)
	if got := strings.Join(profiles.Names(), " "); got != "cis day-one pci strict" {
		t.Errorf("profiles %s", got)
	}
	framework := map[string]string{"cis": "CIS-8.1:", "pci": "PCI-DSS-4.0:"}
	byDefault := shipped(t, Options{})
	for _, name := range profiles.Names() {
		overrides, err := profiles.Overrides(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range shipped(t, Options{Overrides: overrides}).Policies() {
			was, _ := byDefault.Policy(p.ID)
			evidences := slices.ContainsFunc(p.Controls, func(c string) bool { return strings.HasPrefix(c, framework[name]) })
			want := was.Enabled
			switch name {
			case "cis", "pci":
				want = want || evidences
			case "strict":
				want = true
			}
			if p.Enabled != want {
				t.Errorf("%s: %s is on: %v, want %v", name, p.ID, p.Enabled, want)
			}
		}
	}
	cis, err := profiles.Overrides("cis")
	if err != nil {
		t.Fatal(err)
	}
	dormant, _ := shipped(t, Options{Overrides: cis}).Policy("DOR-01")
	if dormant.Params["days"] != int64(45) {
		t.Errorf("DOR-01 of cis: %v", dormant.Params)
	}
}

func TestProfileUnderOverrides(t *testing.T) {
	profile, err := shippedProfiles(t).Overrides("strict")
	if err != nil {
		t.Fatal(err)
	}
	off := false
	own := Override{Enabled: &off, Severity: "low", Params: map[string]any{"min_peers": 9}, Place: "lapse.yaml"}
	o := own.Over(profile["MOV-01"])
	if *o.Enabled || o.Severity != "low" || o.Params["min_peers"] != 9 || o.Params["delay_days"] != int64(7) || o.Place != "lapse.yaml" {
		t.Errorf("%+v", o)
	}
	if o := (Override{}).Over(profile["MOV-01"]); !*o.Enabled || o.Params["delay_days"] != int64(7) || o.Place != "policies/profiles.yaml" {
		t.Errorf("%+v", o)
	}
}

func TestProfilesRefused(t *testing.T) {
	if _, err := shippedProfiles(t).Overrides("stricd"); err == nil || err.Error() != "there is no profile stricd: did you mean strict?" {
		t.Error(err)
	}
	for text, want := range map[string]string{
		"a: [":                         "p.yaml: is not YAML: ",
		"a: {enabel: [X-1]}":           "p.yaml:1: profile a has no key enabel: did you mean enable?",
		"a:\n  params: {X-1: {d: {}}}": "p.yaml:2: parameter d ",
	} {
		if _, err := ReadProfiles("p.yaml", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
	profiles, err := ReadProfiles("p.yaml", []byte("a: {enable: [NOPE-1]}"))
	if err != nil {
		t.Fatal(err)
	}
	overrides, err := profiles.Overrides("a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Load(Options{Overrides: overrides}, Source{Name: "policies", FS: policies.FS}); err == nil || !strings.HasPrefix(err.Error(), "p.yaml: there is no policy NOPE-1") {
		t.Error(err)
	}
}
