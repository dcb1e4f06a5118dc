package reports

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
)

// Control is one control of a framework with what the run says about it. It counts judgements: a subject is counted once
// for each rule that looked at it.
type Control struct {
	Framework string   `json:"framework"`
	ID        string   `json:"control"`
	Rules     []string `json:"rules"`     // that evidence it, and are on
	Off       []string `json:"rules_off"` // that would, and are off
	Failed    []string `json:"failed"`    // of Rules: could not be run

	Evaluated    uint64 `json:"evaluated"`
	Flagged      uint64 `json:"flagged"`
	Excepted     uint64 `json:"excepted"` // findings accepted on purpose, of those flagged
	Excluded     uint64 `json:"excluded"`
	NotEvaluable uint64 `json:"not_evaluable"`
}

// Verdict says in a word or two what may be concluded. Without a judgement nothing may.
func (c Control) Verdict() string {
	switch {
	case len(c.Rules) == 0:
		return "no rule is on"
	case len(c.Failed) > 0:
		return "a rule failed"
	case c.Flagged > 0:
		return "flagged"
	case c.Evaluated == 0 && c.NotEvaluable == 0:
		return "nothing to judge"
	case c.Evaluated == 0:
		return "not evaluable"
	case c.NotEvaluable > 0:
		return "nothing flagged, in part not evaluable"
	}
	return "nothing flagged"
}

// Controls is the matrix of frameworks, their controls and the rules that evidence them, from METADATA and the run's
// tallies alone.
func (r *Report) Controls() []Control {
	byName := map[string]*Control{}
	for _, p := range r.Policies {
		for _, name := range p.Controls {
			c := byName[name]
			if c == nil {
				c = &Control{Rules: []string{}, Off: []string{}, Failed: []string{}}
				c.Framework, c.ID = splitControl(name)
				byName[name] = c
			}
			if !p.Enabled {
				c.Off = append(c.Off, p.ID)
				continue
			}
			c.Rules = append(c.Rules, p.ID)
			for _, t := range r.Tallies {
				if t.Policy != p.ID {
					continue
				}
				if t.Failed != "" { // its numbers say nothing
					if !slices.Contains(c.Failed, p.ID) {
						c.Failed = append(c.Failed, p.ID)
					}
					continue
				}
				c.Evaluated += t.Evaluated
				c.Flagged += t.Flagged
				c.Excluded += t.Excluded
				c.NotEvaluable += t.NotEvaluable
				c.Excepted += uint64(r.excepted[[2]string{t.Policy, t.Source}])
			}
		}
	}
	out := make([]Control, 0, len(byName))
	for _, c := range byName {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b Control) int {
		return cmp.Or(cmp.Compare(a.Framework, b.Framework), compareNumbered(a.ID, b.ID))
	})
	return out
}

// splitControl parts framework:control at the last colon: a framework may hold its year.
func splitControl(name string) (framework, id string) {
	i := strings.LastIndex(name, ":")
	return name[:max(i, 0)], strings.TrimSpace(name[i+1:])
}

// compareNumbered puts 8.2.6 before 8.2.10.
func compareNumbered(a, b string) int {
	for a != "" && b != "" {
		x, y := numberPrefix(a), numberPrefix(b)
		if x == "" || y == "" {
			if a[0] != b[0] {
				return cmp.Compare(a[0], b[0])
			}
			a, b = a[1:], b[1:]
			continue
		}
		if c := cmp.Or(cmp.Compare(len(strings.TrimLeft(x, "0")), len(strings.TrimLeft(y, "0"))), cmp.Compare(strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0"))); c != 0 {
			return c
		}
		a, b = a[len(x):], b[len(y):]
	}
	return cmp.Compare(len(a), len(b))
}

func numberPrefix(s string) string {
	return s[:len(s)-len(strings.TrimLeftFunc(s, unicode.IsDigit))]
}
