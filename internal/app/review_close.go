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
	out := ReviewRefresh{Settled: []review.SettledItem{}}
	_, err = decisions.ChangeReview(ctx, actor, name, func(_ state.Review, so []state.ReviewEvent) ([]state.ReviewEvent, error) {
		now := newReviewFile(f.Review, f.List, so)
		settled, moved := map[string][]int64{}, map[[2]string][]int64{}
		for _, n := range now.Waiting("") {
			it := now.List[n-1]
			s, _ := now.Item(n)
			if why := gone[n]; why != "" {
				settled[why] = append(settled[why], n)
				out.Settled = append(out.Settled, review.SettledItem{N: n, Why: why})
				continue
			}
			if owners.MayReview(s.Reviewer, heldBy(it)) != "" {
				to := owners.Reviewer(heldBy(it), reviewFirst[now.Reviewers], append(slices.Clone(s.Passed), s.Reviewer)).To.ID()
				moved[[2]string{s.Reviewer, to}] = append(moved[[2]string{s.Reviewer, to}], n)
				out.Moved++
			}
		}
		var events []state.ReviewEvent
		for _, why := range slices.Sorted(maps.Keys(settled)) {
			events = append(events, state.ReviewEvent{Kind: state.ReviewSettled, At: a.Now(), By: settler, Items: settled[why], Reason: why, Run: run.ID})
		}
		for _, k := range slices.SortedFunc(maps.Keys(moved), compareMoves) {
			events = append(events, state.ReviewEvent{Kind: state.ReviewDelegated, At: a.Now(), By: settler, Items: moved[k], From: k[0], To: k[1],
				Reason: "can't be asked any more: " + owners.MayReview(k[0], notify.Held{})})
		}
		return events, nil
	})
	return out, err
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

func compareMoves(a, b [2]string) int { return slices.Compare(a[:], b[:]) }

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
		var events []state.ReviewEvent
		byTo := map[string][]int64{}
		for _, n := range waiting {
			if len(items) > 0 && !slices.Contains(items, n) {
				continue
			}
			s, _ := now.Item(n)
			key, err := delegate(owners, now.List[n-1], s, to)
			if err != nil {
				stay[n] = err.Error()
				continue
			}
			byTo[key] = append(byTo[key], n)
			moved++
		}
		for _, n := range items {
			if !slices.Contains(waiting, n) {
				stay[n] = fmt.Sprintf("it does not wait for %s", asked)
			}
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
// other, and its guards hold.
func (a *App) PlanReview(ctx context.Context, actor state.Actor, name string) (Drafted, error) {
	f, err := a.Review(ctx, name)
	if err != nil {
		return Drafted{}, err
	}
	items := f.Unplanned()
	if len(items) == 0 {
		return Drafted{}, ErrNothingToPlan
	}
	decisions, err := a.State(ctx)
	if err != nil {
		return Drafted{}, err
	}
	d, err := a.reviewPlan(ctx, decisions, name, items)
	if err != nil {
		return d, err
	}
	if d.Plan.ID == "" {
		run, err := a.run(ctx, 0)
		if err != nil {
			return d, err
		}
		p := remediate.Plan{Kind: remediate.KindReview, Query: "review " + name, Review: name, ReviewItems: items, Reason: "decided in review " + name}
		if d, err = a.draft(ctx, actor, run, p, f.revoked(items), false); err != nil || len(d.Plan.Steps) == 0 {
			return d, err
		}
	}
	_, err = decisions.ChangeReview(ctx, actor, name, func(_ state.Review, so []state.ReviewEvent) ([]state.ReviewEvent, error) {
		still := newReviewFile(f.Review, f.List, so).Unplanned()
		planned := slices.DeleteFunc(slices.Clone(d.Plan.ReviewItems), func(n int64) bool { return !slices.Contains(still, n) })
		if len(planned) == 0 {
			return nil, nil
		}
		return []state.ReviewEvent{{Kind: state.ReviewPlanned, At: a.Now(), By: actor.ID, Items: planned, Plan: d.Plan.ID}}, nil
	})
	return d, err
}

// reviewPlan is the plan that was made of the same items before, in case the process ended before that was recorded.
func (a *App) reviewPlan(ctx context.Context, decisions *state.State, name string, items []int64) (Drafted, error) {
	plans, err := decisions.Plans(ctx, state.PlanFilter{Kind: remediate.KindReview})
	if err != nil {
		return Drafted{}, err
	}
	for _, p := range plans {
		whole, err := decisions.PlanByID(ctx, p.ID)
		if err != nil {
			return Drafted{}, err
		}
		plan, err := remediate.Unseal(whole)
		if err != nil {
			return Drafted{}, err
		}
		if plan.Review == name && slices.Equal(plan.ReviewItems, items) {
			return Drafted{Plan: plan, Recorded: whole}, nil
		}
	}
	return Drafted{}, nil
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
