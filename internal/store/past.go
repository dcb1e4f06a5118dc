package store

import (
	"context"
	"fmt"
	"iter"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/lapse-audit/lapse/internal/access"
)

// Past is a published run whose subjects are made again, by the statements that made them first and from the snapshots,
// people and links that the run used. Nothing of the run changes. Its methods are called in this order, by one goroutine:
//
//	Revisit → Edges → WriteClosure → for each kind and slice: BuildSubjects, Subjects
//
// It takes the place that the subjects of the last run had. The caller holds the lease.
type Past struct {
	RunInfo
	Inputs []RunInput

	run *Run
}

// Revisit begins to make the subjects of a kept run again. A run that is no longer kept is ErrNotFound: its people and
// links are gone.
func (s *Store) Revisit(ctx context.Context, run uint64) (*Past, error) {
	return s.RevisitPart(ctx, run, nil)
}

// RevisitPart is Revisit for some columns of some kinds of subjects; nil is everything. What else these subjects have is
// access.Unread, and what nothing of the wanted comes from is not done at all. Such subjects are apart from those of a run:
// only the Past can be asked of them.
func (s *Store) RevisitPart(ctx context.Context, run uint64, wanted Wanted) (*Past, error) {
	p, err := s.revisit(ctx, run, wanted)
	if err != nil {
		return nil, fmt.Errorf("make the subjects of run %d again: %w", run, err)
	}
	return p, nil
}

func (s *Store) revisit(ctx context.Context, run uint64, wanted Wanted) (*Past, error) {
	info, err := s.RunByID(ctx, run)
	if err != nil {
		return nil, err
	}
	kept, err := s.Kept(ctx, run)
	if err != nil {
		return nil, err
	}
	if !kept {
		return nil, ErrNotFound
	}
	inputs, err := s.Inputs(ctx, run)
	if err != nil {
		return nil, err
	}
	// The subjects first: where they are, what they were made with is too.
	if err := s.prepareSubjects(ctx); err != nil {
		return nil, err
	}
	if err := s.emptyWork(ctx); err != nil {
		return nil, err
	}
	r := &Run{ID: info.ID, Time: info.Time, Previous: info.Previous, Inputs: inputs, s: s, recordedAt: info.RecordedAt, past: s.revisits.Add(1)}
	if wanted == nil {
		err = r.number(ctx)
	} else {
		err = r.numberPart(ctx, wanted)
	}
	if err != nil {
		return nil, err
	}
	return &Past{RunInfo: info, Inputs: inputs, run: r}, nil
}

// Edges is Run.Edges.
func (p *Past) Edges(ctx context.Context) iter.Seq2[Edge, error] { return p.run.Edges(ctx) }

// WriteClosure is Run.WriteClosure.
func (p *Past) WriteClosure(ctx context.Context, pairs iter.Seq2[Reach, error]) error {
	return p.run.WriteClosure(ctx, pairs)
}

// Slices is Run.Slices.
func (p *Past) Slices(ctx context.Context, kind access.SubjectKind) (int, error) {
	return p.run.Slices(ctx, kind)
}

// SubjectCount is Run.SubjectCount.
func (p *Past) SubjectCount(ctx context.Context, kind access.SubjectKind) (uint64, error) {
	return p.run.SubjectCount(ctx, kind)
}

// BuildSubjects is Run.BuildSubjects.
func (p *Past) BuildSubjects(ctx context.Context, kind access.SubjectKind, slice int) error {
	if p.run.plan == nil {
		return p.run.BuildSubjects(ctx, kind, slice)
	}
	if err := p.run.buildColumns(ctx, partTable(kind), kind, p.run.plan.columns(kind), slice); err != nil {
		return fmt.Errorf("build parts of %s subjects, slice %d of run %d: %w", kind, slice, p.ID, err)
	}
	return nil
}

// Subjects is Run.Subjects.
func (p *Past) Subjects(ctx context.Context, kind access.SubjectKind, slice int) iter.Seq2[access.Row, error] {
	if p.run.plan == nil {
		return p.run.Subjects(ctx, kind, slice)
	}
	return p.run.readColumns(ctx, partTable(kind), kind, p.run.plan.columns(kind), slice)
}

// Ask is Run.Ask, for the wanted columns.
func (p *Past) Ask(ctx context.Context, kind access.SubjectKind, s Screen) (*Asking, error) {
	return p.run.Ask(ctx, kind, s)
}

// JudgedBy says for each policy by which text and parameters (their hash) it was last judged completely, up to the run.
func (s *Store) JudgedBy(ctx context.Context, run uint64) (map[string]string, error) {
	type judged struct{ policy, hash string }
	all, err := list(ctx, s, func(rows driver.Rows, j *judged) error { return rows.Scan(&j.policy, &j.hash) },
		`SELECT policy, argMax(hash, run) FROM run_judged WHERE run <= {run:UInt64} AND run IN (SELECT run FROM runs) GROUP BY policy`, clickhouse.Named("run", run))
	if err != nil {
		return nil, fmt.Errorf("read by which policies run %d was judged: %w", run, err)
	}
	out := make(map[string]string, len(all))
	for _, j := range all {
		out[j.policy] = j.hash
	}
	return out, nil
}
