package store

import (
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
)

func testFindings(t *testing.T, s *Store) {
	ctx := t.Context()
	account := func(source, id string) finding.Subject {
		return finding.Subject{Kind: access.SubjectAccount, Source: source, ID: id}
	}
	hits := []HitRow{
		{Hit: finding.Hit{Policy: "LVR-01", Subject: account("ad", "a3"), Message: "Carl\t'left'", Evidence: `{"a":1}`}, Severity: finding.High, Title: "Leaver", Category: "LVR",
			Action: "disable", Controls: []string{"PCI:8.2.5", "CIS:6.2"}, SourceName: "Corp AD", Name: "carl", Person: "hr:p3", PersonName: "Carl", Department: "IT", Assignee: "hr:p9"},
		{Hit: finding.Hit{Policy: "LIC-01", Subject: account("app", "b3"), Key: "s1", CostMonth: "57.5", Currency: "USD"}, Severity: finding.Low, Category: "LIC", Person: "hr:p3", Department: "IT", Assignee: "security"},
		{Hit: finding.Hit{Policy: "LIC-01", Subject: account("app", "b3"), Key: "s2", CostMonth: "0.0001", Currency: "USD"}, Severity: finding.Low, Category: "LIC", Person: "hr:p3", Department: "IT", Assignee: "security"},
		{Hit: finding.Hit{Policy: "LIC-01", Subject: account("app", "b1"), Key: "s1", CostMonth: "3", Currency: "EUR"}, Severity: finding.Low, Category: "LIC", Department: "Sales", Assignee: "security"},
		{Hit: finding.Hit{Policy: "LVR-05", Subject: finding.Subject{Kind: access.SubjectEntitlement, Source: "ad", ID: "g1"}}, Severity: finding.Medium, Category: "LVR"},
		{Hit: finding.Hit{Policy: "SOD-01", Subject: finding.Subject{Kind: access.SubjectPerson, ID: "hr:p1"}}, Severity: finding.Critical, Category: "SOD"},
		{Hit: finding.Hit{Policy: "SOD-01", Subject: finding.Subject{Kind: access.SubjectPerson, ID: "hr:p4"}, ExcludedBy: "leave"}, Severity: finding.Critical, Category: "SOD"},
	}
	tallies := []finding.Tally{
		{Policy: "LVR-01", Source: "ad", Subjects: 7, OutOfScope: 1, Evaluated: 4, Flagged: 1, NotEvaluable: 2, Missing: map[string]uint64{"account.enabled": 2}},
		{Policy: "SOD-01", Subjects: 4, Evaluated: 4, Flagged: 1, Excluded: 1, Missing: map[string]uint64{}, Failed: "boom"},
	}
	e := company(t, s, night)
	e.hits, e.tally = hits, tallies
	e.carry = Carry{BacklogDue: 24 * time.Hour}
	for _, id := range []string{"LVR-01", "LVR-05", "LIC-01", "SOD-01"} {
		e.carry.Policies = append(e.carry.Policies, RunPolicy{ID: id, Hash: "h"})
		e.carry.Judged = append(e.carry.Judged, Judgement{id, "ad"}, Judgement{id, "app"}, Judgement{id, ""})
	}
	run := evaluate(t, s, e, nil).ID

	got, err := s.Tallies(ctx, run)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "tallies", got, tallies)

	all := gather(t, s.Findings(ctx, run, FindingFilter{Order: ByPolicy}))
	if len(all) != len(hits) {
		t.Fatalf("there are %d findings, want %d", len(all), len(hits))
	}
	carl := all[3]
	wantEqual(t, "finding", carl, finding.Finding{Fingerprint: hits[0].Fingerprint(), Hit: hits[0].Hit, Severity: finding.High, Title: "Leaver", Category: "LVR",
		Action: "disable", Controls: []string{"PCI:8.2.5", "CIS:6.2"}, SourceName: "Corp AD", Name: "carl", Person: "hr:p3", PersonName: "Carl", Department: "IT", Assignee: "hr:p9",
		Status: finding.Open, FirstSeen: night, LastSeen: night, Backlog: true, DueAt: night.AddDate(0, 0, 1)})

	no := false
	for _, c := range []struct {
		name   string
		filter FindingFilter
		want   string // "policy subject key" of each, the worst first
	}{
		{"worst first", FindingFilter{Limit: 3}, "SOD-01 hr:p1 , SOD-01 hr:p4 , LVR-01 a3 "},
		{"policies", FindingFilter{Policies: []string{"LVR-01", "LVR-05"}}, "LVR-01 a3 , LVR-05 g1 "},
		{"categories and sources", FindingFilter{Categories: []string{"LIC", "LVR"}, Sources: []string{"ad"}}, "LVR-01 a3 , LVR-05 g1 "},
		{"no source", FindingFilter{Sources: []string{""}, Statuses: []finding.Status{finding.Open}}, "SOD-01 hr:p1 "},
		{"excluded", FindingFilter{Statuses: []finding.Status{finding.Excluded}}, "SOD-01 hr:p4 "},
		{"severity", FindingFilter{MinSeverity: finding.High, Statuses: []finding.Status{finding.Open}}, "SOD-01 hr:p1 , LVR-01 a3 "},
		{"person", FindingFilter{Persons: []string{"hr:p3"}}, "LVR-01 a3 , LIC-01 b3 s1, LIC-01 b3 s2"},
		{"department", FindingFilter{Departments: []string{"Sales"}}, "LIC-01 b1 s1"},
		{"subject", FindingFilter{Subject: "b3"}, "LIC-01 b3 s1, LIC-01 b3 s2"},
		{"fingerprint", FindingFilter{Fingerprint: strings.ToUpper(string(carl.Fingerprint[:9]))}, "LVR-01 a3 "},
		{"hostile", FindingFilter{Departments: []string{`' OR '1'='1`, "\\", "\t"}}, ""},
		{"no backlog", FindingFilter{Backlog: &no}, ""},
	} {
		var keys []string
		for _, f := range gather(t, s.Findings(ctx, run, c.filter)) {
			keys = append(keys, f.Policy+" "+f.Subject.ID+" "+f.Key)
		}
		if got := strings.Join(keys, ", "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if _, err := gatherError(s.Findings(ctx, run, FindingFilter{Fingerprint: "xyz"})); err == nil {
		t.Error("a fingerprint of letters is taken")
	}
	if n := len(gather(t, s.Findings(ctx, run+1, FindingFilter{}))); n > 0 {
		t.Errorf("a run that isn't there has %d findings", n)
	}

	open := FindingFilter{Statuses: []finding.Status{finding.Open}}
	counts, err := s.CountFindings(ctx, run, open, ByCategory, BySeverity)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "counts", counts, []FindingCount{
		{Values: []string{"LIC", "low"}, N: 3, CostMonth: map[string]string{"USD": "57.5001", "EUR": "3"}},
		{Values: []string{"LVR", "medium"}, N: 1, CostMonth: map[string]string{}},
		{Values: []string{"LVR", "high"}, N: 1, CostMonth: map[string]string{}},
		{Values: []string{"SOD", "critical"}, N: 1, CostMonth: map[string]string{}},
	})
	total, err := s.CountFindings(ctx, run, FindingFilter{})
	if err != nil || len(total) != 1 || total[0].N != 7 {
		t.Errorf("total is %+v, %v", total, err)
	}
	if _, err := s.CountFindings(ctx, run, open, "h.policy) --"); err == nil {
		t.Error("a made-up dimension is taken")
	}
}
