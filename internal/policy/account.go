package policy

import (
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/access"
)

// verdict says how far a policy can judge a subject.
type verdict int

const (
	evaluable verdict = iota
	outOfScope
	notEvaluable
)

// applicability is a policy's scope, needs and exemptions, compiled to columns.
type applicability struct {
	scope []scopeTest
	needs []needTest
	leave *field // nil unless leave exempts
}

type scopeTest struct {
	field  field
	bools  []bool
	texts  []string
	number []float64
}

type needTest struct {
	name    string
	fields  []field
	through bool // an array: such a need may be unmet by an element that did not count
}

func newApplicability(p *Policy, c *columns) applicability {
	var a applicability
	for _, cond := range p.Scope {
		t := scopeTest{field: c.field(cond.Path)}
		for _, v := range cond.Values {
			switch v := v.(type) {
			case bool:
				t.bools = append(t.bools, v)
			case string:
				t.texts = append(t.texts, v)
			case int64:
				t.number = append(t.number, float64(v))
			case float64:
				t.number = append(t.number, v)
			}
		}
		a.scope = append(a.scope, t)
	}
	for _, need := range p.Needs {
		t := needTest{name: need.String()}
		for _, path := range need {
			var f field
			if signal, ok := strings.CutPrefix(path, coveragePrefix); ok {
				f = c.field("source.coverage")
				f.key, f.path = signal, path
			} else {
				f = c.field(path)
			}
			t.through = t.through || f.inner
			t.fields = append(t.fields, f)
		}
		a.needs = append(a.needs, t)
	}
	if slices.Contains(p.Exempt, "leave") {
		a.leave = c.optional("person.on_leave")
	}
	return a
}

// columns are all that judge may look at, and whether a hit is excluded.
func (a *applicability) columns() []int {
	var out []int
	for _, t := range a.scope {
		out = append(out, t.field.columns()...)
	}
	for _, t := range a.needs {
		for _, f := range t.fields {
			out = append(out, f.columns()...)
		}
	}
	if a.leave != nil {
		out = append(out, a.leave.columns()...)
	}
	return out
}

// judge tells whether the policy can judge the subject, and if not the first thing that is missing. plain says that what
// is missing lies outside of arrays, so that a hit all the same shows the METADATA to be wrong.
func (a *applicability) judge(row access.Row) (v verdict, missing string, plain bool) {
	for i := range a.scope {
		t := &a.scope[i]
		known, in := t.holds(row)
		if known && !in {
			return outOfScope, "", true
		}
		if !known && missing == "" {
			missing = t.field.path
		}
	}
	if missing != "" {
		return notEvaluable, missing, true
	}
	for i := range a.needs {
		t := &a.needs[i]
		if t.met(row) {
			continue
		}
		if missing == "" {
			v, missing, plain = notEvaluable, t.name, !t.through
		}
		if !t.through {
			return v, missing, true
		}
	}
	return v, missing, plain
}

func (t *scopeTest) holds(row access.Row) (known, in bool) {
	if !t.field.there(row) {
		return false, false
	}
	switch v := row[t.field.value].(type) {
	case *bool:
		if v != nil {
			return true, slices.Contains(t.bools, *v)
		}
	case *string:
		if v != nil {
			return true, slices.Contains(t.texts, *v)
		}
	case *int64:
		if v != nil {
			return true, slices.Contains(t.number, float64(*v))
		}
	case *float64:
		if v != nil {
			return true, slices.Contains(t.number, *v)
		}
	}
	return false, false
}

func (t *needTest) met(row access.Row) bool {
	var inner []*field
	for i := range t.fields {
		f := &t.fields[i]
		switch {
		case strings.HasPrefix(f.path, coveragePrefix):
			if covered(f, row) {
				return true
			}
		case f.inner:
			if f.there(row) {
				inner = append(inner, f)
			}
		case f.present(row):
			return true
		}
	}
	if len(inner) == 0 {
		return false
	}
	// Either alternative will do, element by element.
	for i := range inner[0].length(row) {
		known := false
		for _, f := range inner {
			known = known || f.array == inner[0].array && f.presentAt(row, i)
		}
		if !known {
			return false
		}
	}
	return true
}

func covered(f *field, row access.Row) bool {
	if !f.there(row) {
		return false
	}
	coverage, _ := row[f.value].(map[string]string)
	c := access.Coverage(coverage[f.key])
	return c == access.CoverageFull || c == access.CoveragePartial
}
