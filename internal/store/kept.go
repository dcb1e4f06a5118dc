package store

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// KeptRuns are the published runs that [Store.Kept] is true of.
func (s *Store) KeptRuns(ctx context.Context) (map[uint64]bool, error) {
	runs, err := list(ctx, s, func(rows driver.Rows, run *uint64) error { return rows.Scan(run) },
		`SELECT run FROM runs WHERE people + accounts = 0 OR run IN (SELECT run FROM run_people) OR run IN (SELECT run FROM run_links)`)
	if err != nil {
		return nil, fmt.Errorf("which runs are kept: %w", err)
	}
	kept := make(map[uint64]bool, len(runs))
	for _, run := range runs {
		kept[run] = true
	}
	return kept, nil
}
