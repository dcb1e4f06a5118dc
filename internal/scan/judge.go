package scan

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"runtime/debug"
	"slices"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/correlate"
	"github.com/lapse-audit/lapse/internal/nesting"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
)

// judgeAll makes the run over what was collected and publishes it.
func judgeAll(ctx context.Context, o Options, l *state.Lease, out *Outcome) error {
	in, err := inputs(ctx, o, out.Collected)
	if err != nil {
		return err
	}
	run, err := o.Store.BeginRun(ctx, store.RunSpec{Time: o.Time, Inputs: in})
	if err != nil {
		return err
	}
	o.Progress.Phase("linking accounts to people", 0)
	if err := link(ctx, o, run); err != nil {
		return err
	}
	o.Progress.Phase("closing nested memberships", 0)
	if err := run.Number(ctx); err != nil {
		return err
	}
	if err := run.WriteClosure(ctx, closure(ctx, run)); err != nil {
		return err
	}
	judged, err := evaluate(ctx, o, run)
	debug.FreeOSMemory() // what a process that runs on doesn't need until the next night
	if err != nil {
		return err
	}
	out.Failed = judged.failed
	o.Progress.Phase("carrying findings on", 0)
	if out.Run, err = finish(ctx, o, l, run, judged); err != nil {
		return err
	}
	_, err = o.Store.Prune(ctx, o.Retention, o.Time)
	return err
}

// link says who the people are and whose each account is. All people are in memory meanwhile, and nothing after it needs as
// much: so little is left lying about beside them, and what they took is given back at once.
func link(ctx context.Context, o Options, run *store.Run) error {
	defer debug.FreeOSMemory()
	defer collect.Frugal()()
	var records []correlate.RosterRecord
	for _, in := range run.Inputs {
		if !in.Roster || in.Snapshot == 0 {
			continue
		}
		snapshot, err := o.Store.SnapshotByID(ctx, in.Source, in.Snapshot)
		if err != nil {
			return err
		}
		records = slices.Grow(records, int(snapshot.Records[store.KindPeople]))
		for p, err := range o.Store.Workers(ctx, in.Source, in.Snapshot) {
			if err != nil {
				return err
			}
			records = append(records, correlate.RosterRecord{Roster: in.Source, Person: p})
		}
	}
	joins, err := joined(ctx, o.State)
	if err != nil {
		return err
	}
	people := correlate.Identities(records, joins, o.Time)
	if err := run.WritePeople(ctx, seq(people.All())); err != nil {
		return err
	}
	manual, err := manualLinks(ctx, o.State)
	if err != nil {
		return err
	}
	rosters := map[string][]string{}
	for _, s := range o.Sources {
		rosters[s.UID] = s.EmployeeIDs
	}
	linker := correlate.NewLinker(people, correlate.Options{
		Manual: manual, EmployeeIDRosters: func(source string) []string { return rosters[source] },
	})
	foreign, err := foreign(ctx, run, linker)
	if err != nil {
		return err
	}
	return run.WriteLinks(ctx, links(ctx, o.Store, run, linker, foreign))
}

// foreign gathers whom the foreign security principals stand for. Of all SIDs only theirs are kept in memory.
func foreign(ctx context.Context, run *store.Run, linker *correlate.Linker) (*correlate.Foreign, error) {
	found, err := run.Bearers(ctx)
	if err != nil {
		return nil, err
	}
	bearers := make([]correlate.SIDBearer, len(found))
	for i, b := range found {
		bearers[i] = correlate.SIDBearer(b)
	}
	return linker.NewForeign(bearers), nil
}

// links links one account after the other, and the foreign security principals after all others.
func links(ctx context.Context, s *store.Store, run *store.Run, linker *correlate.Linker, foreign *correlate.Foreign) iter.Seq2[access.Link, error] {
	return func(yield func(access.Link, error) bool) {
		for _, in := range run.Inputs {
			if in.Snapshot == 0 {
				continue
			}
			for a, err := range s.AccountsToLink(ctx, in.Source, in.Snapshot) {
				if err != nil {
					yield(access.Link{}, err)
					return
				}
				link := linker.Link(in.Source, correlate.Account{
					ID: a.ID, EmployeeID: a.EmployeeIDKey, Email: a.EmailKey, Username: a.UsernameKey, CreatedAt: a.CreatedAt, Kind: a.Kind,
				})
				if !foreign.Take(link) && !yield(link, nil) {
					return
				}
			}
		}
		for link := range foreign.Links() {
			if !yield(link, nil) {
				return
			}
		}
	}
}

// joined maps the keys of joined records to the key of the first of them, which stands for the person.
func joined(ctx context.Context, s *state.State) (correlate.Joins, error) {
	all, err := s.Joins(ctx)
	if err != nil {
		return nil, err
	}
	out := correlate.Joins{}
	for _, j := range all {
		first := access.PersonKey(j.Records[0].Source, j.Records[0].ID)
		for _, r := range j.Records[1:] {
			out[access.PersonKey(r.Source, r.ID)] = first
		}
	}
	return out, nil
}

func manualLinks(ctx context.Context, s *state.State) ([]correlate.ManualLink, error) {
	all, err := s.Links(ctx, state.LinkFilter{})
	if err != nil {
		return nil, err
	}
	var out []correlate.ManualLink
	for _, l := range all {
		m := correlate.ManualLink{Source: l.Account.Source, AccountID: l.Account.ID, Denied: l.Verdict == state.IsNot}
		if l.Verdict != state.Nobody {
			m.Person = access.PersonKey(l.Person.Source, l.Person.ID)
		}
		out = append(out, m)
	}
	return out, nil
}

// errEnough ends a closure whose reader has stopped.
var errEnough = errors.New("the reader has stopped")

// nested is a run with nested memberships.
type nested interface {
	Edges(context.Context) iter.Seq2[store.Edge, error]
}

func closure(ctx context.Context, run nested) iter.Seq2[store.Reach, error] {
	edges := func(yield func(nesting.Edge, error) bool) {
		for e, err := range run.Edges(ctx) {
			if !yield(nesting.Edge{From: e.Holder, To: e.Entitlement}, err) {
				return
			}
		}
	}
	return func(yield func(store.Reach, error) bool) {
		_, err := nesting.Close(ctx, edges, nesting.Options{MaxPairs: maxPairs}, func(p nesting.Pair) error {
			if !yield(store.Reach{Holder: p.From, Entitlement: p.To, Depth: int(p.Depth), Path: p.Path}, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(store.Reach{}, err)
		}
	}
}

// maxPairs bounds the closure of nested memberships: more is a directory in which nearly everything holds everything.
const maxPairs = 200_000_000

// staleNights counts, for each source, the runs in a row up to the last one that had no fresh snapshot of it.
func staleNights(ctx context.Context, o Options) (map[string]int, error) {
	last, err := o.Store.LatestRun(ctx, o.Time)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	in, err := o.Store.Inputs(ctx, last.ID)
	if err != nil {
		return nil, err
	}
	out := map[string]int{}
	for _, i := range in {
		out[i.Source] = i.StaleNights
	}
	return out, nil
}

// forward refuses a run before the last one: findings are carried on from run to run, and can't be carried back.
func forward(ctx context.Context, o Options) error {
	last, err := o.Store.LatestRun(ctx, time.Time{})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	case last.Time.After(o.Time):
		return fmt.Errorf("run %d was at %s, after %s: runs go forward; scan older exports into a store of their own",
			last.ID, last.Time.Format(time.RFC3339), o.Time.Format(time.RFC3339))
	}
	return nil
}

// seq adds the error that never comes.
func seq[T any](values iter.Seq[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for v := range values {
			if !yield(v, nil) {
				return
			}
		}
	}
}

// sortedKeys lists the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
