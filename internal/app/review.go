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

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/review"
	"github.com/lapse-audit/lapse/internal/scan"
	"github.com/lapse-audit/lapse/internal/spell"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
)

// ReviewQuery is what a review is to be about.
type ReviewQuery struct {
	Name      string
	Scope     review.Scope
	Reviewers string // managers or owners: whom it asks first
	Due       time.Time
}

// reviewFirst is whom a review asks first, by what it is called at the command line.
var reviewFirst = map[string]string{"managers": notify.ReviewManager, "owners": notify.ReviewAppOwner}

// StartReview freezes the grants of the last run that a scope means, says who is to review each, and records it all unless it
// is a dry run.
func (a *App) StartReview(ctx context.Context, actor state.Actor, q ReviewQuery, dry bool) (ReviewFile, error) {
	first, ok := reviewFirst[q.Reviewers]
	if !ok {
		return ReviewFile{}, fmt.Errorf("reviewers %q: want managers or owners", q.Reviewers)
	}
	for _, uid := range q.Scope.Sources {
		if err := a.knownSource("scope", "source", uid); err != nil {
			return ReviewFile{}, err
		}
	}
	run, err := a.run(ctx, 0)
	if err != nil {
		return ReviewFile{}, err
	}
	owners, err := a.owners(ctx, run)
	if err != nil {
		return ReviewFile{}, err
	}
	for i, m := range q.Scope.Managers {
		if q.Scope.Managers[i] = owners.People.Find(m); q.Scope.Managers[i] == "" {
			return ReviewFile{}, fmt.Errorf("scope: manager=%s: the rosters know nobody, or several, called so: give the key (ROSTER:ID) or the address", m)
		}
	}
	grants, notes, err := a.grants(ctx, run, q.Scope)
	if err != nil {
		return ReviewFile{}, err
	}
	if len(grants) == 0 {
		return ReviewFile{}, fmt.Errorf("nobody holds anything that is in the scope (%s): there is nothing to review", q.Scope)
	}
	items := a.reviewItems(owners, first, grants)
	rows := make([]state.ReviewItem, len(items))
	for i := range items {
		items[i].N = int64(i + 1)
		if rows[i], err = items[i].Seal(); err != nil {
			return ReviewFile{}, err
		}
	}
	r := state.Review{ID: q.Name, Scope: q.Scope.String(), Reviewers: q.Reviewers, Run: run.ID, RunTime: run.Time, At: a.Now(), Due: q.Due, By: actor.ID,
		Items: int64(len(items)), Notes: notes}
	if !r.Due.After(r.At) {
		return ReviewFile{}, fmt.Errorf("it is due %s, which is past", r.Due.In(a.Config.Location).Format(time.DateOnly))
	}
	if !dry {
		decisions, err := a.State(ctx)
		if err != nil {
			return ReviewFile{}, err
		}
		if r, err = decisions.StartReview(ctx, actor, r, rows); errors.Is(err, state.ErrExists) {
			return ReviewFile{}, fmt.Errorf("there is a review %s already: a review's name is its own for good", q.Name)
		} else if err != nil {
			return ReviewFile{}, err
		}
	}
	return newReviewFile(r, items, nil), nil
}

// reviewItems says of each grant who reviews it and what is suggested, the hard ones first.
func (a *App) reviewItems(owners *notify.Owners, first string, grants []review.Grant) []review.Item {
	asked := map[notify.Held]notify.Asking{}
	items := make([]review.Item, len(grants))
	for i, g := range grants {
		h := notify.Held{Source: g.Source, Person: g.Person, Owner: g.AccountOwner}
		to, ok := asked[h]
		if !ok {
			to = owners.Reviewer(h, first, nil)
			asked[h] = to
		}
		items[i] = review.Item{Reviewer: to.To.ID(), Why: to.Why, Passed: to.Passed, Grant: g, Suggestion: a.Config.Review.Suggest(g)}
	}
	review.Order(items)
	return items
}

// grants are what is held in a run and is in the scope; of each it is said how many hold the same, in the scope or not.
func (a *App) grants(ctx context.Context, run store.RunInfo, scope review.Scope) (out []review.Grant, notes []string, err error) {
	inputs, err := a.store.Inputs(ctx, run.ID)
	if err != nil {
		return nil, nil, err
	}
	type key struct{ source, entitlement string }
	holders, tags := map[key]int64{}, map[key][]string{}
	for _, in := range inputs {
		if len(scope.Sources) > 0 && !slices.Contains(scope.Sources, in.Source) {
			continue
		}
		switch {
		case in.Roster:
			continue
		case in.Snapshot == 0 || !slices.Contains(in.Reads, string(collect.Grants)):
			notes = append(notes, fmt.Sprintf("of %s nobody knows who holds what, so none of it is reviewed", in.Source))
			continue
		case in.Status != store.InputFresh:
			notes = append(notes, fmt.Sprintf("%s is %s: its grants are those of %s", in.Source, in.Status, in.Taken.In(a.Config.Location).Format("2006-01-02 15:04")))
		}
		for e, err := range a.store.Entitlements(ctx, in.Source, in.Snapshot) {
			if err != nil {
				return nil, nil, err
			}
			if len(e.Tags) > 0 {
				tags[key{in.Source, e.ID}] = e.Tags
			}
		}
	}
	unknown := map[[2]string]int{} // source and what is not known
	err = a.eachHeld(ctx, run, store.HeldFilter{Sources: scope.Sources}, func(h store.Held) {
		at := key{h.Source, h.Entitlement}
		holders[at]++
		g := grantOf(h)
		g.Tags = tags[at]
		if scope.Match(g) {
			out = append(out, g)
		} else if why := scope.Unknown(g); why != "" {
			unknown[[2]string{g.Source, why}]++
		}
	})
	if err != nil {
		return nil, nil, err
	}
	for _, k := range slices.SortedFunc(maps.Keys(unknown), comparePairs) {
		notes = append(notes, fmt.Sprintf("of %d grants in %s nobody knows %s, so they are left out", unknown[k], k[0], k[1]))
	}
	for i := range out {
		out[i].Holders = holders[key{out[i].Source, out[i].Entitlement}]
	}
	return out, notes, nil
}

func grantOf(h store.Held) review.Grant {
	return review.Grant{Source: h.Source, SourceName: cmp.Or(h.SourceName, h.Source), Account: h.Account, Username: h.Username, AccountName: h.AccountName,
		Kind: access.AccountKind(h.Kind), Enabled: h.Enabled, AccountOwner: h.AccountOwner, NeverSignedIn: h.NeverSignedIn, SignInDays: h.SignInDays,
		SignInLag: h.SignInLag, Person: h.Person, PersonName: h.PersonName, Status: access.PersonStatus(h.PersonStatus), Department: h.Department,
		Manager: h.Manager, EndDays: h.EndDays, Entitlement: h.Entitlement, EntitlementName: h.EntitlementName, EntitlementKind: h.EntitlementKind,
		Resource: h.Resource, Privileged: h.Privileged, HighRisk: h.HighRisk, Direct: h.Direct, Path: h.Path, KnownDays: h.KnownDays,
		GrantedDays: h.GrantedDays, UsedDays: h.UsedDays, ReviewDays: h.ReviewDays, Approved: h.Approved, PeerShare: h.PeerShare, Peers: h.Peers}
}

// eachHeld reads who holds what in a run. Its subjects are there until another run's are made: then they are made again. It
// holds the lease meanwhile: of subjects that somebody takes away while they are read, some would seem to hold nothing.
func (a *App) eachHeld(ctx context.Context, run store.RunInfo, f store.HeldFilter, each func(store.Held)) error {
	return a.rejudging(ctx, "lapse review", func(ctx context.Context, s *store.Store) error {
		there, err := s.HasSubjects(ctx, run.ID)
		if err == nil && !there {
			err = scan.Remake(ctx, s, run.ID, access.SubjectAccount)
		}
		if err != nil {
			return err
		}
		for h, err := range s.Held(ctx, run.ID, f) {
			if err != nil {
				return err
			}
			each(h)
		}
		return nil
	})
}

// ReviewFile is a review with its items and all that happened to them.
type ReviewFile struct {
	*review.Campaign
	List []review.Item // by number, from 1
}

func newReviewFile(r state.Review, items []review.Item, events []state.ReviewEvent) ReviewFile {
	first := make([]string, len(items))
	for i, it := range items {
		first[i] = it.Reviewer
	}
	return ReviewFile{review.New(r, first, events), items}
}

// Review reads one review.
func (a *App) Review(ctx context.Context, name string) (ReviewFile, error) {
	decisions, err := a.State(ctx)
	if err != nil {
		return ReviewFile{}, err
	}
	all, err := decisions.Reviews(ctx)
	if err != nil {
		return ReviewFile{}, err
	}
	i := slices.IndexFunc(all, func(r state.Review) bool { return r.ID == name })
	if i < 0 {
		var names []string
		for _, r := range all {
			names = append(names, r.ID)
		}
		near := ""
		if n := spell.Nearest(name, names); n != "" {
			near = fmt.Sprintf(": did you mean %q?", n)
		}
		return ReviewFile{}, fmt.Errorf("there is no review %q%s (`lapse review list` has them all)", name, near)
	}
	return readReview(ctx, decisions, all[i])
}

func readReview(ctx context.Context, decisions *state.State, r state.Review) (ReviewFile, error) {
	rows, err := decisions.ReviewItems(ctx, r.ID)
	if err != nil {
		return ReviewFile{}, err
	}
	items := make([]review.Item, len(rows))
	for i, row := range rows {
		if items[i], err = review.Unseal(row); err != nil {
			return ReviewFile{}, fmt.Errorf("review %s: %w", r.ID, err)
		}
	}
	events, err := decisions.ReviewEvents(ctx, r.ID)
	if err != nil {
		return ReviewFile{}, err
	}
	return newReviewFile(r, items, events), nil
}

// Reviews reads all reviews, without their items.
func (a *App) Reviews(ctx context.Context) ([]ReviewFile, error) {
	decisions, err := a.State(ctx)
	if err != nil {
		return nil, err
	}
	all, err := decisions.Reviews(ctx)
	if err != nil {
		return nil, err
	}
	var out []ReviewFile
	for _, r := range all {
		events, err := decisions.ReviewEvents(ctx, r.ID)
		if err != nil {
			return nil, err
		}
		out = append(out, ReviewFile{Campaign: review.New(r, make([]string, r.Items), events)})
	}
	return out, nil
}

// reviewed is what closed reviews are evidence for at a time, for the next snapshots to carry.
func (a *App) reviewed(ctx context.Context, decisions *state.State, at time.Time) (collect.Reviews, error) {
	all, err := decisions.Reviews(ctx)
	if err != nil {
		return nil, err
	}
	out := collect.Reviews{}
	for _, r := range all {
		if r.At.After(at) {
			continue
		}
		events, err := decisions.ReviewEvents(ctx, r.ID)
		if err != nil {
			return nil, err
		}
		c := review.New(r, make([]string, r.Items), events)
		if c.Closed.IsZero() {
			continue
		}
		items, err := decisions.ReviewItems(ctx, r.ID)
		if err != nil {
			return nil, err
		}
		for _, e := range c.Reviewed(items, at) {
			k := collect.ReviewKey{Source: e.Source, Account: e.Account, Entitlement: e.Entitlement}
			if e.At.After(out[k]) {
				out[k] = e.At
			}
		}
	}
	return out, nil
}

// ReviewerName is what somebody who is asked is called.
func (a *App) ReviewerName(ctx context.Context) (func(string) string, error) {
	run, err := a.run(ctx, 0)
	if err != nil {
		return nil, err
	}
	owners, err := a.owners(ctx, run)
	if err != nil {
		return nil, err
	}
	return func(id string) string {
		r := owners.Recipient(id)
		return cmp.Or(r.Name, r.Email, strings.TrimSpace(id))
	}, nil
}
