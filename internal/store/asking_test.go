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
			s.Verdicts = []string{"toUInt16(if(" + s.Flags[0] + ", 2, 0))"}
			name := fmt.Sprintf("%s subjects, asked for %d columns from %s on", kind, len(s.Flags), columns[0])
			asking, err := r.Ask(ctx, kind, s)
			if err != nil {
				t.Fatal(name, err)
			}
			if looks := s.columns(kind); len(columns) < len(all) && len(looks) > len(columns)+2 {
				t.Errorf("%s: it looks at %v", name, looks)
			}
			n, err := r.Slices(ctx, kind)
			if err != nil || n != 1 || asking.Stretches() != 1 {
				t.Fatalf("%s: %d slices in %d stretches, want one: %v", name, n, asking.Stretches(), err)
			}
			for slice := range n {
				want, wantCounts := screenedWhole(t, r, kind, slice, s)
				counts, answers, err := asking.Ask(ctx, slice)
				if err != nil {
					t.Fatal(name, err)
				}
				if err := asking.Make(ctx, slice, answers); err != nil {
					t.Fatal(name, err)
				}
				var got []string
				for subject, err := range asking.Judged(ctx, slice, answers) {
					if err != nil {
						t.Fatal(name, err)
					}
					got = append(got, described(kind, subject))
				}
				wantEqual(t, name, got, want)
				wantEqual(t, "verdicts of "+name, counted(counts), wantCounts)
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

// screenedWhole is what ScreenSubjects and CountVerdicts say.
func screenedWhole(t *testing.T, r *Run, kind access.SubjectKind, slice int, s Screen) (subjects []string, counts map[string]uint64) {
	t.Helper()
	for subject, err := range r.ScreenSubjects(t.Context(), kind, slice, s) {
		if err != nil {
			t.Fatal(err)
		}
		subjects = append(subjects, described(kind, subject))
	}
	all, err := r.CountVerdicts(t.Context(), kind, slice, s)
	if err != nil {
		t.Fatal(err)
	}
	return subjects, counted(all)
}

func described(kind access.SubjectKind, s Screened) string {
	return fmt.Sprint(document(kind, s.Row), s.Mask, s.Sample, s.Stands)
}

func counted(all []VerdictCount) map[string]uint64 {
	out := map[string]uint64{}
	for _, c := range all {
		out[fmt.Sprint(c.Source, c.Verdicts)] += c.Subjects
	}
	return out
}

// The files keep to the form that takeApart reads: nothing of them is lost, and everything has its name.
func TestTakeApart(t *testing.T) {
	joins := map[access.SubjectKind][]string{
		access.SubjectAccount: {"p", "m", "o", "d", "f", "pg", "k", "g", "s"}, access.SubjectPerson: {"m", "d", "c", "g", "s"}, access.SubjectEntitlement: {"n", "o"},
	}
	for _, kind := range askedKinds {
		q, err := takeApart(kind)
		if err != nil {
			t.Fatal(err)
		}
		var items, names []string
		for _, i := range q.items {
			items = append(items, i.name)
		}
		wantEqual(t, fmt.Sprintf("%s columns", kind), items, append(columnNames(kind), "no"))
		for _, j := range q.joins {
			names = append(names, j.name)
		}
		wantEqual(t, fmt.Sprintf("%s joins", kind), names, joins[kind])
	}
}
