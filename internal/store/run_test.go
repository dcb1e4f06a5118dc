package store

import (
	"context"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
)

func each[T any](values []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range values {
			if !yield(v, nil) {
				return
			}
		}
	}
}

// snap publishes a snapshot of source with these records.
func snap(t testing.TB, s *Store, info SnapshotInfo, meta SnapshotMeta, records ...access.Record) uint64 {
	t.Helper()
	w, err := s.NewSnapshot(t.Context(), info)
	if err != nil {
		t.Fatal(err)
	}
	put(t, w, records...)
	if meta.Status == "" {
		meta.Status = Accepted
	}
	published, err := w.Publish(t.Context(), meta)
	if err != nil {
		t.Fatal(err)
	}
	return published.ID
}

// evaluation is a run as a test gives it: what the parts above the store would.
type evaluation struct {
	time   time.Time
	inputs []RunInput
	people []access.Identity
	links  []access.Link
	reach  func([]Edge) []Reach
	hits   []HitRow
	tally  []finding.Tally
	carry  Carry
	status RunStatus
}

// evaluate makes the run up to its subjects, and then ends it.
func evaluate(t testing.TB, s *Store, e evaluation, look func(*Run)) RunInfo {
	t.Helper()
	ctx := t.Context()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	r, err := s.BeginRun(ctx, RunSpec{Time: e.time, Inputs: e.inputs})
	check(err)
	check(r.WritePeople(ctx, each(e.people)))
	check(r.WriteLinks(ctx, each(e.links)))
	check(r.Number(ctx))
	edges := gather(t, r.Edges(ctx))
	var reach []Reach
	if e.reach != nil {
		reach = e.reach(edges)
	}
	check(r.WriteClosure(ctx, each(reach)))
	if look != nil {
		look(r)
	}
	check(r.WriteHits(ctx, e.hits))
	check(r.WriteTallies(ctx, e.tally))
	check(r.CarryStates(ctx, e.carry))
	if e.status == "" {
		e.status = RunComplete
	}
	info, err := r.Publish(ctx, e.status, nil)
	check(err)
	return info
}

// document is a subject as a policy sees it: dotted path to value, absent keys left out.
func document(kind access.SubjectKind, row access.Row) map[string]any {
	columns := access.SchemaOf(kind).Columns()
	unknown := map[string]bool{}
	for i, c := range columns {
		if c.Known && !row[i].(bool) {
			unknown[c.Node.Path] = true
		}
	}
	doc := map[string]any{}
	for i, c := range columns {
		if hidden(unknown, c) {
			continue
		}
		if v := plain(row[i]); v != nil && !c.Known {
			doc[c.Node.Path] = v
		}
	}
	return doc
}

func hidden(unknown map[string]bool, c access.Column) bool {
	for path := range unknown {
		if c.Node.Path == path || strings.HasPrefix(c.Node.Path, path+".") {
			return true
		}
	}
	return false
}

// plain copies a value out of the reader's memory.
func plain(v any) any {
	switch v := v.(type) {
	case *bool:
		return deref(v)
	case *int64:
		return deref(v)
	case *float64:
		return deref(v)
	case *string:
		return deref(v)
	case []string:
		return slices.Clone(v)
	case []bool:
		return slices.Clone(v)
	case []int64:
		return slices.Clone(v)
	case [][]string:
		out := make([][]string, len(v))
		for i := range v {
			out[i] = slices.Clone(v[i])
		}
		return out
	case []*string:
		return derefs(v)
	case []*bool:
		return derefs(v)
	case []*int64:
		return derefs(v)
	case []*float64:
		return derefs(v)
	}
	return v
}

func deref[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}

func derefs[T any](ps []*T) []any {
	out := make([]any, len(ps))
	for i, p := range ps {
		out[i] = deref(p)
	}
	return out
}

// documents reads all subjects of a kind, by the value at the path.
func documents(t testing.TB, r *Run, kind access.SubjectKind, by string) map[string]map[string]any {
	t.Helper()
	ctx := context.Background()
	n, err := r.Slices(ctx, kind)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]any{}
	for slice := range n {
		if err := r.BuildSubjects(ctx, kind, slice); err != nil {
			t.Fatal(err)
		}
		for row, err := range r.Subjects(ctx, kind, slice) {
			if err != nil {
				t.Fatal(err)
			}
			doc := document(kind, row)
			key, ok := doc[by].(string)
			if !ok {
				t.Fatalf("%s subject without %s: %v", kind, by, doc)
			}
			if _, twice := out[key]; twice {
				t.Fatalf("%s subject %s is there twice", kind, key)
			}
			out[key] = doc
		}
	}
	return out
}
