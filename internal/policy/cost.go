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

// Cost is what one policy takes.
type Cost struct {
	Policy   string             `json:"policy"` // "" for all policies of the subject at once, as a scan judges
	Subject  access.SubjectKind `json:"subject"`
	Subjects int                `json:"subjects"` // that were measured
	Each     time.Duration      `json:"ns"`       // a subject
	Slowest  time.Duration      `json:"slowest_ns"`
	Bytes    uint64             `json:"bytes"` // allocated a subject
	Failed   string             `json:"failed,omitempty"`
}

// Costs measures the policies of a pack over subjects, each policy alone and all of a subject together, the dearest first.
// rows are the subjects of each kind. only names the policies; nil is all that are enabled.
func Costs(ctx context.Context, pack *Pack, only []string, rows map[access.SubjectKind][]access.Row, options EngineOptions) ([]Cost, error) {
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
		c, err := cost(ctx, together, kind, rows[kind])
		if err != nil {
			return nil, err
		}
		out = append(out, c)
		for _, r := range together.any(kind).rules {
			o := options
			o.Only = []string{r.ID}
			alone, err := NewEngine(ctx, pack, o)
			if err != nil {
				return nil, err
			}
			c, err := cost(ctx, alone, kind, rows[kind])
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

func cost(ctx context.Context, e *Engine, kind access.SubjectKind, rows []access.Row) (Cost, error) {
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
	for _, id := range keys(e.Failures()) {
		c.Failed = e.Failures()[id].Error()
	}
	return c, nil
}
