package serve

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"time"

	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/strict"
)

// Settings are the section serve of lapse.yaml.
type Settings struct {
	Address  string `yaml:"address"`
	Schedule string `yaml:"schedule"` // of the scan: five fields of cron, or never
	Send     string `yaml:"send"`     // when what waits to be sent is sent, beside after scans; never by default
	Timezone string `yaml:"timezone"` // of both; by default that of the file
	// AfterScan is what follows a scan, in this order: notify sends, apply carries out what is approved and due.
	AfterScan  []string       `yaml:"after_scan"`
	Attempts   int            `yaml:"attempts"`    // at each step
	RetryAfter strict.Span    `yaml:"retry_after"` // doubled for each further attempt
	Grace      strict.Span    `yaml:"grace"`       // for what runs when the service is stopped
	Overdue    strict.Span    `yaml:"overdue"`     // after which a run that was not done makes the service unready
	Metrics    collect.Secret `yaml:"metrics_token"`
	Webhooks   []Webhook      `yaml:"webhooks"`
}

// Never is the schedule of what is not scheduled.
const Never = "never"

// The steps that may follow a scan.
const (
	StepNotify = "notify"
	StepApply  = "apply"
)

// Webhook is where an HR system says that somebody leaves: POST /hr/NAME.
type Webhook struct {
	Name   string         `yaml:"name"`
	Secret collect.Secret `yaml:"secret"` // that requests are signed with
	Bearer collect.Secret `yaml:"bearer"` // or, for a system that can't sign, the token that it sends
	Roster string         `yaml:"roster"` // uid of the roster whose ids it uses; "" for addresses and keys
	ID     Expr           `yaml:"id"`     // of the event: the same id is the same event
	Event  Expr           `yaml:"event"`  // its kind
	Leaver strict.Texts   `yaml:"leaver"` // the kinds that say that somebody leaves
	Person Expr           `yaml:"person"`
	On     Expr           `yaml:"on"` // when they leave: a day, a time or RFC 3339; optional
	// EndDate says what a day in On is: last_day, at whose end they leave, or first_day_off.
	EndDate string `yaml:"end_date"`
}

// Defaults are the settings that hold where none are set.
func Defaults() Settings {
	return Settings{Address: "127.0.0.1:8080", Schedule: "0 2 * * *", Send: Never, Attempts: 3, RetryAfter: strict.Span(5 * time.Minute),
		Grace: strict.Span(time.Minute), Overdue: strict.Span(12 * time.Hour)}
}

const (
	lastDay     = "last_day"
	firstDayOff = "first_day_off"
)

var hookName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// Validate reports every setting that makes no sense.
func (s *Settings) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if _, _, err := net.SplitHostPort(s.Address); err != nil {
		fail("address: %q is no address to listen on: write 127.0.0.1:8080", s.Address)
	}
	zone, err := s.Zone(time.UTC)
	if err != nil {
		fail("%w", err)
		zone = time.UTC
	}
	for _, c := range []struct{ name, text string }{{"schedule", s.Schedule}, {"send", s.Send}} {
		if c.text == Never {
			continue
		}
		if _, err := ParseSchedule(c.text, zone); err != nil {
			fail("%s: %w; or never", c.name, err)
		}
	}
	for i, step := range s.AfterScan {
		if step != StepNotify && step != StepApply || slices.Index(s.AfterScan, step) != i {
			fail("after_scan: %v: want notify, apply, or both", s.AfterScan)
			break
		}
	}
	if s.Attempts < 1 {
		fail("attempts: %d is less than 1", s.Attempts)
	}
	for i := range s.Webhooks {
		w := &s.Webhooks[i]
		if !hookName.MatchString(w.Name) {
			fail("webhooks: name %q: want lower-case letters, digits or '-', at most 40", w.Name)
		}
		if slices.IndexFunc(s.Webhooks, func(o Webhook) bool { return o.Name == w.Name }) != i {
			fail("webhooks: name %q stands twice", w.Name)
		}
		if w.Secret.IsSet() == w.Bearer.IsSet() {
			fail("webhooks.%s: want a secret that requests are signed with, or a bearer token, and not both", w.Name)
		}
		if w.EndDate != "" && w.EndDate != lastDay && w.EndDate != firstDayOff {
			fail("webhooks.%s.end_date: %q: want last_day or first_day_off", w.Name, w.EndDate)
		}
		for _, e := range []struct {
			name string
			set  bool
		}{{"id", w.ID.IsSet()}, {"event", w.Event.IsSet()}, {"person", w.Person.IsSet()}, {"leaver", len(w.Leaver) > 0}} {
			if !e.set {
				fail("webhooks.%s.%s is missing", w.Name, e.name)
			}
		}
	}
	return errors.Join(errs...)
}

// Zone is that of the schedules.
func (s *Settings) Zone(otherwise *time.Location) (*time.Location, error) {
	if s.Timezone == "" {
		return otherwise, nil
	}
	zone, err := time.LoadLocation(s.Timezone)
	if err != nil {
		return nil, fmt.Errorf("timezone: %q is not in the time zone database: write one such as Europe/Berlin", s.Timezone)
	}
	return zone, nil
}
