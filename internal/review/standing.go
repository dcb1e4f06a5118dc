package review

import (
	"slices"
	"time"

	"github.com/lapse-audit/lapse/internal/state"
)

// Status is how an item stands.
type Status string

// The statuses. An escalated item is open still: nobody decided it before the review was closed.
const (
	Open      Status = "open"
	Approved  Status = "approved"
	Revoked   Status = "revoked"
	Settled   Status = "settled" // gone or changed: nobody needs to decide it any more
	Escalated Status = "escalated"
)

// Standing is how an item stands.
type Standing struct {
	Status   Status    `json:"status"`
	Reviewer string    `json:"reviewer"` // who is asked now, or decided
	Passed   []string  `json:"passed,omitempty"`
	By       string    `json:"by,omitempty"`
	At       time.Time `json:"at,omitzero"`
	Reason   string    `json:"reason,omitempty"`
	Method   string    `json:"method,omitempty"`
	Event    string    `json:"event,omitempty"`
	Plan     string    `json:"plan,omitempty"`
}

// Waits says whether somebody has to decide the item.
func (s Standing) Waits() bool { return s.Status == Open || s.Status == Escalated }

// Decided says whether a person has.
func (s Standing) Decided() bool { return s.Status == Approved || s.Status == Revoked }

// Campaign is a review with all that happened to it.
type Campaign struct {
	state.Review
	Events   []state.ReviewEvent
	Closed   time.Time // zero: it is not
	ClosedBy string

	standing []Standing // by number, from 1
}

// New replays what happened to a review. First are the reviewers of its items, in order.
func New(r state.Review, first []string, events []state.ReviewEvent) *Campaign {
	c := &Campaign{Review: r, standing: make([]Standing, len(first))}
	for i, who := range first {
		c.standing[i] = Standing{Status: Open, Reviewer: who}
	}
	for _, e := range events {
		c.Apply(e)
	}
	return c
}

// Item is how an item stands; false: there is no such number.
func (c *Campaign) Item(n int64) (Standing, bool) {
	if n < 1 || n > int64(len(c.standing)) {
		return Standing{}, false
	}
	return c.standing[n-1], true
}

// Apply lets an event happen.
func (c *Campaign) Apply(e state.ReviewEvent) {
	c.Events = append(c.Events, e)
	if e.Kind == state.ReviewClosed {
		c.Closed, c.ClosedBy = e.At, e.By
	}
	for _, n := range e.Items {
		if n < 1 || n > int64(len(c.standing)) {
			continue // verifying the ledger shows it
		}
		s := &c.standing[n-1]
		switch e.Kind {
		case state.ReviewDecided:
			s.Status = Approved
			if e.Decision == Revoke {
				s.Status = Revoked
			}
			s.By, s.At, s.Reason, s.Method, s.Event, s.Plan = e.By, e.At, e.Reason, e.Method, e.ID, ""
		case state.ReviewPassed, state.ReviewDelegated:
			if e.Kind == state.ReviewPassed {
				s.Passed = append(slices.Clip(s.Passed), s.Reviewer)
			}
			s.Reviewer = e.To
		case state.ReviewSettled:
			s.Status, s.By, s.At, s.Reason, s.Event = Settled, e.By, e.At, e.Reason, e.ID
		case state.ReviewPlanned:
			s.Plan = e.Plan
		case state.ReviewClosed:
			s.Status, s.Reviewer = Escalated, e.To
		}
	}
}

// Waiting are the numbers of what waits for a decision; of one reviewer, or with "" of all.
func (c *Campaign) Waiting(reviewer string) []int64 {
	var out []int64
	for i, s := range c.standing {
		if s.Waits() && (reviewer == "" || s.Reviewer == reviewer) {
			out = append(out, int64(i+1))
		}
	}
	return out
}

// Unplanned are the numbers of what is to be taken away and is in no plan yet; with again those that are in one, too.
func (c *Campaign) Unplanned(again bool) []int64 {
	var out []int64
	for i, s := range c.standing {
		if s.Status == Revoked && (again || s.Plan == "") {
			out = append(out, int64(i+1))
		}
	}
	return out
}

// SettledItem is an item that nobody needs to decide any more.
type SettledItem struct {
	N   int64  `json:"item"`
	Why string `json:"why"`
}

// Changed says why a decision about the grant as it was would be one about something else by now, "" if it would not. Whose
// account it is counts only where all people were read.
func (i Item) Changed(now Grant, people bool) string {
	switch {
	case people && now.Person != i.Person:
		return "it is another person's account by now"
	case truth(now.Privileged) && !truth(i.Privileged):
		return "it has become privileged since"
	}
	return ""
}
