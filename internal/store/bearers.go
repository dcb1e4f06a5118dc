package store

import (
	"context"
	"fmt"
	"iter"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Bearer is an account with a security identifier. A foreign one is a foreign security principal: it stands for the
// account with that SID in another source.
type Bearer struct {
	Source, ID, Username, SID string
	Foreign                   bool
}

// Bearers yields the foreign security principals of the run's snapshots, and the other accounts that have one of their
// SIDs, by source and id. It yields at most one error, as the last thing.
func (r *Run) Bearers(ctx context.Context) iter.Seq2[Bearer, error] {
	scan := func(rows driver.Rows, b *Bearer) error {
		return rows.Scan(&b.Source, &b.ID, &b.Username, &b.SID, &b.Foreign)
	}
	return func(yield func(Bearer, error) bool) {
		for b, err := range stream(ctx, r.s, scan, bearers, clickhouse.Named("run", r.ID)) {
			if err != nil {
				err = fmt.Errorf("read foreign security principals of run %d: %w", r.ID, err)
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

const bearers = `WITH
		inputs AS (SELECT source, snapshot FROM run_inputs WHERE run = {run:UInt64}),
		foreign AS (SELECT attributes['sid'] FROM accounts
			WHERE (source, snapshot) IN (inputs) AND attributes['object_class'] = 'foreign_security_principal' AND attributes['sid'] != '')
	SELECT source, id, username, attributes['sid'] AS sid, CAST(attributes['object_class'] = 'foreign_security_principal', 'Bool')
	FROM accounts WHERE (source, snapshot) IN (inputs) AND sid IN (foreign) ORDER BY source, id`
