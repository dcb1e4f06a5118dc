package reports

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
)

// What the page's templates ask for beside the counts.

// RosterLine says as of when people are known.
func (p page) RosterLine() string { return p.rosterLine() }

// Cases are the worst cases, at most 25.
func (p page) Cases() []*Case { return p.cases }

// CaseCount is how many people something stands about.
func (p page) CaseCount() int { return p.caseCount }

// Cost is what stands about the person costs, by currency.
func (c *Case) Cost() []Money { return c.costs.money() }

// More is how many of the person's findings are not in Findings.
func (c *Case) More() int { return c.Count - len(c.Findings) }

// Money is what all that stands costs, by currency.
func (p page) Money() []Money { return p.Total.Cost() }

// CSVName is the name of the file beside.
func (p page) CSVName() string { return path.Base(p.CSV) }

// Took is how long the run took, to the second where that says enough.
func (p page) Took() string {
	if p.Run.Duration < 10*time.Second {
		return p.Run.Duration.Round(10 * time.Millisecond).String()
	}
	return p.Run.Duration.Round(time.Second).String()
}

// ZoneName names the zone in which times are printed.
func (p page) ZoneName() string {
	if p.Zone == time.UTC {
		return "UTC"
	}
	return "in the zone " + p.Zone.String()
}

// severityCount is one row of the numbers.
type severityCount struct {
	Severity finding.Severity
	Count
}

// Severities lists the counts of the severities there are, the worst first.
func (p page) Severities() []severityCount {
	var out []severityCount
	for s := finding.Critical; s >= finding.Info; s-- {
		if p.BySeverity[s] != (Count{}) {
			out = append(out, severityCount{s, p.BySeverity[s]})
		}
	}
	return out
}

var causeWords = map[finding.Cause]string{
	finding.Fixed: "fixed", finding.SubjectGone: "gone with their subject", finding.RuleChanged: "by a changed rule", finding.RuleDisabled: "by a rule switched off",
}

// CauseWords says why findings closed: "3 fixed, 1 by a changed rule".
func (p page) CauseWords() string {
	var out []string
	for _, cause := range slices.Sorted(maps.Keys(p.Causes)) {
		out = append(out, thousands(p.Causes[cause])+" "+cmp.Or(causeWords[cause], string(cause)))
	}
	return strings.Join(out, ", ")
}

// Disabled lists the rules that are switched off.
func (p page) Disabled() []Policy {
	return slices.DeleteFunc(slices.Clone(p.Policies), func(p Policy) bool { return p.Enabled })
}

// signalList is the signals of a source that are covered alike.
type signalList struct {
	Source   string
	Coverage string
	Signals  []string
}

// Unread lists, by source, the signals that are given for no record.
func (p page) Unread() []signalList {
	var out []signalList
	for _, in := range p.Inputs {
		for _, s := range signals(in) {
			if s.Coverage == coverageWords[access.CoverageNone] {
				s.Source = p.sourceName(in.UID)
				out = append(out, s)
			}
		}
	}
	return out
}

var coverageWords = map[access.Coverage]string{
	access.CoverageFull: "given for all", access.CoveragePartial: "given for some", access.CoverageNone: "not given",
}

func signals(in Input) []signalList {
	var out []signalList
	for _, c := range []access.Coverage{access.CoverageFull, access.CoveragePartial, access.CoverageNone} {
		s := signalList{Coverage: coverageWords[c]}
		for _, name := range slices.Sorted(maps.Keys(in.Coverage)) {
			if in.Coverage[name] == c {
				s.Signals = append(s.Signals, name)
			}
		}
		if s.Signals != nil {
			out = append(out, s)
		}
	}
	return out
}

// recordCount is how many rows of a kind were read.
type recordCount struct {
	Kind string
	Rows uint64
}

func records(in Input) []recordCount {
	var out []recordCount
	for _, kind := range slices.Sorted(maps.Keys(in.Records)) {
		out = append(out, recordCount{kind, in.Records[kind]})
	}
	return out
}

// plainPart is a list of findings that don't stand.
type plainPart struct {
	Findings []finding.Finding
	Total    int
	One      string // "excluded hit"
	Many     string
	Last     string // heading of the last column
	CSV      string
}

// Omitted is how many are not on the page.
func (p plainPart) Omitted() int { return p.Total - len(p.Findings) }

// Open is true for a list short enough to stand open.
func (p plainPart) Open() bool { return len(p.Findings) <= 10 }

func (p page) plain(list []finding.Finding, total int, one, many, last string) *plainPart {
	if total == 0 {
		return nil
	}
	return &plainPart{list, total, one, many, last, p.CSV}
}

// ExceptedPart lists findings under an exception.
func (p page) ExceptedPart() *plainPart {
	return p.plain(p.exceptedList, p.Total.Count.Excepted, "finding under an exception", "findings under an exception", "Exception")
}

// ExcludedPart lists what an exemption keeps from being a finding.
func (p page) ExcludedPart() *plainPart {
	return p.plain(p.excluded, p.Total.Count.Excluded, "excluded hit", "excluded hits", "Exemption")
}

// ClosedPart lists what this run closed.
func (p page) ClosedPart() *plainPart {
	return p.plain(p.closedList, p.Total.Count.Closed, "finding closed by this run", "findings closed by this run", "Cause")
}

// Exemptions counts what was excluded, by exemption.
func (p page) Exemptions() []*Group {
	out := slices.Collect(maps.Values(p.byExemption))
	slices.SortFunc(out, func(a, b *Group) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// whyNot says why a finding doesn't stand.
func (r *Report) whyNot(f finding.Finding) string {
	switch f.Status {
	case finding.Excepted:
		return f.ExceptionID
	case finding.Excluded:
		return f.ExcludedBy
	}
	return cmp.Or(causeWords[f.Cause], string(f.Cause))
}
