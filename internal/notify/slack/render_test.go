package slack

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/slack-go/slack"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/notify"
)

var update = flag.Bool("update", false, "rewrite the goldens")

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

var all = []notify.Answer{notify.Revoke, notify.Keep, notify.NotMine, notify.Later}

func item(n int, source string) notify.Item {
	s := finding.Subject{Kind: access.SubjectAccount, Source: source, ID: fmt.Sprint(n)}
	return notify.Item{
		Finding: finding.Finding{
			Fingerprint: finding.NewFingerprint("DOR-01", s, ""),
			Hit: finding.Hit{
				Policy: "DOR-01", Subject: s, CostMonth: "57.00", Currency: "USD",
				Message: fmt.Sprintf("user%d has not logged in to %s for 120 days", n, source),
			},
			Severity: finding.Medium, Title: "Account not used", SourceName: "The " + source,
			Name: fmt.Sprintf("user%d", n), PersonName: fmt.Sprintf("Person %d", n), Department: "Research",
			FirstSeen: noon.AddDate(0, 0, -21),
		},
		Why: "you are the manager of the account's owner", Due: noon.AddDate(0, 0, 7),
		Otherwise: "the account is disabled", Answers: all,
	}
}

func digestOf(n int) notify.Message {
	m := notify.Message{
		Key: "msg-7f3a", Kind: notify.First, Run: 412, AsOf: noon,
		To: notify.Recipient{Person: "hr:1001", Name: "Anna Berg", Email: "anna.berg@example.com"},
	}
	for i := range n {
		it := item(i, []string{"crm", "directory", "wiki"}[i*3/n])
		it.Urgency = notify.Urgency(2 - i*9/n%3)
		it.Privileged = i%10 == 9
		m.Items = append(m.Items, it)
	}
	return m
}

func golden(t *testing.T, name string, v any) {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("%s (-want +got); -update rewrites it:\n%s", file, diff)
	}
}

func TestRenderGoldens(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	first := digestOf(5)
	first.To.Zone = zone
	first.Items[4].Privileged, first.Items[4].Answers = true, []notify.Answer{notify.Keep, notify.NotMine}
	first.Items[1].Otherwise, first.Items[1].Due = "", time.Time{}
	first.Items[2].Finding.CostMonth, first.Items[2].Finding.FirstSeen = "", time.Time{} // unknown is not said

	decided := first
	decided.Decided = map[finding.Fingerprint]string{
		first.Items[0].Finding.Fingerprint: "Anna Berg: revoke; carried out and read back on 24 Nov 2026",
		first.Items[2].Finding.Fingerprint: "resolved by itself",
	}
	evil := digestOf(1)
	evil.Kind = notify.Escalation
	it := &evil.Items[0]
	it.Finding.SourceName = "<!channel> *CRM*"
	it.Finding.Name = "<@U012> & _svc_backup_ ~x~ `y` :white_check_mark: <http://evil.example|ok>"
	it.Finding.Message = "> approved\n\u202eevil\u202c <!here>\r\n* done"
	it.Finding.PersonName = "דנה לוי"
	it.Why = "a|b <mailto:x@example.com|y>"

	golden(t, "first", Render(first))
	golden(t, "decided", Render(decided))
	golden(t, "evil", Render(evil))
	golden(t, "summary", Render(notify.Message{
		Key: "sum-412", Kind: notify.Summary, Run: 412, AsOf: noon, To: notify.Recipient{Role: "security"},
		Counts: []notify.Count{{Text: "findings are open", N: 1204}, {Text: "are new tonight", N: 17}, {Text: "<b>rules</b> could not be evaluated", N: 2}},
	}))
	for _, m := range []notify.Message{first, decided, evil} {
		for _, p := range Render(m) {
			checkPart(t, p)
		}
	}
}

// At every size each item is there once, whole, in order, with its own buttons, and every payload is valid.
func TestRenderSizes(t *testing.T) {
	for _, n := range []int{1, 3, 4, 10, 100, 1000} {
		m := digestOf(n)
		parts := Render(m)
		var items []finding.Fingerprint
		for i, p := range parts {
			checkPart(t, p)
			items = append(items, p.Items...)
			if want := fmt.Sprintf("%s#%d", m.Key, i+1); p.Key != want {
				t.Errorf("key %s, want %s", p.Key, want)
			}
		}
		if len(items) != n {
			t.Fatalf("%d items of %d", len(items), n)
		}
		got := texts(parts)
		for i, it := range m.Items {
			if items[i] != it.Finding.Fingerprint {
				t.Fatalf("item %d of %d is out of order", i, n)
			}
			if !strings.Contains(got, it.Finding.Message) {
				t.Errorf("%d items: %q is lost", n, it.Finding.Message)
			}
		}
		values := pressed(parts, actionAnswer+"revoke")
		if len(values) != n {
			t.Errorf("%d items have %d buttons to revoke", n, len(values))
		}
		for _, v := range pressed(parts, actionBulk) {
			fps, answers := parseBulkValue(v)
			if len(fps) < 2 || !slices.Equal(answers, all) {
				t.Errorf("several: %d items, answers %v", len(fps), answers)
			}
			for _, fp := range fps {
				for _, it := range m.Items {
					if it.Finding.Fingerprint == fp && it.Privileged {
						t.Errorf("%d items: a privileged one can be decided with others", n)
					}
				}
			}
		}
		if has := len(pressed(parts, actionBulk)) > 0; has != (n > 3) {
			t.Errorf("%d items: several at once: %t", n, has)
		}
		t.Logf("%d items in %d parts", n, len(parts))
	}
}

// Whatever is decided, and however much is said of it, every item stays in the part that it was sent in.
func TestRenderDecidedKeepsParts(t *testing.T) {
	m := digestOf(100)
	for i := range m.Items { // so that the texts are what fills a part
		m.Items[i].Finding.Message += strings.Repeat(" and more", 14)
		if i > 50 {
			m.Items[i].Answers = nil // nothing to answer, and something to say in the end
		}
	}
	before := Render(m)
	for _, outcome := range []string{"", "x", strings.Repeat("<said at length> ", 400)} {
		m.Decided = map[finding.Fingerprint]string{}
		for _, every := range []int{7, 2, 1} {
			for i, it := range m.Items {
				if i%every == 0 {
					m.Decided[it.Finding.Fingerprint] = outcome
				}
			}
			after := Render(m)
			if len(after) != len(before) {
				t.Fatalf("%d parts, were %d", len(after), len(before))
			}
			for i, p := range after {
				checkPart(t, p)
				if !slices.Equal(p.Items, before[i].Items) {
					t.Errorf("part %d has other items", i+1)
				}
			}
			want := 0
			for _, it := range m.Items {
				if _, ok := m.Decided[it.Finding.Fingerprint]; !ok && it.Answers != nil {
					want++
				}
			}
			if got := len(pressed(after, actionAnswer+"keep")); got != want {
				t.Errorf("%d items can be answered, want %d", got, want)
			}
		}
		if len(pressed(Render(m), actionBulk)) != 0 {
			t.Error("nothing is left to decide, several at once")
		}
	}
}

// Texts of any length are split and not cut, also a card that no message could hold.
func TestRenderLongTexts(t *testing.T) {
	for _, size := range []int{2990, 3000, 9000, 40_000} {
		for _, unit := range []string{"x", "word ", "<", "🙂", "é & "} {
			m := digestOf(5)
			long := "BEGIN" + strings.Repeat(unit, size/len(unit)) + "END"
			m.Items[2].Finding.Message = long
			m.Items[2].Finding.SourceName = "A" + strings.Repeat("n", size/10) + "Z"
			m.Items[3].Why, m.Items[3].Finding.Title = long, long
			parts := Render(m)
			for _, p := range parts {
				checkPart(t, p)
			}
			flat := func(s string) string { return strings.NewReplacer("\n", "", " ", "").Replace(s) }
			got := flat(sections(parts))
			for _, want := range []string{clean(long), clean(m.Items[2].Finding.SourceName), clean(m.Items[4].Finding.Message)} {
				if !strings.Contains(got, flat(want)) {
					t.Errorf("%d of %q: a text is cut", size, unit)
				}
			}
			if n := len(pressed(parts, actionAnswer+"keep")); n != 5 {
				t.Errorf("%d of %q: %d items can be kept, want 5", size, unit, n)
			}
		}
	}
}

// Many short items are too many blocks before they are too much text; many counts are one text.
func TestRenderManyBlocks(t *testing.T) {
	m := digestOf(120)
	for i := range m.Items {
		it := &m.Items[i]
		it.Finding = finding.Finding{Fingerprint: it.Finding.Fingerprint, SourceName: fmt.Sprint("s", i)}
		it.Why, it.Otherwise, it.Due = "", "", time.Time{}
	}
	for _, p := range Render(m) {
		checkPart(t, p)
	}
	for n := range 500 {
		m.Counts = append(m.Counts, notify.Count{Text: "are counted", N: n})
	}
	var items, most int
	for _, p := range Render(m) {
		checkPart(t, p)
		items, most = items+len(p.Items), max(most, len(p.Blocks))
	}
	if items != 120 || most < 40 {
		t.Errorf("%d items, %d blocks at most", items, most)
	}
	if got := strings.Count(sections(Render(m)), "are counted"); got != 500 {
		t.Errorf("%d counts of 500", got)
	}
}

func TestRenderRules(t *testing.T) {
	m := digestOf(6)
	m.Items = append(m.Items, m.Items[0]) // asked about once
	m.Items[1].Answers = nil
	m.Items[2].Answers = []notify.Answer{notify.Keep, "burn"}
	parts := Render(m)
	if n := len(parts[0].Items); n != 6 {
		t.Errorf("%d items, want 6", n)
	}
	if n := len(pressed(parts, actionAnswer+"revoke")); n != 4 {
		t.Errorf("%d can be revoked, want 4", n)
	}
	if n := len(pressed(parts, actionAnswer+"burn")); n != 0 {
		t.Error("there is a button for an answer that nobody knows")
	}
	fps, answers := parseBulkValue(pressed(parts, actionBulk)[0])
	if len(fps) != 5 || !slices.Equal(answers, []notify.Answer{notify.Keep}) {
		t.Errorf("several: %d items, answers %v; want 5, and what all have in common", len(fps), answers)
	}
	for i := range m.Items {
		m.Items[i].Privileged = true
	}
	if pressed(Render(m), actionBulk) != nil {
		t.Error("privileged items can be decided together")
	}
	for _, p := range Render(digestOf(100)) {
		for _, secret := range []string{"user", "Person", "crm", "Anna"} {
			if strings.Contains(p.Text, secret) {
				t.Errorf("the notification tells %q: %s", secret, p.Text)
			}
		}
	}
}

// texts are those of all blocks.
func texts(parts []Part) string {
	var b strings.Builder
	for _, p := range parts {
		for _, block := range p.Blocks {
			switch block := block.(type) {
			case *slack.SectionBlock:
				b.WriteString(block.Text.Text + "\n")
			case *slack.HeaderBlock:
				b.WriteString(block.Text.Text + "\n")
			}
		}
	}
	return b.String()
}

// sections are the texts of sections alone: between two of them a part may begin.
func sections(parts []Part) string {
	var b strings.Builder
	for _, p := range parts {
		for _, block := range p.Blocks {
			if block, ok := block.(*slack.SectionBlock); ok {
				b.WriteString(block.Text.Text)
			}
		}
	}
	return b.String()
}

// pressed lists the values of all buttons with an action.
func pressed(parts []Part, action string) []string {
	var out []string
	for _, p := range parts {
		for _, block := range p.Blocks {
			actions, ok := block.(*slack.ActionBlock)
			if !ok {
				continue
			}
			for _, e := range actions.Elements.ElementSet {
				if b, ok := e.(*slack.ButtonBlockElement); ok && b.ActionID == action {
					out = append(out, b.Value)
				}
			}
		}
	}
	return out
}
