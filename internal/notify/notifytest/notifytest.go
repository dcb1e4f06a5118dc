// Package notifytest holds what every channel has to show.
package notifytest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/notify"
)

// Delivery is a message as its receiver has it.
type Delivery struct {
	Key  string
	Text string // all of it, as far as people read it
}

// Suite is a channel under test. Received are the messages that arrived and were not taken for one that came before.
type Suite struct {
	Channel  notify.Channel
	Received func(t *testing.T) []Delivery
	// Blind says that the channel can't look for a message.
	Blind bool
	// Repeats says that its receivers don't know a message again: whoever sends has to look for it first.
	Repeats bool
	// Raw says that machines read it, which get foreign text as it is.
	Raw bool
	// Addressed says that a person without an address can't be reached.
	Addressed bool
}

// Sizes are the numbers of items that a message must bear.
var Sizes = []int{1, 10, 100, 1000}

// Message is one with an item of a source whose names are hostile.
func Message(key string) notify.Message {
	s := finding.Subject{Kind: access.SubjectAccount, Source: "crm", ID: "a1"}
	f := finding.Finding{Fingerprint: finding.NewFingerprint("LVR-01", s, ""), Hit: finding.Hit{Policy: "LVR-01", Subject: s,
		Message: "<b>*Bobby* & \u202esivat\x1b[31m left 7 days ago"}, SourceName: "CRM", Name: "bobby", FirstSeen: time.Date(2026, 11, 2, 2, 0, 0, 0, time.UTC), Severity: finding.High}
	return notify.Message{Key: key, Kind: notify.First, To: notify.Recipient{Person: "hr:m1", Name: "Mia Moor", Email: "mia@example.com", Zone: time.UTC}, Run: 2,
		Items: []notify.Item{{Finding: f, Why: "manager", Answers: []notify.Answer{notify.Keep, notify.NotMine}}}}
}

// Large is a message with items that each say which they are, in two sources.
func Large(key string, items int) notify.Message {
	m := Message(key)
	one := m.Items[0]
	m.Items = nil
	for i := range items {
		it := one
		it.Finding.Subject.Source, it.Finding.SourceName = "crm", "CRM"
		if i >= items/2 {
			it.Finding.Subject.Source, it.Finding.SourceName = "erp", "ERP"
		}
		it.Finding.Subject.ID = fmt.Sprintf("a%d", i)
		it.Finding.Name, it.Finding.Message = fmt.Sprintf("user%d", i), mark(i)+" has an account and left 7 days ago"
		it.Finding.Fingerprint = finding.NewFingerprint("LVR-01", it.Finding.Subject, "")
		m.Items = append(m.Items, it)
	}
	return m
}

// mark is a word of an item that no other has.
func mark(i int) string { return fmt.Sprintf("person%04dx", i) }

// Run asks for what the contract says: a message arrives, whole, once however often it is sent, can be found where the channel
// can look, and can be brought up to date.
func Run(t *testing.T, s Suite) {
	t.Run("once", s.once)
	t.Run("foreign text", s.foreign)
	t.Run("whole", s.whole)
	t.Run("notice", s.notice)
	t.Run("nobody", s.nobody)
}

// read is all of a message that arrived, in the order of its parts.
func (s Suite) read(t *testing.T, key string) string {
	t.Helper()
	var out []string
	for _, d := range s.Received(t) {
		if d.Key == key {
			out = append(out, d.Text)
		}
	}
	if len(out) == 0 {
		t.Fatalf("%s did not arrive", key)
	}
	return strings.Join(out, "\n")
}

// foreign asks that no name moves the cursor, turns the direction of writing or is markup.
func (s Suite) foreign(t *testing.T) {
	if s.Raw {
		return
	}
	text := s.read(t, "key-1")
	if !strings.Contains(text, "Bobby") || !strings.Contains(text, "left 7 days ago") {
		t.Errorf("it doesn't say what it is about: %q", text)
	}
	if strings.ContainsAny(text, "\x1b\u202e") {
		t.Errorf("a name moves the cursor or turns the direction of writing: %q", text)
	}
}

// whole asks that nothing is cut, in as many parts as it takes.
func (s Suite) whole(t *testing.T) {
	for _, n := range Sizes {
		if n > 100 && testing.Short() {
			continue
		}
		key := fmt.Sprintf("large-%d", n)
		if _, err := s.Channel.Send(t.Context(), Large(key, n)); err != nil {
			t.Fatalf("%d items: %v", n, err)
		}
		text := s.read(t, key)
		for i := range n {
			if !strings.Contains(text, mark(i)) {
				t.Fatalf("of %d items number %d did not arrive", n, i)
			}
		}
	}
}

// notice asks that what is to be known arrives by all its lines, or is said not to.
func (s Suite) notice(t *testing.T) {
	m := Message("notice")
	m.Kind, m.Items, m.Title = notify.Notice, nil, "Something is to be known"
	for i := range 200 {
		m.Lines = append(m.Lines, mark(i)+" <b>*Bobby* & \u202esivat\x1b[31m left 7 days ago")
	}
	if _, err := s.Channel.Send(t.Context(), m); errors.Is(err, notify.ErrUnreachable) {
		return
	} else if err != nil {
		t.Fatal(err)
	}
	text := s.read(t, m.Key)
	if !strings.Contains(text, m.Title) || !s.Raw && strings.ContainsAny(text, "\x1b\u202e") {
		t.Errorf("it has no title, or moves the cursor: %.300q", text)
	}
	for i := range m.Lines {
		if !strings.Contains(text, mark(i)) {
			t.Fatalf("line %d did not arrive", i)
		}
	}
}

// nobody asks that whoever can't be reached is told from what is passing.
func (s Suite) nobody(t *testing.T) {
	if !s.Addressed {
		return
	}
	for _, address := range []string{"", "   ", "no address", "a@b.example\r\nBcc: evil@example.org"} {
		m := Message("nobody")
		m.To.Email = address
		if _, err := s.Channel.Send(t.Context(), m); !errors.Is(err, notify.ErrUnreachable) {
			t.Errorf("%q: %v, want one that says the next in line is asked", address, err)
		}
	}
	for _, d := range s.Received(t) {
		if d.Key == "nobody" {
			t.Errorf("it arrived: %+v", d)
		}
	}
}

func (s Suite) once(t *testing.T) {
	m := Message("key-1")
	if _, found, err := s.Channel.Find(t.Context(), m); err != nil || found {
		t.Fatalf("found before it was sent: %v, %v", found, err)
	}
	r, err := s.Channel.Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if r.Channel != s.Channel.Name() || len(r.IDs) == 0 {
		t.Errorf("the receipt %+v doesn't say where it went", r)
	}
	if _, found, err := s.Channel.Find(t.Context(), m); err != nil || found == s.Blind {
		t.Errorf("found %v, %v, blind %v", found, err, s.Blind)
	}
	if !s.Repeats {
		if _, err := s.Channel.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Received(t); len(got) != 1 || got[0].Key != m.Key {
		t.Fatalf("received %+v, want it once", got)
	}
	m.Decided = map[finding.Fingerprint]string{m.Items[0].Finding.Fingerprint: "kept by Mia"}
	if err := s.Channel.Update(t.Context(), r, m); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Channel.Send(t.Context(), Message("key-2")); err != nil {
		t.Fatal(err)
	}
	if got := s.Received(t); len(got) < 2 {
		t.Errorf("another message was taken for the first: %+v", got)
	}
}
