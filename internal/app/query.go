package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/spell"
	"github.com/lapse-audit/lapse/internal/store"
)

// Means refuses a query for what there isn't: a misspelt policy, source, person or department finds nothing, and nothing found passes
// for clean. What the run or the one before it knew is known, whether it is still in lapse.yaml or not.
func (a *App) Means(ctx context.Context, q FindingQuery) error {
	run, err := a.run(ctx, q.Run)
	if err != nil {
		return err
	}
	if len(q.Policies) > 0 {
		known, err := a.knownPolicies(ctx, run)
		if err != nil {
			return err
		}
		if err := among("policy", q.Policies, known, "`lapse policy list` has them"); err != nil {
			return err
		}
	}
	if len(q.Sources) > 0 {
		known, err := a.knownSources(ctx, run)
		if err != nil {
			return err
		}
		if err := among("source", q.Sources, known, "there are "+strings.Join(known, ", ")); err != nil {
			return err
		}
	}
	return nil
}

// MeansPeople is Means for the person and the department, of which it is asked when nothing was found: a person who is gone may
// still have findings that closed.
func (a *App) MeansPeople(ctx context.Context, q FindingQuery) error {
	if q.Person == "" && q.Department == "" {
		return nil
	}
	run, err := a.run(ctx, q.Run)
	if err != nil {
		return err
	}
	var person bool
	departments := map[string]bool{}
	for p, err := range a.store.RunPeople(ctx, run.ID) {
		if err != nil {
			return err
		}
		person = person || p.Key == q.Person
		departments[p.Department] = true
	}
	if q.Person != "" && !person {
		return fmt.Errorf("run %d knows nobody whose key is %q: it is ROSTER:ID, as `lapse findings show` prints it", run.ID, q.Person)
	}
	if q.Department != "" {
		return among("department", []string{q.Department}, slices.Sorted(maps.Keys(departments)), fmt.Sprintf("nobody in run %d is in it", run.ID))
	}
	return nil
}

// Caveats says in words what stands between the findings of a query and what is the case: why the run is incomplete, and which of
// the policies judged nothing in it.
func (a *App) Caveats(ctx context.Context, q FindingQuery) ([]string, error) {
	run, err := a.run(ctx, q.Run)
	if err != nil {
		return nil, err
	}
	var out []string
	if run.Status != store.RunComplete {
		out = append(out, fmt.Sprintf("run %d of %s is incomplete: %s", run.ID, run.Time.In(a.Config.Location).Format("2006-01-02 15:04 MST"), strings.Join(run.Reasons, "; ")))
	}
	if len(q.Policies) == 0 {
		return out, nil
	}
	tallies, err := a.store.Tallies(ctx, run.ID)
	if err != nil {
		return nil, err
	}
	evaluated := map[string]uint64{}
	for _, t := range tallies {
		evaluated[t.Policy] += t.Evaluated
	}
	for _, policy := range q.Policies {
		if evaluated[policy] == 0 {
			out = append(out, fmt.Sprintf("%s has judged nothing in run %d: it is off, or what it needs to know is not known", policy, run.ID))
		}
	}
	return out, nil
}

func (a *App) knownPolicies(ctx context.Context, run store.RunInfo) ([]string, error) {
	known := map[string]bool{}
	if pack, err := a.Pack(); err == nil { // a broken rule of one's own is no reason not to be told what the others found
		for _, p := range pack.Policies() {
			known[p.ID] = true
		}
	}
	for _, id := range []uint64{run.ID, run.Previous} {
		tallies, err := a.store.Tallies(ctx, id)
		if err != nil {
			return nil, err
		}
		for _, t := range tallies {
			known[t.Policy] = true
		}
	}
	return slices.Sorted(maps.Keys(known)), nil
}

func (a *App) knownSources(ctx context.Context, run store.RunInfo) ([]string, error) {
	known := map[string]bool{}
	for _, s := range a.Config.Sources {
		known[s.UID] = true
	}
	for _, id := range []uint64{run.ID, run.Previous} {
		inputs, err := a.store.Inputs(ctx, id)
		if err != nil {
			return nil, err
		}
		for _, in := range inputs {
			known[in.Source] = true
		}
	}
	return slices.Sorted(maps.Keys(known)), nil
}

// among refuses names that are not known, each with the nearest one that is.
func among(what string, names, known []string, otherwise string) error {
	var errs []error
	for _, name := range names {
		if slices.Contains(known, name) {
			continue
		}
		mend := otherwise
		if near := spell.Nearest(name, known); near != "" {
			mend = fmt.Sprintf("did you mean %s?", near)
		}
		errs = append(errs, fmt.Errorf("there is no %s %s: %s", what, name, mend))
	}
	return errors.Join(errs...)
}
