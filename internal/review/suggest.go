package review

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/fold"
)

// What can be decided of an item.
const (
	Approve = "approve"
	Revoke  = "revoke"
	NotMine = "not-mine" // somebody else is to be asked
)

// Settings are the section review of lapse.yaml.
type Settings struct {
	DueDays int `yaml:"due_days"` // from the start
	// UnusedDays is how long nothing may have been used before taking it away is suggested; a grant younger than that is let be.
	UnusedDays int `yaml:"unused_days"`
	// UsedDays and ApprovedDays are how recent a use or an approval has to be for keeping it to be suggested.
	UsedDays     int `yaml:"used_days"`
	ApprovedDays int `yaml:"approved_days"`
	// Birthright are the tags of entitlements that everybody of a kind gets by their job.
	Birthright []string `yaml:"birthright"`
	HardInMail int      `yaml:"hard_in_message"` // items that a message shows; the rest is a number
}

// Defaults are the settings that hold where none are set.
func Defaults() Settings {
	return Settings{DueDays: 14, UnusedDays: 90, UsedDays: 7, ApprovedDays: 90, Birthright: []string{"birthright"}, HardInMail: 10}
}

// Validate reports every setting that makes no sense.
func (s *Settings) Validate() error {
	var errs []error
	for _, n := range []struct {
		name string
		v    int
	}{{"due_days", s.DueDays}, {"unused_days", s.UnusedDays}, {"used_days", s.UsedDays}, {"approved_days", s.ApprovedDays}, {"hard_in_message", s.HardInMail}} {
		if n.v < 1 {
			errs = append(errs, fmt.Errorf("%s: %d is less than 1", n.name, n.v))
		}
	}
	return errors.Join(errs...)
}

// Suggestion is what the evidence says, if it is clear. It decides nothing.
type Suggestion struct {
	Suggested string   `json:"suggested,omitempty"` // approve, revoke or ""
	Evidence  []string `json:"evidence,omitempty"`  // in words
	// Hard says why somebody has to look closely, in words.
	Hard   []string `json:"hard,omitempty"`
	weight int
}

// The share of peers below which a grant is an outlier, and the group that is large enough to say so.
const (
	rare      = 0.1
	fewPeople = 8
)

// Suggest says what the evidence of a grant speaks for. What is not known speaks for nothing: a source that tells of no use
// leaves its grants undecided, however old they are. What is hard is never suggested to be kept.
func (s Settings) Suggest(g Grant) Suggestion {
	var out Suggestion
	out.hard(g)
	if against := s.against(g); len(against) > 0 {
		out.Suggested, out.Evidence = Revoke, against
		return out
	}
	if out.weight >= heavy {
		return out
	}
	if in := s.favour(g); len(in) > 0 {
		out.Suggested, out.Evidence = Approve, in
	}
	return out
}

// From this weight on a suggestion would keep somebody from looking.
const heavy = 2

func (o *Suggestion) hard(g Grant) {
	add := func(weight int, format string, args ...any) {
		o.weight += weight
		o.Hard = append(o.Hard, fmt.Sprintf(format, args...))
	}
	if truth(g.Privileged) {
		add(8, "it is privileged")
	}
	if truth(g.HighRisk) {
		add(6, "it is of high risk")
	}
	if g.PeerShare != nil && g.Peers != nil && *g.Peers >= fewPeople && *g.PeerShare < rare {
		add(4, "%.0f%% of %d peers hold it", 100**g.PeerShare, *g.Peers)
	}
	if g.Person == "" && g.Kind != access.KindService && g.Kind != access.KindMachine {
		add(2, "nobody knows whose account it is")
	}
	if _, known := g.unused(); !known && g.UsedDays == nil {
		add(1, "nobody knows when it was last used")
	}
}

// against are the reasons to take it away.
func (s Settings) against(g Grant) (out []string) {
	if g.Status == access.PersonEnded {
		text := "the person has left"
		if g.EndDays != nil {
			text = "the person left " + ago(*g.EndDays)
		}
		out = append(out, text)
	}
	limit := int64(s.UnusedDays)
	age, known := g.age()
	if g.Status == access.PersonLeave || !known || age <= limit {
		return out // who is away uses nothing, and what is new was not used yet
	}
	switch unused, ok := g.unused(); {
	case g.UsedDays != nil && *g.UsedDays > limit:
		out = append(out, fmt.Sprintf("it was last used %s ago, and is %s old", days(*g.UsedDays), days(age)))
	case g.UsedDays != nil: // it was used, whatever is said of the account
	case truth(g.NeverSignedIn):
		out = append(out, fmt.Sprintf("the account has never signed in, and the grant is %s old", days(age)))
	case ok && unused > limit:
		// The day itself is no reviewer's business.
		out = append(out, fmt.Sprintf("the account was not signed in to for more than %s, and the grant is %s old", days(limit), days(age)))
	}
	return out
}

// favour are the reasons to keep it.
func (s Settings) favour(g Grant) (out []string) {
	if g.Status != "" && g.Status != access.PersonActive || g.Enabled != nil && !*g.Enabled {
		return nil
	}
	if g.UsedDays != nil && *g.UsedDays <= int64(s.UsedDays) {
		out = append(out, fmt.Sprintf("it was used %s", ago(*g.UsedDays)))
	}
	if slices.ContainsFunc(g.Tags, func(t string) bool {
		return slices.ContainsFunc(s.Birthright, func(b string) bool { return fold.Text(b) == fold.Text(t) })
	}) && g.Status == access.PersonActive {
		out = append(out, "everybody gets it by their job")
	}
	if truth(g.Approved) && g.GrantedDays != nil && *g.GrantedDays <= int64(s.ApprovedDays) {
		out = append(out, fmt.Sprintf("it was approved when it was granted %s", ago(*g.GrantedDays)))
	}
	return out
}

// age is how long the grant has been there at least.
func (g Grant) age() (int64, bool) {
	switch {
	case g.GrantedDays != nil:
		return *g.GrantedDays, true
	case g.KnownDays != nil:
		return *g.KnownDays, true
	}
	return 0, false
}

// unused is for how many days the account has not signed in for sure: its stamp may be earlier than the truth by the lag.
func (g Grant) unused() (n int64, known bool) {
	if g.SignInDays == nil {
		return 0, truth(g.NeverSignedIn)
	}
	n = *g.SignInDays
	if g.SignInLag != nil {
		n -= *g.SignInLag
	}
	return max(0, n), true
}

func days(n int64) string {
	if n == 1 {
		return "1 day"
	}
	return fmt.Sprintf("%d days", n)
}

func ago(n int64) string {
	if n <= 0 {
		return "today"
	}
	return days(n) + " ago"
}

// Said is the evidence in one line.
func (o Suggestion) Said() string { return strings.Join(o.Evidence, "; ") }
