package digest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/notify/digest"
	"github.com/lapse-audit/lapse/internal/notify/notifytest"
)

// Each finding is in exactly one part, under the heading of its group, and no part is heavier than it may be.
func TestSplit(t *testing.T) {
	weigh := func(it digest.Item) int { return 100 + len(it.Message) }
	for _, n := range notifytest.Sizes {
		m := notifytest.Large("k", n)
		parts := digest.New(m).Split(1000, 50, weigh)
		seen := map[finding.Fingerprint]int{}
		for i, p := range parts {
			weight := 0
			for _, g := range p.Groups {
				weight += 50
				for _, it := range g.Items {
					weight += weigh(it)
					seen[it.Finding]++
				}
				if len(g.Items) == 0 || g.Name != "CRM" && g.Name != "ERP" {
					t.Errorf("%d items: a group %q of %d", n, g.Name, len(g.Items))
				}
			}
			if weight > 1000 || p.Part != i+1 || p.Of != len(parts) {
				t.Errorf("%d items: part %d of %d weighs %d", n, p.Part, p.Of, weight)
			}
		}
		if len(seen) != n {
			t.Errorf("%d of %d items", len(seen), n)
		}
		for fp, times := range seen {
			if times != 1 {
				t.Errorf("%.8s is there %d times", fp, times)
			}
		}
	}
}

// Of a message that is too long no letter is lost.
func TestSplitLongMessage(t *testing.T) {
	m := notifytest.Message("k")
	m.Items[0].Finding.Message = strings.Repeat("0123456789äöü", 1000)
	var text strings.Builder
	answers := 0
	parts := digest.New(m).Split(1000, 50, func(it digest.Item) int { return len(it.Message) })
	for _, p := range parts {
		for _, g := range p.Groups {
			for _, it := range g.Items {
				text.WriteString(it.Message)
				answers += len(it.Answers)
			}
		}
	}
	if len(parts) < 10 || text.String() != m.Items[0].Finding.Message || answers != 2 {
		t.Errorf("%d parts of %d bytes with %d answers", len(parts), text.Len(), answers)
	}
}

// A name that runs from right to left is isolated wherever it stands, and the sentence around it is not turned.
func TestRightToLeft(t *testing.T) {
	m := notifytest.Message("k")
	f := &m.Items[0].Finding
	name := "\u05d3\u05d5\u05d3 \u05db\u05d4\u05df"
	f.Name, f.PersonName, f.SourceName, f.Message = name, name, name, name+" left\u202e 7 days ago"
	it := digest.New(m).Groups[0]
	want := "\u2068" + name + "\u2069"
	if it.Name != want || it.Items[0].Subject != "\u2068"+want+"\u2069" || !strings.HasPrefix(it.Items[0].Message, want+" left 7 days ago") {
		t.Errorf("%q, %q, %q", it.Name, it.Items[0].Subject, it.Items[0].Message)
	}
}

func TestSaid(t *testing.T) {
	m := notifytest.Message("k")
	for kind, want := range map[notify.Kind]string{notify.First: "Access waits", notify.Reminder: "Reminder: ", notify.Escalation: "Past the deadline", notify.Summary: "What the scan found"} {
		m.Kind = kind
		if d := digest.New(m); !strings.HasPrefix(d.Title, want) || d.Lead != "1 item" || d.About != "run 2" {
			t.Errorf("%s: %q, %q, %q", kind, d.Title, d.Lead, d.About)
		}
	}
	m.Items = append(m.Items, m.Items[0]) // twice is once
	m.Decided = map[finding.Fingerprint]string{m.Items[0].Finding.Fingerprint: strings.Repeat("x", 1000)}
	d := digest.New(m)
	if d.Lead != "1 item, 1 decided" || len(d.Groups) != 1 || len(d.Groups[0].Items) != 1 || d.Groups[0].Items[0].Otherwise != "" || len([]rune(d.Groups[0].Items[0].Decided)) != 240 {
		t.Errorf("%+v", d)
	}
	if got := fmt.Sprint(d.Findings()); got != fmt.Sprint([]finding.Fingerprint{m.Items[0].Finding.Fingerprint}) {
		t.Error(got)
	}
}
