package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/remediate"
	"github.com/lapse-audit/lapse/internal/review"
	"github.com/lapse-audit/lapse/internal/state"
)

// ReviewRefresh is what has changed by itself about a review.
type ReviewRefresh struct {
	Settled []review.SettledItem `json:"settled"`
	Moved   int                  `json:"moved"` // items whose reviewer can't be asked any more: the next in line is
}

// RefreshReview settles what needs no decision any more, and gives what waits for somebody who has left or is away to the next
// in line. It can be repeated at any point.
func (a *App) RefreshReview(ctx context.Context, actor state.Actor, name string) (ReviewRefresh, error) {
	f, err := a.Review(ctx, name)
	if err != nil {
		return ReviewRefresh{}, err
	}
	run, err := a.run(ctx, 0)
	if err != nil {
		return ReviewRefresh{}, err
	}
	owners, err := a.owners(ctx, run)
	if err != nil {
		return ReviewRefresh{}, err
	}
	gone, err := a.changedSince(ctx, f, f.Waiting(""))
	if err != nil {
		return ReviewRefresh{}, err
	}
	decisions, err := a.State(ctx)
	if err != nil {
		return ReviewRefresh{}, err
	}
	var out ReviewRefresh
	_, err = decisions.ChangeReview(ctx, actor, name, func(_ state.Review, so []state.ReviewEvent) ([]state.ReviewEvent, error) {
		var events []state.ReviewEvent
		events, out = refreshed(newReviewFile(f.Review, f.List, so), owners, gone)
		for i := range events {
			events[i].At, events[i].By, events[i].Run = a.Now(), settler, run.ID
		}
		return events, nil
	})
	return out, err
}

// refreshed says what has happened by itself to what waits: gone says why items need no decision any more.
func refreshed(f ReviewFile, owners *notify.Owners, gone map[int64]string) ([]state.ReviewEvent, ReviewRefresh) {
	out := ReviewRefresh{Settled: []review.SettledItem{}}
	settled, moved := map[string][]int64{}, map[[2]string][]int64{}
	for _, n := range f.Waiting("") {
		it := f.List[n-1]
		s, _ := f.Item(n)
		if why := gone[n]; why != "" {
			settled[why] = append(settled[why], n)
			out.Settled = append(out.Settled, review.SettledItem{N: n, Why: why})
			continue
		}
		if owners.MayReview(s.Reviewer, heldBy(it)) != "" {
			to := owners.Reviewer(heldBy(it), reviewFirst[f.Reviewers], append(slices.Clone(s.Passed), s.Reviewer)).To.ID()
			moved[[2]string{s.Reviewer, to}] = append(moved[[2]string{s.Reviewer, to}], n)
			out.Moved++
		}
	}
	var events []state.ReviewEvent
	for _, why := range slices.Sorted(maps.Keys(settled)) {
		events = append(events, state.ReviewEvent{Kind: state.ReviewSettled, Items: settled[why], Reason: why})
	}
	for _, k := range slices.SortedFunc(maps.Keys(moved), comparePairs) {
		events = append(events, state.ReviewEvent{Kind: state.ReviewDelegated, Items: moved[k], From: k[0], To: k[1],
			Reason: "can't be asked any more: " + owners.MayReview(k[0], notify.Held{})})
	}
	return events, out
}

// refreshReviews does so for all that are not closed.
func (a *App) refreshReviews(ctx context.Context, actor state.Actor) error {
	all, err := a.Reviews(ctx)
	if err != nil {
		return err
	}
	for _, f := range all {
		if !f.Closed.IsZero() || f.At.After(a.Now()) {
			continue
		}
		if _, err := a.RefreshReview(ctx, actor, f.ID); err != nil {
			return err
		}
	}
	return nil
}

func set(items []int64) map[int64]bool {
	out := make(map[int64]bool, len(items))
	for _, n := range items {
		out[n] = true
	}
	return out
}

func comparePairs(a, b [2]string) int { return slices.Compare(a[:], b[:]) }

// DelegateReview lets somebody else decide what waits for one: of the given items, or of none all. What the other may not
// decide stays where it is; those are returned.
func (a *App) DelegateReview(ctx context.Context, actor state.Actor, name, from, to, reason string, items []int64) (moved int, stay map[int64]string, err error) {
	f, err := a.Review(ctx, name)
	if err != nil {
		return 0, nil, err
	}
	run, err := a.run(ctx, 0)
	if err != nil {
		return 0, nil, err
	}
	owners, err := a.owners(ctx, run)
	if err != nil {
		return 0, nil, err
	}
	asked := speaker(owners, from)
	if notify.IsRole(from) {
		asked = from
	}
	if asked == "" {
		return 0, nil, fmt.Errorf("the rosters know nobody, or several, called %q: give the key (ROSTER:ID) or the address", from)
	}
	decisions, err := a.State(ctx)
	if err != nil {
		return 0, nil, err
	}
	stay = map[int64]string{}
	_, err = decisions.ChangeReview(ctx, actor, name, func(_ state.Review, so []state.ReviewEvent) ([]state.ReviewEvent, error) {
		now := newReviewFile(f.Review, f.List, so)
		waiting := now.Waiting(asked)
		if len(waiting) == 0 {
			return nil, fmt.Errorf("nothing waits for %s", asked)
		}
		wanted := set(items)
		var events []state.ReviewEvent
		byTo := map[string][]int64{}
		for _, n := range waiting {
			if len(items) > 0 && !wanted[n] {
				continue
			}
			delete(wanted, n)
			s, _ := now.Item(n)
			key, err := delegate(owners, now.List[n-1], s, to)
			if err != nil {
				stay[n] = err.Error()
				continue
			}
			byTo[key] = append(byTo[key], n)
			moved++
		}
		for n := range wanted {
			stay[n] = fmt.Sprintf("it does not wait for %s", asked)
		}
		for key, n := range byTo { // there is one at most
			events = append(events, state.ReviewEvent{Kind: state.ReviewDelegated, At: a.Now(), By: actor.ID, Items: n, From: asked, To: key, Reason: reason})
		}
		return events, nil
	})
	return moved, stay, err
}

// CloseReview ends a review: what nobody has decided goes to the security team item by item, and is neither approved nor
// revoked. Before it is due it is closed only when nothing waits, or early says so.
func (a *App) CloseReview(ctx context.Context, actor state.Actor, name string, early bool) (ReviewFile, error) {
	if _, err := a.RefreshReview(ctx, actor, name); err != nil {
		return ReviewFile{}, err
	}
	f, err := a.Review(ctx, name)
	if err != nil {
		return f, err
	}
	decisions, err := a.State(ctx)
	if err != nil {
		return f, err
	}
	_, err = decisions.ChangeReview(ctx, actor, name, func(_ state.Review, so []state.ReviewEvent) ([]state.ReviewEvent, error) {
		now := newReviewFile(f.Review, f.List, so)
		waiting := now.Waiting("")
		switch {
		case !now.Closed.IsZero():
			return nil, fmt.Errorf("it was closed on %s by %s", now.Closed.In(a.Config.Location).Format("2006-01-02 15:04"), now.ClosedBy)
		case len(waiting) > 0 && a.Now().Before(now.Due) && !early:
			return nil, fmt.Errorf("%d of %d items wait for a decision, and it is due %s: --early closes it now, and gives them to the security team",
				len(waiting), len(now.List), now.Due.In(a.Config.Location).Format(time.DateOnly))
		}
		return []state.ReviewEvent{{Kind: state.ReviewClosed, At: a.Now(), By: actor.ID, Items: waiting, To: notify.RoleSecurity}}, nil
	})
	if err != nil {
		return f, err
	}
	return a.Review(ctx, name)
}

// ErrNothingToPlan means that a review has nothing to take away that is in no plan yet.
var ErrNothingToPlan = errors.New("nothing is to be taken away that is in no plan yet")

// PlanReview makes a plan of what a review decided to take away. It changes nothing: the plan is approved and carried out as any
// other, and its guards hold. With again the plan takes the place of those that were made before and are not done with: one that
// is too old is not carried out any more.
func (a *App) PlanReview(ctx context.Context, actor state.Actor, name string, again bool) (Drafted, error) {
	f, err := a.Review(ctx, name)
	if err != nil {
		return Drafted{}, err
	}
	items := f.Unplanned(again)
	if len(items) == 0 {
		return Drafted{}, ErrNothingToPlan
	}
	decisions, err := a.State(ctx)
	if err != nil {
		return Drafted{}, err
	}
	before, err := reviewPlans(ctx, decisions, name)
	if err != nil {
		return Drafted{}, err
	}
	var d Drafted
	// The process may have ended before it was recorded that a plan was made of these.
	if i := slices.IndexFunc(before, func(d Drafted) bool { return slices.Equal(d.Plan.ReviewItems, items) }); i >= 0 && !again {
		d = before[i]
	} else {
		run, err := a.run(ctx, 0)
		if err != nil {
			return d, err
		}
		p := remediate.Plan{Kind: remediate.KindReview, Query: "review " + name, Review: name, ReviewItems: items, Reason: "decided in review " + name}
		if d, err = a.draft(ctx, actor, run, p, f.revoked(items), false); err != nil || len(d.Plan.Steps) == 0 {
			return d, err
		}
	}
	for _, old := range before {
		if again {
			if err := decisions.EndPlan(ctx, actor, old.Plan.ID, "replaced by "+d.Plan.ID); err != nil {
				return d, err
			}
		}
	}
	_, err = decisions.ChangeReview(ctx, actor, name, func(_ state.Review, so []state.ReviewEvent) ([]state.ReviewEvent, error) {
		still := set(newReviewFile(f.Review, f.List, so).Unplanned(again))
		planned := slices.DeleteFunc(slices.Clone(d.Plan.ReviewItems), func(n int64) bool { return !still[n] })
		if len(planned) == 0 {
			return nil, nil
		}
		return []state.ReviewEvent{{Kind: state.ReviewPlanned, At: a.Now(), By: actor.ID, Items: planned, Plan: d.Plan.ID}}, nil
	})
	return d, err
}

// reviewPlans are the plans of a review that are not done with.
func reviewPlans(ctx context.Context, decisions *state.State, name string) ([]Drafted, error) {
	plans, err := decisions.Plans(ctx, state.PlanFilter{Kind: remediate.KindReview})
	if err != nil {
		return nil, err
	}
	var out []Drafted
	for _, p := range plans {
		whole, err := decisions.PlanByID(ctx, p.ID)
		if err != nil {
			return nil, err
		}
		plan, err := remediate.Unseal(whole)
		if err != nil {
			return nil, err
		}
		if plan.Review == name {
			out = append(out, Drafted{Plan: plan, Recorded: whole})
		}
	}
	return out, nil
}

// revoked are items as what a plan is made of.
func (f ReviewFile) revoked(items []int64) []finding.Finding {
	var out []finding.Finding
	for _, n := range items {
		it := f.List[n-1]
		s, _ := f.Item(n)
		var one finding.Finding
		one.Policy = "review " + f.ID
		one.Subject = finding.Subject{Kind: access.SubjectAccount, Source: it.Source, ID: it.Account}
		one.Key, one.Action, one.Status = it.Entitlement, "revoke", finding.Open
		one.Name, one.Person, one.PersonName = it.Holder(), it.Person, it.PersonName
		one.Message = fmt.Sprintf("item %d: %s revoked %s on %s: %s", n, s.By, it.Entitled(), s.At.Format(time.DateOnly), s.Reason)
		one.FirstSeen, one.Assignee = s.At, s.By
		out = append(out, one)
	}
	return out
}
