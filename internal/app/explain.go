package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/policy"
	"github.com/lapse-audit/lapse/internal/scan"
	"github.com/lapse-audit/lapse/internal/store"
)

// Explanation says how a finding came about.
type Explanation struct {
	Finding     finding.Finding
	Description string
	File        string
	Input       any              // the subject as the policy saw it; nil if the last run has it no more
	Why         policy.Explained // the lines that hold, of the policy as it is now
	WhyNot      string           // why there are none, "" if there are
}

// Explain finds what the policy judged, and which of its lines held. trace asks for the whole evaluation too.
func (a *App) Explain(ctx context.Context, prefix string, trace bool) (Explanation, error) {
	f, err := a.Finding(ctx, prefix)
	if err != nil {
		return Explanation{}, err
	}
	e := Explanation{Finding: f}
	pack, err := a.Pack()
	if err != nil {
		return e, err
	}
	p, known := pack.Policy(f.Policy)
	e.Description, e.File = p.Description, p.File
	row, run, err := a.subject(ctx, f.Subject)
	switch {
	case errors.Is(err, store.ErrNotFound):
		e.WhyNot = "the last run has no such subject any more"
		return e, nil
	case err != nil:
		return e, err
	}
	e.Input = access.Document(f.Subject.Kind, row)
	if !known {
		e.WhyNot = "there is no policy " + f.Policy + " any more"
		return e, nil
	}
	if e.Why, err = policy.Explain(ctx, pack, f.Policy, f.Key, row, policy.EngineOptions{Time: run.Time, RunID: int64(run.ID)}, trace); err != nil {
		return e, err
	}
	if !e.Why.Holds {
		e.WhyNot = "the policy, as it is now, does not flag the subject as it was in the last run"
	}
	return e, nil
}

// subject is one of the last run's. Those are kept until another run's are made: then they are made again.
func (a *App) subject(ctx context.Context, subject finding.Subject) (access.Row, store.RunInfo, error) {
	run, err := a.run(ctx, 0)
	if err != nil {
		return nil, run, err
	}
	row, err := a.store.Subject(ctx, run.ID, subject)
	if !errors.Is(err, store.ErrNotFound) {
		return row, run, err
	}
	err = a.rejudging(ctx, "lapse explain", func(ctx context.Context, s *store.Store) (err error) {
		row, err = scan.Subject(ctx, s, run.ID, subject)
		return err
	})
	return row, run, err
}

// Recorded is a test case that was made from a finding.
type Recorded struct {
	Policy policy.Policy
	Text   string
	File   string // that it was added to; "" if to none
}

// Record makes a test case of a finding's subject, anonymous, and if write is true adds it to the tests beside the policy.
func (a *App) Record(ctx context.Context, prefix string, write bool) (Recorded, error) {
	f, err := a.Finding(ctx, prefix)
	if err != nil {
		return Recorded{}, err
	}
	pack, err := a.Pack()
	if err != nil {
		return Recorded{}, err
	}
	p, ok := pack.Policy(f.Policy)
	if !ok {
		return Recorded{}, fmt.Errorf("finding %s: there is no policy %s any more", prefix, f.Policy)
	}
	row, run, err := a.subject(ctx, f.Subject)
	if errors.Is(err, store.ErrNotFound) {
		return Recorded{}, fmt.Errorf("finding %s: the last run has no such subject any more", prefix)
	}
	if err != nil {
		return Recorded{}, err
	}
	r := Recorded{Policy: p}
	r.Text, err = policy.Record(ctx, pack, p.ID, string(f.Fingerprint[:10]), row, policy.EngineOptions{Time: run.Time, RunID: int64(run.ID)})
	if err != nil || !write {
		return r, err
	}
	if IsBuiltIn(p.File) {
		return r, fmt.Errorf("%s comes with the program: print the test case with --print, and put it into a folder of your own", p.ID)
	}
	r.File, err = policy.AppendTest(p, r.Text)
	return r, err
}
