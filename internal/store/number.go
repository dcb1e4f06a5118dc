package store

import (
	"context"
	"fmt"
	"iter"
	"math/big"
	"regexp"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

const (
	// grantsAPass is how many direct grants are matched with their first sight at a time: the sights of one pass are in memory.
	grantsAPass = 2_000_000
	// manyGrants is from how many grants on a source has a pass to itself.
	manyGrants = 100_000
)

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
	passes, err := r.directPasses(ctx)
	if err != nil {
		return err
	}
	for _, p := range passes {
		pass := text
		if len(p.sources) == 1 {
			pass = sameSource.ReplaceAllString(text, "")
		}
		parts := int64(p.grants/grantsAPass) + 1
		for i := range parts {
			low, high := share(i, parts), share(i+1, parts)
			high.Sub(high, big.NewInt(1))
			err := r.run(ctx, "direct", pass, clickhouse.Named("sources", p.sources), clickhouse.Named("low", low.String()), clickhouse.Named("high", high.String()))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// sameSource is what joins ask beside ids, which within one source tell everything apart. Compared alone they take half the time.
var sameSource = regexp.MustCompile(`\w+\.source = \w+\.source AND `)

// directPass are sources whose grants are matched together: one that has many alone, those with few so that there are not too many
// statements.
type directPass struct {
	sources []string
	grants  uint64
}

func (r *Run) directPasses(ctx context.Context) (passes []directPass, err error) {
	type source struct {
		uid    string
		grants uint64
	}
	all, err := list(ctx, r.s, func(rows driver.Rows, s *source) error { return rows.Scan(&s.uid, &s.grants) }, `SELECT CAST(source, 'String') AS uid, count() FROM grants
		WHERE (source, snapshot) IN (SELECT source, snapshot FROM run_inputs WHERE run = {run:UInt64}) GROUP BY uid ORDER BY uid`, clickhouse.Named("run", r.ID))
	if err != nil {
		return nil, err
	}
	var few directPass
	for _, s := range all {
		if s.grants >= manyGrants {
			passes = append(passes, directPass{[]string{s.uid}, s.grants})
			continue
		}
		if few.grants+s.grants > grantsAPass {
			passes, few = append(passes, few), directPass{}
		}
		few.sources, few.grants = append(few.sources, s.uid), few.grants+s.grants
	}
	if few.sources != nil {
		passes = append(passes, few)
	}
	return passes, nil
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
