package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/policy"
	"github.com/lapse-audit/lapse/internal/scan"
	"github.com/lapse-audit/lapse/internal/store"
)

// Backtest is what policies would have said over the nights that are kept. Nothing of it is recorded.
type Backtest struct {
	Since, Until string // days
	Nights       []Night
	Missing      []string // days of which no run is kept
	Policies     []Backtested
}

// Night is one night that was judged again: the last complete run of a day, or the last one at all.
type Night struct {
	Day        string    `json:"day"`
	Run        uint64    `json:"run"`
	Time       time.Time `json:"time"`
	Incomplete bool      `json:"incomplete,omitempty"`
	Stale      []string  `json:"stale,omitempty"` // sources that were not fresh
}

// Backtested is one policy's part in a Backtest.
type Backtested struct {
	Policy policy.Policy
	Change string

	Nights   []NightCount
	Findings int // different ones, over all nights
	Standing int // of them, those of the last night
	// Acted counts the different findings that the remediator would have been asked to act on, by the policy's action.
	Acted    int
	Subjects int // different ones that were flagged
	Lives    []Stretch
	Overlap  []Overlap
}

// NightCount is what one night came to. New and Gone are against the judged night before.
type NightCount struct {
	Day          string `json:"day"`
	Flagged      int    `json:"flagged"`
	New          int    `json:"new"`
	Gone         int    `json:"gone"`
	Excluded     int    `json:"excluded"`
	Evaluated    uint64 `json:"evaluated"`
	NotEvaluable uint64 `json:"not_evaluable"`
	Failed       string `json:"failed,omitempty"` // why it was broken off: the night says nothing
}

// Stretch is a time over which a finding would have stood without a break.
type Stretch struct {
	Example
	First  string `json:"first"`  // the first night that has it
	Last   string `json:"last"`   // the last night that has it
	Nights int    `json:"nights"` // that have it
	Days   int    `json:"days"`   // from the first night to the one that no longer has it, or to the last night
	Stands bool   `json:"stands"` // on the last night
}

// Overlap counts the subjects that another policy had an open finding on in the same night.
type Overlap struct {
	Policy   string `json:"policy"`
	Subjects int    `json:"subjects"`
}

// BacktestOptions say what to judge again.
type BacktestOptions struct {
	Chosen
	Since    time.Time
	Progress func(night, of int)
}

// Backtest judges every kept night since a time again by the chosen policies.
func (a *App) Backtest(ctx context.Context, o BacktestOptions) (Backtest, error) {
	last, err := a.run(ctx, 0)
	if err != nil {
		return Backtest{}, err
	}
	chosen, err := a.candidates(ctx, o.Chosen, last)
	if err != nil {
		return Backtest{}, err
	}
	pack, err := a.Pack()
	if err != nil {
		return Backtest{}, err
	}
	zone := a.Config.Location
	since := o.Since.In(zone)
	since = time.Date(since.Year(), since.Month(), since.Day(), 0, 0, 0, 0, zone)
	runs, err := a.store.Runs(ctx, store.RunFilter{Since: since})
	if err != nil {
		return Backtest{}, err
	}
	out := Backtest{Since: since.Format(time.DateOnly), Until: last.Time.In(zone).Format(time.DateOnly)}
	tests := make([]*backtester, len(chosen))
	var kinds []access.SubjectKind
	for i, c := range chosen {
		tests[i] = newBacktester(c)
		if !slices.Contains(kinds, c.Subject) {
			kinds = append(kinds, c.Subject)
		}
	}
	nights := nightsOf(runs, zone)
	err = a.rejudging(ctx, "lapse policy backtest", func(ctx context.Context, s *store.Store) error {
		again := a.rejudgingBy(s, pack, ids(chosen))
		defer again.Close(ctx)
		again.Sandbox = a.Sandbox
		for i, run := range nights {
			if o.Progress != nil {
				o.Progress(i+1, len(nights))
			}
			judged, err := again.Run(ctx, run.ID)
			if errors.Is(err, store.ErrNotFound) {
				continue // pruned
			}
			if err != nil {
				return err
			}
			night := Night{Day: run.Time.In(zone).Format(time.DateOnly), Run: run.ID, Time: run.Time, Incomplete: run.Status != store.RunComplete}
			for _, in := range judged.Inputs {
				if in.Status != store.InputFresh {
					night.Stale = append(night.Stale, in.Source)
				}
			}
			out.Nights = append(out.Nights, night)
			others := map[finding.Subject][]string{}
			for f, err := range s.Flagged(ctx, run.ID, kinds) {
				if err != nil {
					return err
				}
				others[f.Subject] = f.Policies
			}
			for _, t := range tests {
				t.night(night.Day, judged, others)
			}
		}
		return nil
	})
	if err != nil {
		return out, fmt.Errorf("backtest since %s: %w", out.Since, err)
	}
	if len(out.Nights) == 0 {
		return out, fmt.Errorf("no night since %s is kept: give --since an earlier day", out.Since)
	}
	out.Missing = missingDays(since, last.Time.In(zone), out.Nights)
	for _, t := range tests {
		out.Policies = append(out.Policies, t.result())
	}
	return out, nil
}

// nightsOf picks the run that stands for each day, the oldest first. runs are the newest first.
func nightsOf(runs []store.RunInfo, zone *time.Location) []store.RunInfo {
	best := map[string]store.RunInfo{}
	for _, r := range runs {
		day := r.Time.In(zone).Format(time.DateOnly)
		if have, ok := best[day]; !ok || have.Status != store.RunComplete && r.Status == store.RunComplete {
			best[day] = r
		}
	}
	out := make([]store.RunInfo, 0, len(best))
	for _, r := range best {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b store.RunInfo) int { return a.Time.Compare(b.Time) })
	return out
}

// missingDays lists the days from since to the last run of which no night was judged.
func missingDays(since, last time.Time, nights []Night) (out []string) {
	have := map[string]bool{}
	for _, n := range nights {
		have[n.Day] = true
	}
	end := last.Format(time.DateOnly)
	for d := since; d.Format(time.DateOnly) <= end; d = d.AddDate(0, 0, 1) {
		if day := d.Format(time.DateOnly); !have[day] {
			out = append(out, day)
		}
	}
	return out
}

// backtester gathers one policy's nights.
type backtester struct {
	out      Backtested
	open     map[finding.Fingerprint]*Stretch // that the night before had
	seen     map[finding.Fingerprint]bool
	subjects map[finding.Subject]bool
	overlap  map[string]map[finding.Subject]bool
}

func newBacktester(c candidate) *backtester {
	return &backtester{out: Backtested{Policy: c.Policy, Change: c.Change}, open: map[finding.Fingerprint]*Stretch{}, seen: map[finding.Fingerprint]bool{},
		subjects: map[finding.Subject]bool{}, overlap: map[string]map[finding.Subject]bool{}}
}

func (b *backtester) night(day string, judged scan.Rejudged, others map[finding.Subject][]string) {
	id := b.out.Policy.ID
	tally := sumTallies(id, judged.Tallies)
	n := NightCount{Day: day, Evaluated: tally.Evaluated, NotEvaluable: tally.NotEvaluable}
	if err := judged.Failures[id]; err != nil {
		b.out.Nights = append(b.out.Nights, NightCount{Day: day, Failed: err.Error()})
		return
	}
	hit := map[finding.Fingerprint]bool{}
	for _, r := range judged.Results {
		if r.Policy != id {
			continue
		}
		if r.ExcludedBy != "" {
			n.Excluded++
			continue
		}
		n.Flagged++
		hit[r.Fingerprint], b.seen[r.Fingerprint], b.subjects[r.Subject] = true, true, true
		s := b.open[r.Fingerprint]
		if s == nil {
			n.New++
			s = &Stretch{First: day}
			b.open[r.Fingerprint] = s
		}
		s.Example = Example{r.Fingerprint, r.Subject.Source, r.Subject.ID, r.Name, r.Assignee, r.Message}
		s.Last = day
		s.Nights++
		for _, other := range others[r.Subject] {
			if other == id {
				continue
			}
			if b.overlap[other] == nil {
				b.overlap[other] = map[finding.Subject]bool{}
			}
			b.overlap[other][r.Subject] = true
		}
	}
	for fingerprint, s := range b.open {
		if !hit[fingerprint] {
			n.Gone++
			b.ended(s, day, false)
			delete(b.open, fingerprint)
		}
	}
	b.out.Nights = append(b.out.Nights, n)
}

func (b *backtester) ended(s *Stretch, day string, stands bool) {
	s.Days, s.Stands = daysBetween(s.First, day), stands
	b.out.Lives = append(b.out.Lives, *s)
}

func daysBetween(from, to string) int {
	a, err1 := time.Parse(time.DateOnly, from)
	b, err2 := time.Parse(time.DateOnly, to)
	if err1 != nil || err2 != nil {
		return 0
	}
	return int(b.Sub(a).Hours() / 24)
}

func (b *backtester) result() Backtested {
	for _, s := range b.open {
		b.ended(s, s.Last, true)
	}
	slices.SortFunc(b.out.Lives, func(x, y Stretch) int {
		return cmp.Or(strings.Compare(x.First, y.First), strings.Compare(x.Source, y.Source), strings.Compare(x.Subject, y.Subject), strings.Compare(string(x.Finding), string(y.Finding)))
	})
	b.out.Findings, b.out.Standing, b.out.Subjects = len(b.seen), len(b.open), len(b.subjects)
	if b.out.Policy.Action != "none" && b.out.Policy.Action != "review" {
		b.out.Acted = b.out.Findings
	}
	for other, subjects := range b.overlap {
		b.out.Overlap = append(b.out.Overlap, Overlap{other, len(subjects)})
	}
	slices.SortFunc(b.out.Overlap, func(x, y Overlap) int {
		return cmp.Or(cmp.Compare(y.Subjects, x.Subjects), strings.Compare(x.Policy, y.Policy))
	})
	return b.out
}
