package collect

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Calendar says what the dates of a roster mean as instants.
type Calendar struct {
	// EndDate is last_day or first_day_off: what a date without a time of day in end_at stands for.
	EndDate string `yaml:"end_date"`
	// EndTime is when work ends on the last day, local time; "24:00" by default.
	EndTime string `yaml:"end_time"`
	// Zone is the IANA name of the zone where no location says otherwise; UTC by default.
	Zone string `yaml:"zone"`
	// Zones gives the zone of a location. Locations are matched without regard to case and surrounding blanks.
	Zones map[string]string `yaml:"zones"`
}

// What an end date may stand for.
const (
	LastDay     = "last_day"
	FirstDayOff = "first_day_off"
)

// Clock is a Calendar with its zones loaded.
type Clock struct {
	calendar Calendar
	zone     *time.Location
	zones    map[string]*time.Location
	end      time.Duration
}

// Date is a day of the calendar, in no zone.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// Clock checks the calendar and loads its zones. It reports all faults at once.
func (c Calendar) Clock() (*Clock, error) {
	var errs []error
	k := &Clock{calendar: c, zones: map[string]*time.Location{}}
	if c.EndDate != "" && c.EndDate != LastDay && c.EndDate != FirstDayOff {
		errs = append(errs, fmt.Errorf("end_date: %q is neither last_day nor first_day_off", c.EndDate))
	}
	var err error
	if k.end, err = timeOfDay(c.EndTime); err != nil {
		errs = append(errs, fmt.Errorf("end_time: %w", err))
	}
	if c.EndDate == FirstDayOff && c.EndTime != "" && k.end != 24*time.Hour {
		errs = append(errs, errors.New("end_time: goes with end_date: last_day only"))
	}
	if k.zone, err = LoadZone(c.Zone); err != nil {
		errs = append(errs, fmt.Errorf("zone: %w", err))
	}
	for _, location := range slices.Sorted(maps.Keys(c.Zones)) {
		z, err := LoadZone(c.Zones[location])
		if err != nil {
			errs = append(errs, fmt.Errorf("zones: %s: %w", location, err))
		}
		k.zones[fold(location)] = z
	}
	return k, errors.Join(errs...)
}

// LoadZone is time.LoadLocation for names that mean the same on every machine: not Local, and "" is UTC.
func LoadZone(name string) (*time.Location, error) {
	if strings.EqualFold(name, "local") {
		return nil, errors.New(`"Local" depends on the machine: write a name such as Europe/Berlin`)
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%q is no time zone known here: write a name such as Europe/Berlin", name)
	}
	return z, nil
}

func fold(location string) string { return strings.ToLower(strings.TrimSpace(location)) }

// ZoneOf returns the zone of a location.
func (k *Clock) ZoneOf(location string) *time.Location {
	if z := k.zones[fold(location)]; z != nil {
		return z
	}
	return k.zone
}

// Start is the instant at which a first working day begins.
func (k *Clock) Start(d Date, location string) time.Time { return StartOfDay(d, k.ZoneOf(location)) }

// ErrNoEndDate says that a roster doesn't declare what its end dates stand for.
var ErrNoEndDate = errors.New("an end date without a time of day: set roster.end_date to last_day or first_day_off")

// End is the instant at which work ends, for an end date as the roster means it.
func (k *Clock) End(d Date, location string) (time.Time, error) {
	zone := k.ZoneOf(location)
	switch {
	case k.calendar.EndDate == FirstDayOff:
		return StartOfDay(d, zone), nil
	case k.calendar.EndDate != LastDay:
		return time.Time{}, ErrNoEndDate
	case k.end == 24*time.Hour:
		d.Day++
		return StartOfDay(d, zone), nil
	}
	return time.Date(d.Year, d.Month, d.Day, int(k.end/time.Hour), int(k.end/time.Minute)%60, 0, 0, zone).UTC(), nil
}

// StartOfDay is the first instant of a day in a zone. Where the clocks skip midnight it is when they do so; where
// midnight comes twice, the first.
func StartOfDay(d Date, zone *time.Location) time.Time {
	noon := time.Date(d.Year, d.Month, d.Day, 12, 0, 0, 0, zone)
	t := time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, zone)
	if t.Day() != noon.Day() { // midnight was skipped, and t is before the gap
		if _, end := t.ZoneBounds(); !end.IsZero() {
			t = end
		}
	} else if start, _ := t.ZoneBounds(); !start.IsZero() {
		// After clocks go back over midnight, the same day began before that.
		if before := start.Add(-time.Nanosecond).In(zone); before.Day() == noon.Day() && t.Sub(before) < 3*time.Hour {
			y, m, day := before.Date()
			_, offset := before.Zone()
			t = time.Date(y, m, day, 0, 0, 0, 0, time.UTC).Add(-time.Duration(offset) * time.Second)
		}
	}
	return t.UTC()
}

// timeOfDay reads "17:30"; "" and "24:00" are the end of the day.
func timeOfDay(s string) (time.Duration, error) {
	if s == "" || s == "24:00" {
		return 24 * time.Hour, nil
	}
	t, err := time.Parse("15:04", s)
	if err != nil {
		return 0, fmt.Errorf("%q is no time of day: write 17:30 or 24:00", s)
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, nil
}
