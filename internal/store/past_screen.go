package store

import (
	"context"

	"github.com/lapse-audit/lapse/internal/access"
)

// PutSubjects is as Run's.
func (p *Past) PutSubjects(ctx context.Context, kind access.SubjectKind, slice int, rows []access.Row) error {
	return p.run.PutSubjects(ctx, kind, slice, rows)
}

// Screen is as Run's.
func (p *Past) Screen(ctx context.Context, kind access.SubjectKind, slice int, s Screen) (*Screening, error) {
	return p.run.Screen(ctx, kind, slice, s)
}
