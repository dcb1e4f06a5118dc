package app

import (
	"context"

	"github.com/lapse-audit/lapse/internal/store"
)

// ListedRun is a run with what a list says of it.
type ListedRun struct {
	store.RunInfo
	Kept bool // with its findings, so that there is a report of it
}

// Runs lists the runs, the newest first. Open is without the backlog, as in every report.
func (a *App) Runs(ctx context.Context) ([]ListedRun, error) {
	s, err := a.Store(ctx)
	if err != nil {
		return nil, err
	}
	runs, err := s.Runs(ctx, store.RunFilter{})
	if err != nil {
		return nil, err
	}
	kept, err := s.KeptRuns(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]ListedRun, len(runs))
	for i, r := range runs {
		r.Open -= r.Backlog
		out[i] = ListedRun{r, kept[r.ID]}
	}
	return out, nil
}
