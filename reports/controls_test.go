package reports

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/finding"
)

func TestControls(t *testing.T) {
	policies := []Policy{
		{ID: "A-1", Enabled: true, Controls: []string{"CIS-8.1:5.10", "ISO-27001:2022:A.5.3", "SOX ITGC: logical access"}},
		{ID: "A-2", Enabled: true, Controls: []string{"CIS-8.1:5.10", "CIS-8.1:5.9"}},
		{ID: "A-3", Controls: []string{"CIS-8.1:5.10", "CIS-8.1:5.2"}},
		{ID: "A-4", Enabled: true, Controls: []string{"CIS-8.1:5.1", "CIS-8.1:5.10"}},
		{ID: "A-5", Enabled: true, Controls: []string{"CIS-8.1:5.4"}},
	}
	excepted := finding.Finding{Fingerprint: "f", Status: finding.Excepted, ExceptionID: "e"}
	excepted.Policy, excepted.Subject.Source = "A-1", "ad"
	r, err := New(Data{Policies: policies, Findings: list([]finding.Finding{excepted}), Tallies: []finding.Tally{
		{Policy: "A-1", Source: "ad", Subjects: 12, Evaluated: 10, Flagged: 2, Excluded: 1},
		{Policy: "A-1", Source: "crm", Subjects: 5, NotEvaluable: 5},
		{Policy: "A-2", Source: "ad", Subjects: 12, Evaluated: 12},
		{Policy: "A-3", Source: "ad", Subjects: 12, Evaluated: 12, Flagged: 12}, // of a run before it was turned off
		{Policy: "A-4", Source: "ad", Subjects: 12, Evaluated: 12, Failed: "it takes too long"},
		{Policy: "A-5", Source: "ad", Subjects: 12, NotEvaluable: 12},
	}})
	if err != nil {
		t.Fatal(err)
	}
	none := []string{}
	want := []Control{
		{Framework: "CIS-8.1", ID: "5.1", Rules: []string{"A-4"}, Off: none, Failed: []string{"A-4"}},
		{Framework: "CIS-8.1", ID: "5.2", Rules: none, Off: []string{"A-3"}, Failed: none},
		{Framework: "CIS-8.1", ID: "5.4", Rules: []string{"A-5"}, Off: none, Failed: none, NotEvaluable: 12},
		{Framework: "CIS-8.1", ID: "5.9", Rules: []string{"A-2"}, Off: none, Failed: none, Evaluated: 12},
		{Framework: "CIS-8.1", ID: "5.10", Rules: []string{"A-1", "A-2", "A-4"}, Off: []string{"A-3"}, Failed: []string{"A-4"}, Evaluated: 22, Flagged: 2, Excepted: 1, Excluded: 1, NotEvaluable: 5},
		{Framework: "ISO-27001:2022", ID: "A.5.3", Rules: []string{"A-1"}, Off: none, Failed: none, Evaluated: 10, Flagged: 2, Excepted: 1, Excluded: 1, NotEvaluable: 5},
		{Framework: "SOX ITGC", ID: "logical access", Rules: []string{"A-1"}, Off: none, Failed: none, Evaluated: 10, Flagged: 2, Excepted: 1, Excluded: 1, NotEvaluable: 5},
	}
	got := r.Controls()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	var verdicts []string
	for _, c := range got {
		verdicts = append(verdicts, c.Verdict())
	}
	if d := cmp.Diff([]string{"a rule failed", "no rule is on", "not evaluable", "nothing flagged", "a rule failed", "flagged", "flagged"}, verdicts); d != "" {
		t.Error(d)
	}
}

func TestControlOrder(t *testing.T) {
	want := []string{"AC-2", "AC-2(3)", "AC-2(3)(a)", "AC-2(3)(d)", "AC-2(12)", "AC-2b", "AC-6", "AC-6(7)", "IA-5"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, compareNumbered)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
