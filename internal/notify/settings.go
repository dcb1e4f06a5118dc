package notify

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/collect"
)

// Settings are the section notify of lapse.yaml.
type Settings struct {
	Owners    map[string]string   `yaml:"owners"` // of apps, by source uid: a person's key, or an address
	Security  Security            `yaml:"security"`
	Delegates map[string][]string `yaml:"delegates"` // who may answer for a person too, by keys

	RemindDays   []int `yaml:"remind_days"`   // after the first message
	DeadlineDays int   `yaml:"deadline_days"` // until the manager is asked
	EscalateDays int   `yaml:"escalate_days"` // from then until the security team is
	LaterDays    int   `yaml:"later_days"`    // the longest that an answer may be put off
	// ExceptionDays is how long before its end an exception is announced; 0: never.
	ExceptionDays int `yaml:"exception_days"`

	Hold  Hold              `yaml:"hold"`
	Quiet Quiet             `yaml:"quiet"`
	Zones map[string]string `yaml:"zones"` // of people, by their location; else the zone of lapse.yaml
	// Summary tells the security team after each run what it gave rise to.
	Summary bool `yaml:"summary"`
	// AfterScan lets each scan send what it gives rise to.
	AfterScan bool `yaml:"after_scan"`

	PerMinute map[string]int `yaml:"per_minute"` // messages, by channel
	Text      Text           `yaml:"text"`
	Webhook   Webhook        `yaml:"webhook"`
}

// Security is how the security team is reached. Where a messenger is used, its channel stands among the messenger's settings.
type Security struct {
	Email  string   `yaml:"email"`
	People []string `yaml:"people"` // keys of who may answer for it
}

// Hold is when so much is new that a person has to look before anything is sent.
type Hold struct {
	Factor int `yaml:"factor"` // times the usual number
	Least  int `yaml:"least"`  // so few are never held
}

// Text is the channel that writes each message into a file.
type Text struct {
	Dir string `yaml:"dir"`
}

// Webhook is the channel that posts each message to a URL.
type Webhook struct {
	URL    string         `yaml:"url"`
	Secret collect.Secret `yaml:"secret"` // that messages are signed with
}

// Defaults are the settings that hold where none are set.
func Defaults() Settings {
	return Settings{
		RemindDays: []int{3, 7}, DeadlineDays: 10, EscalateDays: 4, LaterDays: 14, ExceptionDays: 14,
		Hold: Hold{Factor: 3, Least: 20}, Quiet: Quiet{From: 20 * 60, To: 7 * 60, Weekend: true},
	}
}

// Validate reports every setting that makes no sense.
func (s *Settings) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, uid := range slices.Sorted(maps.Keys(s.Owners)) {
		if strings.TrimSpace(s.Owners[uid]) == "" {
			fail("owners.%s: it is empty: name a person's key, such as hr:1001, or an address", uid)
		}
	}
	if s.Security.Email != "" && !isAddress(s.Security.Email) {
		fail("security.email: %q is no address", s.Security.Email)
	}
	for i, d := range s.RemindDays {
		if d < 1 || i > 0 && d <= s.RemindDays[i-1] {
			fail("remind_days: %v: want growing numbers of days, from 1", s.RemindDays)
			break
		}
	}
	for _, n := range []struct {
		name string
		v    int
	}{{"deadline_days", s.DeadlineDays}, {"escalate_days", s.EscalateDays}, {"later_days", s.LaterDays}, {"hold.factor", s.Hold.Factor}} {
		if n.v < 1 {
			fail("%s: %d is less than 1", n.name, n.v)
		}
	}
	if s.ExceptionDays < 0 {
		fail("exception_days: %d is less than 0", s.ExceptionDays)
	}
	if s.Hold.Least < 0 {
		fail("hold.least: %d is less than 0", s.Hold.Least)
	}
	for _, name := range slices.Sorted(maps.Keys(s.PerMinute)) {
		if s.PerMinute[name] < 1 {
			fail("per_minute.%s: %d is less than 1", name, s.PerMinute[name])
		}
	}
	for _, place := range slices.Sorted(maps.Keys(s.Zones)) {
		if _, err := time.LoadLocation(s.Zones[place]); err != nil {
			fail("zones.%s: %q is not in the time zone database: write one such as Europe/Berlin", place, s.Zones[place])
		}
	}
	if s.Webhook.URL != "" {
		// What is wrong with the URL is not repeated: it may hold a secret.
		u, err := url.Parse(s.Webhook.URL)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
			fail("webhook.url: it is no http or https URL")
		case u.User != nil:
			fail("webhook.url: it holds a password: messages are signed with webhook.secret instead")
		case !s.Webhook.Secret.IsSet():
			fail("webhook.secret: it is missing: who receives messages must be able to tell that they are Lapse's")
		}
	}
	return errors.Join(errs...)
}

func isAddress(s string) bool {
	name, domain, ok := strings.Cut(s, "@")
	return ok && name != "" && strings.Trim(domain, ".") == domain && domain != "" && !strings.ContainsAny(s, " \t\r\n<>,;")
}

// zone is where a person at a location lives.
func (s *Settings) zone(location string, otherwise *time.Location) *time.Location {
	if name, ok := s.Zones[location]; ok {
		if z, err := time.LoadLocation(name); err == nil {
			return z
		}
	}
	if otherwise == nil {
		return time.UTC
	}
	return otherwise
}
