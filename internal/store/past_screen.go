package store

import (
	"context"
	"iter"

	"github.com/lapse-audit/lapse/internal/access"
)

// PutSubjects is as Run's.
func (p *Past) PutSubjects(ctx context.Context, kind access.SubjectKind, slice int, rows []access.Row) error {
	return p.run.PutSubjects(ctx, kind, slice, rows)
}

// CountVerdicts is as Run's.
func (p *Past) CountVerdicts(ctx context.Context, kind access.SubjectKind, slice int, s Screen) ([]VerdictCount, error) {
	return p.run.CountVerdicts(ctx, kind, slice, s)
}

// ScreenSubjects is as Run's.
func (p *Past) ScreenSubjects(ctx context.Context, kind access.SubjectKind, slice int, s Screen) iter.Seq2[Screened, error] {
	return p.run.ScreenSubjects(ctx, kind, slice, s)
}
