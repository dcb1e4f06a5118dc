package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/fold"
	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/review"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
)

// ReviewWord is what somebody says of one item.
type ReviewWord struct {
	Item     int64  `json:"item"`
	Decision string `json:"decision"`
	Reason   string `json:"reason,omitempty"`
	To       string `json:"to,omitempty"` // not-mine: who is to be asked; "": the next in line

	Place string `json:"-"` // where it stands in a file
}

// The ways by which a word comes.
const (
	ByOne       = "one by one"
	ByFile      = "file"
	BySuggested = "as suggested"
)

// ReviewDecision is what one person says of items of a review.
type ReviewDecision struct {
	As        string // a person's key, address or user name
	Words     []ReviewWord
	Method    string
	Suggested string // take what is suggested of all that waits for them: approve, revoke or both; "" for not
	Change    bool   // decide anew what was decided
}

// ReviewOutcome is what came of it.
type ReviewOutcome struct {
	By       string               `json:"by"`
	Approved int                  `json:"approved"`
	Revoked  int                  `json:"revoked"`
	Passed   int                  `json:"passed_on"`
	Same     int                  `json:"decided_before"` // so, and by them
	Settled  []review.SettledItem `json:"settled"`
	Events   []state.ReviewEvent  `json:"-"`
}

// DecideReview records what somebody says of items: all of it, or with a fault nothing. What the account doesn't hold any more, or
// is another thing by now, is settled and not decided.
func (a *App) DecideReview(ctx context.Context, actor state.Actor, name string, d ReviewDecision) (ReviewOutcome, error) {
	f, err := a.Review(ctx, name)
	if err != nil {
		return ReviewOutcome{}, err
	}
	run, err := a.run(ctx, 0)
	if err != nil {
		return ReviewOutcome{}, err
	}
	owners, err := a.owners(ctx, run)
	if err != nil {
		return ReviewOutcome{}, err
	}
	who := speaker(owners, d.As)
	if who == "" {
		return ReviewOutcome{}, fmt.Errorf("the rosters know nobody, or several, called %q: give the key (ROSTER:ID) or the address", d.As)
	}
	if reason := owners.MayReview(who, notify.Held{}); reason != "" {
		return ReviewOutcome{}, fmt.Errorf("%s decides nothing: %s %s", d.As, who, reason)
	}
	out := ReviewOutcome{By: who, Settled: []review.SettledItem{}}
	if d.Suggested != "" {
		d.Words, d.Method = suggestions(f, owners, who, d.Suggested), BySuggested
		if len(d.Words) == 0 {
			return out, nil
		}
	}
	gone, err := a.changedSince(ctx, f, numbers(d.Words))
	if err != nil {
		return out, err
	}
	decisions, err := a.State(ctx)
	if err != nil {
		return out, err
	}
	out.Events, err = decisions.ChangeReview(ctx, actor, name, func(_ state.Review, so []state.ReviewEvent) ([]state.ReviewEvent, error) {
		p := ballot{f: newReviewFile(f.Review, f.List, so), owners: owners, who: who, d: d, gone: gone, out: &out}
		return p.events(a)
	})
	return out, err
}

// speaker is whom a name means: a person, or an owner of an app who is known by an address alone.
func speaker(owners *notify.Owners, name string) string {
	if key := owners.People.Find(name); key != "" {
		return key
	}
	for source, owner := range owners.Settings.Owners {
		if role := owners.OwnerRole(source); notify.IsRole(role) && fold.Text(owner) == fold.Text(name) {
			return role
		}
	}
	return ""
}

func numbers(words []ReviewWord) []int64 {
	var out []int64
	for _, w := range words {
		out = append(out, w.Item)
	}
	return out
}

// suggestions are the words that take what is suggested of all that waits for somebody.
func suggestions(f ReviewFile, owners *notify.Owners, who, which string) []ReviewWord {
	var out []ReviewWord
	for _, n := range f.Waiting("") {
		it := f.List[n-1]
		s, _ := f.Item(n)
		if it.Suggested != "" && (which == "both" || which == it.Suggested) && owners.Speaks(who, s.Reviewer) && owners.MayReview(who, heldBy(it)) == "" {
			out = append(out, ReviewWord{Item: n, Decision: it.Suggested, Reason: it.Said()})
		}
	}
	return out
}

func heldBy(it review.Item) notify.Held {
	return notify.Held{Source: it.Source, Person: it.Person, Owner: it.AccountOwner}
}

// ballot turns somebody's words into events, by how the review stands when they are recorded.
type ballot struct {
	f      ReviewFile
	owners *notify.Owners
	who    string
	d      ReviewDecision
	gone   map[int64]string // why items need no decision any more
	out    *ReviewOutcome
}

func (b *ballot) events(a *App) ([]state.ReviewEvent, error) {
	type kind struct{ decision, reason, to string }
	groups := map[kind][]int64{}
	var order []kind
	settled := map[string][]int64{}
	var reasons []string
	seen := map[int64]string{}
	var faults []error
	for _, w := range b.d.Words {
		w.Decision = strings.ReplaceAll(strings.ToLower(strings.TrimSpace(w.Decision)), "_", "-")
		w.Reason = strings.TrimSpace(w.Reason)
		fault := func(format string, args ...any) {
			place := fmt.Sprintf("item %d", w.Item)
			if w.Place != "" {
				place = w.Place + ": " + place
			}
			faults = append(faults, fmt.Errorf(place+": "+format, args...))
		}
		if before, twice := seen[w.Item]; twice {
			fault("it is decided twice, first %s", before)
			continue
		}
		seen[w.Item] = w.Decision
		s, ok := b.f.Item(w.Item)
		if !ok {
			fault("the review has %d items", len(b.f.List))
			continue
		}
		it := b.f.List[w.Item-1]
		if s.Decided() && s.By == b.who && string(s.Status) == statusOf[w.Decision] {
			b.out.Same++
			continue
		}
		if why := b.gone[w.Item]; why != "" && s.Waits() {
			if settled[why] == nil {
				reasons = append(reasons, why)
			}
			settled[why] = append(settled[why], w.Item)
			b.out.Settled = append(b.out.Settled, review.SettledItem{N: w.Item, Why: why})
			continue
		}
		if err := b.allowed(it, s, w); err != nil {
			fault("%w", err)
			continue
		}
		k := kind{w.Decision, w.Reason, ""}
		if w.Decision == review.NotMine {
			to, err := b.next(it, s, w)
			if err != nil {
				fault("%w", err)
				continue
			}
			k.to = to
		}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], w.Item)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	var out []state.ReviewEvent
	for _, why := range reasons {
		out = append(out, state.ReviewEvent{Kind: state.ReviewSettled, At: a.Now(), By: settler, Items: settled[why], Reason: why})
	}
	for _, k := range order {
		e := state.ReviewEvent{Kind: state.ReviewDecided, At: a.Now(), By: b.who, Items: groups[k], Decision: k.decision, Reason: k.reason, Method: b.d.Method}
		switch k.decision {
		case review.NotMine:
			e.Kind, e.Decision, e.To = state.ReviewPassed, "", k.to
			b.out.Passed += len(e.Items)
		case review.Approve:
			b.out.Approved += len(e.Items)
		case review.Revoke:
			b.out.Revoked += len(e.Items)
		}
		out = append(out, e)
	}
	return out, nil
}

// settler is whose word it is that an item needs no decision any more.
const settler = "lapse"

var statusOf = map[string]string{review.Approve: string(review.Approved), review.Revoke: string(review.Revoked)}

// allowed says why a word is not taken.
func (b *ballot) allowed(it review.Item, s review.Standing, w ReviewWord) error {
	switch {
	case w.Decision != review.Approve && w.Decision != review.Revoke && w.Decision != review.NotMine:
		return fmt.Errorf("%q is no decision: want approve, revoke or not-mine", w.Decision)
	case s.Status == review.Settled:
		return fmt.Errorf("nobody needs to decide it any more: %s", s.Reason)
	case s.Decided() && !b.f.Closed.IsZero():
		return fmt.Errorf("it was %s by %s, and the review is closed", s.Status, s.By)
	case s.Decided() && !b.d.Change:
		return fmt.Errorf("it was %s by %s: --change decides it anew", s.Status, s.By)
	case s.Plan != "":
		return fmt.Errorf("it is taken away by %s: `lapse plan end` gives that up, and the access stays as it is until somebody takes it away", s.Plan)
	case s.Decided() && w.Decision == review.NotMine:
		return fmt.Errorf("it was %s by %s", s.Status, s.By)
	}
	if reason := b.owners.MayReview(b.who, heldBy(it)); reason != "" {
		return fmt.Errorf("it is not %s's to decide: %s %s", b.d.As, b.who, reason)
	}
	theirs := s.Decided() && s.By == b.who
	if !theirs && !b.owners.Speaks(b.who, s.Reviewer) {
		return fmt.Errorf("it is not %s's to decide: %s is asked", b.d.As, s.Reviewer)
	}
	switch {
	case w.Reason != "":
	case w.Decision == review.Revoke:
		return errors.New("say why it is taken away (reason)")
	case w.Decision == review.Approve && it.Privileged != nil && *it.Privileged:
		return errors.New("it is privileged: say why it is kept (reason)")
	}
	return nil
}

// next is who is asked instead of somebody whose it is not.
func (b *ballot) next(it review.Item, s review.Standing, w ReviewWord) (string, error) {
	if w.To == "" {
		if s.Reviewer == notify.RoleSecurity {
			return "", errors.New("behind the security team is nobody: say whose it is (to)")
		}
		return b.owners.Reviewer(heldBy(it), reviewFirst[b.f.Reviewers], append(slices.Clone(s.Passed), s.Reviewer)).To.ID(), nil
	}
	return delegate(b.owners, it, s, w.To)
}

// delegate is somebody by name who can be asked about an item.
func delegate(owners *notify.Owners, it review.Item, s review.Standing, name string) (string, error) {
	to := owners.People.Find(name)
	switch {
	case to == "":
		return "", fmt.Errorf("the rosters know nobody, or several, called %q: give the key (ROSTER:ID) or the address", name)
	case to == s.Reviewer:
		return "", fmt.Errorf("%s is asked already", to)
	case slices.Contains(s.Passed, to):
		return "", fmt.Errorf("%s said that it is not theirs", to)
	}
	if reason := owners.MayReview(to, heldBy(it)); reason != "" {
		return "", fmt.Errorf("%s can't be asked: %s %s", to, to, reason)
	}
	return to, nil
}

// changedSince says of items why nobody needs to decide them any more, by the last run. What that run could not read anew is
// left as it is: that a list is missing takes nothing away.
func (a *App) changedSince(ctx context.Context, f ReviewFile, items []int64) (map[int64]string, error) {
	run, err := a.run(ctx, 0)
	if err != nil || run.ID == f.Run {
		return nil, err
	}
	inputs, err := a.store.Inputs(ctx, run.ID)
	if err != nil {
		return nil, err
	}
	fresh, rosters := map[string]bool{}, true
	for _, in := range inputs {
		good := in.Status == store.InputFresh && in.Snapshot != 0
		fresh[in.Source] = good && slices.Contains(in.Reads, string(collect.Grants))
		rosters = rosters && (good || !in.Roster)
	}
	type key struct{ source, account, entitlement string }
	wanted := map[key]int64{}
	var filter store.HeldFilter
	for _, n := range items {
		if n < 1 || n > int64(len(f.List)) {
			continue
		}
		if it := f.List[n-1]; fresh[it.Source] {
			wanted[key{it.Source, it.Account, it.Entitlement}] = n
			filter.Sources, filter.Accounts = append(filter.Sources, it.Source), append(filter.Accounts, it.Account)
		}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	slices.Sort(filter.Sources)
	filter.Sources = slices.Compact(filter.Sources)
	if slices.Sort(filter.Accounts); len(filter.Accounts) > 1000 {
		filter.Accounts = nil // reading all is faster than naming so many
	}
	out := map[int64]string{}
	err = a.eachHeld(ctx, run, filter, func(h store.Held) {
		k := key{h.Source, h.Account, h.Entitlement}
		n, ok := wanted[k]
		if !ok {
			return
		}
		delete(wanted, k)
		if why := f.List[n-1].Changed(grantOf(h), rosters); why != "" {
			out[n] = why
		}
	})
	if err != nil {
		return nil, err
	}
	for _, n := range wanted {
		out[n] = review.Gone
	}
	return out, nil
}
