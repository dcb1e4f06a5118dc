package store

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/access"
)

// A run that is made again has the very subjects that it had, whatever was scanned since, and nothing of it changes.
func TestPast(t *testing.T) {
	s, ctx := openEmbedded(t), t.Context()
	first := map[access.SubjectKind][]string{}
	info := evaluate(t, s, company(t, s, night), func(r *Run) { first = allSubjects(t, r) })
	// The next night most things are a day older, carl is back, and an account is gone.
	later := company(t, s, night.AddDate(0, 0, 1))
	later.people[2].Status = access.PersonActive
	later.links = later.links[1:]
	var second map[access.SubjectKind][]string
	last := evaluate(t, s, later, func(r *Run) { second = allSubjects(t, r) })
	if slices.Equal(first[access.SubjectAccount], second[access.SubjectAccount]) {
		t.Fatal("the two nights are the same, so nothing is shown")
	}
	before := counts(t, s)
	for _, c := range []struct {
		run  RunInfo
		want map[access.SubjectKind][]string
	}{{info, first}, {last, second}, {info, first}} { // once more: nothing is mistaken for a repetition
		p, err := s.Revisit(ctx, c.run.ID)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.WriteClosure(ctx, each(closeNesting(gather(t, p.Edges(ctx))))); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, allSubjects(t, p.run)); diff != "" {
			t.Errorf("run %d (-as it was +made again):\n%s", c.run.ID, diff)
		}
		if p.Time != c.run.Time || len(p.Inputs) != 3 {
			t.Errorf("%+v", p)
		}
	}
	if diff := cmp.Diff(before, counts(t, s)); diff != "" {
		t.Errorf("kept rows (-before +after):\n%s", diff)
	}
	if _, err := s.Revisit(ctx, 99); !errors.Is(err, ErrNotFound) {
		t.Errorf("a run that is not: %v", err)
	}
}

// allSubjects are the documents of a run, by kind, as text.
func allSubjects(t *testing.T, r *Run) map[access.SubjectKind][]string {
	t.Helper()
	out := map[access.SubjectKind][]string{}
	for _, kind := range access.SubjectKinds() {
		n, err := r.Slices(t.Context(), kind)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if err := r.BuildSubjects(t.Context(), kind, i); err != nil {
				t.Fatal(err)
			}
			for row, err := range r.Subjects(t.Context(), kind, i) {
				if err != nil {
					t.Fatal(err)
				}
				out[kind] = append(out[kind], fmt.Sprint(access.Document(kind, row)))
			}
		}
		if len(out[kind]) == 0 {
			t.Errorf("no %s subjects", kind)
		}
	}
	return out
}

// counts are the rows of what is kept.
func counts(t *testing.T, s *Store) map[string]uint64 {
	t.Helper()
	type row struct {
		table string
		n     uint64
	}
	all, err := list(t.Context(), s, func(rows driver.Rows, r *row) error { return rows.Scan(&r.table, &r.n) }, `SELECT name, ifNull(total_rows, 0) FROM system.tables
		WHERE database = currentDatabase() AND NOT startsWith(name, 'work_') AND NOT startsWith(name, 'subject_')`)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]uint64{}
	for _, r := range all {
		out[r.table] = r.n
	}
	return out
}
