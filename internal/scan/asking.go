package scan

import (
	"context"
	"fmt"
	"slices"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/policy"
	"github.com/lapse-audit/lapse/internal/store"
)

// ask lets the screen be asked of subjects before they are made whole, if that pays: not where some policy judges every one.
func (s *screening) ask(ctx context.Context, run *store.Run, kind access.SubjectKind) (err error) {
	every := func(c policy.Coverage) bool { return c.Lane == policy.LaneFull }
	if store.Asks(kind) && !slices.ContainsFunc(s.screen.Coverage, every) {
		s.asking, err = run.Ask(ctx, kind, s.asked)
	}
	return err
}

// asking judges the subjects of one kind that are made whole only if need be.
type asking struct {
	*screening
	o       Options
	w       *writer
	engine  *policy.Engine
	kind    access.SubjectKind
	workers int
}

// group are neighbouring slices. What needs looking at in them is made whole and judged together, by the evaluator that has
// counted them.
type group struct {
	first, last int
	evaluator   *policy.Evaluator
}

// judgeAll judges the subjects of n slices.
func (a *asking) judgeAll(ctx context.Context, n int) error {
	a.o.Progress.Phase(fmt.Sprintf("screening %s subjects", a.kind), n)
	parts := make([]*store.Screening, n)
	err := each(ctx, a.workers, n, func(ctx context.Context, i int) (err error) {
		defer a.o.Progress.Advance(1)
		if err := a.build(ctx, i); err != nil {
			return err
		}
		parts[i], err = a.screening.asking.Screen(ctx, i)
		return err
	})
	if err != nil {
		return err
	}
	groups := a.groups(parts)
	a.o.Progress.Phase(fmt.Sprintf("judging %s subjects", a.kind), len(groups))
	err = each(ctx, a.workers, len(groups), func(ctx context.Context, i int) error {
		defer a.o.Progress.Advance(1)
		g := &groups[i]
		g.evaluator = a.engine.NewEvaluator()
		some := parts[g.first : g.last+1]
		for _, part := range some {
			if err := a.count(g.evaluator, part); err != nil {
				return err
			}
		}
		return a.judgeGroup(ctx, a.screening, i, g, some)
	})
	if err != nil {
		return err
	}
	return a.judgeAgain(ctx, groups)
}

// judgeAgain lets the doubted policies judge what they have not.
func (a *asking) judgeAgain(ctx context.Context, groups []group) error {
	doubted := doubtsOf(a.engine.Doubts(), a.kind)
	if len(doubted) == 0 {
		return nil
	}
	again := a.only(doubted)
	again.asking = a.screening.asking.Again(again.asked)
	a.o.Progress.Phase(fmt.Sprintf("judging %s subjects again", a.kind), len(groups))
	return each(ctx, a.workers, len(groups), func(ctx context.Context, i int) error {
		defer a.o.Progress.Advance(1)
		g := &groups[i]
		var some []*store.Screening
		for slice := g.first; slice <= g.last; slice++ {
			part, err := again.asking.Screen(ctx, slice)
			if err != nil {
				return err
			}
			some = append(some, part)
		}
		return a.judgeGroup(ctx, again, i, g, some)
	})
}

// groups takes neighbours together until what needs looking at in them is as much as is made at a time, or as heavy as a slice.
func (a *asking) groups(parts []*store.Screening) (out []group) {
	weight, subjects := 0.0, 0
	for i, part := range parts {
		more := a.screening.asking.Weight(i, part.Found())
		last := len(out) - 1
		if last < 0 || subjects+part.Found() > store.MakeAtATime || weight+more > 1 {
			out, weight, subjects, last = append(out, group{first: i}), 0, 0, last+1
		}
		out[last].last = i
		weight, subjects = weight+more, subjects+part.Found()
	}
	return out
}

func (a *asking) build(ctx context.Context, slice int) error {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	return a.screening.asking.Build(ctx, slice)
}

func (a *asking) make(ctx context.Context, s *screening, part int, some []*store.Screening) (*store.Screening, error) {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	return s.asking.Make(ctx, part, some)
}

func (a *asking) judgeGroup(ctx context.Context, s *screening, part int, g *group, some []*store.Screening) error {
	made, err := a.make(ctx, s, part, some)
	if err != nil {
		return err
	}
	h := &hits{w: a.w}
	if err := s.evaluate(ctx, g.evaluator, made, h); err != nil {
		return err
	}
	return h.write()
}
