package file

import (
	"strings"
	"testing"
	"time"
)

func TestDates(t *testing.T) {
	tokyo, err := time.LoadLocation("Asia/Tokyo") // UTC+9
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ layouts, value, want string }{
		{"", "2025-01-02", "2025-01-01T15:00:00Z"},
		{"", "2025-01-02T03:04:05Z", "2025-01-02T03:04:05Z"},
		{"", "2025-01-02T03:04:05.678+01:00", "2025-01-02T02:04:05.678Z"},
		{"", "2025-01-02T03:04:05+0100", "2025-01-02T02:04:05Z"},
		{"", "2025-01-02 03:04:05", "2025-01-01T18:04:05Z"},
		{"", "2025-01-02 03:04:05.123", "2025-01-01T18:04:05.123Z"},
		{"", "2025-01-02T03:04", "2025-01-01T18:04:00Z"},
		{"", "2025-02-30", "!fits none of the date layouts iso"},
		{"", "2025-1-2", "!fits none"},
		{"", "20250102", "!fits none"},
		{"", "9999-12-31", "open"},
		{"us", "7/5/11", "2011-07-04T15:00:00Z"},
		{"us", "07/05/2011", "2011-07-04T15:00:00Z"},
		{"us", "12/31/2025 11:59 PM", "2025-12-31T14:59:00Z"},
		{"us", "31/12/2025", "!fits none of the date layouts us"},
		{"eu", "31/12/2025", "2025-12-30T15:00:00Z"},
		{"eu", "31.12.2025 23:59", "2025-12-31T14:59:00Z"},
		{"us eu", "31/12/2025", "2025-12-30T15:00:00Z"},
		{"us eu", "03/03/2025", "2025-03-02T15:00:00Z"}, // both read it alike
		{"us eu", "03/04/2025", "!is ambiguous: 2025-03-04 by us, 2025-04-03 by eu"},
		{"iso unix", "1767225600", "2026-01-01T00:00:00Z"},
		{"unix_ms", "1767225600123", "2026-01-01T00:00:00.123Z"},
		{"unix unix_ms", "1767225600", "!is ambiguous: 2026-01-01 by unix, 1970-01-21 by unix_ms"},
		{"unix", "0", "!is no date by unix: if it stands for never, list it under never"},
		{"unix_ms", "-5", "!is no date"},
		{"filetime", "133801632000000000", "2025-01-01T00:00:00Z"},
		{"filetime", "9223372036854775807", "!is no date by filetime"},
		{"filetime", "0", "!is no date by filetime"},
		{"ldap", "20250102030405.0Z", "2025-01-02T03:04:05Z"},
		{"ldap", "20250102030405+0100", "2025-01-02T02:04:05Z"},
		{"02-Jan-2006", "03-Apr-2025", "2025-04-02T15:00:00Z"},
		{"2006-01-02T00:00:00Z", "2025-01-02T00:00:00Z", "2025-01-01T15:00:00Z"}, // the layout says that it is a date
		{"2006-01-02_MST", "2025-01-02_UTC", "2025-01-02T00:00:00Z"},
		{"2006-01-02_MST", "2025-01-02_CET", "!fits none"}, // which offset that is can't be told
		{"", "1899-12-31", "!the year is outside 1900 to 2299"},
		{"", "2300-01-01", "!the year is outside 1900 to 2299"},
	} {
		layouts, err := newLayouts(strings.Fields(c.layouts))
		if err != nil {
			t.Fatalf("%s: %v", c.layouts, err)
		}
		for range 2 { // a layout remembers which of its forms fitted
			var got string
			switch m, reason := parseMoment(layouts, c.value); {
			case reason != "":
				got = "!" + reason
			case m.open:
				got = "open"
			default:
				got = m.in(tokyo).Format(time.RFC3339Nano)
			}
			if want, bad := strings.CutPrefix(c.want, "!"); got != c.want && (!bad || !strings.HasPrefix(got, "!") || !strings.Contains(got, want)) {
				t.Errorf("%q by %q: %s, want %s", c.value, c.layouts, got, c.want)
			}
		}
	}
	for _, l := range []string{"15:04", "dd.mm.yyyy", "January 2006", "x"} {
		if _, err := newLayouts([]string{l}); err == nil {
			t.Errorf("no error for the layout %q", l)
		}
	}
}
