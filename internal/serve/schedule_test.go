package serve

import (
	"strings"
	"testing"
	"time"
)

func TestSchedule(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		text string
		zone *time.Location
		from string
		want []string
	}{
		"every night": {"0 2 * * *", time.UTC, "2026-11-22T20:00:00Z", []string{"2026-11-23T02:00:00Z", "2026-11-24T02:00:00Z"}},
		"of the zone": {"0 2 * * *", berlin, "2026-11-22T20:00:00Z", []string{"2026-11-23T01:00:00Z", "2026-11-24T01:00:00Z"}},
		"on weekdays": {"30 8-9 * * 1-5", time.UTC, "2026-11-27T09:00:00Z", []string{"2026-11-27T09:30:00Z", "2026-11-30T08:30:00Z"}},
		"daily":       {"@daily", time.UTC, "2026-11-22T20:00:00Z", []string{"2026-11-23T00:00:00Z"}},
		"a time that is left out in the night of 28 March": {"30 2 * * *", berlin, "2027-03-27T12:00:00Z",
			[]string{"2027-03-28T01:30:00Z", "2027-03-29T00:30:00Z"}},
		"a time that comes twice in the night of 31 October": {"30 2 * * *", berlin, "2027-10-30T12:00:00Z",
			[]string{"2027-10-31T01:30:00Z", "2027-11-01T01:30:00Z"}},
		"every hour, also in that night": {"30 * * * *", berlin, "2027-10-30T23:45:00Z",
			[]string{"2027-10-31T00:30:00Z", "2027-10-31T01:30:00Z", "2027-10-31T02:30:00Z"}},
		"29 February": {"0 0 29 2 *", time.UTC, "2026-01-01T00:00:00Z", []string{"2028-02-29T00:00:00Z"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := mustSchedule(t, tt.text, tt.zone)
			at, err := time.Parse(time.RFC3339, tt.from)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range tt.want {
				if at = s.Next(at); at.Format(time.RFC3339) != want {
					t.Errorf("%s, want %s", at.Format(time.RFC3339), want)
				}
			}
		})
	}
	for text, want := range map[string]string{
		"at two":                 "want five fields",
		"0 2 * *":                "want five fields",
		"0 25 * * *":             "want five fields",
		"@every 1h":              "an interval has no times",
		"CRON_TZ=UTC 0 2 * * *":  "the zone stands in timezone",
		"0 0 30 2 *":             "there is no such day",
		"0 0 2 * * * extra many": "want five fields",
	} {
		if _, err := ParseSchedule(text, time.UTC); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	s := mustSchedule(t, "0 2 * * *", time.UTC)
	if newest, n := s.Newest(night(1), night(4).Add(time.Hour)); n != 3 || !newest.Equal(night(4)) {
		t.Errorf("%s, %d", newest, n)
	}
	if _, n := s.Newest(night(1), night(2).Add(-time.Second)); n != 0 {
		t.Errorf("%d before the first", n)
	}
}

func FuzzSchedule(f *testing.F) {
	f.Add("0 2 * * *")
	f.Add("*/7 1-3,5 1,15 jan-mar sun")
	f.Add("@weekly")
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSchedule(text, zone)
		if err != nil {
			return
		}
		at := evening
		for range 3 {
			next := s.Next(at)
			if !next.After(at) {
				t.Fatalf("%s comes after %s", next, at)
			}
			at = next
		}
	})
}
