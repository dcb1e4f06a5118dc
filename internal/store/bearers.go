package store

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Bearer is an account with a security identifier. A foreign one is a foreign security principal: it stands for the
// account with that SID in another source.
type Bearer struct {
	Source, ID, Username, SID string
	Foreign                   bool
}

// Bearers are the foreign security principals of the run's snapshots, and the other accounts that have one of their SIDs,
// each by source and id. Of the others the rest is not read: a directory has few principals and many accounts.
func (r *Run) Bearers(ctx context.Context) ([]Bearer, error) {
	scan := func(rows driver.Rows, b *Bearer) error { return rows.Scan(&b.Source, &b.ID, &b.Username, &b.SID) }
	run := clickhouse.Named("run", r.ID)
	principals, err := list(ctx, r.s, scan, bearers+"AND "+foreign+" AND sid != '' ORDER BY source, id", run)
	if err != nil {
		return nil, fmt.Errorf("read foreign security principals of run %d: %w", r.ID, err)
	}
	if len(principals) == 0 {
		return nil, nil
	}
	for i := range principals {
		principals[i].Foreign = true
	}
	owners, err := list(ctx, r.s, scan, bearers+"AND NOT "+foreign+` AND sid IN (SELECT attributes['sid'] FROM accounts
		WHERE (source, snapshot) IN (SELECT source, snapshot FROM run_inputs WHERE run = {run:UInt64}) AND `+foreign+`)
		ORDER BY source, id`, run)
	if err != nil {
		return nil, fmt.Errorf("read whom the foreign security principals of run %d stand for: %w", r.ID, err)
	}
	return append(principals, owners...), nil
}

const (
	bearers = `SELECT source, id, username, attributes['sid'] AS sid FROM accounts
		WHERE (source, snapshot) IN (SELECT source, snapshot FROM run_inputs WHERE run = {run:UInt64}) `
	foreign = "attributes['object_class'] = 'foreign_security_principal'"
)
