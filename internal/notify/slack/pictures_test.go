package slack

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/notify"
)

var pictures = flag.String("pictures", "", "folder in which TestPictures draws every kind of message, by chromium")

// drawing is what stands in one picture.
type drawing struct {
	Name     string                  `json:"name"`
	Messages [][]slack.Block         `json:"messages,omitempty"`
	Modal    *slack.ModalViewRequest `json:"modal,omitempty"`
}

// found is an item as the pipeline and the rule pack make them.
func found(i int) notify.Item {
	kinds := []struct {
		policy, title, message, cost string
		severity                     finding.Severity
		privileged                   bool
	}{
		{"LVR-01", "A leaver has an active account", "%s left 32 days ago, and the account %s in %s can still sign in", "", finding.High, false},
		{"DOR-02", "A privileged account is not used", "%s has not used the privileged account %s in %s for 97 days", "", finding.High, true},
		{"DOR-01", "An account is not used", "%s has not used the account %s in %s for 142 days", "", finding.Medium, false},
		{"LIC-01", "A license seat is not used", "%s has not used Salesforce Enterprise (%s, %s) for 120 days", "165.00", finding.Low, false},
	}
	k := kinds[i%len(kinds)]
	source := []string{"crm", "erp", "wiki"}[i/4%3]
	name := map[string]string{"crm": "CRM", "erp": "ERP", "wiki": "Wiki"}[source]
	person := []string{"Ana Souza", "Jörg Müller", "Wei Zhang", "Fatima Al-Sayed", "Tom O'Brien", "Priya Natarajan", "דנה לוי"}[i%7]
	user := fmt.Sprintf("user%d", i)
	s := finding.Subject{Kind: access.SubjectAccount, Source: source, ID: fmt.Sprint(i)}
	it := notify.Item{
		Finding: finding.Finding{
			Fingerprint: finding.NewFingerprint(k.policy, s, ""), Severity: k.severity, Title: k.title, SourceName: name, Name: user, PersonName: person,
			Department: "Sales", FirstSeen: noon.AddDate(0, 0, -1),
			Hit: finding.Hit{Policy: k.policy, Subject: s, Message: fmt.Sprintf(k.message, person, user, name), CostMonth: k.cost},
		},
		Why: "manager", Due: noon.AddDate(0, 0, 10), Otherwise: "your manager is asked", Answers: all, Privileged: k.privileged,
	}
	if k.cost != "" {
		it.Finding.Currency = "USD"
	}
	return it
}

func asking(kind notify.Kind, n int) notify.Message {
	m := notify.Message{Key: "m", Kind: kind, Run: 412, AsOf: noon, To: notify.Recipient{Person: "hr:1001", Name: "Mia Moor"}}
	for i := range n {
		it := found(i)
		if kind == notify.Escalation {
			it.Urgency, it.Why, it.Otherwise = notify.Overdue, "manager of whoever was asked first", "the security team is asked"
		}
		m.Items = append(m.Items, it)
	}
	return m
}

func bySource(m notify.Message) notify.Message {
	var out []notify.Item
	for _, source := range []string{"crm", "erp", "wiki"} {
		for _, it := range m.Items {
			if it.Finding.Subject.Source == source {
				out = append(out, it)
			}
		}
	}
	m.Items = out
	return m
}

func drawn(name string, m notify.Message, most int) drawing {
	d := drawing{Name: name}
	parts := Render(m)
	for i, p := range parts {
		if i < most {
			d.Messages = append(d.Messages, p.Blocks)
		}
	}
	if len(parts) > most {
		d.Name += fmt.Sprintf(" (the first %d of %d parts)", most, len(parts))
	}
	return d
}

// TestPictures draws every kind of message and modal, at 1, 10, 100 and 1,000 findings, to be looked at:
//
//	go test ./internal/notify/slack -run Pictures -pictures /tmp/pictures
func TestPictures(t *testing.T) {
	if *pictures == "" {
		t.Skip("-pictures names no folder to draw in")
	}
	decided := bySource(asking(notify.First, 10))
	decided.Decided = map[finding.Fingerprint]string{}
	for i, text := range []string{
		"to be taken away, says Mia Moor; a scan finds it no more", "kept by Mia Moor to the end of 2026-12-31: needed for the audit", "not theirs, says Mia Moor: passed on to Max Mud",
		"asked again on 2026-11-29, says Mia Moor", "asked again in a newer message", "Bo Boss is asked now",
	} {
		decided.Decided[decided.Items[i].Finding.Fingerprint] = text
	}
	gone := asking(notify.First, 1)
	gone.Decided = map[finding.Fingerprint]string{gone.Items[0].Finding.Fingerprint: "a scan finds it no more"}
	ten := bySource(asking(notify.First, 10))
	part := Render(ten)[0]
	var fps []finding.Fingerprint
	for _, it := range ten.Items {
		if inBulk(it) {
			fps = append(fps, it.Finding.Fingerprint)
		}
	}
	said := cards(slack.Message{Msg: slack.Msg{Blocks: slack.Blocks{BlockSet: part.Blocks}}})
	keep, err := answerModal(notify.Keep, fps[0], said[fps[0]], noon)
	if err != nil {
		t.Fatal(err)
	}
	other, err := answerModal(notify.NotMine, fps[0], said[fps[0]], noon)
	if err != nil {
		t.Fatal(err)
	}
	several, err := bulkModal(fps, all, said, noon)
	if err != nil {
		t.Fatal(err)
	}
	summary := notify.Message{Key: "s", Kind: notify.Summary, Run: 412, AsOf: noon, To: notify.Recipient{Role: "security"}, Counts: []notify.Count{
		{Text: "findings are new", N: 42}, {Text: "findings are in first messages", N: 40}, {Text: "findings are in reminders", N: 12}, {Text: "findings are past their deadline", N: 3},
		{Text: "people are written to", N: 17}, {Text: "findings need no answer any more", N: 9},
	}}
	for file, things := range map[string][]drawing{
		"one":      {drawn("first, 1", asking(notify.First, 1), 3), drawn("resolved by itself", gone, 1), drawn("reminder, 1", asking(notify.Reminder, 1), 3), drawn("escalation, 1", asking(notify.Escalation, 1), 3)},
		"ten":      {drawn("first, 10", ten, 3)},
		"decided":  {drawn("first, 10, some decided", decided, 3)},
		"hundred":  {drawn("first, 100", bySource(asking(notify.First, 100)), 3)},
		"thousand": {drawn("escalation, 1000", bySource(asking(notify.Escalation, 1000)), 2)},
		"summary":  {drawn("summary", summary, 1)},
		"modals":   {{Name: "keep", Modal: &keep}, {Name: "not mine", Modal: &other}, {Name: "after it", Modal: doneModal("Recorded: ex-abc123 accepts it until 2026-12-31 00:00 UTC.")}, {Name: "refused", Modal: doneModal("This was not recorded: answer to finding 123456789012: it is not theirs to answer: hr:m3 is asked.")}},
		"several":  {{Name: "several at once", Modal: &several}},
		"whispers": {{Name: "after a click", Messages: [][]slack.Block{replyBlocks("Recorded: plan-abc, the answer approves the plan, if its guards let it."), replyBlocks("Nothing waits for you.")}}},
	} {
		draw(t, file, things)
	}
}

// draw makes a picture of things.
func draw(t *testing.T, name string, things []drawing) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("testdata", "blockkit.html"))
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(things)
	if err != nil {
		t.Fatal(err)
	}
	html := filepath.Join(t.TempDir(), name+".html")
	if err := os.WriteFile(html, []byte(strings.Replace(string(page), "{THINGS}", strings.ReplaceAll(string(data), "</", `<\/`), 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(*pictures, 0o755); err != nil {
		t.Fatal(err)
	}
	height := 240
	for _, th := range things {
		height += 400 * boolean(th.Modal != nil)
		for _, m := range th.Messages {
			height += 34 * len(m)
		}
	}
	png := filepath.Join(*pictures, name+".png")
	cmd := exec.CommandContext(t.Context(), "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
		"--hide-scrollbars", fmt.Sprintf("--window-size=700,%d", min(height, 8000)), "--screenshot="+png, "file://"+html)
	cmd.WaitDelay = time.Minute
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("chromium: %v\n%s", err, out)
	}
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}
