package app

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
)

// Clock says how long the access of people who left has outlived them.
type Clock struct {
	Since    time.Time     `json:"since"`
	Until    time.Time     `json:"until"` // of the last run
	Limit    time.Duration `json:"-"`
	Limits   string        `json:"limit"`
	Leavers  int           `json:"leavers"`
	Accounts []ClockRow    `json:"accounts"`
	P50      float64       `json:"p50_hours"` // of what took IT, over the accounts that are closed
	P95      float64       `json:"p95_hours"`
	Worst    float64       `json:"worst_hours"` // open ones count as they stand
	Breaches int           `json:"breaches"`
	Exposure float64       `json:"exposure_hours"` // from the person's end, summed up
	LateHR   int           `json:"late_hr"`        // leavers whom HR made known after their end
	Open     int           `json:"open"`
}

// ClockRow is one account of a person who left, that could still be used after their end.
type ClockRow struct {
	Person   string    `json:"person"`
	Name     string    `json:"name"`
	Source   string    `json:"source"`
	Account  string    `json:"account"`
	Username string    `json:"username,omitempty"`
	Ended    time.Time `json:"ended"`
	Known    time.Time `json:"known"`             // when HR's word was first read
	Closed   time.Time `json:"closed,omitzero"`   // disabled or gone, at the latest; zero: it can still be used
	How      string    `json:"how"`               // exact, or seen by a scan
	Hours    float64   `json:"hours"`             // what took IT: from when the end was known and there, to closing
	Exposure float64   `json:"exposure_hours"`    // from the end to closing
	Breach   bool      `json:"breach,omitempty"`  // longer than the limit
	LateHR   bool      `json:"late_hr,omitempty"` // HR's word came after the end

	seen time.Time // when a scan last saw it open
}

// Clock measures the leavers since a time by what runs saw, and by the journal where Lapse itself disabled.
func (a *App) Clock(ctx context.Context, since time.Time, limit time.Duration) (Clock, error) {
	run, err := a.run(ctx, 0)
	if err != nil {
		return Clock{}, err
	}
	out := Clock{Since: since, Until: run.Time, Limit: limit, Limits: limit.String(), Accounts: []ClockRow{}}
	leavers := map[string]store.RunPerson{}
	for p, err := range a.store.RunPeople(ctx, run.ID) {
		if err != nil {
			return out, err
		}
		if p.Status == access.PersonEnded && p.EndAt != nil && !p.EndAt.Before(since) && p.EndAt.Before(run.Time) {
			leavers[p.Key] = p
		}
	}
	out.Leavers = len(leavers)
	rows, err := a.closings(ctx, leavers, since)
	if err != nil {
		return out, err
	}
	if err := a.stillOpen(ctx, run, leavers, rows); err != nil {
		return out, err
	}
	late := map[string]bool{}
	for _, r := range rows {
		if !r.Closed.IsZero() && !r.Closed.After(r.Ended) {
			continue // closed before the end, or on it
		}
		out.add(r, run.Time, late)
	}
	out.LateHR = len(late)
	slices.SortFunc(out.Accounts, func(a, b ClockRow) int {
		return cmp.Or(-cmp.Compare(a.Hours, b.Hours), strings.Compare(a.Person, b.Person), strings.Compare(a.Source, b.Source), strings.Compare(a.Account, b.Account))
	})
	out.percentiles()
	return out, nil
}

func (c *Clock) add(r *ClockRow, now time.Time, late map[string]bool) {
	closed := r.Closed
	if closed.IsZero() {
		closed = now
		c.Open++
	}
	from := r.Ended
	if r.Known.After(from) {
		from, r.LateHR, late[r.Person] = r.Known, true, true
	}
	r.Hours, r.Exposure = max(0, closed.Sub(from).Hours()), closed.Sub(r.Ended).Hours()
	if r.Breach = closed.Sub(from) > c.Limit; r.Breach {
		c.Breaches++
	}
	c.Exposure += r.Exposure
	c.Worst = max(c.Worst, r.Hours)
	c.Accounts = append(c.Accounts, *r)
}

// percentiles are of the nearest rank.
func (c *Clock) percentiles() {
	var closed []float64
	for _, r := range c.Accounts {
		if !r.Closed.IsZero() {
			closed = append(closed, r.Hours)
		}
	}
	if len(closed) == 0 {
		return
	}
	slices.Sort(closed)
	rank := func(p float64) float64 { return closed[int(math.Ceil(p*float64(len(closed))))-1] }
	c.P50, c.P95 = rank(0.5), rank(0.95)
}

// closings are the accounts of leavers that runs saw closed, or Lapse itself disabled.
func (a *App) closings(ctx context.Context, leavers map[string]store.RunPerson, since time.Time) (map[state.Ref]*ClockRow, error) {
	rows := map[state.Ref]*ClockRow{}
	for c, err := range a.store.Changes(ctx, store.ChangeFilter{Kinds: []string{"account"}, Fields: []string{"enabled", "exists"}, Since: since}) {
		if err != nil {
			return nil, err
		}
		p, ok := leavers[c.Person]
		if !ok {
			continue
		}
		at := state.Ref{Source: c.Source, ID: c.Subject}
		if c.After == "true" { // it is open again
			delete(rows, at)
			continue
		}
		if c.After != "false" {
			continue
		}
		r := newClockRow(p, at)
		r.Closed, r.How, r.seen = c.TimeAfter, "seen by a scan", c.TimeBefore
		rows[at] = r
	}
	decisions, err := a.State(ctx)
	if err != nil {
		return nil, err
	}
	entries, err := decisions.ChangeEntries(ctx, state.ChangeFilter{Since: since})
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		r := rows[state.Ref{Source: e.Source, ID: e.Object}]
		between := r != nil && e.Ended.After(r.seen) && e.Ended.Before(r.Closed) // of the scans that saw it open and closed
		if between && e.Undoes == "" && e.Action == string(access.ActionDisable) && e.Status == state.ChangeDone {
			r.Closed, r.How = e.Ended, "exact, by the journal"
		}
	}
	return rows, nil
}

func newClockRow(p store.RunPerson, at state.Ref) *ClockRow {
	r := &ClockRow{Person: p.Key, Name: p.Name, Source: at.Source, Account: at.ID, Ended: *p.EndAt, Known: p.EndFirstKnown}
	if r.Known.IsZero() {
		r.Known = r.Ended
	}
	return r
}

// stillOpen adds the accounts of leavers that can still be used, and names the others.
func (a *App) stillOpen(ctx context.Context, run store.RunInfo, leavers map[string]store.RunPerson, rows map[state.Ref]*ClockRow) error {
	theirs := map[string][]string{}
	whose := map[state.Ref]string{}
	for l, err := range a.store.Links(ctx, run.ID, "") {
		if err != nil {
			return err
		}
		if _, ok := leavers[l.Person]; ok && l.Status == access.LinkLinked {
			theirs[l.Source] = append(theirs[l.Source], l.AccountID)
			whose[state.Ref{Source: l.Source, ID: l.AccountID}] = l.Person
		}
	}
	inputs, err := a.store.Inputs(ctx, run.ID)
	if err != nil {
		return err
	}
	for _, in := range inputs {
		if len(theirs[in.Source]) == 0 || in.Snapshot == 0 {
			continue
		}
		accounts, err := a.store.AccountsByID(ctx, in.Source, in.Snapshot, theirs[in.Source])
		if err != nil {
			return err
		}
		for _, acc := range accounts {
			at := state.Ref{Source: in.Source, ID: acc.ID}
			r := rows[at]
			if acc.Enabled != nil && *acc.Enabled && r == nil {
				r = newClockRow(leavers[whose[at]], at)
				r.How = "it can still be used"
				rows[at] = r
			}
			if r != nil {
				r.Username = acc.Username
			}
		}
	}
	return nil
}
