package scan

import (
	"context"
	"iter"

	"github.com/lapse-audit/lapse/internal/access"
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
	// sampleSize is about how many subjects of a kind are judged by all policies, to check the prefilter.
	sampleSize uint64 = 2000
)

// screening is the prefilter lane for one kind of subject.
type screening struct {
	screen *policy.Screen
	asked  store.Screen
}

// screenable is a run whose subjects can be screened.
type screenable interface {
	SubjectCount(ctx context.Context, kind access.SubjectKind) (uint64, error)
	CountVerdicts(ctx context.Context, kind access.SubjectKind, slice int, s store.Screen) ([]store.VerdictCount, error)
	ScreenSubjects(ctx context.Context, kind access.SubjectKind, slice int, s store.Screen) iter.Seq2[store.Screened, error]
}

// screening prepares the prefilter lane; nil: the full lane it is.
func (o Options) screening(ctx context.Context, engine *policy.Engine, run *store.Run, kind access.SubjectKind) (*screening, error) {
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
	return newScreening(screen, run.ID, subjects, sampleSize), nil
}

// newScreening samples about so many of the subjects.
func newScreening(screen *policy.Screen, seed, subjects, sample uint64) *screening {
	s := &screening{screen, asked(screen)}
	s.asked.Sample = store.Sample{Seed: seed, Every: max(1, subjects/sample)}
	return s
}

// asked is a screen as the store takes it.
func asked(s *policy.Screen) store.Screen {
	out := store.Screen{Atoms: s.Atoms, Flags: s.Flags, Verdicts: s.Verdicts}
	for _, p := range s.Parameters {
		out.Parameters = append(out.Parameters, store.Parameter{Name: p.Name, Value: p.Value})
	}
	return out
}

// only is the screening that flags, of some policies, what s has passed over and the sample did not show.
func (s *screening) only(policies []string) *screening {
	screen := s.screen.Only(policies)
	again := &screening{screen, asked(screen)}
	again.asked.Sample = s.asked.Sample
	again.asked.Sample.LeftOut = true
	return again
}

// count counts a slice's subjects, as judge expects it.
func (s *screening) count(ctx context.Context, run screenable, ev *policy.Evaluator, kind access.SubjectKind, slice int) error {
	counts, err := run.CountVerdicts(ctx, kind, slice, s.asked)
	if err != nil {
		return err
	}
	for _, c := range counts {
		if err := ev.Count(s.screen, c.Source, c.Verdicts, c.Subjects); err != nil {
			return err
		}
	}
	return nil
}

// judge evaluates those subjects of a slice that some policy may flag, and the sample.
func (s *screening) judge(ctx context.Context, run screenable, ev *policy.Evaluator, kind access.SubjectKind, slice int, h *hits) error {
	return s.each(ctx, run, ev, kind, slice, h.add, h.writeMany)
}

// each does so; after follows each subject.
func (s *screening) each(ctx context.Context, run screenable, ev *policy.Evaluator, kind access.SubjectKind, slice int, emit func(policy.Result) error, after func() error) error {
	for subject, err := range run.ScreenSubjects(ctx, kind, slice, s.asked) {
		if err != nil {
			return err
		}
		if subject.Stands && !subject.Sample {
			err = ev.EvalStanding(ctx, s.screen, subject.Row, subject.Mask, emit)
		} else {
			err = ev.EvalScreened(ctx, s.screen, subject.Row, subject.Mask, subject.Sample, emit)
		}
		if err != nil {
			return err
		}
		if err := after(); err != nil {
			return err
		}
	}
	return nil
}
