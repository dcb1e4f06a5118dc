package file

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/collect"
)

// moment is a date or time as the file gives it, before its zone is known.
type moment struct {
	given bool
	never bool      // one of the texts for never
	open  bool      // so far away that it stands for no date at all: 9999-12-31
	at    time.Time // the instant if zoned, else the wall clock read as UTC
	zoned bool
	day   bool // no time of day
}

// date is the day of a moment without a zone.
func (m moment) date() collect.Date {
	y, mo, d := m.at.Date()
	return collect.Date{Year: y, Month: mo, Day: d}
}

// in is the instant of an ordinary moment; a date is its midnight.
func (m moment) in(zone *time.Location) time.Time {
	switch {
	case m.zoned:
		return m.at.UTC()
	case m.day:
		return collect.StartOfDay(m.date(), zone)
	}
	y, mo, d := m.at.Date()
	h, mi, s := m.at.Clock()
	return time.Date(y, mo, d, h, mi, s, m.at.Nanosecond(), zone).UTC()
}

// named are the layouts that have a name. Go reads fractions of a second after any layout with seconds.
var named = map[string][]string{
	"iso": {
		"2006-01-02", time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04",
		"2006-01-02T15:04Z07:00", "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05 -0700",
	},
	"ldap": {"20060102150405Z07:00", "20060102150405Z0700"}, // RFC 4517, 3.3.13
	"us":   withTimes("1/2/2006", "1/2/06", "1-2-2006"),
	"eu":   withTimes("2/1/2006", "2/1/06", "2.1.2006", "2.1.06", "2-1-2006"),
}

func withTimes(dates ...string) []string {
	var out []string
	for _, d := range dates {
		out = append(out, d, d+" 15:04", d+" 15:04:05", d+" 3:04 PM", d+" 3:04:05 PM", d+", 15:04", d+", 3:04 PM")
	}
	return out
}

// epochs are the layouts that count from an instant.
var epochs = map[string]func(int64) time.Time{
	"unix":     func(n int64) time.Time { return time.Unix(n, 0) },
	"unix_ms":  time.UnixMilli,
	"filetime": func(n int64) time.Time { return time.Unix(n/1e7-11644473600, n%1e7*100) },
}

// layout is one way to read dates, as configured.
type layout struct {
	name  string
	epoch func(int64) time.Time
	forms []form
	last  int // the form that fitted last: a column keeps to one
}

// form is a layout of Go's. No value fits two forms of one layout in two ways.
type form struct {
	format string
	day    bool
	zoned  bool
}

// newLayouts reads the names of layouts; none is iso.
func newLayouts(names []string) ([]*layout, error) {
	if len(names) == 0 {
		names = []string{"iso"}
	}
	var out []*layout
	for _, name := range names {
		l := &layout{name: name, epoch: epochs[name]}
		out = append(out, l)
		if l.epoch != nil {
			continue
		}
		formats, ok := named[name]
		if !ok {
			formats = []string{name}
		}
		for _, f := range formats {
			// Which elements a layout has shows in what changes when they do.
			a := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
			at := a.Format(f)
			if at == a.AddDate(0, 0, 1).Format(f) || at == a.AddDate(0, 1, 0).Format(f) || at == a.AddDate(1, 0, 0).Format(f) {
				return nil, fmt.Errorf("%q is no layout with year, month and day: write one such as 02.01.2006 15:04, or iso, us, eu, ldap, unix, unix_ms, filetime", name)
			}
			l.forms = append(l.forms, form{
				format: f,
				day:    at == a.Add(7*time.Hour).Format(f),
				zoned:  at != time.Date(2001, 2, 3, 4, 5, 6, 0, time.FixedZone("", 3600)).Format(f),
			})
		}
	}
	return out, nil
}

// Years a date may have: those that the store holds. From openYear on a date stands for no date.
const firstYear, lastYear, openYear = 1900, 2299, 9000

// parseMoment reads s by the layouts. It gives a reason where none fits, or where two read it differently: which of them
// is meant can't be told from one value.
func parseMoment(layouts []*layout, s string) (m moment, reason string) {
	var by *layout
	for _, l := range layouts {
		read, ok := l.parse(s)
		if !ok {
			continue
		}
		if m.given && (!m.at.Equal(read.at) || m.zoned != read.zoned || m.day != read.day) {
			return moment{}, fmt.Sprintf("%s is ambiguous: %s by %s, %s by %s; list one of them", quoteDate(s),
				m.at.UTC().Format(time.DateOnly), by.name, read.at.UTC().Format(time.DateOnly), l.name)
		}
		m, by = read, l
	}
	if !m.given {
		return moment{}, fmt.Sprintf("%s fits none of the date layouts %s", quoteDate(s), namesOf(layouts))
	}
	switch y := m.at.Year(); {
	case y >= openYear && by.epoch == nil:
		m.open = true
	case by.epoch != nil && (strings.TrimLeft(s, "-0") == "" || m.at.Unix() <= 0 || y > lastYear):
		return moment{}, fmt.Sprintf("%s is no date by %s: if it stands for never, list it under never", quoteDate(s), by.name)
	case y < firstYear || y > lastYear:
		return moment{}, fmt.Sprintf("%s: the year is outside %d to %d; if it stands for never, list it under never", quoteDate(s), firstYear, lastYear)
	}
	return m, ""
}

func (l *layout) parse(s string) (moment, bool) {
	if l.epoch != nil {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return moment{}, false
		}
		return moment{given: true, zoned: true, at: l.epoch(n).UTC()}, true
	}
	if m, ok := l.forms[l.last].parse(s); ok {
		return m, true
	}
	for i, f := range l.forms {
		if m, ok := f.parse(s); ok {
			l.last = i
			return m, true
		}
	}
	return moment{}, false
}

func (f form) parse(s string) (moment, bool) {
	t, err := time.ParseInLocation(f.format, s, time.UTC) // not by the abbreviations of this machine's zone
	if err != nil {
		return moment{}, false
	}
	// A zone's abbreviation that isn't known here is read as if it were UTC: that would be a guess.
	if name, offset := t.Zone(); offset == 0 && name != "UTC" && name != "GMT" && name != "" {
		return moment{}, false
	}
	return moment{given: true, zoned: f.zoned, day: f.day, at: t.UTC()}, true
}

func namesOf(layouts []*layout) string {
	var names []string
	for _, l := range layouts {
		if len(names) == 0 || names[len(names)-1] != l.name {
			names = append(names, l.name)
		}
	}
	return strings.Join(names, ", ")
}

// quoteDate shows a value only if it looks like a date: a column mapped by mistake may hold anything.
func quoteDate(s string) string {
	if len(s) <= 40 && strings.Trim(s, "0123456789.:/-+ TZapmAPM") == "" {
		return strconv.Quote(s)
	}
	return fmt.Sprintf("a text of %d characters", len([]rune(s)))
}
