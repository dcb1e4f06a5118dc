package store

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Reach says that whoever holds the entitlement numbered Holder has the one numbered Entitlement too. Path is a shortest
// way, both ends included, and Depth the number of steps on it: len(Path)-1, at least 1.
type Reach struct {
	Holder, Entitlement uint32
	Depth               int
	Path                []uint32
}

// A slice is at most about sliceWeight grants; an account counts as much as accountWeight of them. Together they bound the
// memory that building and reading one slice takes.
const (
	sliceWeight   = 600_000
	accountWeight = 12
)

// WriteClosure writes the closed nesting, each pair once, and from it every account's effective grants, what peers hold,
// and which privileged grants changed. Path may be reused by the caller after each step. An error of pairs ends it and is
// returned.
func (r *Run) WriteClosure(ctx context.Context, pairs iter.Seq2[Reach, error]) error {
	if err := r.writeClosure(ctx, pairs); err != nil {
		return fmt.Errorf("write effective grants of run %d: %w", r.ID, err)
	}
	return nil
}

func (r *Run) writeClosure(ctx context.Context, pairs iter.Seq2[Reach, error]) error {
	type numbered struct {
		Reach
		no uint32
	}
	b := newBatch(ctx, r.s, "work_closure", r.token("closure"), []field[numbered]{
		column("no", func(n *numbered) uint32 { return n.no }),
		column("holder", func(n *numbered) uint32 { return n.Holder }),
		column("entitlement", func(n *numbered) uint32 { return n.Entitlement }),
		column("depth", func(n *numbered) uint16 { return uint16(min(n.Depth, 1<<16-1)) }),
		column("path", func(n *numbered) []uint32 { return n.Path }),
	})
	no := uint32(0)
	for p, err := range pairs {
		if err == nil {
			no++
			p.Path = slices.Clone(p.Path)
			err = b.put(numbered{p, no})
		}
		if err != nil {
			b.wait()
			return err
		}
	}
	if err := b.close(); err != nil {
		return err
	}
	if r.plan != nil {
		return r.plan.close(ctx, r)
	}

	weights := []driver.NamedValue{clickhouse.Named("weight", uint64(sliceWeight)), clickhouse.Named("base", uint64(accountWeight))}
	if err := r.do(ctx, "slices_account", weights...); err != nil {
		return err
	}
	ranges, err := r.ranges(ctx, "account")
	if err != nil {
		return err
	}
	for _, part := range ranges {
		if err := r.do(ctx, "effective", part.parameters()...); err != nil {
			return err
		}
	}
	if err := r.do(ctx, "flags"); err != nil {
		return err
	}
	if err := r.do(ctx, "slices_person", weights...); err != nil {
		return err
	}
	if err := r.all(ctx, "slices_rest", "peers", "members"); err != nil {
		return err
	}
	if r.past != 0 { // what follows is kept with the run
		return nil
	}
	if err := r.do(ctx, "privileged"); err != nil {
		return err
	}
	if r.Previous != 0 {
		if err := r.do(ctx, "change_grants"); err != nil {
			return err
		}
	}
	return r.s.row(ctx, []any{&r.counts.effective}, "SELECT count() FROM work_effective")
}

// span is a range of numbers, both ends included.
type span struct{ slice, first, last uint32 }

func (p span) parameters() []driver.NamedValue {
	return []driver.NamedValue{clickhouse.Named("first", p.first), clickhouse.Named("last", p.last), clickhouse.Named("slice", p.slice)}
}

// ranges are the slices of a kind. Once there are any they stay as they are.
func (r *Run) ranges(ctx context.Context, kind string) ([]span, error) {
	if known, ok := r.spans.Load(kind); ok {
		return known.([]span), nil
	}
	all, err := list(ctx, r.s, func(rows driver.Rows, p *span) error { return rows.Scan(&p.slice, &p.first, &p.last) },
		"SELECT slice, first, last FROM work_slices WHERE kind = {kind:String} ORDER BY slice", clickhouse.Named("kind", kind))
	if err == nil && len(all) > 0 {
		r.spans.Store(kind, all)
	}
	return all, err
}
