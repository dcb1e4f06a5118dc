package notify

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
)

// WriteText writes a message as plain text, for people to read. What comes from foreign systems can't move the cursor or turn
// the direction of writing.
func WriteText(w io.Writer, m Message) error {
	var b strings.Builder
	zone := m.To.Zone
	if zone == nil {
		zone = time.UTC
	}
	fmt.Fprintf(&b, "To: %s\n%s\n", plain(addressee(m.To)), headline(m))
	source, urgency := "\x00", Normal
	for _, i := range m.Items {
		if name := i.Finding.SourceName; name != source || i.Urgency != urgency {
			source, urgency = name, i.Urgency
			fmt.Fprintf(&b, "\n%s%s\n", plain(name), map[Urgency]string{Normal: "", Soon: ", due soon", Overdue: ", overdue"}[urgency])
		}
		f := i.Finding
		fmt.Fprintf(&b, "- [%s] %s (%s)\n", f.Severity, plain(f.Message), f.Policy)
		fmt.Fprintf(&b, "  since %s", f.FirstSeen.In(zone).Format("2006-01-02"))
		if f.CostMonth != "" {
			fmt.Fprintf(&b, ", costs %s %s a month", f.CostMonth, plain(f.Currency))
		}
		fmt.Fprintf(&b, "; you are asked as: %s\n", plain(i.Why))
		if f.ExceptionEnded != "" {
			fmt.Fprintf(&b, "  it was accepted: %s\n", plain(f.ExceptionEnded))
		}
		if !i.Due.IsZero() && i.Otherwise != "" {
			fmt.Fprintf(&b, "  without an answer by %s %s\n", i.Due.In(zone).Format("2006-01-02"), i.Otherwise)
		}
		if text, ok := m.Decided[f.Fingerprint]; ok {
			fmt.Fprintf(&b, "  settled: %s\n", plain(text))
			continue
		}
		var answers []string
		for _, a := range i.Answers {
			answers = append(answers, strings.ReplaceAll(string(a), "_", " "))
		}
		fmt.Fprintf(&b, "  finding %.12s: %s\n", f.Fingerprint, strings.Join(answers, ", "))
	}
	for _, c := range m.Counts {
		fmt.Fprintf(&b, "%6d %s\n", c.N, plain(c.Text))
	}
	for _, l := range m.Lines {
		fmt.Fprintf(&b, "%s\n", plain(l))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func addressee(r Recipient) string {
	who := r.Name
	if who == "" {
		who = r.ID()
	}
	if r.Email != "" {
		who += " <" + r.Email + ">"
	}
	return who
}

func headline(m Message) string {
	n := fmt.Sprintf("%d findings wait", len(m.Items))
	if len(m.Items) == 1 {
		n = "One finding waits"
	}
	switch m.Kind {
	case Reminder:
		return "Reminder: " + n + " for your answer."
	case Escalation:
		return n + " for your answer; nobody else gave one in time."
	case Summary:
		return "What the last scan gave rise to:"
	case Notice:
		return m.Title
	}
	return n + " for your answer."
}

// plain takes out what is no visible character.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || slices.Contains([]rune("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"), r) {
			return ' '
		}
		return r
	}, s)
}
