package state

import (
	"time"

	"github.com/lapse-audit/lapse/internal/fold"
)

// Subject is what a [Matcher] needs to know of a finding.
type Subject struct {
	Fingerprint string
	Policy      string
	Kind        string // account, person, entitlement, license or source
	Source      string
	ID          string
	Department  string // of the person concerned; empty when unknown
}

// Matcher tells which exception applies to a finding, in a few look-ups however
// many exceptions there are. It is safe for concurrent use.
type Matcher struct {
	byScope     map[Scope]Exception
	departments bool
}

// NewMatcher takes those of the list that apply at the given time.
func NewMatcher(list []Exception, at time.Time) *Matcher {
	m := &Matcher{byScope: make(map[Scope]Exception, len(list))}
	for _, e := range list {
		if e.Status(at) != Active {
			continue
		}
		scope := e.Scope.normal()
		if other, ok := m.byScope[scope]; ok && !outlasts(e, other) {
			continue
		}
		m.byScope[scope] = e
		m.departments = m.departments || scope.Department != ""
	}
	return m
}

// outlasts decides between two exceptions of one scope, whatever their order.
func outlasts(a, b Exception) bool {
	if !a.Expires.Equal(b.Expires) {
		return a.Expires.After(b.Expires)
	}
	return a.ID < b.ID
}

// Match returns the exception that applies to the finding, the narrowest where
// several do: the finding itself, its subject, then source and department
// together, the department, the source, the whole policy.
func (m *Matcher) Match(f Subject) (Exception, bool) {
	if len(m.byScope) == 0 {
		return Exception{}, false
	}
	find := func(s Scope) (Exception, bool) {
		e, ok := m.byScope[s]
		return e, ok
	}
	if f.Fingerprint != "" {
		if e, ok := find(Scope{Fingerprint: f.Fingerprint}); ok {
			return e, true
		}
	}
	if f.Policy == "" {
		return Exception{}, false
	}
	if f.ID != "" {
		if e, ok := find(Scope{Policy: f.Policy, SubjectKind: f.Kind, Source: f.Source, SubjectID: f.ID}); ok {
			return e, true
		}
	}
	if department := m.fold(f.Department); department != "" {
		if e, ok := find(Scope{Policy: f.Policy, Source: f.Source, Department: department}); ok {
			return e, true
		}
		if e, ok := find(Scope{Policy: f.Policy, Department: department}); ok {
			return e, true
		}
	}
	if f.Source != "" {
		if e, ok := find(Scope{Policy: f.Policy, Source: f.Source}); ok {
			return e, true
		}
	}
	return find(Scope{Policy: f.Policy, Source: EverySource})
}

// fold spares the folding where no exception names a department.
func (m *Matcher) fold(department string) string {
	if !m.departments {
		return ""
	}
	return fold.Text(department)
}
