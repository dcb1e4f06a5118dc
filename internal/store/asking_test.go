package store

import (
	"fmt"
	"slices"
	"testing"

	"github.com/lapse-audit/lapse/internal/access"
)

// Whatever columns are asked of them, and before they are whole: the same subjects are flagged, counted and made as if all had
// been made whole first.
func testAsking(t *testing.T, r *Run) {
	ctx := t.Context()
	for _, kind := range askedKinds {
		all := columnNames(kind)
		whole(t, r, kind)
		for _, columns := range [][]string{all, {"owner_status", "manager_name"}, {"grants_path", "entitlement_effective_members"}, {"seats_product", "accounts_kind"}} {
			s := Screen{Sample: Sample{Seed: 7, Every: 3}}
			for _, c := range columns {
				if slices.Contains(all, c) {
					s.Flags = append(s.Flags, "ifNull(cityHash64(toString("+c+")) % 4 = 0, false)")
				}
			}
			if len(s.Flags) == 0 {
				continue
			}
			s.Facts = []string{"toUInt16(if(" + s.Flags[0] + ", 2, 0))"}
			name := fmt.Sprintf("%s subjects, asked for %d columns from %s on", kind, len(s.Flags), columns[0])
			asking, err := r.Ask(ctx, kind, s)
			if err != nil {
				t.Fatal(name, err)
			}
			looks := slices.DeleteFunc(slices.Clone(all), func(c string) bool { return !s.looksAt(kind)(c) })
			if len(columns) < len(all) && len(looks) > len(columns)+2 {
				t.Errorf("%s: it looks at %v", name, looks)
			}
			n, err := r.Slices(ctx, kind)
			if err != nil || n != 1 || asking.Stretches() != 1 {
				t.Fatalf("%s: %d slices in %d stretches, want one: %v", name, n, asking.Stretches(), err)
			}
			for slice := range n {
				want, wantCounts := screenedWhole(t, r, kind, slice, s)
				asked, err := asking.Screen(ctx, slice)
				if err != nil {
					t.Fatal(name, err)
				}
				made, err := asking.Make(ctx, slice, []*Screening{asked})
				if err != nil {
					t.Fatal(name, err)
				}
				wantEqual(t, name, described(t, kind, made), want)
				wantEqual(t, "facts of "+name, counted(asked.Counts), wantCounts)
			}
		}
	}
}

// whole makes all subjects of a kind.
func whole(t *testing.T, r *Run, kind access.SubjectKind) {
	t.Helper()
	n, err := r.Slices(t.Context(), kind)
	if err != nil {
		t.Fatal(err)
	}
	for slice := range n {
		if err := r.BuildSubjects(t.Context(), kind, slice); err != nil {
			t.Fatal(err)
		}
	}
}

// screenedWhole is what Run.Screen says.
func screenedWhole(t *testing.T, r *Run, kind access.SubjectKind, slice int, s Screen) (subjects []string, counts map[string]uint64) {
	t.Helper()
	screening, err := r.Screen(t.Context(), kind, slice, s)
	if err != nil {
		t.Fatal(err)
	}
	return described(t, kind, screening), counted(screening.Counts)
}

func described(t *testing.T, kind access.SubjectKind, screening *Screening) (out []string) {
	t.Helper()
	for s, err := range screening.Subjects(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprint(document(kind, s.Row), s.Mask, s.Sample, s.Stands))
	}
	return out
}

func counted(all []FactCount) map[string]uint64 {
	out := map[string]uint64{}
	for _, c := range all {
		out[fmt.Sprint(c.Source, c.Facts)] += c.Subjects
	}
	return out
}

// The files keep to the form that narrow reads: nothing of them is lost, and everything has its name.
func TestSubjectStatements(t *testing.T) {
	joins := map[access.SubjectKind][]string{
		access.SubjectAccount: {"p", "m", "o", "d", "f", "pg", "k", "g", "s"}, access.SubjectPerson: {"m", "d", "c", "g", "s"}, access.SubjectEntitlement: {"n", "o"},
	}
	for _, kind := range askedKinds {
		s, err := parseStatement(subjectQuery(kind))
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, fmt.Sprintf("%s columns", kind), namesOf(s.items), append(columnNames(kind), "no"))
		outer := slices.DeleteFunc(s.joins, func(j part) bool { return j.inner })
		wantEqual(t, fmt.Sprintf("%s joins", kind), namesOf(outer), joins[kind])
	}
}
