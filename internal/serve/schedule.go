package serve

import (
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Schedule are times, in the zone of people who live by it.
type Schedule struct {
	text string
	zone *time.Location
	spec *cron.SpecSchedule
}

// everyHour is the bit of a field that is written as *.
const everyHour = 1 << 63

// ParseSchedule reads five fields of cron (minute, hour, day of the month, month, day of the week), or @hourly, @daily,
// @weekly, @monthly.
func ParseSchedule(text string, zone *time.Location) (Schedule, error) {
	text = strings.Join(strings.Fields(text), " ")
	if strings.Contains(text, "TZ=") {
		return Schedule{}, fmt.Errorf("%q: the zone stands in timezone", text)
	}
	parsed, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor).Parse(text)
	if err != nil {
		return Schedule{}, fmt.Errorf("%q: want five fields, such as \"0 2 * * *\" for two at night: %w", text, err)
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return Schedule{}, fmt.Errorf("%q: an interval has no times that several replicas could agree on: write \"*/30 * * * *\"", text)
	}
	spec.Location = time.UTC
	s := Schedule{text: text, zone: zone, spec: spec}
	if s.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return Schedule{}, fmt.Errorf("%q: there is no such day", text)
	}
	return s, nil
}

// String tells schedules apart: times of one are no times of the other.
func (s Schedule) String() string { return s.text + " " + s.zone.String() }

// Next is the first time after t. In the night in which the clocks go forward, a time that is left out comes an hour
// later or earlier; in the one in which they go back, a time that comes twice is one, but for what is done every hour.
func (s Schedule) Next(t time.Time) time.Time {
	if s.spec.Hour&everyHour != 0 {
		spec := *s.spec
		spec.Location = s.zone
		return spec.Next(t).UTC()
	}
	// The spec is asked in a zone without such nights, for what the clock on the wall shows.
	wall := func(t time.Time) time.Time {
		l := t.In(s.zone)
		return time.Date(l.Year(), l.Month(), l.Day(), l.Hour(), l.Minute(), l.Second(), 0, time.UTC)
	}
	for w := wall(t).Add(-2 * time.Hour); ; {
		if w = s.spec.Next(w); w.IsZero() {
			return time.Time{}
		}
		next := time.Date(w.Year(), w.Month(), w.Day(), w.Hour(), w.Minute(), w.Second(), 0, s.zone).UTC()
		if next.After(t) {
			return next
		}
	}
}

// Newest is the last time after begin and not after now, and how many there were; zero if there was none.
func (s Schedule) Newest(begin, now time.Time) (newest time.Time, n int) {
	for t := s.Next(begin); !t.IsZero() && !t.After(now); t = s.Next(t) {
		newest = t
		n++
	}
	return newest, n
}
