package reports

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/finding"
)

// Every way of dividing the findings counts each of them once.
func TestEveryDivisionHasTheSameSum(t *testing.T) {
	r := mustNew(t, company(30))
	sum := func(counts ...Count) (c Count) {
		for _, x := range counts {
			c.Open, c.Backlog, c.Excepted, c.Excluded = c.Open+x.Open, c.Backlog+x.Backlog, c.Excepted+x.Excepted, c.Excluded+x.Excluded
			c.Closed, c.New, c.Carried = c.Closed+x.Closed, c.New+x.New, c.Carried+x.Carried
		}
		return c
	}
	total := r.Total.Count
	if n := total.Open + total.Backlog + total.Excepted + total.Excluded + total.Closed; n != r.Listed || n != 52*30 {
		t.Errorf("%d findings are counted, %d were listed, want %d", n, r.Listed, 52*30)
	}
	if got := sum(r.BySeverity[:]...); got != total {
		t.Errorf("by severity: %+v, want %+v", got, total)
	}
	for name, groups := range map[string]map[string]*Group{"policy": r.byPolicy, "category": r.byCategory, "source": r.bySource, "department": r.byDepartment, "assignee": r.byAssignee} {
		var counts []Count
		stands := 0
		for _, g := range groups {
			counts = append(counts, g.Count)
			for _, n := range g.BySeverity {
				stands += n
			}
		}
		if got := sum(counts...); got != total {
			t.Errorf("by %s: %+v, want %+v", name, got, total)
		}
		if stands != total.Standing() {
			t.Errorf("by %s: %d stand by severity, want %d", name, stands, total.Standing())
		}
	}
	if total.New == 0 || total.Carried == 0 || total.Backlog == 0 || total.Closed != r.Causes[finding.Fixed] {
		t.Errorf("the fixture shows too little: %+v, %v", total, r.Causes)
	}
	chart := 0
	c := r.DepartmentBars()
	for _, b := range c.Bars {
		chart += b.Standing
	}
	if chart+c.OthersSum != total.Standing() {
		t.Errorf("the chart shows %d and %d others, want %d", chart, c.OthersSum, total.Standing())
	}
}

func TestBarsBeyondTheTwelfthAreSummed(t *testing.T) {
	groups := map[string]*Group{}
	for i := range 20 {
		groups[fmt.Sprint(i)] = &Group{Key: fmt.Sprint(i), Count: Count{Open: i, Backlog: 1}}
	}
	c := bars(groups, orElse(""))
	if len(c.Bars) != 12 || c.Bars[0].Standing != 20 || c.Others != 8 || c.OthersSum != 1+2+3+4+5+6+7+8 {
		t.Errorf("%d bars, the first of %d; %d others with %d", len(c.Bars), c.Bars[0].Standing, c.Others, c.OthersSum)
	}
}

func TestRefusedFindings(t *testing.T) {
	lost := errors.New("connection lost")
	high, low := finding.Finding{Severity: finding.High, Status: finding.Open}, finding.Finding{Severity: finding.Low, Status: finding.Open}
	old := high
	old.Backlog = true
	bad := high
	bad.CostMonth = "1e3"
	odd := high
	odd.Status = "pending"
	for name, c := range map[string]struct {
		list []finding.Finding
		err  error
		want string
	}{
		"not the worst first": {list: []finding.Finding{low, high}, want: "less urgent"},
		"backlog first":       {list: []finding.Finding{old, high}, want: "less urgent"},
		"no decimal":          {list: []finding.Finding{bad}, want: `cost a month "1e3" is not a decimal number`},
		"unknown status":      {list: []finding.Finding{odd}, want: `unknown status "pending"`},
		"lost":                {list: []finding.Finding{high}, err: lost, want: "report of run 7: connection lost"},
	} {
		_, err := New(Data{Run: Run{ID: 7}, Findings: func(yield func(finding.Finding, error) bool) {
			for _, f := range c.list {
				if !yield(f, nil) {
					return
				}
			}
			if c.err != nil {
				yield(finding.Finding{}, c.err)
			}
		}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
	if _, err := New(Data{}); err == nil {
		t.Error("no error without findings")
	}
}

// A list that changes between counting and writing would stand beside totals that aren't its own.
func TestFindingsThatChangeAreNoticed(t *testing.T) {
	n := 0
	f := finding.Finding{Severity: finding.Low, Status: finding.Open}
	r := mustNew(t, Data{Findings: func(yield func(finding.Finding, error) bool) {
		n++
		for range n {
			if !yield(f, nil) {
				return
			}
		}
	}})
	for _, err := range []error{r.CSV(&bytes.Buffer{}), r.JSON(&bytes.Buffer{})} {
		if err == nil || !strings.Contains(err.Error(), "changed while they were written") {
			t.Errorf("error %v", err)
		}
	}
}

// A zero is a statement only beside what was evaluated.
func TestFactsSayWhatTheyRestOn(t *testing.T) {
	d := company(1)
	d.Findings = list(nil)
	blind := func(t finding.Tally) finding.Tally {
		t.Evaluated, t.NotEvaluable = 0, 5
		return t
	}
	for i, tally := range d.Tallies {
		if tally.Policy == "LVR-01" {
			d.Tallies[i] = blind(tally)
		}
	}
	var text []string
	for _, f := range mustNew(t, d).Facts() {
		text = append(text, f.Text+" | "+f.Basis)
	}
	all := strings.Join(text, "\n")
	for _, want := range []string{
		"Not known: whether people who left can still sign in | LVR-01: 0 evaluated, 20 could not be",
		"No privileged account is known to lack a second factor | MFA-01: 2,215 evaluated, 4,245 could not be",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no fact %q in:\n%s", want, all)
		}
	}
	if strings.Contains(all, "DOR-03") {
		t.Error("a fact rests on a rule that is switched off")
	}
}

func TestManyStrangersAreOneFact(t *testing.T) {
	d := company(1)
	var tallies []finding.Tally
	for _, source := range []struct {
		uid                string
		evaluated, flagged uint64
		failed             string
	}{
		{"ad", 400, 210, ""}, {"salesforce", 38, 19, ""}, {"erp", 41, 20, ""}, {"broken", 100, 100, "it took too long"}, {"agency", 40, 20, ""},
	} {
		tallies = append(tallies, finding.Tally{Policy: "ORP-01", Source: source.uid, Evaluated: source.evaluated, Flagged: source.flagged, Failed: source.failed})
	}
	d.Tallies = tallies
	d.Inputs = append(d.Inputs, Input{UID: "agency", Name: "The agency"})
	var got []string
	for _, f := range mustNew(t, d).Facts() {
		if strings.Contains(f.Text, "roster seems") {
			got = append(got, f.Text+" | "+f.Basis)
		}
	}
	if want := []string{
		"A roster seems to be missing: 210 of the 400 enabled accounts in " + mustNew(t, d).sourceName("ad") + " belong to nobody | ORP-01: 400 evaluated",
		"A roster seems to be missing: 20 of the 40 enabled accounts in The agency belong to nobody | ORP-01: 40 evaluated",
	}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestCasesAreLedByTheGravestRule(t *testing.T) {
	var all []finding.Finding
	for i, policy := range []string{"LIC-01", "MFA-01", "DOR-02", "LVR-01", "ORP-01"} {
		all = append(all, finding.Finding{Hit: finding.Hit{Policy: policy, CostMonth: "1.10", Currency: "USD", Subject: finding.Subject{ID: fmt.Sprint(i)}},
			Category: policy[:3], Severity: finding.High, Status: finding.Open, Person: "hr:1"})
	}
	all = append(all, finding.Finding{Hit: finding.Hit{Policy: "LVR-01"}, Category: "LVR", Severity: finding.High, Status: finding.Excepted, Person: "hr:2"})
	r := mustNew(t, Data{Findings: list(all)})
	if r.caseCount != 1 || len(r.cases) != 1 {
		t.Fatalf("%d cases, want 1: an excepted finding makes none", r.caseCount)
	}
	if c := r.cases[0]; c.Lead.Policy != "LVR-01" || c.Count != 5 || c.Cost()[0].Month != "5.50" {
		t.Errorf("led by %s, %d findings, cost %v", c.Lead.Policy, c.Count, c.Cost())
	}
}

func TestBacklogDueDates(t *testing.T) {
	var all []finding.Finding
	for _, days := range []int{-3, 0, 1, 30, 31} {
		all = append(all, finding.Finding{Severity: finding.Low, Status: finding.Open, Backlog: true, DueAt: night.AddDate(0, 0, days)})
	}
	all = append(all, finding.Finding{Severity: finding.Low, Status: finding.Open, Backlog: true})
	r := mustNew(t, Data{Run: Run{Time: night}, Findings: list(all)})
	if want := (Backlog{Overdue: 2, Soon: 2, Next: night.AddDate(0, 0, 1)}); r.Backlog != want {
		t.Errorf("%+v, want %+v", r.Backlog, want)
	}
}

func TestRosterAsOfIsTheOldest(t *testing.T) {
	d := company(1)
	d.Inputs = append(d.Inputs, Input{UID: "hr2", Roster: true, Taken: daysAgo(3)}, Input{UID: "hr3", Roster: true, Status: Absent})
	if got := mustNew(t, d).RosterAsOf(); !got.Equal(daysAgo(3)) {
		t.Errorf("as of %v, want %v", got, daysAgo(3))
	}
	if got := mustNew(t, Data{Findings: list(nil)}).RosterAsOf(); !got.IsZero() {
		t.Errorf("as of %v without a roster", got)
	}
}

func TestNewnessIsComparedInMilliseconds(t *testing.T) {
	at := night.Add(123456789 * time.Nanosecond)
	r := mustNew(t, Data{Run: Run{Time: at}, Findings: list([]finding.Finding{{Status: finding.Open, FirstSeen: at.Truncate(time.Millisecond)}})})
	if r.Total.Count.New != 1 {
		t.Error("the store's precision makes the finding old")
	}
}

func TestJSONKeepsWhatItIsGiven(t *testing.T) {
	var out bytes.Buffer
	r := mustNew(t, hostile(company(2), nasty))
	if err := r.JSON(&out); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		jsonHead
		Findings []jsonFinding `json:"findings"`
	}
	in := json.NewDecoder(&out)
	in.DisallowUnknownFields()
	if err := in.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Findings) != doc.FindingCount || doc.FindingCount != r.Listed {
		t.Errorf("%d findings, %d announced, %d counted", len(doc.Findings), doc.FindingCount, r.Listed)
	}
	if got := doc.Findings[0].Message; got != nasty {
		t.Errorf("message %q, want %q", got, nasty)
	}
	if doc.Run.Status != "incomplete" || doc.Totals.Count != r.Total.Count {
		t.Errorf("status %s, totals %+v", doc.Run.Status, doc.Totals.Count)
	}
}

func TestCSVRunsNoFormula(t *testing.T) {
	var out bytes.Buffer
	if err := mustNew(t, hostile(company(1), nasty)).CSV(&out); err != nil {
		t.Fatal(err)
	}
	body, found := strings.CutPrefix(out.String(), "\ufeff")
	if !found {
		t.Error("no byte order mark")
	}
	rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	guarded := 0
	for _, row := range rows {
		for i, cell := range row {
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r\n") {
				t.Errorf("column %s starts with %q", rows[0][i], cell[:1])
			}
			if strings.HasPrefix(cell, "'=cmd") {
				guarded++
			}
		}
	}
	if guarded == 0 {
		t.Error("no cell was guarded: this test shows nothing")
	}
	for cell, want := range map[string]string{"": "", "a=b": "a=b", "=1": "'=1", "+1": "'+1", "-1": "-1", "-1.50": "-1.50", "-1+1": "'-1+1", "@x": "'@x", "\tx": "'\tx", "\rx": "'\rx", "＝1": "'＝1", "'x": "'x"} {
		if got := unformula(cell); got != want {
			t.Errorf("unformula(%q) = %q, want %q", cell, got, want)
		}
	}
}
