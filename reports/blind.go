package reports

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/finding"
)

// Blind is one rule on one source, as far as it could not be evaluated.
type Blind struct {
	Policy, Title  string
	Source         string // name, "" for people over all sources
	Subjects       uint64 // not evaluable
	Evaluated      uint64
	Missing        []Missing
	Failed         string // the rule did not run at all
	policySeverity finding.Severity
}

// Missing is a field that was not known, or one of several of which any would do, and of how many subjects.
type Missing struct {
	Field    string
	Subjects uint64
}

// Blinds lists what could not be evaluated: failed rules first, then the more severe ones, then those with more
// subjects.
func (r *Report) Blinds() []Blind {
	var out []Blind
	for _, t := range r.Tallies {
		if t.NotEvaluable == 0 && t.Failed == "" {
			continue
		}
		p, _ := r.policy(t.Policy)
		b := Blind{Policy: t.Policy, Title: p.Title, Source: r.sourceName(t.Source), Subjects: t.NotEvaluable, Evaluated: t.Evaluated, Failed: t.Failed, policySeverity: p.Severity}
		for _, field := range slices.Sorted(maps.Keys(t.Missing)) {
			b.Missing = append(b.Missing, Missing{strings.ReplaceAll(field, "|", " or "), t.Missing[field]})
		}
		slices.SortStableFunc(b.Missing, func(a, b Missing) int { return cmp.Compare(b.Subjects, a.Subjects) })
		out = append(out, b)
	}
	slices.SortStableFunc(out, func(a, b Blind) int {
		switch {
		case a.Failed != "" && b.Failed == "":
			return -1
		case a.Failed == "" && b.Failed != "":
			return 1
		}
		return cmp.Or(cmp.Compare(b.policySeverity, a.policySeverity), cmp.Compare(b.Subjects, a.Subjects), cmp.Compare(a.Policy, b.Policy))
	})
	return out
}

// Unsound lists the inputs that aren't fresh, the worst first.
func (r *Report) Unsound() []Input {
	var out []Input
	for _, status := range []InputStatus{Absent, Quarantined, Stale} {
		for _, in := range r.Inputs {
			if in.Status == status {
				out = append(out, in)
			}
		}
	}
	return out
}

// ClosedOn is how many findings on a source this run closed.
func (r *Report) ClosedOn(uid string) int {
	if g := r.bySource[uid]; g != nil {
		return g.Count.Closed
	}
	return 0
}

func (r *Report) sourceName(uid string) string {
	for _, in := range r.Inputs {
		if in.UID == uid {
			return cmp.Or(in.Name, in.UID)
		}
	}
	return uid
}
