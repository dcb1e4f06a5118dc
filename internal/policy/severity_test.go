package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
)

// A finding may be less grave than its rule, unless lapse.yaml says how grave the rule is.
func TestSeverityOfAFinding(t *testing.T) {
	weak := accountRow(t, doc{"account": doc{"password_not_required": true, "password_never_expires": true}})
	on := true
	for _, c := range []struct {
		severity string
		want     map[string]finding.Severity
	}{
		{"", map[string]finding.Severity{"not_required": finding.High, "never_expires": finding.Low}},
		{"medium", map[string]finding.Severity{"not_required": finding.Medium, "never_expires": finding.Medium}},
	} {
		e := newEngine(t, shipped(t, Options{Overrides: map[string]Override{"AD-01": {Enabled: &on, Severity: c.severity}}}), EngineOptions{})
		got := map[string]finding.Severity{}
		for _, r := range evalAll(t, e.NewEvaluator(), access.SubjectAccount, weak) {
			if r.Policy == "AD-01" {
				got[r.Key] = r.Severity
			}
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("override %q (-want +got):\n%s", c.severity, d)
		}
	}
}
