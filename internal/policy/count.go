package policy

import (
	"maps"

	"github.com/lapse-audit/lapse/internal/finding"
)

// counts are an evaluator's tallies of one lane.
type counts struct {
	lane     *lane
	bySource map[string][]count // by rule
	source   string             // of the last subject, and its counts
	last     []count
}

func (c *counts) of(source string) []count {
	if c.last == nil || c.source != source {
		if c.bySource[source] == nil {
			c.bySource[source] = make([]count, len(c.lane.rules))
		}
		c.source, c.last = source, c.bySource[source]
	}
	return c.last
}

// count is a tally in the making.
type count struct {
	subjects, out, evaluated, hit, excluded, not uint64
	missing                                      map[string]uint64
}

func (n *count) unflagged(v verdict, missing string, subjects uint64) {
	n.subjects += subjects
	switch v {
	case evaluable:
		n.evaluated += subjects
	case outOfScope:
		n.out += subjects
	case notEvaluable:
		n.not += subjects
		if n.missing == nil {
			n.missing = map[string]uint64{}
		}
		n.missing[missing] += subjects
	}
}

// withdraw takes back what unflagged has counted of one subject; false if it can't have counted it.
func (n *count) withdraw(v verdict, missing string) bool {
	of := &n.evaluated
	switch v {
	case outOfScope:
		of = &n.out
	case notEvaluable:
		of = &n.not
		if n.missing[missing] == 0 {
			return false
		}
		if n.missing[missing]--; n.missing[missing] == 0 {
			delete(n.missing, missing)
		}
		if len(n.missing) == 0 {
			n.missing = nil
		}
	}
	if n.subjects == 0 || *of == 0 {
		return false
	}
	n.subjects--
	*of--
	return true
}

func (n *count) flagged(excluded bool) {
	n.subjects++
	n.evaluated++
	if excluded {
		n.excluded++
	} else {
		n.hit++
	}
}

func (n *count) tally(policy, source string) finding.Tally {
	return finding.Tally{Policy: policy, Source: source, Subjects: n.subjects, OutOfScope: n.out, Evaluated: n.evaluated, Flagged: n.hit,
		Excluded: n.excluded, NotEvaluable: n.not, Missing: maps.Clone(n.missing)}
}
