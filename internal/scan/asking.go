package scan

import (
	"context"
	"fmt"
	"iter"
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

// askedStretch is what is known of a stretch before its subjects are whole.
type askedStretch struct {
	counts  []store.VerdictCount
	answers []store.Answer
}

// group are neighbouring stretches. What is flagged in them is made whole and judged together, by the evaluator that has counted
// them.
type group struct {
	first, last int
	answers     []store.Answer
	evaluator   *policy.Evaluator
}

func (a *asking) judgeAll(ctx context.Context) error {
	n := a.asking.Stretches()
	a.o.Progress.Phase(fmt.Sprintf("screening %s subjects", a.kind), n)
	parts := make([]askedStretch, n)
	err := each(ctx, a.workers, n, func(ctx context.Context, i int) (err error) {
		defer a.o.Progress.Advance(1)
		parts[i].counts, parts[i].answers, err = a.ask(ctx, a.screening, i)
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
		for _, part := range parts[g.first : g.last+1] {
			if err := a.countIn(g.evaluator, part.counts); err != nil {
				return err
			}
		}
		return a.judgeGroup(ctx, a.screening, i, g)
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
	again.asking = a.asking.Again(again.asked)
	a.o.Progress.Phase(fmt.Sprintf("judging %s subjects again", a.kind), len(groups))
	return each(ctx, a.workers, len(groups), func(ctx context.Context, i int) error {
		defer a.o.Progress.Advance(1)
		g := &groups[i]
		g.answers = nil
		for stretch := g.first; stretch <= g.last; stretch++ {
			_, answers, err := a.ask(ctx, again, stretch)
			if err != nil {
				return err
			}
			g.answers = append(g.answers, answers...)
		}
		return a.judgeGroup(ctx, again, i, g)
	})
}

// groups takes neighbours together while what is flagged in them is no more than is made at a time, and no heavier than a slice.
func (a *asking) groups(parts []askedStretch) (out []group) {
	weight := 0.0
	for i, part := range parts {
		more := a.asking.Weight(i, len(part.answers))
		last := len(out) - 1
		if last < 0 || len(out[last].answers)+len(part.answers) > store.MakeAtATime || weight+more > 1 {
			out, weight, last = append(out, group{first: i}), 0, last+1
		}
		out[last].last = i
		out[last].answers = append(out[last].answers, part.answers...)
		weight += more
	}
	return out
}

// ask asks of one stretch at a time: that bounds what is in memory, and the statement takes all cores by itself.
func (a *asking) ask(ctx context.Context, s *screening, stretch int) ([]store.VerdictCount, []store.Answer, error) {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	return s.asking.Ask(ctx, stretch)
}

// make makes a group's subjects whole, and reads them.
func (a *asking) make(ctx context.Context, s *screening, part int, answers []store.Answer) (iter.Seq2[store.Screened, error], error) {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	err := s.asking.Make(ctx, part, answers)
	return s.asking.Judged(ctx, part, answers), err
}

func (a *asking) judgeGroup(ctx context.Context, s *screening, part int, g *group) error {
	subjects, err := a.make(ctx, s, part, g.answers)
	if err != nil {
		return err
	}
	h := &hits{w: a.w}
	if err := s.judgeThese(ctx, g.evaluator, subjects, h); err != nil {
		return err
	}
	return h.write()
}
