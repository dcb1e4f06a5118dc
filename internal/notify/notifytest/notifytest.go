// Package notifytest holds what every channel has to show.
package notifytest

import (
	"slices"
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
}

// Message is one with an item of a source whose names are hostile.
func Message(key string) notify.Message {
	s := finding.Subject{Kind: access.SubjectAccount, Source: "crm", ID: "a1"}
	f := finding.Finding{Fingerprint: finding.NewFingerprint("LVR-01", s, ""), Hit: finding.Hit{Policy: "LVR-01", Subject: s,
		Message: "<b>*Bobby* & \u202esivat\x1b[31m left 7 days ago"}, SourceName: "CRM", Name: "bobby", FirstSeen: time.Date(2026, 11, 2, 2, 0, 0, 0, time.UTC), Severity: finding.High}
	return notify.Message{Key: key, Kind: notify.First, To: notify.Recipient{Person: "hr:m1", Name: "Mia Moor", Email: "mia@example.com", Zone: time.UTC}, Run: 2,
		Items: []notify.Item{{Finding: f, Why: "manager", Answers: []notify.Answer{notify.Keep, notify.NotMine}}}}
}

// Notice is one that has no items.
func Notice(key string) notify.Message {
	m := Message(key)
	m.Kind, m.Items, m.Title, m.Lines = notify.Notice, nil, "Access waits for your review", []string{"item 1: <b>*Bobby* \u202esivat\x1b[31m holds deals", "the rest is not shown"}
	return m
}

// Run asks for what the contract says: a message arrives, once however often it is sent, can be found where the channel can
// look, and can be brought up to date.
func Run(t *testing.T, s Suite) {
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
	if _, err := s.Channel.Send(t.Context(), m); err != nil {
		t.Fatal(err)
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

// RunNotices asks that what is only to be known arrives whole.
func RunNotices(t *testing.T, s Suite) {
	const key = "notice-1"
	if _, err := s.Channel.Send(t.Context(), Notice(key)); err != nil {
		t.Fatal(err)
	}
	got := s.Received(t)
	i := slices.IndexFunc(got, func(d Delivery) bool { return d.Key == key })
	if i < 0 || !strings.Contains(got[i].Text, "Access waits for your review") || !strings.Contains(got[i].Text, "the rest is not shown") {
		t.Errorf("a notice doesn't arrive whole: %+v", got)
	}
}
