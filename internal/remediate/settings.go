package remediate

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/collect"
)

// Settings are the section remediation of lapse.yaml. What is not set there is as Defaults has it: every belt on.
type Settings struct {
	Contact   string     `yaml:"contact"`   // whom to call about a change: it is written onto changed objects
	Approvers []Approver `yaml:"approvers"` // who may approve plans
	Approvals int        `yaml:"approvals"` // how many of them a plan needs
	// ByClick lets the answer of whoever was asked about a finding approve a plan for that one account.
	ByClick   bool                      `yaml:"approve_by_click"`
	Separate  bool                      `yaml:"separate"` // whoever made a plan may not approve it, whoever approved it may not apply it
	Caps      Caps                      `yaml:"caps"`
	PlanHours int                       `yaml:"plan_hours"`   // how old a plan may be
	Roster    int                       `yaml:"roster_hours"` // how old what HR says may be
	Window    Window                    `yaml:"window"`
	Protected Protected                 `yaml:"protected"`
	LegalHold []string                  `yaml:"legal_hold"` // people, by key (roster:id): nothing of theirs is deleted, given away or reclaimed
	Policies  map[string]PolicySettings `yaml:"policies"`
	Delete    bool                      `yaml:"delete"`   // accounts may be deleted
	Parallel  int                       `yaml:"parallel"` // objects of one source that are changed at the same time
	Offboard  []OffboardStep            `yaml:"offboard"`
	// Tickets opens one in notify.tickets for each step that a person has to make; closed as done, it is their word for it.
	Tickets bool `yaml:"tickets"`
}

// Approver is a person who may approve plans, known by a key.
type Approver struct {
	ID   string `yaml:"id"`   // person key, as the ledger names them
	Name string `yaml:"name"` // for people to read
	Key  string `yaml:"key"`  // ed25519 public key in base64
}

// Caps are the most changes that may be made at once.
type Caps struct {
	Plan     int           `yaml:"plan"`
	Policy   int           `yaml:"policy"`   // of a plan, for one policy
	Source   int           `yaml:"source"`   // of a plan, in one source
	Assignee int           `yaml:"assignee"` // of a plan, of one assignee's findings
	Day      int           `yaml:"day"`      // over all plans, in 24 hours
	Share    collect.Share `yaml:"share"`    // of a source's accounts; a few are never too many
}

// fewAccounts is how many accounts of a source may be changed whatever share of them it is.
const fewAccounts = 5

// Protected are things that no plan touches. The patterns are shell patterns and are matched without regard to case.
type Protected struct {
	Accounts     []string `yaml:"accounts"`     // ids or user names
	Entitlements []string `yaml:"entitlements"` // ids or names
	People       []string `yaml:"people"`       // person keys
}

// Mode is what a policy's findings may lead to.
type Mode string

// A policy in mode report leads to no change, one in mode ask to changes that a person approves, one in mode auto to
// changes that lapse.yaml has approved.
const (
	ModeReport Mode = "report"
	ModeAsk    Mode = "ask"
	ModeAuto   Mode = "auto"
)

// PolicySettings are those of one policy.
type PolicySettings struct {
	Mode   Mode `yaml:"mode"`
	Notice int  `yaml:"notice_days"` // how long a finding must have stood
}

// Defaults are the settings that hold where none are set.
func Defaults() Settings {
	w, err := ParseWindow("Mon-Thu 09:00-16:00")
	if err != nil {
		panic("remediate: " + err.Error())
	}
	return Settings{
		Approvals: 1, Separate: true, PlanHours: 24, Roster: 24, Window: w, Parallel: 1,
		Caps: Caps{Plan: 50, Policy: 50, Source: 50, Assignee: 25, Day: 100, Share: 0.05},
	}
}

// always are the accounts and entitlements that are protected whatever lapse.yaml says: without them a system is lost.
var always = Protected{
	Accounts:     []string{"administrator", "krbtgt", "krbtgt_*", "guest", "defaultaccount", "root", "postgres"},
	Entitlements: []string{"domain controllers", "read-only domain controllers"},
}

// Validate reports every setting that makes no sense.
func (s *Settings) Validate() error {
	var errs []error
	for i, a := range s.Approvers {
		if strings.TrimSpace(a.ID) == "" {
			errs = append(errs, fmt.Errorf("approvers[%d]: id is missing: the person's key, such as hr:1001", i))
		}
		if _, err := a.key(); err != nil {
			errs = append(errs, fmt.Errorf("approvers[%d]: key: %w", i, err))
		}
	}
	for _, n := range []struct {
		name string
		v    int
	}{{"approvals", s.Approvals}, {"plan_hours", s.PlanHours}, {"roster_hours", s.Roster}, {"parallel", s.Parallel}} {
		if n.v < 1 {
			errs = append(errs, fmt.Errorf("%s: %d is less than 1", n.name, n.v))
		}
	}
	for _, n := range []struct {
		name string
		v    int
	}{{"plan", s.Caps.Plan}, {"policy", s.Caps.Policy}, {"source", s.Caps.Source}, {"assignee", s.Caps.Assignee}, {"day", s.Caps.Day}} {
		if n.v < 0 {
			errs = append(errs, fmt.Errorf("caps.%s: %d is less than 0", n.name, n.v))
		}
	}
	if s.Caps.Share < 0 || s.Caps.Share > 1 {
		errs = append(errs, fmt.Errorf("caps.share: %s is not between 0%% and 100%%", s.Caps.Share))
	}
	for _, id := range slices.Sorted(maps.Keys(s.Policies)) {
		p := s.Policies[id]
		if !slices.Contains([]Mode{"", ModeReport, ModeAsk, ModeAuto}, p.Mode) {
			errs = append(errs, fmt.Errorf("policies.%s.mode: %q is none of report, ask, auto", id, p.Mode))
		}
		if p.Notice < 0 {
			errs = append(errs, fmt.Errorf("policies.%s.notice_days: %d is less than 0", id, p.Notice))
		}
	}
	for i, step := range s.Offboard {
		if err := step.validate(); err != nil {
			errs = append(errs, fmt.Errorf("offboard[%d]: %w", i, err))
		}
	}
	for _, list := range []struct {
		name     string
		patterns []string
	}{{"accounts", s.Protected.Accounts}, {"entitlements", s.Protected.Entitlements}, {"people", s.Protected.People}} {
		for _, p := range list.patterns {
			if _, err := path.Match(p, ""); err != nil {
				errs = append(errs, fmt.Errorf("protected.%s: %q is no pattern: %w", list.name, p, err))
			}
		}
	}
	return errors.Join(errs...)
}

func (a Approver) key() (ed25519.PublicKey, error) {
	k, err := base64.StdEncoding.DecodeString(a.Key)
	if err != nil || len(k) != ed25519.PublicKeySize {
		return nil, errors.New("it is no ed25519 public key in base64: `lapse approve --new-key FILE` makes a pair and prints it")
	}
	return k, nil
}

// policy is what is set for a policy.
func (s *Settings) policy(id string) PolicySettings {
	p := s.Policies[id]
	if p.Mode == "" {
		p.Mode = ModeAsk
	}
	return p
}

// matches says which pattern one of the texts fits, "" for none.
func matches(patterns []string, texts ...string) string {
	for _, p := range patterns {
		for _, t := range texts {
			if ok, err := path.Match(strings.ToLower(p), strings.ToLower(t)); ok && err == nil && t != "" {
				return p
			}
		}
	}
	return ""
}

// Window is when changes are made: days of the week and hours of the day.
type Window struct {
	text     string
	days     [7]bool
	from, to time.Duration // since midnight
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// ParseWindow reads "Mon-Thu 09:00-16:00", "Mon,Wed 22:00-24:00" or "any".
func ParseWindow(text string) (Window, error) {
	w := Window{text: text, to: 24 * time.Hour}
	bad := fmt.Errorf(`%q is no window: write "Mon-Thu 09:00-16:00", or "any"`, text)
	if strings.EqualFold(strings.TrimSpace(text), "any") {
		for i := range w.days {
			w.days[i] = true
		}
		return w, nil
	}
	days, hours, ok := strings.Cut(strings.TrimSpace(text), " ")
	if !ok {
		return w, bad
	}
	for _, part := range strings.Split(days, ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		i, j := slices.Index(weekdays, strings.ToLower(first)), slices.Index(weekdays, strings.ToLower(last))
		if i < 0 || j < 0 {
			return w, bad
		}
		for d := i; ; d = (d + 1) % 7 {
			w.days[d] = true
			if d == j {
				break
			}
		}
	}
	from, to, ok := strings.Cut(strings.TrimSpace(hours), "-")
	if !ok {
		return w, bad
	}
	for text, into := range map[string]*time.Duration{from: &w.from, to: &w.to} {
		if text == "24:00" {
			*into = 24 * time.Hour
			continue
		}
		t, err := time.Parse("15:04", text)
		if err != nil {
			return w, bad
		}
		*into = time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
	}
	if w.from >= w.to {
		return w, bad
	}
	return w, nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (w *Window) UnmarshalText(text []byte) (err error) {
	*w, err = ParseWindow(string(text))
	return err
}

func (w Window) String() string { return w.text }

// Open says whether changes are made at an instant, by the wall clock of a zone: on the night when clocks change, too.
func (w Window) Open(t time.Time, zone *time.Location) bool {
	t = t.In(zone)
	clock := time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second
	return w.days[t.Weekday()] && clock >= w.from && clock < w.to
}
