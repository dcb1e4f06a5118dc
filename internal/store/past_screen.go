package store

import (
	"context"
	"fmt"
	"iter"

	"github.com/lapse-audit/lapse/internal/access"
)

// PutSubjects is as Run's.
func (p *Past) PutSubjects(ctx context.Context, kind access.SubjectKind, slice int, rows []access.Row) error {
	return p.run.PutSubjects(ctx, kind, slice, rows)
}

// CountVerdicts is as Run's.
func (p *Past) CountVerdicts(ctx context.Context, kind access.SubjectKind, slice int, s Screen) ([]VerdictCount, error) {
	if p.run.plan == nil {
		return p.run.CountVerdicts(ctx, kind, slice, s)
	}
	out, err := p.run.plan.count(ctx, p.run, kind, slice, s)
	if err != nil {
		return nil, fmt.Errorf("count verdicts on parts of %s subjects, slice %d of run %d: %w", kind, slice, p.ID, err)
	}
	return out, nil
}

// ScreenSubjects is as Run's. Of parts it gives none for what stands on them.
func (p *Past) ScreenSubjects(ctx context.Context, kind access.SubjectKind, slice int, s Screen) iter.Seq2[Screened, error] {
	if p.run.plan == nil {
		return p.run.ScreenSubjects(ctx, kind, slice, s)
	}
	return func(yield func(Screened, error) bool) {
		for subject, err := range p.run.plan.screen(ctx, p.run, kind, slice, s) {
			if err != nil {
				err = fmt.Errorf("screen parts of %s subjects, slice %d of run %d: %w", kind, slice, p.ID, err)
			}
			if !yield(subject, err) {
				return
			}
		}
	}
}
