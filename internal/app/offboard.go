package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/remediate"
	"github.com/lapse-audit/lapse/internal/scan"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
)

// OffboardQuery says who leaves, and how.
type OffboardQuery struct {
	Person       string    // key, id, e-mail, user name or name
	On           time.Time // from when on; zero: what HR says
	Now          bool      // at once, whatever HR says yet
	Reason       string
	HandoverTo   string // who takes over; "" is the manager
	Confidential bool
	Renew        bool // make a new plan in the place of the one that is open
	Scan         ScanOptions
}

// ErrUnderWay means that a person's offboarding is under way by a plan.
type ErrUnderWay struct{ Plan state.Plan }

func (e *ErrUnderWay) Error() string {
	return fmt.Sprintf("plan %s of %s is under way: `lapse offboard certificate %s` shows how it stands", e.Plan.ID, e.Plan.Made.Format("2006-01-02"), e.Plan.ID)
}

// Offboard plans all that is done when a person leaves, from what every source says now.
func (a *App) Offboard(ctx context.Context, actor state.Actor, q OffboardQuery, dry bool) (Drafted, error) {
	run, err := a.run(ctx, 0)
	if err != nil {
		return Drafted{}, err
	}
	decisions, err := a.State(ctx)
	if err != nil {
		return Drafted{}, err
	}
	person, err := a.Person(ctx, q.Person)
	if err != nil {
		return Drafted{}, err
	}
	inputs, err := a.current(ctx, run)
	if err != nil {
		return Drafted{}, err
	}
	if !dry {
		old := func(in store.RunInput) bool { return a.Now().Sub(in.Taken) > time.Hour }
		if inputs, err = a.readAnew(ctx, q.Scan, run, inputs, old); err != nil {
			return Drafted{}, err
		}
	}
	l := remediate.Leaving{Person: person.Identity, Handover: map[string]string{}}
	if l.From, err = a.leaves(person.Identity, q); err != nil {
		return Drafted{}, err
	}
	open, err := decisions.Plans(ctx, state.PlanFilter{Kind: remediate.KindOffboard, Person: person.Key})
	if err != nil {
		return Drafted{}, err
	}
	if len(open) > 0 && !q.Renew {
		return Drafted{}, &ErrUnderWay{open[0]}
	}
	m := remediate.Maker{Settings: a.Config.Remediation, Location: a.Config.Location,
		Plan: a.blank(actor, run, remediate.Plan{Query: "offboard " + person.Key, Emergency: q.Now, Reason: q.Reason, Confidential: q.Confidential})}
	if m.Facts, err = a.leaving(ctx, run, inputs, &l, q); err != nil {
		return Drafted{}, err
	}
	m.Offboard(l)
	if !dry {
		for _, p := range open {
			if err := decisions.EndPlan(ctx, actor, p.ID, "replaced by "+m.Plan.ID); err != nil {
				return Drafted{}, err
			}
		}
	}
	return a.record(ctx, actor, m.Finish(), m.Facts, dry)
}

// leaves says from when on a person has no access.
func (a *App) leaves(p access.Identity, q OffboardQuery) (time.Time, error) {
	switch {
	case q.Now && strings.TrimSpace(q.Reason) == "":
		return time.Time{}, errors.New("say why it can't wait for HR: --reason")
	case q.Now:
		return a.Now().UTC().Truncate(time.Second), nil
	case !q.On.IsZero():
		return q.On.UTC(), nil
	case p.EndAt != nil:
		return *p.EndAt, nil
	case p.Status == access.PersonEnded:
		return a.Now().UTC().Truncate(time.Second), nil
	}
	return time.Time{}, fmt.Errorf("%s is %s by what HR says, and has no end date: give --on TIME, or --now --reason WHY", p.Key, p.Status)
}

// Person finds the one person that is meant.
func (a *App) Person(ctx context.Context, query string) (store.RunPerson, error) {
	run, err := a.run(ctx, 0)
	if err != nil {
		return store.RunPerson{}, err
	}
	found, err := a.store.PersonByQuery(ctx, run.ID, query)
	switch {
	case err != nil:
		return store.RunPerson{}, err
	case len(found) == 0:
		return store.RunPerson{}, fmt.Errorf("the last run knows nobody called %q: give the key (ROSTER:ID), the e-mail address or the user name", query)
	case len(found) > 1:
		var keys []string
		for _, p := range found[:min(len(found), 5)] {
			keys = append(keys, fmt.Sprintf("%s (%s, %s)", p.Key, p.Name, p.Department))
		}
		return store.RunPerson{}, fmt.Errorf("%d people are called %q: %s: give the key", len(found), query, strings.Join(keys, ", "))
	}
	return found[0], nil
}

// leaving finds everything that a person has, as of the given snapshots.
func (a *App) leaving(ctx context.Context, run store.RunInfo, inputs []store.RunInput, l *remediate.Leaving, q OffboardQuery) (remediate.Facts, error) {
	links, err := a.linksNow(ctx, scan.Recheck{Inputs: inputs, Person: l.Person.Key})
	if err != nil {
		return nil, err
	}
	l.Accounts = links
	want := map[string][]string{}
	for _, link := range links {
		want[link.Source] = append(want[link.Source], link.AccountID)
	}
	for link, err := range a.store.Links(ctx, run.ID, "") {
		if err != nil {
			return nil, err
		}
		if link.Status == access.LinkDisputed && slices.Contains(link.Candidates, l.Person.Key) {
			l.Claimed = append(l.Claimed, link)
		}
	}
	if err := a.takeover(ctx, run, inputs, l, q.HandoverTo); err != nil {
		return nil, err
	}
	if err := a.owned(ctx, inputs, l); err != nil {
		return nil, err
	}
	inventory, err := a.Inventory(ctx)
	if err != nil {
		return nil, err
	}
	for _, one := range inventory {
		if one.Source == "" {
			l.Apart = append(l.Apart, remediate.Unconnected{Name: one.Name, Owner: one.Owner})
		}
	}
	for p, err := range a.store.RunPeople(ctx, run.ID) {
		if err != nil {
			return nil, err
		}
		if p.ManagerID == l.Person.Key && p.Status != access.PersonEnded {
			l.Reports = append(l.Reports, p.Name)
		}
	}
	facts, err := a.facts(ctx, run, inputs, want)
	if err == nil {
		relink(facts, links)
	}
	return facts, err
}

// linksNow links all accounts anew, and gives the links that are wanted.
func (a *App) linksNow(ctx context.Context, q scan.Recheck) ([]access.Link, error) {
	o, err := a.scanOptions(ctx, ScanOptions{})
	if err != nil {
		return nil, err
	}
	o.Holder = holder("lapse")
	found, err := o.Recheck(ctx, q)
	return found.Links, err
}

// relink puts links into facts that are newer than those of the last run.
func relink(facts remediate.Facts, links []access.Link) {
	for _, l := range links {
		if src := facts[l.Source]; src != nil {
			src.Links[l.AccountID] = l
		}
	}
}

// takeover finds the accounts of whoever takes over.
func (a *App) takeover(ctx context.Context, run store.RunInfo, inputs []store.RunInput, l *remediate.Leaving, who string) error {
	if who == "" {
		who = l.Person.ManagerID
	}
	if who == "" {
		return nil
	}
	taker, err := a.Person(ctx, who)
	if err != nil {
		return fmt.Errorf("who takes over: %w", err)
	}
	if taker.Status == access.PersonEnded {
		return fmt.Errorf("%s (%s) has left: give --handover-to somebody who is there", taker.Key, taker.Name)
	}
	l.Taker = taker.Name
	links, err := a.store.LinksOf(ctx, run.ID, taker.Key)
	if err != nil {
		return err
	}
	for _, link := range links {
		if _, ok := l.Handover[link.Source]; !ok {
			l.Handover[link.Source] = link.AccountID
		}
	}
	return nil
}

// owned finds what a person answers for.
func (a *App) owned(ctx context.Context, inputs []store.RunInput, l *remediate.Leaving) error {
	p := l.Person
	forms := append([]string{p.Key, p.ID, p.EmployeeID, p.Email, p.Username}, p.Aliases...)
	for _, in := range inputs {
		if in.Snapshot == 0 {
			continue
		}
		accounts, entitlements, err := a.store.OwnedBy(ctx, in.Source, in.Snapshot, forms)
		if err != nil {
			return err
		}
		for _, acc := range accounts {
			if !slices.ContainsFunc(l.Accounts, func(k access.Link) bool { return k.Source == in.Source && k.AccountID == acc.ID }) {
				l.Owned = append(l.Owned, remediate.Owned{Source: in.Source, Object: access.Object{Kind: access.HolderAccount, ID: acc.ID}, Name: acc.Username})
			}
		}
		for _, e := range entitlements {
			l.Owned = append(l.Owned, remediate.Owned{Source: in.Source, Object: access.Object{Kind: access.HolderEntitlement, ID: e.ID}, Name: e.Name})
		}
	}
	return nil
}

// Certificate says how an offboarding stands.
func (a *App) Certificate(ctx context.Context, name string) (remediate.Certificate, error) {
	decisions, err := a.State(ctx)
	if err != nil {
		return remediate.Certificate{}, err
	}
	if !strings.HasPrefix(name, "plan-") {
		person, err := a.Person(ctx, name)
		if err != nil {
			return remediate.Certificate{}, err
		}
		all, err := decisions.Plans(ctx, state.PlanFilter{Kind: remediate.KindOffboard, Person: person.Key, Ended: true})
		if err != nil {
			return remediate.Certificate{}, err
		}
		if len(all) == 0 {
			return remediate.Certificate{}, fmt.Errorf("%s has no offboarding: `lapse offboard %s` begins one", person.Key, person.Key)
		}
		name = all[0].ID
	}
	p, recorded, err := a.FindPlan(ctx, name)
	if err != nil {
		return remediate.Certificate{}, err
	}
	entries, err := decisions.ChangeEntries(ctx, state.ChangeFilter{Plan: p.ID})
	if err != nil {
		return remediate.Certificate{}, err
	}
	approvals, err := decisions.Approvals(ctx, p.ID)
	if err != nil {
		return remediate.Certificate{}, err
	}
	run, err := a.run(ctx, 0)
	if err != nil {
		return remediate.Certificate{}, err
	}
	inputs, err := a.current(ctx, run)
	if err != nil {
		return remediate.Certificate{}, err
	}
	var apps []remediate.CertifiedApp
	for _, in := range inputs {
		if !in.Roster {
			apps = append(apps, remediate.CertifiedApp{UID: in.Source, Name: in.Name, AsOf: in.Taken})
		}
	}
	c := remediate.Certify(p, recorded, entries, approvals, apps, a.Now())
	head, err := decisions.Head(ctx)
	if err != nil {
		return c, err
	}
	c.LedgerSeq, c.LedgerHash = head.Seq, head.Hash
	// What a run before the plan says of them is no news.
	if person, err := a.Person(ctx, p.Person); err == nil && run.Time.After(p.Made) {
		c.Status = string(person.Status)
		if person.EndAt != nil {
			c.Ended = *person.EndAt
		}
	}
	return c, nil
}

// Confidential are the plans that are told to nobody but those who carry them out: until they are done.
func (a *App) Confidential(ctx context.Context) (map[string]bool, error) {
	decisions, err := a.State(ctx)
	if err != nil {
		return nil, err
	}
	plans, err := decisions.Plans(ctx, state.PlanFilter{Kind: remediate.KindOffboard})
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, p := range plans {
		full, err := remediate.Unseal(p)
		if err != nil {
			return nil, err
		}
		out[p.ID] = full.Confidential
	}
	return out, nil
}

// OffboardState is an offboarding in a list.
type OffboardState struct {
	Plan   state.Plan
	Made   time.Time // by the run's clock
	Name   string
	Status access.PersonStatus // of the person, by a run since; "" if there was none
	Sum    string
	Open   bool
}

// Offboardings lists those that are under way, and with all those that are done, too. Confidential ones only if asked for.
func (a *App) Offboardings(ctx context.Context, all, confidential bool) ([]OffboardState, error) {
	decisions, err := a.State(ctx)
	if err != nil {
		return nil, err
	}
	plans, err := decisions.Plans(ctx, state.PlanFilter{Kind: remediate.KindOffboard, Ended: all})
	if err != nil {
		return nil, err
	}
	var out []OffboardState
	hidden, err := a.Confidential(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range plans {
		if hidden[p.ID] && !confidential {
			continue
		}
		full, _, err := a.FindPlan(ctx, p.ID)
		if err != nil {
			return nil, err
		}
		c, err := a.Certificate(ctx, p.ID)
		if err != nil {
			return nil, err
		}
		out = append(out, OffboardState{p, full.Made, full.PersonName, access.PersonStatus(c.Status), c.Sum(), p.Ended.IsZero()})
	}
	return out, nil
}
