package scan

import (
	"context"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/policy"
	"github.com/lapse-audit/lapse/internal/store"
)

// Lane says how policies are evaluated.
type Lane string

// In the full lane every policy judges every subject. In the prefilter lane the store is first asked which policies can flag
// a subject at all, and only those judge it; both find the same. LaneAuto prefilters kinds of many subjects.
const (
	LaneAuto      Lane = "auto"
	LaneFull      Lane = "full"
	LanePrefilter Lane = "prefilter"
)

const (
	// manySubjects is from how many subjects on translating the policies pays.
	manySubjects = 20_000
	// sampleSize is about how many subjects of a kind are judged by all policies, to check the prefilter; of few subjects one in
	// sampleShare, so that the check doesn't cost more than what it checks.
	sampleSize  = 2000
	sampleShare = 20
)

// screening is the prefilter lane for one kind of subject.
type screening struct {
	screen *policy.Screen
	asked  store.Screen
	again  bool // its subjects are counted
}

// screening prepares the prefilter lane; nil: the full lane it is.
func (o Options) screening(ctx context.Context, engine *policy.Engine, run *store.Run, standing *standing, kind access.SubjectKind) (*screening, error) {
	if o.Lane == "" || o.Lane == LaneFull {
		return nil, nil
	}
	subjects, err := run.SubjectCount(ctx, kind)
	if err != nil {
		return nil, err
	}
	if o.Lane == LaneAuto && subjects < manySubjects {
		return nil, nil
	}
	screen, err := engine.Screen(ctx, kind)
	if err != nil {
		return nil, err
	}
	if screen == nil {
		o.Log.Debug("policies judge every subject: some are set by source", "subjects", kind)
		return nil, nil
	}
	if o.tamper != nil {
		o.tamper(screen)
	}
	for _, c := range screen.Coverage {
		if c.Lane == policy.LaneFull {
			o.Log.Debug("policy judges every subject", "policy", c.Policy, "reason", c.Why)
		}
	}
	s := newScreening(screen, run.ID, subjects/sampleSize)
	s.asked.Stands = func(flag int, source, subject string) bool {
		return standing.stands(screen.Coverage[flag].Policy, finding.Subject{Kind: kind, Source: source, ID: subject})
	}
	return s, nil
}

// newScreening samples one in so many of the subjects.
func newScreening(screen *policy.Screen, seed, every uint64) *screening {
	s := &screening{screen: screen, asked: asked(screen)}
	s.asked.Sample = store.Sample{Seed: seed, Every: max(sampleShare, every)}
	return s
}

// asked is a screen as the store takes it.
func asked(s *policy.Screen) store.Screen {
	out := store.Screen{Atoms: s.Atoms, Flags: s.Flags, Facts: s.Facts, Columns: s.Columns, Always: s.Always}
	for _, p := range s.Parameters {
		out.Parameters = append(out.Parameters, store.Parameter{Name: p.Name, Value: p.Value})
	}
	return out
}

// only is the screening that flags, of some policies, what s has passed over and the sample did not show.
func (s *screening) only(policies []string) *screening {
	screen := s.screen.Only(policies)
	again := &screening{screen: screen, asked: asked(screen), again: true}
	again.asked.Sample = s.asked.Sample
	again.asked.Sample.LeftOut = true
	again.asked.Stands = s.asked.Stands
	return again
}

// judge counts a slice's subjects, unless that was done before, and evaluates those that some policy may flag, and the sample.
func (s *screening) judge(ctx context.Context, run *store.Run, ev *policy.Evaluator, kind access.SubjectKind, slice int, h taker) error {
	screened, err := run.Screen(ctx, kind, slice, s.asked)
	if err != nil {
		return err
	}
	if !s.again {
		if err := s.count(ev, screened); err != nil {
			return err
		}
	}
	return s.evaluate(ctx, ev, screened, h)
}

// count counts the subjects of a slice.
func (s *screening) count(ev *policy.Evaluator, screened *store.Screening) error {
	for _, c := range screened.Counts {
		if err := ev.Count(s.screen, c.Source, c.Facts, c.Subjects); err != nil {
			return err
		}
	}
	return nil
}

// evaluate evaluates what needs looking at.
func (s *screening) evaluate(ctx context.Context, ev *policy.Evaluator, screened *store.Screening, h taker) error {
	for subject, err := range screened.Subjects(ctx) {
		if err != nil {
			return err
		}
		if subject.Stands && !subject.Sample {
			err = ev.EvalStanding(ctx, s.screen, subject.Row, subject.Mask, h.add)
		} else {
			err = ev.EvalScreened(ctx, s.screen, subject.Row, subject.Mask, subject.Sample, h.add)
		}
		if err != nil {
			return err
		}
		if err := h.writeMany(); err != nil {
			return err
		}
	}
	return nil
}
