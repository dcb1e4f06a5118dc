package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/config"
	"github.com/lapse-audit/lapse/internal/remediate"
	"github.com/lapse-audit/lapse/internal/store"
)

// current are the inputs of a run, with the snapshots that were taken since in their place.
func (a *App) current(ctx context.Context, run store.RunInfo) ([]store.RunInput, error) {
	inputs, err := a.store.Inputs(ctx, run.ID)
	if err != nil {
		return nil, err
	}
	for i := range inputs {
		in := &inputs[i]
		later, err := a.store.Snapshots(ctx, store.SnapshotFilter{Source: in.Source, From: in.Taken.Add(time.Millisecond)})
		if err != nil {
			return nil, err
		}
		j := slices.IndexFunc(later, func(s store.Snapshot) bool { return s.Status != store.Staged })
		if j < 0 {
			continue
		}
		last := later[j]
		if last.Status == store.Quarantined {
			in.Status, in.Reason = store.InputQuarantined, fmt.Sprint(last.Reasons)
			continue
		}
		in.Snapshot, in.Status, in.Reason, in.Taken, in.AsOf = last.ID, store.InputFresh, "", last.TakenAt, last.AsOf
		in.Reads, in.Coverage = last.Reads, last.Coverage
	}
	return inputs, nil
}

// facts are what the guards and the maker of a plan need to know: of every source how it stands, and of the wanted
// accounts, by source, what the last snapshot says.
func (a *App) facts(ctx context.Context, run store.RunInfo, inputs []store.RunInput, wanted map[string][]string) (remediate.Facts, error) {
	out := remediate.Facts{}
	for _, in := range inputs {
		i := slices.IndexFunc(a.Config.Sources, func(s config.Source) bool { return s.UID == in.Source })
		if i < 0 {
			continue
		}
		src := &remediate.Source{UID: in.Source, Name: in.Name, Authority: a.Config.Sources[i].Authority, Status: in.Status, Taken: in.Taken, AsOf: in.AsOf, Roster: in.Roster,
			Accounts: map[string]access.Account{}, Links: map[string]access.Link{}, Grants: map[string][]access.Grant{}, Nested: map[string][]string{},
			Entitlements: map[string]access.Entitlement{}, Seats: map[string][]access.Seat{}}
		out[in.Source] = src
		ids := wanted[in.Source]
		if in.Snapshot == 0 {
			continue
		}
		snap, err := a.store.SnapshotByID(ctx, in.Source, in.Snapshot)
		if err != nil {
			return nil, err
		}
		src.Total = snap.Records[store.KindAccounts]
		if len(ids) == 0 {
			continue
		}
		if err := a.holdings(ctx, run, in, src, ids); err != nil {
			return nil, err
		}
		a.equip(src)
	}
	return out, nil
}

// equip says what can be changed in a source.
func (a *App) equip(src *remediate.Source) {
	c, err := a.Changer(src.UID)
	if err == nil {
		src.Abilities, err = c.Abilities()
	}
	if err != nil {
		src.Cannot = err
		return
	}
	src.Live = true
}

// holdings reads what a snapshot says of some accounts.
func (a *App) holdings(ctx context.Context, run store.RunInfo, in store.RunInput, src *remediate.Source, ids []string) error {
	slices.Sort(ids)
	ids = slices.Compact(ids)
	accounts, err := a.store.AccountsByID(ctx, in.Source, in.Snapshot, ids)
	if err != nil {
		return err
	}
	for _, acc := range accounts {
		src.Accounts[acc.ID] = acc
	}
	links, err := a.store.AccountLinks(ctx, run.ID, in.Source, ids)
	if err != nil {
		return err
	}
	for _, l := range links {
		src.Links[l.AccountID] = l
	}
	grants, err := a.store.GrantsOf(ctx, in.Source, in.Snapshot, ids)
	if err != nil {
		return err
	}
	for _, g := range grants {
		src.Grants[g.HolderID] = append(src.Grants[g.HolderID], g)
	}
	nested, err := a.store.Nested(ctx, in.Source, in.Snapshot)
	if err != nil {
		return err
	}
	for _, g := range nested {
		src.Nested[g.HolderID] = append(src.Nested[g.HolderID], g.EntitlementID)
	}
	seats, err := a.store.SeatsOf(ctx, in.Source, in.Snapshot, ids)
	if err != nil {
		return err
	}
	for _, s := range seats {
		src.Seats[s.AccountID] = append(src.Seats[s.AccountID], s)
	}
	keys, err := a.store.KeysOf(ctx, in.Source, in.Snapshot, ids)
	if err != nil {
		return err
	}
	for _, k := range keys {
		acc := src.Accounts[k.AccountID]
		acc.Keys = append(acc.Keys, k.Key)
		src.Accounts[k.AccountID] = acc
	}
	for e, err := range a.store.Entitlements(ctx, in.Source, in.Snapshot) {
		if err != nil {
			return err
		}
		src.Entitlements[e.ID] = e
	}
	return nil
}

// wanted are the accounts of a plan's steps, by source.
func wanted(steps []remediate.Step) map[string][]string {
	out := map[string][]string{}
	for _, s := range steps {
		if s.Change.Object.Kind == access.HolderAccount {
			out[s.Source] = append(out[s.Source], s.Change.Object.ID)
		}
	}
	return out
}

// readAnew reads those sources again that which chooses, and gives the inputs as they are then.
func (a *App) readAnew(ctx context.Context, o ScanOptions, run store.RunInfo, inputs []store.RunInput, which func(store.RunInput) bool) ([]store.RunInput, error) {
	o.Sources = nil
	for _, in := range inputs {
		if which(in) {
			o.Sources = append(o.Sources, in.Source)
		}
	}
	if len(o.Sources) == 0 {
		return inputs, nil
	}
	if _, err := a.Collect(ctx, o); err != nil {
		return nil, err
	}
	return a.current(ctx, run)
}
