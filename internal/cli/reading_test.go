package cli

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/scan"
)

// screen is what stands on a terminal after an output that knows new lines and the two commands that are used.
func screen(t *testing.T, out string) []string {
	t.Helper()
	lines := []string{""}
	up := regexp.MustCompile("^\x1b\\[(\\d+)F\x1b\\[J")
	for out != "" {
		switch m := up.FindStringSubmatch(out); {
		case m != nil:
			n, err := strconv.Atoi(m[1])
			if err != nil || n >= len(lines) {
				t.Fatalf("goes up %s of %d lines", m[1], len(lines))
			}
			lines, out = append(lines[:len(lines)-1-n], ""), out[len(m[0]):]
		case out[0] == '\n':
			lines, out = append(lines, ""), out[1:]
		case out[0] == 0x1b:
			t.Fatalf("an unknown command: %q", out[:min(10, len(out))])
		default:
			lines[len(lines)-1], out = lines[len(lines)-1]+out[:1], out[1:]
		}
	}
	return lines
}

// Several sources have a line each, in place; what is said of one stays above.
func TestReading(t *testing.T) {
	var out strings.Builder
	now := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	b := &bar{w: &out, sources: reading{w: &out, of: 3, width: 60, now: func() time.Time { return now }}}
	stands := func(want ...string) {
		t.Helper()
		if d := cmp.Diff(append(want, ""), screen(t, out.String())); d != "" {
			t.Errorf("-want +got\n%s", d)
		}
	}
	b.Reading("corp-ad", 0, 3000)
	b.Reading("hr", 0, 0)
	stands("corp-ad [>                             ] 0 records", "hr                                       0 records", "0 of 3 sources read")
	b.Reading("corp-ad", 1000, 3000) // too soon to draw
	stands("corp-ad [>                             ] 0 records", "hr                                       0 records", "0 of 3 sources read")
	now = now.Add(time.Second)
	b.Reading("corp-ad", 2000, 3000)
	stands("corp-ad [====================>         ] 2000 records", "hr                                       0 records", "0 of 3 sources read")
	now = now.Add(time.Second)
	b.Reading("corp-ad", 9000, 3000)
	stands("corp-ad [=============================>] 9000 records", "hr                                       0 records", "0 of 3 sources read")
	b.Collected(scan.Collected{Source: scan.Source{UID: "corp-ad"}, Verdict: collect.Verdict{Accepted: true}})
	stands("hr                                  0 records", "1 of 3 sources read")
	b.Reading(strings.Repeat("long", 20), 5, 0)
	stands("hr"+strings.Repeat(" ", 57), strings.Repeat("long", 20)[:59], "1 of 3 sources read")
	b.Collected(scan.Collected{Source: scan.Source{UID: "hr"}, Verdict: collect.Verdict{Reasons: []collect.Reason{{Text: "it \x1b[31mshrank"}}}})
	stands("hr is quarantined: it  [31mshrank", strings.Repeat("long", 20)[:59], "2 of 3 sources read")
	b.Collected(scan.Collected{Source: scan.Source{UID: strings.Repeat("long", 20)}, Verdict: collect.Verdict{Accepted: true}})
	stands("hr is quarantined: it  [31mshrank")
}
