package app

import (
	"context"

	"github.com/lapse-audit/lapse/internal/policy"
	"github.com/lapse-audit/lapse/internal/scan"
	"github.com/lapse-audit/lapse/internal/store"
)

// BenchPolicies measures what the policies take on up to n subjects of each kind of the last run: the chosen ones, or all
// that are enabled.
func (a *App) BenchPolicies(ctx context.Context, c Chosen, n int) ([]policy.Cost, error) {
	last, err := a.run(ctx, 0)
	if err != nil {
		return nil, err
	}
	pack, err := a.Pack()
	if err != nil {
		return nil, err
	}
	var only []string
	if len(c.IDs) > 0 || len(c.Below) > 0 {
		chosen, err := a.candidates(ctx, c, last)
		if err != nil {
			return nil, err
		}
		only = ids(chosen)
	}
	var costs []policy.Cost
	err = a.rejudging(ctx, "lapse policy bench", func(ctx context.Context, s *store.Store) error {
		rows, table, last, err := scan.Sample(ctx, s, last.ID, n)
		if err != nil {
			return err
		}
		costs, err = policy.Costs(ctx, pack, only, rows, table, policy.EngineOptions{Time: last.Time, RunID: int64(last.ID)})
		return err
	})
	return costs, err
}
