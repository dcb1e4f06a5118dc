package collect

import (
	"strings"
	"testing"
	"time"
)

func TestStartOfDay(t *testing.T) {
	for _, c := range []struct{ zone, day, want string }{
		{"UTC", "2025-03-01", "2025-03-01T00:00:00Z"},
		{"America/Los_Angeles", "2025-03-09", "2025-03-09T08:00:00Z"}, // clocks go forward at 2
		{"America/Los_Angeles", "2025-03-10", "2025-03-10T07:00:00Z"},
		{"Europe/Berlin", "2025-10-26", "2025-10-25T22:00:00Z"}, // clocks go back at 3
		{"Europe/Berlin", "2025-10-27", "2025-10-26T23:00:00Z"},
		{"America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00Z"}, // no midnight: 0:00 is 1:00
		{"America/Sao_Paulo", "2018-02-18", "2018-02-18T03:00:00Z"}, // 23:00 to 24:00 came twice the day before
		{"America/Havana", "2024-11-03", "2024-11-03T04:00:00Z"},    // 0:00 to 1:00 comes twice
		{"America/Havana", "2024-03-10", "2024-03-10T05:00:00Z"},    // no midnight
		{"Asia/Beirut", "2022-03-27", "2022-03-26T22:00:00Z"},       // no midnight
		{"Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z"},      // the day before was left out
	} {
		zone, err := LoadZone(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		d, err := time.Parse(time.DateOnly, c.day)
		if err != nil {
			t.Fatal(err)
		}
		if got := StartOfDay(Date{d.Year(), d.Month(), d.Day()}, zone).Format(time.RFC3339); got != c.want {
			t.Errorf("%s in %s starts at %s, want %s", c.day, c.zone, got, c.want)
		}
	}
}

// Each day starts where it says: the instant before belongs to another day. Over all days of years in zones whose clocks
// change at odd times.
func TestStartOfEveryDay(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "America/Havana", "America/Sao_Paulo", "Asia/Beirut", "Africa/Cairo", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Asuncion"} {
		zone, err := LoadZone(name)
		if err != nil {
			t.Fatal(err)
		}
		for d := time.Date(1995, 1, 1, 0, 0, 0, 0, time.UTC); d.Year() < 2027; d = d.AddDate(0, 0, 1) {
			start := StartOfDay(Date{d.Year(), d.Month(), d.Day()}, zone)
			if in := start.In(zone); in.Day() != d.Day() || start.Add(-time.Nanosecond).In(zone).Day() == d.Day() {
				t.Errorf("%s: %s starts at %s", name, d.Format(time.DateOnly), in)
			}
		}
	}
}

func TestEnd(t *testing.T) {
	for _, c := range []struct {
		calendar Calendar
		location string
		want     string
	}{
		{Calendar{EndDate: LastDay, Zone: "Europe/Berlin"}, "", "2025-03-30T22:00:00Z"}, // a day of 23 hours
		{Calendar{EndDate: LastDay, EndTime: "24:00"}, "", "2025-03-31T00:00:00Z"},
		{Calendar{EndDate: LastDay, EndTime: "18:00", Zone: "Europe/Berlin"}, "", "2025-03-30T16:00:00Z"},
		{Calendar{EndDate: FirstDayOff, Zone: "Europe/Berlin"}, "", "2025-03-29T23:00:00Z"},
		{Calendar{EndDate: LastDay, Zone: "Europe/Berlin", Zones: map[string]string{"Palo Alto": "America/Los_Angeles"}}, " palo alto", "2025-03-31T07:00:00Z"},
	} {
		k, err := c.calendar.Clock()
		if err != nil {
			t.Fatal(err)
		}
		got, err := k.End(Date{2025, 3, 30}, c.location)
		if err != nil || got.Format(time.RFC3339) != c.want {
			t.Errorf("%+v: %s, %v, want %s", c.calendar, got, err, c.want)
		}
	}
	k, err := Calendar{}.Clock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.End(Date{2025, 3, 30}, ""); err != ErrNoEndDate {
		t.Errorf("error %v", err)
	}
}

func TestCalendarFaults(t *testing.T) {
	_, err := Calendar{EndDate: "x", EndTime: "25:00", Zone: "Local", Zones: map[string]string{"a": "B/C"}}.Clock()
	if err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("faults: %v", err)
	}
	if _, err := (Calendar{EndDate: FirstDayOff, EndTime: "18:00"}).Clock(); err == nil {
		t.Error("no error for an end_time beside first_day_off")
	}
}
