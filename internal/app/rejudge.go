package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/policy"
	"github.com/lapse-audit/lapse/internal/scan"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
)

// Chosen says which policies are to be tried: those named by id, those whose files lie below the folders that AddPolicies
// returned, or with neither those that differ from what the last run was judged by.
type Chosen struct {
	IDs   []string
	Below []string
}

// candidate is a policy to try, and how it differs from what the last run was judged by.
type candidate struct {
	policy.Policy
	Change string // new, changed or unchanged
}

func (a *App) candidates(ctx context.Context, c Chosen, last store.RunInfo) ([]candidate, error) {
	pack, err := a.Pack()
	if err != nil {
		return nil, err
	}
	judged, err := a.store.JudgedBy(ctx, last.ID)
	if err != nil {
		return nil, err
	}
	var out []candidate
	for _, p := range pack.Policies() {
		change := "unchanged"
		switch hash, ok := judged[p.ID]; {
		case !ok:
			change = "new"
		case hash != p.Hash:
			change = "changed"
		}
		chosen := slices.Contains(c.IDs, p.ID) || slices.ContainsFunc(c.Below, func(b string) bool { return b == "." || strings.HasPrefix(p.File, b+"/") })
		if len(c.IDs) == 0 && len(c.Below) == 0 {
			chosen = p.Enabled && change != "unchanged"
		}
		if chosen {
			out = append(out, candidate{p, change})
		}
	}
	for _, id := range c.IDs {
		if _, ok := pack.Policy(id); !ok {
			return nil, fmt.Errorf("there is no policy %s: `lapse policy list` has them all", id)
		}
	}
	switch {
	case len(out) > 0:
		return out, nil
	case len(c.Below) > 0:
		return nil, fmt.Errorf("there is no policy in %s", strings.Join(c.Below, ", "))
	}
	return nil, errors.New("no policy differs from what the last run was judged by: name a folder, or a policy with --policy")
}

// rejudging runs f under the lease that whoever makes subjects holds: the tables in which they are made are one run's.
func (a *App) rejudging(ctx context.Context, who string, f func(context.Context, *store.Store) error) error {
	decisions, err := a.State(ctx)
	if err != nil {
		return err
	}
	s, err := a.Store(ctx)
	if err != nil {
		return err
	}
	return scan.Writing(ctx, decisions, holder(who), a.Log, func(ctx context.Context, _ *state.Lease) error { return f(ctx, s) })
}

// rejudgingBy judges by some policies as a scan does. Close it.
func (a *App) rejudgingBy(s *store.Store, pack *policy.Pack, policies []string) *scan.Rejudging {
	return &scan.Rejudging{Store: s, Pack: pack, Only: policies, Workers: a.Config.Scan.Workers, Lane: scan.Lane(a.Config.Scan.Lane)}
}

// Count is a number of findings that share something.
type Count struct {
	Of   string `json:"of"`             // a source's uid, a person's key or a role
	Name string `json:"name,omitempty"` // of the person, where it is known
	N    int    `json:"n"`
}

// counted turns counts into a list, the greatest first.
func counted(counts map[string]int, name func(string) string) []Count {
	out := []Count{}
	for _, of := range slices.Sorted(maps.Keys(counts)) {
		c := Count{Of: of, N: counts[of]}
		if n := name(of); n != of {
			c.Name = n
		}
		out = append(out, c)
	}
	slices.SortStableFunc(out, func(a, b Count) int { return cmp.Compare(b.N, a.N) })
	return out
}

// peopleNames names the people of a run.
func (a *App) peopleNames(ctx context.Context, run uint64) (func(string) string, error) {
	names := map[string]string{}
	for p, err := range a.store.RunPeople(ctx, run) {
		if err != nil {
			return nil, err
		}
		names[p.Key] = p.Name
	}
	return func(of string) string { return cmp.Or(names[of], of) }, nil
}

func ids(candidates []candidate) []string {
	out := make([]string, len(candidates))
	for i, c := range candidates {
		out[i] = c.ID
	}
	return out
}

// LastRun is the clock of the last run.
func (a *App) LastRun(ctx context.Context) (time.Time, error) {
	r, err := a.run(ctx, 0)
	return r.Time, err
}
