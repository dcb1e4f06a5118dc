package policy

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// Cost is what one policy takes: in the full lane, and in the prefilter lane where it was measured.
type Cost struct {
	Policy   string             `json:"policy"` // "" for all policies of the subject at once, as a scan judges
	Subject  access.SubjectKind `json:"subject"`
	Subjects int                `json:"subjects"` // that were measured
	Each     time.Duration      `json:"ns"`       // a subject
	Slowest  time.Duration      `json:"slowest_ns"`
	Bytes    uint64             `json:"bytes"`          // allocated a subject
	Lane     Lane               `json:"lane,omitempty"` // of one policy
	// Candidates are the subjects that the prefilter did not pass over, and Screened is the time a subject in its lane, with
	// what the store takes to answer: much of that is the same for however many subjects.
	Candidates int           `json:"candidates"`
	Screened   time.Duration `json:"prefilter_ns,omitempty"`
	Failed     string        `json:"failed,omitempty"`
}

// Table holds subjects of which screens can be asked.
type Table interface {
	// Put replaces the subjects of a kind.
	Put(ctx context.Context, kind access.SubjectKind, rows []access.Row) error
	// Ask gives to count what Evaluator.Count takes, then to judge what EvalScreened does.
	Ask(ctx context.Context, s *Screen, count func(source string, facts []uint16, subjects uint64) error, judge func(row access.Row, mask []uint64) error) error
}

// Costs measures the policies of a pack over subjects, each policy alone and all of a subject together, the dearest first.
// rows are the subjects of each kind, and the table is filled with them. only names the policies; nil is all that are enabled.
func Costs(ctx context.Context, pack *Pack, only []string, rows map[access.SubjectKind][]access.Row, table Table, options EngineOptions) ([]Cost, error) {
	options.Only = only
	together, err := NewEngine(ctx, pack, options)
	if err != nil {
		return nil, err
	}
	defer together.Close(context.WithoutCancel(ctx))
	var out []Cost
	for _, kind := range together.Kinds() {
		if len(rows[kind]) == 0 {
			continue
		}
		if err := table.Put(ctx, kind, rows[kind]); err != nil {
			return nil, err
		}
		c, err := cost(ctx, together, kind, rows[kind], table)
		if err != nil {
			return nil, err
		}
		c.Lane = ""
		out = append(out, c)
		for _, r := range together.any(kind).rules {
			o := options
			o.Only = []string{r.ID}
			alone, err := NewEngine(ctx, pack, o)
			if err != nil {
				return nil, err
			}
			c, err := cost(ctx, alone, kind, rows[kind], table)
			alone.Close(context.WithoutCancel(ctx))
			if err != nil {
				return nil, err
			}
			c.Policy = r.ID
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(a, b Cost) int { return cmp.Compare(b.Each, a.Each) })
	return out, nil
}

func cost(ctx context.Context, e *Engine, kind access.SubjectKind, rows []access.Row, table Table) (Cost, error) {
	c := Cost{Subject: kind, Subjects: len(rows)}
	ev := e.NewEvaluator()
	judge := func(row access.Row) error {
		return ev.Eval(ctx, kind, row, func(Result) error { return nil })
	}
	for _, row := range rows[:min(len(rows), 50)] { // caches fill
		if err := judge(row); err != nil {
			return c, fmt.Errorf("measure policies of subject %s: %w", kind, err)
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	for _, row := range rows {
		one := time.Now()
		if err := judge(row); err != nil {
			return c, fmt.Errorf("measure policies of subject %s: %w", kind, err)
		}
		c.Slowest = max(c.Slowest, time.Since(one))
	}
	c.Each = time.Since(began) / time.Duration(len(rows))
	runtime.ReadMemStats(&after)
	c.Bytes = (after.TotalAlloc - before.TotalAlloc) / uint64(len(rows))
	err := c.screened(ctx, e, table)
	for _, id := range keys(e.Failures()) {
		c.Failed = e.Failures()[id].Error()
	}
	return c, err
}

// screened measures the prefilter lane, after a round in which caches fill.
func (c *Cost) screened(ctx context.Context, e *Engine, table Table) error {
	screen, err := e.Screen(ctx, c.Subject)
	if err != nil || screen == nil {
		c.Lane = LaneFull
		return err
	}
	c.Lane = screen.Coverage[0].Lane
	for range 2 {
		ev, candidates, began := e.NewEvaluator(), 0, time.Now()
		count := func(source string, facts []uint16, n uint64) error { return ev.Count(screen, source, facts, n) }
		err := table.Ask(ctx, screen, count, func(row access.Row, mask []uint64) error {
			candidates++
			return ev.EvalScreened(ctx, screen, row, mask, false, func(Result) error { return nil })
		})
		if err != nil {
			return fmt.Errorf("measure policies of subject %s: %w", c.Subject, err)
		}
		c.Candidates, c.Screened = candidates, time.Since(began)/time.Duration(c.Subjects)
	}
	return nil
}
