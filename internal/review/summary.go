package review

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/state"
)

// Progress counts items by how they stand.
type Progress struct {
	Items     int `json:"grants"`
	Open      int `json:"open"`
	Approved  int `json:"approved"`
	Revoked   int `json:"revoked"`
	Settled   int `json:"settled"`
	Escalated int `json:"escalated"`
}

// Waiting is what somebody has to decide still.
func (p Progress) Waiting() int { return p.Open + p.Escalated }

// Done is the part of the items that nobody has to decide any more.
func (p Progress) Done() float64 {
	if p.Items == 0 {
		return 0
	}
	return float64(p.Items-p.Waiting()) / float64(p.Items)
}

// ApprovalRate is the part of what people decided that they approved; false: nobody decided anything.
func (p Progress) ApprovalRate() (float64, bool) {
	if p.Approved+p.Revoked == 0 {
		return 0, false
	}
	return float64(p.Approved) / float64(p.Approved+p.Revoked), true
}

func (p *Progress) add(s Status) {
	p.Items++
	switch s {
	case Open:
		p.Open++
	case Approved:
		p.Approved++
	case Revoked:
		p.Revoked++
	case Settled:
		p.Settled++
	case Escalated:
		p.Escalated++
	}
}

// ReviewerProgress is how one reviewer gets on: what waits for them, and what they decided.
type ReviewerProgress struct {
	Reviewer string `json:"reviewer"`
	Progress
	First time.Time `json:"first_decision,omitzero"`
	Last  time.Time `json:"last_decision,omitzero"`
}

// Summary is what a review comes to.
type Summary struct {
	Progress
	Reviewers []ReviewerProgress `json:"reviewers"` // who has most to do comes first
	// Median is from the start of the review to a decision; over the items that people decided.
	Median time.Duration `json:"median_decision_ns"`
	Signs  []Sign        `json:"signs"`
}

// InWords is how long something took, to a unit that says enough.
func InWords(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", int(d.Hours()))
	}
	return fmt.Sprintf("%d minutes", int(d.Minutes()))
}

// Sign is a pattern that makes it doubtful that somebody looked. It proves nothing.
type Sign struct {
	Reviewer string `json:"reviewer"`
	Text     string `json:"text"`
}

// Summarise counts a review.
func (c *Campaign) Summarise() Summary {
	var out Summary
	by := map[string]*ReviewerProgress{}
	of := func(who string) *ReviewerProgress {
		if by[who] == nil {
			by[who] = &ReviewerProgress{Reviewer: who}
		}
		return by[who]
	}
	var took []time.Duration
	for _, s := range c.standing {
		out.add(s.Status)
		who := s.Reviewer
		if s.Decided() {
			who = s.By
			took = append(took, s.At.Sub(c.At))
		}
		r := of(who)
		r.add(s.Status)
		if !s.Decided() {
			continue
		}
		if r.First.IsZero() || s.At.Before(r.First) {
			r.First = s.At
		}
		if s.At.After(r.Last) {
			r.Last = s.At
		}
	}
	for _, r := range by {
		out.Reviewers = append(out.Reviewers, *r)
	}
	slices.SortFunc(out.Reviewers, func(a, b ReviewerProgress) int {
		return cmp.Or(cmp.Compare(b.Waiting(), a.Waiting()), cmp.Compare(b.Items, a.Items), strings.Compare(a.Reviewer, b.Reviewer))
	})
	if len(took) > 0 {
		slices.Sort(took)
		out.Median = took[len(took)/2]
	}
	out.Signs = c.signs(out.Reviewers)
	return out
}

// Approvals one after the other, so many within such a time, are faster than anybody reads; approving so many without a
// single no is worth a question.
const (
	hastyNumber = 50
	hastyTime   = 5 * time.Minute
	allApproved = 100
)

// signs looks for approvals that came faster than they can have been read, and for reviewers who never say no.
func (c *Campaign) signs(reviewers []ReviewerProgress) []Sign {
	times := map[string][]time.Time{}
	for _, s := range c.standing {
		if s.Status == Approved {
			times[s.By] = append(times[s.By], s.At)
		}
	}
	var out []Sign
	for _, r := range reviewers {
		at := times[r.Reviewer]
		slices.SortFunc(at, time.Time.Compare)
		if n, within := hastiest(at); n >= hastyNumber {
			text := fmt.Sprintf("%d approvals at once", n)
			if within > 0 {
				text = fmt.Sprintf("%d approvals within %d seconds", n, max(2, int(within.Round(time.Second).Seconds())))
			}
			out = append(out, Sign{r.Reviewer, text})
		}
		if r.Revoked == 0 && r.Approved >= allApproved {
			out = append(out, Sign{r.Reviewer, fmt.Sprintf("all %d were approved, none revoked", r.Approved)})
		}
	}
	return out
}

// hastiest is the most that happened within hastyTime, and within how long it did. The times are in order.
func hastiest(at []time.Time) (most int, within time.Duration) {
	from := 0
	for to := range at {
		for at[to].Sub(at[from]) > hastyTime {
			from++
		}
		if n := to - from + 1; n > most {
			most, within = n, at[to].Sub(at[from])
		}
	}
	return most, within
}

// Reviewed is when somebody last decided on a grant in a review that is closed.
type Reviewed struct {
	Source, Account, Entitlement string
	At                           time.Time
}

// Reviewed lists what a closed review is evidence for up to a time: each grant that a person decided, and with Account ""
// each entitlement of which every holder was in the review and either decided or gone by then. What was escalated and not
// decided since, or changed, was not reviewed.
func (c *Campaign) Reviewed(items []state.ReviewItem, until time.Time) []Reviewed {
	if c.Closed.IsZero() || c.Closed.After(until) {
		return nil
	}
	type whole struct {
		n, holders int64
		open       bool
		last       time.Time
	}
	var out []Reviewed
	entitlements := map[[2]string]*whole{}
	var order [][2]string
	for _, it := range items {
		s, ok := c.Item(it.N)
		if !ok {
			continue
		}
		key := [2]string{it.Source, it.Entitlement}
		w := entitlements[key]
		if w == nil {
			w = &whole{holders: it.Holders}
			entitlements[key] = w
			order = append(order, key)
		}
		w.n++
		switch {
		case s.Decided() && !s.At.After(until):
			out = append(out, Reviewed{it.Source, it.Account, it.Entitlement, s.At})
			if s.At.After(w.last) {
				w.last = s.At
			}
		case s.Status == Settled && s.Reason == Gone:
		default:
			w.open = true
		}
	}
	for _, key := range order {
		if w := entitlements[key]; !w.open && w.n == w.holders && !w.last.IsZero() {
			out = append(out, Reviewed{Source: key[0], Entitlement: key[1], At: w.last})
		}
	}
	return out
}

// Gone is why most items are settled by themselves.
const Gone = "the account does not hold it any more"
