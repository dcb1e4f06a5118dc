package scan

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/policy"
	"github.com/lapse-audit/lapse/internal/store"
)

// askable is a run, a new or a kept one.
type askable interface {
	Ask(ctx context.Context, kind access.SubjectKind, s store.Screen) (*store.Asking, error)
}

// asks reports whether it pays to ask the screen of subjects before they are made whole: not where some policy judges every one.
func asks(s *policy.Screen) bool {
	every := func(c policy.Coverage) bool { return c.Lane == policy.LaneFull }
	return store.Asks(s.Kind) && !slices.ContainsFunc(s.Coverage, every)
}

// asking judges the subjects of one kind that are made whole only if need be.
type asking struct {
	*screening
	asking   *store.Asking
	engine   *policy.Engine
	workers  int
	progress Progress
	writing  *sync.Mutex // held while subjects are made
	taker    func() taker
}

// taker takes what is found. What it gathers is written at the end, and before where it has become much.
type taker interface {
	add(policy.Result) error
	writeMany() error
	write() error
}

// group are neighbouring stretches. What needs looking at in them is made whole and judged together, by the evaluator that has
// counted them.
type group struct {
	first, last int
	evaluator   *policy.Evaluator
}

// judgeAll judges the subjects of a run.
func (a *asking) judgeAll(ctx context.Context, run askable) (err error) {
	if a.asking, err = run.Ask(ctx, a.screen.Kind, a.asked); err != nil {
		return err
	}
	n := a.asking.Stretches()
	a.progress.Phase(fmt.Sprintf("screening %s subjects", a.screen.Kind), n)
	parts := make([]*store.Screening, n)
	err = each(ctx, a.workers, n, func(ctx context.Context, i int) (err error) {
		defer a.progress.Advance(1)
		parts[i], err = a.ask(ctx, a.asking, i)
		return err
	})
	if err != nil {
		return err
	}
	groups := a.groups(parts)
	a.progress.Phase(fmt.Sprintf("judging %s subjects", a.screen.Kind), len(groups))
	err = each(ctx, a.workers, len(groups), func(ctx context.Context, i int) error {
		defer a.progress.Advance(1)
		g := &groups[i]
		g.evaluator = a.engine.NewEvaluator()
		some := parts[g.first : g.last+1]
		for _, part := range some {
			if err := a.count(g.evaluator, part); err != nil {
				return err
			}
		}
		return a.judgeGroup(ctx, a.screening, a.asking, i, g, some)
	})
	if err != nil {
		return err
	}
	return a.judgeAgain(ctx, groups)
}

// judgeAgain lets the doubted policies judge what they have not.
func (a *asking) judgeAgain(ctx context.Context, groups []group) error {
	doubted := doubtsOf(a.engine.Doubts(), a.screen.Kind)
	if len(doubted) == 0 {
		return nil
	}
	again := a.only(doubted)
	asking := a.asking.Again(again.asked)
	a.progress.Phase(fmt.Sprintf("judging %s subjects again", a.screen.Kind), len(groups))
	return each(ctx, a.workers, len(groups), func(ctx context.Context, i int) error {
		defer a.progress.Advance(1)
		g := &groups[i]
		var some []*store.Screening
		for stretch := g.first; stretch <= g.last; stretch++ {
			part, err := a.ask(ctx, asking, stretch)
			if err != nil {
				return err
			}
			some = append(some, part)
		}
		return a.judgeGroup(ctx, again, asking, i, g, some)
	})
}

// groups takes neighbours together while what needs looking at in them is no more than is made at a time, and no heavier than a
// slice.
func (a *asking) groups(parts []*store.Screening) (out []group) {
	weight, subjects := 0.0, 0
	for i, part := range parts {
		more := a.asking.Weight(i, part.Found())
		last := len(out) - 1
		if last < 0 || subjects+part.Found() > store.MakeAtATime || weight+more > 1 {
			out, weight, subjects, last = append(out, group{first: i}), 0, 0, last+1
		}
		out[last].last = i
		weight, subjects = weight+more, subjects+part.Found()
	}
	return out
}

// ask asks of one stretch at a time: that bounds what is in memory, and the statement takes all cores by itself.
func (a *asking) ask(ctx context.Context, asking *store.Asking, stretch int) (*store.Screening, error) {
	a.writing.Lock()
	defer a.writing.Unlock()
	return asking.Screen(ctx, stretch)
}

func (a *asking) judgeGroup(ctx context.Context, s *screening, asking *store.Asking, part int, g *group, some []*store.Screening) error {
	a.writing.Lock()
	made, err := asking.Make(ctx, part, some)
	a.writing.Unlock()
	if err != nil {
		return err
	}
	h := a.taker()
	if err := s.evaluate(ctx, g.evaluator, made, h); err != nil {
		return err
	}
	return h.write()
}
