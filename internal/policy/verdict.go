package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/policy/prefilter"
)

// What a policy can't judge, and why, is counted for every subject. For the subjects that no document is made of, ClickHouse
// counts by facts, each of which holds or doesn't, and they tell what applicability.judge would say. Many policies share them.

// told is the verdict on a subject for which one fact does not hold, although another one does, if that is not -1.
type told struct {
	fact    int
	despite int
	verdict verdict
	missing string
}

// addVerdict adds the cases of a rule's verdict: the first one counts, and without any the subject is evaluable.
func (s *Screen) addVerdict(r *rule, statement *prefilter.Statement) {
	e := expressions{s.lane.columns, statement}
	var cases []told
	fact := func(text string) int { return s.fact(statement.Atom(text)) }
	a := &r.applies
	for i := range a.scope {
		known, in := e.scope(&a.scope[i])
		cases = append(cases, told{fact(in), fact(known), outOfScope, ""})
	}
	for i := range a.scope {
		known, _ := e.scope(&a.scope[i])
		cases = append(cases, told{fact(known), -1, notEvaluable, a.scope[i].field.path})
	}
	for i := range a.needs {
		cases = append(cases, told{fact(e.need(&a.needs[i])), -1, notEvaluable, a.needs[i].name})
	}
	s.verdicts = append(s.verdicts, cases)
}

// fact is the number of a fact.
func (s *Screen) fact(text string) int {
	i := slices.Index(s.Facts, text)
	if i < 0 {
		i = len(s.Facts)
		s.Facts = append(s.Facts, text)
	}
	return i
}

type expressions struct {
	columns   *columns
	statement *prefilter.Statement
}

func (e expressions) column(i int) string { return e.columns.schema.Columns()[i].Name }

// conjunction joins what must hold; it is never empty. It writes as the predicates do, which test much of the same.
func conjunction(conditions ...string) string {
	switch len(conditions) {
	case 0:
		return "true"
	case 1:
		return conditions[0]
	}
	return "(" + strings.Join(conditions, " AND ") + ")"
}

func (e expressions) there(f *field) []string {
	var out []string
	for _, i := range f.known {
		out = append(out, e.column(i))
	}
	return out
}

// scope says whether the value is known, and whether it is one of the condition's.
func (e expressions) scope(t *scopeTest) (known, in string) {
	column := e.column(t.field.value)
	known = conjunction(append(e.there(&t.field), "("+column+" IS NOT NULL)")...)
	switch e.columns.schema.Columns()[t.field.value].Node.Type {
	case access.Bool:
		yes, no := slices.Contains(t.bools, true), slices.Contains(t.bools, false)
		switch {
		case yes && no:
			in = "true"
		case yes:
			in = "ifNull(" + column + ", false)"
		case no:
			in = "ifNull(NOT " + column + ", false)"
		default:
			in = "false"
		}
	case access.String:
		in = e.in(column, "Array(String)", t.texts, len(t.texts))
	default:
		in = e.in("toFloat64("+column+")", "Array(Float64)", t.number, len(t.number))
	}
	return known, in
}

func (e expressions) in(x, typ string, values any, n int) string {
	if n == 0 {
		return "false"
	}
	return "ifNull(" + prefilter.In(x, e.statement.Parameter(typ, values), typ == "Array(Float64)") + ", false)"
}

// need is needTest.met.
func (e expressions) need(t *needTest) string {
	var ways []string
	var inner []*field
	for i := range t.fields {
		f := &t.fields[i]
		switch {
		case strings.HasPrefix(f.path, coveragePrefix):
			value := e.column(f.value) + "[" + e.statement.Parameter("String", f.key) + "]"
			covers := e.in(value, "Array(String)", []string{string(access.CoverageFull), string(access.CoveragePartial)}, 2)
			ways = append(ways, conjunction(append(e.there(f), covers)...))
		case f.inner:
			inner = append(inner, f)
		default:
			ways = append(ways, e.present(f))
		}
	}
	// The alternatives within an array count from the first whose array is there, and only those of the same array.
	var before []string
	var seen []*access.Node
	for i, f := range inner {
		if slices.Contains(seen, f.array) {
			continue
		}
		seen = append(seen, f.array)
		there := conjunction(e.there(f)...)
		same := slices.DeleteFunc(slices.Clone(inner[i:]), func(g *field) bool { return g.array != f.array })
		ways = append(ways, conjunction(append(slices.Clone(before), there, e.eachPresent(same))...))
		before = append(before, "NOT "+there)
	}
	if len(ways) == 1 {
		return ways[0]
	}
	return "(" + strings.Join(ways, " OR ") + ")"
}

func (e expressions) present(f *field) string {
	conditions := e.there(f)
	if f.value >= 0 {
		column := e.columns.schema.Columns()[f.value]
		switch {
		case f.key != "":
			conditions = append(conditions, "mapContains("+column.Name+", "+e.statement.Parameter("String", f.key)+")")
		case strings.HasPrefix(column.Type, "Nullable("):
			conditions = append(conditions, "("+column.Name+" IS NOT NULL)")
		}
	}
	return conjunction(conditions...)
}

// eachPresent says that every element of an array has at least one of the fields.
func (e expressions) eachPresent(fields []*field) string {
	var names, columns, present []string
	for i, f := range fields {
		if f.value < 0 || !strings.HasPrefix(e.columns.schema.Columns()[f.value].Type, "Array(Nullable(") {
			return "true"
		}
		name := fmt.Sprintf("x%d", i)
		names, columns, present = append(names, name), append(columns, e.column(f.value)), append(present, name+" IS NOT NULL")
	}
	return "arrayAll((" + strings.Join(names, ", ") + ") -> " + strings.Join(present, " OR ") + ", " + strings.Join(columns, ", ") + ")"
}

// Count counts subjects that the screen has been asked about, all as if none of them were flagged: n subjects of a source,
// for which Facts have those values. It must have counted a subject before EvalScreened is given it.
func (ev *Evaluator) Count(s *Screen, source string, facts []uint16, n uint64) error {
	w := ev.work[s.lane]
	if len(facts) != len(s.Facts) {
		return fmt.Errorf("count %s subjects: %d facts, want %d", s.Kind, len(facts), len(s.Facts))
	}
	counts := w.counts.of(source)
	for i := range w.rules {
		v, missing := evaluable, ""
		for _, c := range s.verdicts[i] {
			if facts[c.fact] == 0 && (c.despite < 0 || facts[c.despite] != 0) {
				v, missing = c.verdict, c.missing
				break
			}
		}
		counts[i].unflagged(v, missing, n)
	}
	return nil
}
