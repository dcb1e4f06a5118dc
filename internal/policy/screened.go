package policy

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
)

// screened says which rules a subject is evaluated by.
type screened struct {
	every   bool
	counted bool                // Count has counted the subject as not flagged
	mask    []uint64            // of the rules that the screen flags
	stands  func(rule int) bool // whether a finding of the rule stands; nil: of none
	again   bool                // those that stand have judged the subject before
}

// judges reports whether a rule evaluates the subject.
func (s screened) judges(rule int) bool {
	switch {
	case s.every:
		return true
	case s.stands == nil:
		return s.flags(rule)
	case s.again:
		return s.flags(rule) && !s.stands(rule)
	}
	return s.flags(rule) || s.stands(rule)
}

func (s screened) flags(rule int) bool { return s.mask[rule/64]&(1<<(rule%64)) != 0 }

// passedOver reports whether the screen says that a rule does not flag the subject.
func (s screened) passedOver(rule int) bool { return s.counted && !s.flags(rule) }

// EvalScreened evaluates a subject that Count has counted, by the policies whose flags hold for it: bit i of mask[0] is that
// of Flags[i], bit i of mask[1] that of Flags[64+i]. A sample is evaluated by all policies; if one that is not in the mask
// flags it all the same, Doubts says so. For the rest it is as Eval.
func (ev *Evaluator) EvalScreened(ctx context.Context, s *Screen, row access.Row, mask []uint64, sample bool, emit func(Result) error) error {
	return ev.evalScreened(ctx, s, row, screened{every: sample, counted: true, mask: mask}, emit)
}

// EvalStanding is EvalScreened for a subject on which findings stand: their policies evaluate it too. With a screen of
// Screen.Only they don't, because they have done so before.
func (ev *Evaluator) EvalStanding(ctx context.Context, s *Screen, row access.Row, mask []uint64, emit func(Result) error) error {
	how := screened{counted: true, mask: mask, again: s.again}
	if stands := ev.engine.options.Stands; stands != nil {
		w := ev.work[s.lane]
		subject := w.identity.subject(row)
		how.stands = func(rule int) bool { return stands(w.rules[rule].ID, subject) }
	}
	return ev.evalScreened(ctx, s, row, how, emit)
}

func (ev *Evaluator) evalScreened(ctx context.Context, s *Screen, row access.Row, how screened, emit func(Result) error) error {
	w := ev.work[s.lane]
	if want := MaskWords(len(w.rules)); len(how.mask) != want {
		return fmt.Errorf("evaluate %s: mask of %d words, want %d", s.Kind, len(how.mask), want)
	}
	if len(row) != len(w.columns.index) {
		return fmt.Errorf("evaluate %s: row has %d columns, want %d", s.Kind, len(row), len(w.columns.index))
	}
	return ev.eval(ctx, w, row, w.identity.subject(row), how, emit)
}

// MaskWords is how many words a mask of so many flags has.
func MaskWords(flags int) int { return (flags + 63) / 64 }

// Doubt is a policy whose predicate has passed over a subject that the policy flags. It is a fault of the prefilter, never
// of the policy.
type Doubt struct {
	Policy  string
	Subject finding.Subject // one of them
}

func (d Doubt) String() string {
	return fmt.Sprintf("%s flags %s %s, which the prefilter passed over", d.Policy, d.Subject.Kind, subjectName(d.Subject))
}

func (e *Engine) doubt(r *rule, subject finding.Subject) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.doubts[r.ID]; !ok {
		e.doubts[r.ID] = Doubt{r.ID, subject}
	}
}

// Doubts lists what samples have shown, by policy. Such a policy has to judge all that was passed over: see Screen.Only.
func (e *Engine) Doubts() []Doubt {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []Doubt
	for _, id := range slices.Sorted(maps.Keys(e.doubts)) {
		out = append(out, e.doubts[id])
	}
	return out
}
