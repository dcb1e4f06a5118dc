// Package digest words a message for people who read it as a page, a letter or a card: the same words whatever draws them.
// No text in it is escaped, and every text of another system is one line without controls.
package digest

import (
	"fmt"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/notify/foreign"
)

// Digest is a message, or a part of one.
type Digest struct {
	Title  string // names no finding: it stands on lock screens
	To     string
	Lead   string // how many items there are, and how urgent
	About  string // when it was so, and in which run
	Counts []notify.Count
	Lines  []string // of a notice
	Groups []Group
	Part   int // from 1
	Of     int
}

// Group are items of one source and urgency, in order.
type Group struct {
	Name    string
	Urgency string
	Items   []Item
}

// Item is what is said of one finding.
type Item struct {
	Finding    finding.Fingerprint
	Title      string
	Policy     string
	Severity   string
	Privileged bool
	Message    string
	Subject    string
	Why        string // it is they who are asked
	Since      string
	Cost       string
	Accepted   string // until when it was accepted, if it was
	Otherwise  string // what happens, and by when, if nobody answers
	Decided    string // what became of it; "" while it waits for an answer
	Answers    []notify.Answer
	Goes       bool // on in the next item: its message is too long for one
}

// Labels are what the answers are called.
var Labels = map[notify.Answer]string{notify.Revoke: "Revoke", notify.Keep: "Keep", notify.NotMine: "Not mine", notify.Later: "Later"}

// New words a message. Each finding stands in it once.
func New(m notify.Message) Digest {
	zone := m.To.Zone
	if zone == nil {
		zone = time.UTC
	}
	d := Digest{Title: Title(m), To: isolated(m.To.Name), About: about(m, zone), Part: 1, Of: 1}
	for _, c := range m.Counts {
		d.Counts = append(d.Counts, notify.Count{Text: isolated(c.Text), N: c.N})
	}
	for _, l := range m.Lines {
		d.Lines = append(d.Lines, isolated(l))
	}
	seen := map[finding.Fingerprint]bool{}
	var items []notify.Item
	for _, i := range m.Items {
		if fp := i.Finding.Fingerprint; !seen[fp] {
			seen[fp] = true
			items = append(items, i)
		}
	}
	d.Lead = lead(items, m)
	for _, i := range items {
		name, urgency := Source(i.Finding), urgencies[i.Urgency]
		if n := len(d.Groups); n == 0 || d.Groups[n-1].Name != name || d.Groups[n-1].Urgency != urgency {
			d.Groups = append(d.Groups, Group{Name: name, Urgency: urgency})
		}
		g := &d.Groups[len(d.Groups)-1]
		g.Items = append(g.Items, Of(i, m.Decided[i.Finding.Fingerprint], zone))
	}
	return d
}

// maxField is for the runes of a text that stands in a line of its own. What is longer goes on in the message, which can be
// parted.
const maxField = 300

// maxDecided is for what became of an item. The whole of it is in the ledger.
const maxDecided = 240

// Of words one item.
func Of(i notify.Item, decided string, zone *time.Location) Item {
	f := i.Finding
	out := Item{Finding: f.Fingerprint, Policy: f.Policy, Severity: f.Severity.String(), Privileged: i.Privileged, Message: message(f), Answers: i.Answers}
	field := func(text string) string {
		if runes := []rune(text); len(runes) > maxField {
			out.Message = strings.TrimSpace(out.Message + " " + text)
			text = string(runes[:maxField-1]) + "…"
		}
		return foreign.Isolate(text)
	}
	if out.Title = field(foreign.Line(f.Title)); out.Title == "" {
		out.Title = f.Policy
	}
	out.Subject, out.Why = field(subject(f)), field(foreign.Line(i.Why))
	if runes := []rune(foreign.Line(f.SourceName)); len(runes) > maxField {
		out.Message += " " + string(runes)
	}
	if !f.FirstSeen.IsZero() {
		out.Since = f.FirstSeen.In(zone).Format("2 Jan 2006")
	}
	if f.CostMonth != "" {
		out.Cost = field(foreign.Line(strings.TrimSpace(f.CostMonth+" "+f.Currency))) + " a month"
	}
	out.Accepted = field(foreign.Line(f.ExceptionEnded))
	if out.Decided = shorten(foreign.Line(decided), maxDecided); out.Decided != "" {
		return out
	}
	due := i.Due.In(zone).Format("2 Jan 2006 15:04 MST")
	switch otherwise := foreign.Line(i.Otherwise); {
	case otherwise != "" && !i.Due.IsZero():
		out.Otherwise = fmt.Sprintf("If nobody answers by %s: %s", due, field(otherwise))
	case otherwise != "":
		out.Otherwise = "If nobody answers: " + field(otherwise)
	case !i.Due.IsZero():
		out.Otherwise = "Due: " + due
	default:
		out.Otherwise = "If nobody answers: nothing happens by itself"
	}
	return out
}

// message is a sentence of a policy. A name in it that runs from right to left must not turn the sentence, which begins with it
// more often than not.
func message(f finding.Finding) string {
	text := foreign.Line(f.Message)
	for _, name := range []string{foreign.Line(f.Name), foreign.Line(f.PersonName)} {
		if isolated := foreign.Isolate(name); isolated != name && !strings.Contains(text, isolated) {
			text = strings.ReplaceAll(text, name, isolated)
		}
	}
	return text
}

var urgencies = map[notify.Urgency]string{notify.Normal: "to decide", notify.Soon: "due soon", notify.Overdue: "overdue"}

// Title is what a message is called.
func Title(m notify.Message) string {
	switch m.Kind {
	case notify.Reminder:
		return "Reminder: access waits for your decision"
	case notify.Escalation:
		return "Past the deadline: access waits for a decision"
	case notify.Summary:
		return "What the scan found"
	case notify.Notice:
		return isolated(m.Title)
	}
	return "Access waits for your decision"
}

func lead(items []notify.Item, m notify.Message) string {
	if len(items) == 0 {
		return ""
	}
	var overdue, soon, decided int
	for _, i := range items {
		switch _, ok := m.Decided[i.Finding.Fingerprint]; {
		case ok:
			decided++
		case i.Urgency == notify.Overdue:
			overdue++
		case i.Urgency == notify.Soon:
			soon++
		}
	}
	parts := []string{fmt.Sprintf("%d items", len(items))}
	if len(items) == 1 {
		parts[0] = "1 item"
	}
	for _, c := range []struct {
		n    int
		what string
	}{{overdue, "overdue"}, {soon, "due soon"}, {decided, "decided"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	return strings.Join(parts, ", ")
}

func about(m notify.Message, zone *time.Location) string {
	var parts []string
	if !m.AsOf.IsZero() {
		parts = append(parts, "as of "+m.AsOf.In(zone).Format("2 Jan 2006 15:04 MST"))
	}
	if m.Run != 0 {
		parts = append(parts, fmt.Sprintf("run %d", m.Run))
	}
	return strings.Join(parts, " · ")
}

// Source is what a group is called: a finding about a person has no source of its own.
func Source(f finding.Finding) string {
	if name := foreign.Line(f.SourceName); name != "" {
		return shorten(name, maxField)
	}
	return "Across systems"
}

// subject names what a finding is about, and whose it is where that says more.
func subject(f finding.Finding) string {
	name := foreign.Line(f.Name)
	var of []string
	for _, s := range []string{f.PersonName, f.Department} {
		if s = foreign.Line(s); s != "" && s != name {
			of = append(of, foreign.Isolate(s))
		}
	}
	if name = foreign.Isolate(name); len(of) == 0 {
		return name
	}
	if name == "" {
		return strings.Join(of, ", ")
	}
	return name + " (" + strings.Join(of, ", ") + ")"
}

func isolated(s string) string { return foreign.Isolate(foreign.Line(s)) }

func shorten(s string, limit int) string {
	if runes := []rune(s); len(runes) > limit {
		s = string(runes[:limit-1]) + "…"
	}
	return foreign.Isolate(s)
}
