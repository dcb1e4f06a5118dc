package store

import (
	"context"
	"fmt"
	"iter"
	"math/big"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// grantsAPass is how many direct grants are matched with their first sight at a time: the sights of one pass are in
// memory.
const grantsAPass = 2_000_000

// Number gives accounts, entitlements and peer groups their numbers, brings seats, keys, last uses and direct grants
// under these, and notes what changed in accounts and seats.
func (r *Run) Number(ctx context.Context) error {
	if err := r.number(ctx); err != nil {
		return fmt.Errorf("number accounts of run %d: %w", r.ID, err)
	}
	return nil
}

func (r *Run) number(ctx context.Context) error {
	if r.past == 0 { // the changes of a published run are known
		if err := r.all(ctx, "change_accounts", "change_seats"); err != nil {
			return err
		}
	}
	err := r.all(ctx, "owners", "numbers", "groups", "entitlements", "usage", "accounts",
		"keys", "directory", "seats", "edges")
	if err != nil {
		return err
	}
	if err := r.direct(ctx, sqlFile("direct")); err != nil {
		return err
	}
	c := &r.counts
	return r.s.row(ctx, []any{&c.accounts, &c.entitlements, &c.grants, &c.seats}, `SELECT
		(SELECT count() FROM work_accounts), (SELECT count() FROM work_entitlements),
		(SELECT count() FROM work_direct) + (SELECT count() FROM work_edges), (SELECT count() FROM work_seats)`)
}

// direct fills work_direct, in passes.
func (r *Run) direct(ctx context.Context, text string) error {
	var grants uint64
	err := r.s.row(ctx, []any{&grants}, `SELECT count() FROM grants
		WHERE (source, snapshot) IN (SELECT source, snapshot FROM run_inputs WHERE run = {run:UInt64})`, clickhouse.Named("run", r.ID))
	if err != nil {
		return err
	}
	passes := int64(grants/grantsAPass) + 1
	for i := range passes {
		low, high := share(i, passes), share(i+1, passes)
		high.Sub(high, big.NewInt(1))
		if err := r.run(ctx, "direct", text, clickhouse.Named("low", low.String()), clickhouse.Named("high", high.String())); err != nil {
			return err
		}
	}
	return nil
}

// Edge says that the entitlement numbered Holder holds the one numbered Entitlement: every holder of the one has the other.
type Edge struct{ Holder, Entitlement uint32 }

// Edges yields the nested memberships of the run, ordered by holder, each once. Only entitlements of one source hold each
// other.
func (r *Run) Edges(ctx context.Context) iter.Seq2[Edge, error] {
	scan := func(rows driver.Rows, e *Edge) error { return rows.Scan(&e.Holder, &e.Entitlement) }
	return func(yield func(Edge, error) bool) {
		for e, err := range stream(ctx, r.s, scan, "SELECT holder, entitlement FROM work_edges ORDER BY holder, entitlement") {
			if err != nil {
				err = fmt.Errorf("read nesting of run %d: %w", r.ID, err)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}
