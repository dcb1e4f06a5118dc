package reports

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lapse-audit/lapse/internal/finding"
)

// How much of each list stands in the HTML page; what is left out is counted there. The CSV has everything.
const (
	inlinePerPolicy = 500
	inlineCases     = 25
	inlineExcluded  = 500
)

// Soon is how long before its end an exception is called expiring.
const soon = 30 * 24 * time.Hour

// Count says how many findings stand where. Each finding is counted in exactly one of Open, Backlog, Excepted, Excluded
// and Closed; New and Carried are parts of the others.
type Count struct {
	Open     int `json:"open"` // without the backlog
	Backlog  int `json:"backlog"`
	Excepted int `json:"excepted"`
	Excluded int `json:"excluded"`
	Closed   int `json:"closed"`  // by this run
	New      int `json:"new"`     // of Open: first seen by this run
	Carried  int `json:"carried"` // of Open and Backlog: not judged by this run, and left standing
}

// Standing is what is open, the backlog included.
func (c Count) Standing() int { return c.Open + c.Backlog }

// Group counts the findings that have something in common.
type Group struct {
	Key        string
	Count      Count
	BySeverity [finding.Critical + 1]int // of what stands
	costs      sums
}

// Cost is what the standing findings of the group cost, by currency.
func (g *Group) Cost() []Money { return g.costs.money() }

// Case is one person with everything that stands about them.
type Case struct {
	Person, Name, Department string
	Severity                 finding.Severity
	Count                    int
	Lead                     finding.Finding
	Findings                 []finding.Finding // the worst of them, at most casePart
	costs                    sums
}

const casePart = 12

// Backlog says how the burn-down goes.
type Backlog struct {
	Overdue int       `json:"overdue"`
	Soon    int       `json:"due_in_30_days"` // not overdue ones
	Next    time.Time `json:"next_due,omitzero"`
}

// Report is a run, counted.
type Report struct {
	Data
	Total      Group
	Listed     int // findings of any status
	BySeverity [finding.Critical + 1]Count
	Backlog    Backlog
	Causes     map[finding.Cause]int // of what this run closed
	Unpriced   int                   // standing license findings without a known price

	byPolicy, byCategory, bySource, byDepartment, byAssignee, byException, byExemption map[string]*Group
	excepted                                                                           map[[2]string]int // policy and source
	worst                                                                              map[string][]finding.Finding
	excluded, exceptedList                                                             []finding.Finding
	closedList                                                                         []finding.Finding
	caseCount                                                                          int
	cases                                                                              []*Case
	facts                                                                              []*factCount
	priced                                                                             map[finding.Fingerprint]bool
}

// New counts the findings of a run. It keeps those that a page prints, and of the others only who and what they are
// about.
func New(data Data) (*Report, error) {
	if data.Findings == nil {
		return nil, errors.New("report: no findings given")
	}
	if data.Zone == nil {
		data.Zone = time.UTC
	}
	name := data.AssigneeName
	data.AssigneeName = func(assignee string) string {
		if name != nil {
			assignee = name(assignee)
		}
		return roleName(assignee)
	}
	r := &Report{Data: data, Causes: map[finding.Cause]int{}, excepted: map[[2]string]int{},
		worst: map[string][]finding.Finding{}, priced: map[finding.Fingerprint]bool{}, facts: newFacts()}
	for _, groups := range []*map[string]*Group{&r.byPolicy, &r.byCategory, &r.bySource, &r.byDepartment, &r.byAssignee, &r.byException, &r.byExemption} {
		*groups = map[string]*Group{}
	}
	cases := map[string]*Case{}
	var last finding.Finding
	for f, err := range data.Findings {
		if err != nil {
			return nil, fmt.Errorf("report of run %d: %w", data.Run.ID, err)
		}
		if f.Severity < finding.Info || f.Severity > finding.Critical {
			return nil, fmt.Errorf("report of run %d: finding %s has %v", data.Run.ID, f.Fingerprint, f.Severity)
		}
		if r.Listed > 0 && worse(f, last) {
			return nil, fmt.Errorf("report of run %d: finding %s (%s) comes after %s (%s), which is less urgent", data.Run.ID, f.Fingerprint, f.Policy, last.Fingerprint, last.Policy)
		}
		last = f
		if err := r.count(f, cases); err != nil {
			return nil, fmt.Errorf("report of run %d: finding %s: %w", data.Run.ID, f.Fingerprint, err)
		}
	}
	r.caseCount = len(cases)
	r.keepCases(cases)
	return r, nil
}

// worse says whether the order of Data.Findings puts a before b.
func worse(a, b finding.Finding) bool {
	return a.Severity > b.Severity || a.Severity == b.Severity && b.Backlog && !a.Backlog
}

func standing(f finding.Finding) bool { return f.Status == finding.Open }

// isNew compares milliseconds: the store keeps no more.
func (r *Report) isNew(f finding.Finding) bool {
	return standing(f) && !f.Backlog && f.FirstSeen.Truncate(time.Millisecond).Equal(r.Run.Time.Truncate(time.Millisecond))
}

func (r *Report) count(f finding.Finding, cases map[string]*Case) error {
	r.Listed++
	cost, err := r.cost(f)
	if err != nil {
		return err
	}
	groups := []*Group{&r.Total, at(r.byPolicy, f.Policy), at(r.byCategory, f.Category), at(r.bySource, f.Subject.Source),
		at(r.byDepartment, f.Department), at(r.byAssignee, f.Assignee)}
	switch f.Status {
	case finding.Excepted:
		groups = append(groups, at(r.byException, f.ExceptionID))
		r.excepted[[2]string{f.Policy, f.Subject.Source}]++
		r.exceptedList = keep(r.exceptedList, f, inlineExcluded)
	case finding.Excluded:
		groups = append(groups, at(r.byExemption, f.ExcludedBy))
		r.excluded = keep(r.excluded, f, inlineExcluded)
	case finding.Closed:
		r.Causes[f.Cause]++
		r.closedList = keep(r.closedList, f, inlineExcluded)
	case finding.Open:
	default:
		return fmt.Errorf("unknown status %q", f.Status)
	}
	r.add(&r.BySeverity[f.Severity], f)
	for _, g := range groups {
		r.add(&g.Count, f)
		if !standing(f) {
			continue
		}
		g.BySeverity[f.Severity]++
		if cost {
			if g.costs == nil {
				g.costs = sums{}
			}
			if err := g.costs.add(f.CostMonth, f.Currency); err != nil {
				return err
			}
		}
	}
	if !standing(f) {
		return nil
	}
	r.worst[f.Policy] = keep(r.worst[f.Policy], f, inlinePerPolicy)
	r.countBacklog(f)
	for _, fact := range r.facts {
		fact.count(f)
	}
	return r.countCase(f, cost, cases)
}

// cost reports whether the finding brings a cost of its own: two rules may flag the same seat, which is paid once.
func (r *Report) cost(f finding.Finding) (bool, error) {
	if !standing(f) {
		return false, nil
	}
	if f.CostMonth == "" {
		if f.Category == "LIC" {
			r.Unpriced++
		}
		return false, nil
	}
	if !decimal.MatchString(f.CostMonth) {
		return false, fmt.Errorf("cost a month %q is not a decimal number", f.CostMonth)
	}
	what := finding.NewFingerprint("", f.Subject, f.Key)
	paid := r.priced[what]
	r.priced[what] = true
	return !paid, nil
}

func (r *Report) add(c *Count, f finding.Finding) {
	switch f.Status {
	case finding.Excepted:
		c.Excepted++
	case finding.Excluded:
		c.Excluded++
	case finding.Closed:
		c.Closed++
	default:
		if f.Backlog {
			c.Backlog++
		} else {
			c.Open++
		}
		if f.Carried {
			c.Carried++
		}
		if r.isNew(f) {
			c.New++
		}
	}
}

func (r *Report) countBacklog(f finding.Finding) {
	if !f.Backlog || f.DueAt.IsZero() {
		return
	}
	switch left := f.DueAt.Sub(r.Run.Time); {
	case left <= 0:
		r.Backlog.Overdue++
		return
	case left <= soon:
		r.Backlog.Soon++
	}
	if r.Backlog.Next.IsZero() || f.DueAt.Before(r.Backlog.Next) {
		r.Backlog.Next = f.DueAt
	}
}

// countCase keeps findings only for those who come first, and the worst come first.
func (r *Report) countCase(f finding.Finding, cost bool, cases map[string]*Case) error {
	if f.Person == "" {
		return nil
	}
	c := cases[f.Person]
	if c == nil {
		c = &Case{Person: f.Person, Severity: f.Severity}
		if len(cases) < 8*inlineCases {
			c.Name, c.Department, c.Lead, c.costs = f.PersonName, f.Department, f, sums{}
		}
		cases[f.Person] = c
	}
	c.Count++
	if c.costs == nil {
		return nil
	}
	if len(c.Findings) < casePart {
		c.Findings = append(c.Findings, f)
	}
	if leads(f, c.Lead) {
		c.Lead = f
	}
	if cost {
		return c.costs.add(f.CostMonth, f.Currency)
	}
	return nil
}

// leads says whether a rather than b heads a person's case: LVR > ORP > DOR > LIC, other rules before licenses.
func leads(a, b finding.Finding) bool { return leadRank(a.Category) > leadRank(b.Category) }

func leadRank(category string) int {
	switch category {
	case "LVR":
		return 4
	case "ORP":
		return 3
	case "DOR":
		return 2
	case "LIC":
		return 0
	}
	return 1
}

func (r *Report) keepCases(all map[string]*Case) {
	for _, c := range all {
		if c.costs != nil {
			r.cases = append(r.cases, c)
		}
	}
	slices.SortFunc(r.cases, func(a, b *Case) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(leadRank(b.Lead.Category), leadRank(a.Lead.Category)), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Person, b.Person))
	})
	r.cases = r.cases[:min(len(r.cases), inlineCases)]
}

func keep(list []finding.Finding, f finding.Finding, most int) []finding.Finding {
	if len(list) < most {
		list = append(list, f)
	}
	return list
}

func at(groups map[string]*Group, key string) *Group {
	g := groups[key]
	if g == nil {
		g = &Group{Key: key}
		groups[key] = g
	}
	return g
}

// ranked lists groups with the most standing findings first.
func ranked(groups map[string]*Group) []*Group {
	out := make([]*Group, 0, len(groups))
	for _, g := range groups {
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b *Group) int {
		return cmp.Or(cmp.Compare(b.Count.Standing(), a.Count.Standing()), cmp.Compare(a.Key, b.Key))
	})
	return out
}

// RosterAsOf is how old the oldest roster is: nobody who left after that is known to have left. It is zero where there
// is no roster.
func (r *Report) RosterAsOf() time.Time {
	var oldest time.Time
	for _, in := range r.Inputs {
		if t := in.asOf(); in.Roster && !t.IsZero() && (oldest.IsZero() || t.Before(oldest)) {
			oldest = t
		}
	}
	return oldest
}
