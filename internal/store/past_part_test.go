package store

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/access"
)

// Whatever columns of subjects are made alone, they hold what they hold when everything is made, and no other column holds
// anything.
func TestPastPart(t *testing.T) {
	s, ctx := openEmbedded(t), t.Context()
	info := evaluate(t, s, company(t, s, night), func(*Run) {})
	whole, err := s.Revisit(ctx, info.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := whole.WriteClosure(ctx, each(closeNesting(gather(t, whole.Edges(ctx))))); err != nil {
		t.Fatal(err)
	}
	want := map[access.SubjectKind][]access.Row{}
	for _, kind := range access.SubjectKinds() {
		want[kind] = rowsOf(t, whole, kind)
	}
	check := func(name string, wanted Wanted) {
		t.Helper()
		p, err := s.RevisitPart(ctx, info.ID, wanted)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := p.WriteClosure(ctx, each(closeNesting(gather(t, p.Edges(ctx))))); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for kind, part := range wanted {
			got := rowsOf(t, p, kind)
			if len(got) != len(want[kind]) || len(got) == 0 {
				t.Errorf("%s: %d %s subjects, want %d", name, len(got), kind, len(want[kind]))
				continue
			}
			for n, row := range got {
				for i, c := range access.SchemaOf(kind).Columns() {
					var expected any = access.Unread{}
					if slices.Contains(part.Columns, c.Name) {
						expected = want[kind][n][i]
					}
					if !reflect.DeepEqual(expected, row[i]) {
						t.Errorf("%s: %s of %s subject %d (-whole +part):\n%s", name, c.Name, kind, n, cmp.Diff(expected, row[i]))
					}
				}
			}
		}
	}
	all := Wanted{}
	for _, kind := range access.SubjectKinds() {
		// One column after the other would take minutes: each object or array by itself leaves out all others.
		groups := map[string][]string{}
		var order []string
		for _, c := range access.SchemaOf(kind).Columns() {
			all[kind] = Part{Columns: append(all[kind].Columns, c.Name)}
			group := groupOf(c)
			if groups[group] == nil {
				order = append(order, group)
			}
			groups[group] = append(groups[group], c.Name)
		}
		for _, group := range order {
			check(fmt.Sprintf("%s of %s", group, kind), Wanted{kind: {Columns: groups[group]}})
		}
	}
	check("everything", all)
	for offset := range 3 { // some of what each array gathers
		some := Wanted{}
		for kind, part := range all {
			for i := offset; i < len(part.Columns); i += 3 {
				some[kind] = Part{Columns: append(some[kind].Columns, part.Columns[i])}
			}
		}
		check(fmt.Sprintf("every third column from the %d. on", offset+1), some)
	}
	check("both", Wanted{access.SubjectAccount: {Columns: []string{"account_id", "account_privileged"}},
		access.SubjectPerson: {Columns: []string{"person_id", "grants_known", "grants_entitlement_id"}}})
	if _, err := s.Revisit(ctx, info.ID); err != nil { // what was made for one who has gone is gone
		t.Fatal(err)
	}
	var left uint64
	if err := s.row(ctx, []any{&left}, "SELECT count() FROM "+partTable(access.SubjectAccount)); err != nil || left != 0 {
		t.Errorf("%d rows are left: %v", left, err)
	}
}

// groupOf tells columns apart by what they are made from.
func groupOf(c access.Column) string {
	switch c.Name {
	case "account_privileged", "accounts_privileged":
		return "privileged"
	case "account_days_known", "account_days_since_login", "account_days_since_disabled", "account_used_after_end", "person_open_ended":
		return "times"
	}
	for _, prefix := range []string{"account_keys", "grants", "seats", "accounts", "owner", "directory"} {
		if strings.HasPrefix(c.Name, prefix+"_") {
			return prefix
		}
	}
	return "the rest"
}

func rowsOf(t *testing.T, p *Past, kind access.SubjectKind) (out []access.Row) {
	t.Helper()
	n, err := p.Slices(t.Context(), kind)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := p.BuildSubjects(t.Context(), kind, i); err != nil {
			t.Fatal(err)
		}
		for row, err := range p.Subjects(t.Context(), kind, i) {
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, row.Clone())
		}
	}
	return out
}
