package scan

import (
	"context"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/policy"
	"github.com/lapse-audit/lapse/internal/store"
)

// table is the first slice of a kept run's subjects, as policy.Costs fills it.
type table struct{ past *store.Past }

func (t table) Put(ctx context.Context, kind access.SubjectKind, rows []access.Row) error {
	return t.past.PutSubjects(ctx, kind, 0, rows)
}

func (t table) Ask(ctx context.Context, s *policy.Screen, count func(string, []uint16, uint64) error, judge func(access.Row, []uint64) error) error {
	screening, err := t.past.Screen(ctx, s.Kind, 0, asked(s))
	if err != nil {
		return err
	}
	for _, c := range screening.Counts {
		if err := count(c.Source, c.Facts, c.Subjects); err != nil {
			return err
		}
	}
	for subject, err := range screening.Subjects(ctx) {
		if err != nil {
			return err
		}
		if err := judge(subject.Row, subject.Mask); err != nil {
			return err
		}
	}
	return nil
}
