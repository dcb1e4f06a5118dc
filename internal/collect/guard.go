package collect

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/lapse-audit/lapse/internal/access"
)

// Share is a part of a whole: 0.1 is 10%. In text it is either.
type Share float64

// UnmarshalText reads "10%" or "0.1".
func (s *Share) UnmarshalText(text []byte) error {
	digits, percent := strings.CutSuffix(strings.TrimSpace(string(text)), "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) || f < 0 {
		return fmt.Errorf("%q is no share: write 10%% or 0.1", text)
	}
	if percent {
		f /= 100
	}
	*s = Share(f)
	return nil
}

// MarshalText writes a percentage.
func (s Share) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s Share) String() string {
	return strconv.FormatFloat(float64(int64(float64(s)*10000+0.5))/100, 'f', -1, 64) + "%"
}

func shareOf(part, whole int64) Share {
	if whole == 0 {
		return 0
	}
	return Share(float64(part) / float64(whole))
}

// Limits say how much a source may change from night to night before its snapshot is quarantined.
type Limits struct {
	// MaxRejected is the share of rows that may be rejected.
	MaxRejected Share `yaml:"max_rejected"`
	// MaxShrink is how far each count may fall below the highest of the last 7 accepted snapshots. Falling by up to
	// SmallChange records is never too much: of three administrators two is a change, not a broken feed.
	MaxShrink Share `yaml:"max_shrink"`
	// MaxGrowth is how far each count may rise above that highest. Rising by up to MinGrowth records is never too much.
	MaxGrowth Share `yaml:"max_growth"`
	// MaxCoverageLoss is how far the share of records with a signal that most records had may fall.
	MaxCoverageLoss Share `yaml:"max_coverage_loss"`
	// MinRecords is the least number of people (of a roster), accounts (of another source), or records of any kind (of a
	// source without accounts): on the first night, when there is nothing to compare with, and on every other.
	MinRecords int64 `yaml:"min_records"`
}

// Floors below which a change in number is not a sign of a broken feed.
const (
	SmallChange = 2
	MinGrowth   = 50
)

// Nights is how many accepted snapshots the guard looks back on.
const Nights = 7

// DefaultLimits are the limits that hold where none are set.
func DefaultLimits() Limits {
	return Limits{MaxRejected: 0.01, MaxShrink: 0.10, MaxGrowth: 1, MaxCoverageLoss: 0.5, MinRecords: 1}
}

// Validate reports every limit that makes no sense.
func (l Limits) Validate() error {
	var errs []error
	for _, f := range []struct {
		name  string
		value Share
	}{{"max_rejected", l.MaxRejected}, {"max_shrink", l.MaxShrink}, {"max_coverage_loss", l.MaxCoverageLoss}} {
		if f.value < 0 || f.value > 1 {
			errs = append(errs, fmt.Errorf("%s: %s is not between 0%% and 100%%", f.name, f.value))
		}
	}
	if l.MaxGrowth < 0 {
		errs = append(errs, fmt.Errorf("max_growth: %s is less than 0%%", l.MaxGrowth))
	}
	if l.MinRecords < 0 {
		errs = append(errs, fmt.Errorf("min_records: %d is less than 0", l.MinRecords))
	}
	return errors.Join(errs...)
}

// Past is an accepted snapshot.
type Past struct {
	Measure
	// ByHand says that it was accepted in spite of the guard. What was before it is no measure any more.
	ByHand bool
}

// Current is the snapshot to judge.
type Current struct {
	Measure
	Roster bool
	Reads  []string
	// Failure is why the source could not be read as a whole, nil if it could.
	Failure error
	// Accept is the reason given with --accept-shrink, "" for none.
	Accept string
}

// Cause is why a snapshot is quarantined.
type Cause string

// The causes. Failed and TooFew can't be accepted by hand.
const (
	CauseFailed   Cause = "failed"
	CauseTooFew   Cause = "too_few"
	CauseShrink   Cause = "shrink"
	CauseGrowth   Cause = "growth"
	CauseCoverage Cause = "coverage"
)

// Reason is one fault of a snapshot, with its number and its limit in Text.
type Reason struct {
	Cause Cause  `json:"cause"`
	What  string `json:"what"` // the kind of record or the signal
	Text  string `json:"text"`
}

// Verdict says whether a snapshot may be judged by. Waived are the faults that were accepted by hand; ByHand then goes
// into the history.
type Verdict struct {
	Accepted bool     `json:"accepted"`
	Reasons  []Reason `json:"reasons,omitempty"`
	Waived   []Reason `json:"waived,omitempty"`
	ByHand   bool     `json:"by_hand,omitempty"`
	Accept   string   `json:"accept,omitempty"` // the reason given
}

// String joins the reasons.
func (v Verdict) String() string {
	var texts []string
	for _, r := range v.Reasons {
		texts = append(texts, r.Text)
	}
	return strings.Join(texts, "; ")
}

// Judge compares a snapshot with the accepted ones before it, newest first, of which the last Nights count. It compares
// with the highest of them, so that a feed that shrinks a little every night is noticed when the sum of it passes the limit,
// and it has no memory of refused ones, so that a broken feed doesn't become the measure by being broken for long.
func Judge(l Limits, history []Past, cur Current) Verdict {
	if cur.Failure != nil {
		return Verdict{Reasons: []Reason{{CauseFailed, "", strings.ReplaceAll(cur.Failure.Error(), "\n", "; ")}}}
	}
	base := baseline(history)
	found := tooFew(l, cur)
	found = append(found, counts(l, base, cur)...)
	found = append(found, coverage(l, base, cur)...)

	v := Verdict{Accept: cur.Accept}
	for _, r := range found {
		if cur.Accept != "" && r.Cause != CauseTooFew {
			v.Waived = append(v.Waived, r)
		} else {
			v.Reasons = append(v.Reasons, r)
		}
	}
	v.Accepted = len(v.Reasons) == 0
	v.ByHand = v.Accepted && len(v.Waived) > 0
	return v
}

// baseline is the part of the history that counts.
func baseline(history []Past) []Past {
	history = history[:min(Nights, len(history))]
	if i := slices.IndexFunc(history, func(p Past) bool { return p.ByHand }); i >= 0 {
		history = history[:i+1]
	}
	return history
}

func tooFew(l Limits, cur Current) []Reason {
	what, n := "records", cur.Total()
	switch {
	case cur.Roster:
		what, n = string(People), cur.Counts[People]
	case cur.Counts[Accounts] > 0 || slices.Contains(cur.Reads, string(Accounts)):
		what, n = string(Accounts), cur.Counts[Accounts]
	}
	if n >= l.MinRecords {
		return nil
	}
	return []Reason{{CauseTooFew, what, fmt.Sprintf("%d %s, min_records is %d", n, what, l.MinRecords)}}
}

func counts(l Limits, base []Past, cur Current) []Reason {
	highest := map[Kind]int64{}
	for _, p := range base {
		for k, n := range p.Counts {
			highest[k] = max(highest[k], n)
		}
	}
	var out []Reason
	for _, k := range slices.Sorted(maps.Keys(highest)) {
		top, now := highest[k], cur.Counts[k]
		if fall := top - now; fall > SmallChange && float64(fall) > float64(l.MaxShrink)*float64(top) {
			out = append(out, Reason{CauseShrink, string(k), fmt.Sprintf("%d %s, %s below the %d that are the highest of the last %s; max_shrink is %s",
				now, k.words(), shareOf(fall, top), top, snapshots(len(base)), l.MaxShrink)})
		}
		// A kind that was never there before was configured just now.
		if rise := now - top; top > 0 && rise > MinGrowth && float64(rise) > float64(l.MaxGrowth)*float64(top) {
			out = append(out, Reason{CauseGrowth, string(k), fmt.Sprintf("%d %s, %s above the %d that are the highest of the last %s; max_growth is %s",
				now, k.words(), shareOf(rise, top), top, snapshots(len(base)), l.MaxGrowth)})
		}
	}
	return out
}

// coverage finds the fields that silently turned empty.
func coverage(l Limits, base []Past, cur Current) []Reason {
	best := map[string]Signal{}
	for _, p := range base {
		for name, s := range p.Signals {
			if b, ok := best[name]; !ok || share(s) > share(b) {
				best[name] = s
			}
		}
	}
	var out []Reason
	for _, name := range slices.Sorted(maps.Keys(best)) {
		was, now := best[name], cur.Signals[name]
		unread := (name == string(Grants) || name == string(Seats)) && now.Of == 0
		switch {
		case now.Of == 0 && !unread: // there are no records that could have it, and the counts say so
		case was.Have == 0:
		case now.Have == 0 && (was.Have > SmallChange || was.Coverage() == access.CoverageFull):
			out = append(out, Reason{CauseCoverage, name, fmt.Sprintf("no record has %s any more, %d of %d had it; coverage must not fall to none",
				name, was.Have, was.Of)})
		case share(was) >= 0.5 && share(now) < share(was)*(1-float64(l.MaxCoverageLoss)) && was.Have-now.Have > SmallChange:
			out = append(out, Reason{CauseCoverage, name, fmt.Sprintf("%s of the records have %s, %s had it; max_coverage_loss is %s",
				Share(share(now)), name, Share(share(was)), l.MaxCoverageLoss)})
		}
	}
	return out
}

func share(s Signal) float64 { return float64(shareOf(s.Have, s.Of)) }

func (k Kind) words() string { return strings.ReplaceAll(string(k), "_", " ") }

func snapshots(n int) string {
	if n == 1 {
		return "accepted snapshot"
	}
	return fmt.Sprintf("%d accepted snapshots", n)
}
