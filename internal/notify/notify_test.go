package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/state"
)

// noon is a Monday's.
var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

func person(id, manager string, status access.PersonStatus) access.Identity {
	i := access.Identity{Key: "hr:" + id, Person: access.Person{ID: id, Name: "Name " + id, Email: id + "@example.com", Status: status}}
	if manager != "" {
		i.ManagerID = "hr:" + manager
	}
	return i
}

// staff: p1 and p2 report to m1, p3 to m2, who has left, whose manager is b. l has no manager but himself.
func staff() *People {
	return NewPeople([]access.Identity{
		person("p1", "m1", access.PersonEnded), person("p2", "m1", access.PersonActive), person("p3", "m2", access.PersonEnded),
		person("m1", "b", access.PersonActive), person("m2", "b", access.PersonEnded), person("b", "", access.PersonActive),
		person("s", "", access.PersonActive), person("x", "", ""), person("away", "m1", access.PersonLeave), person("l", "l", access.PersonEnded),
	})
}

func found(n int, who string) finding.Finding {
	s := finding.Subject{Kind: access.SubjectAccount, Source: "crm", ID: fmt.Sprint("a", n)}
	return finding.Finding{Fingerprint: finding.NewFingerprint("LVR-01", s, ""), Hit: finding.Hit{Policy: "LVR-01", Subject: s, Message: fmt.Sprint("message ", n)},
		SourceName: "CRM", Name: fmt.Sprint("user", n), Person: who, Action: "disable", Status: finding.Open, FirstSeen: noon, Severity: finding.High}
}

func newOwners() *Owners {
	s := Defaults()
	s.Owners = map[string]string{"crm": "hr:s", "wiki": "wiki@example.org"}
	s.Security.People = []string{"hr:s"}
	return &Owners{Settings: s, People: staff(), Zone: time.UTC}
}

func TestOwners(t *testing.T) {
	for _, c := range []struct {
		name     string
		meddle   func(*finding.Finding, *Case, *Owners)
		not      []string
		to, why  string
		passedBy string // part of who came before
	}{
		{"the manager", func(*finding.Finding, *Case, *Owners) {}, nil, "hr:m1", "manager", ""},
		{"the manager has left", func(f *finding.Finding, _ *Case, _ *Owners) { f.Person = "hr:p3" }, nil, "hr:b", "manager's manager", "hr:m2 (manager) is ended"},
		{"security by the rule", func(_ *finding.Finding, c *Case, _ *Owners) { c.Assignee = "security"; c.Owner = "p2" }, nil, "security", "security team, as the rule says", ""},
		{"the owner of the app by the rule", func(_ *finding.Finding, c *Case, _ *Owners) { c.Assignee = "app_owner" }, nil, "hr:s", "owner of crm", ""},
		{"the owner of the account before the manager", func(_ *finding.Finding, c *Case, _ *Owners) { c.Assignee, c.Owner = "account_owner", "P2@example.com" }, nil, "hr:p2", "owner of the account", ""},
		{"the owner of the account is away", func(_ *finding.Finding, c *Case, _ *Owners) { c.Assignee, c.Owner = "account_owner", "away" }, nil, "hr:m1", "manager", "hr:away (owner of the account) is on leave"},
		{"nobody knows whether the owner is still here", func(_ *finding.Finding, c *Case, _ *Owners) { c.Assignee, c.Owner = "account_owner", "x" }, nil, "hr:m1", "manager", "is of unknown status"},
		{"the owner is nobody", func(_ *finding.Finding, c *Case, _ *Owners) { c.Assignee, c.Owner = "account_owner", "ghost" }, nil, "hr:m1", "manager", "ghost (owner of the account) is nobody"},
		{"the manager of a leaver who owns a service account", func(f *finding.Finding, c *Case, _ *Owners) {
			f.Person, c.Assignee, c.Owner = "", "account_owner", "p1"
		}, nil, "hr:m1", "manager", "hr:p1 (owner of the account) is ended"},
		{"who benefits is not asked about what is privileged", func(f *finding.Finding, c *Case, _ *Owners) {
			f.Person, c.Assignee, c.Owner, c.Privileged = "hr:p2", "account_owner", "p2", true
		}, nil, "hr:m1", "manager", "hr:p2 (owner of the account) benefits from it"},
		{"who benefits is asked about the rest", func(f *finding.Finding, c *Case, _ *Owners) {
			f.Person, c.Assignee, c.Owner = "hr:p2", "account_owner", "p2"
		}, nil, "hr:p2", "owner of the account", ""},
		{"it is not theirs", func(*finding.Finding, *Case, *Owners) {}, []string{"hr:m1"}, "hr:b", "manager's manager", "is not to be asked"},
		{"it is nobody's", func(*finding.Finding, *Case, *Owners) {}, []string{"hr:m1", "hr:b", "hr:s"}, "security", "nobody else can be asked", ""},
		{"their own manager who has left", func(f *finding.Finding, _ *Case, _ *Owners) { f.Person = "hr:l" }, nil, "hr:s", "owner of crm", ""},
		{"an owner known by an address", func(f *finding.Finding, _ *Case, _ *Owners) { f.Person, f.Subject.Source = "", "wiki" }, nil, "app_owner:wiki", "owner of wiki", ""},
		{"an app without an owner", func(f *finding.Finding, _ *Case, _ *Owners) { f.Person, f.Subject.Source = "", "hr" }, nil, "security", "nobody else can be asked", ""},
		{"the owner of the app has left", func(f *finding.Finding, _ *Case, o *Owners) {
			f.Person, o.Settings.Owners = "", map[string]string{"crm": "p1@example.com"}
		}, nil, "security", "nobody else can be asked", "hr:p1 (owner of crm) is ended"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, f, cs := newOwners(), found(1, "hr:p1"), Case{Assignee: "manager"}
			c.meddle(&f, &cs, o)
			a := o.Of(f, cs, c.not)
			if a.To.ID() != c.to || a.Why != c.why || !strings.Contains(strings.Join(a.Passed, "; "), c.passedBy) {
				t.Errorf("%s, %s, passed over %q; want %s, %s, %q", a.To.ID(), a.Why, a.Passed, c.to, c.why, c.passedBy)
			}
		})
	}
}

func TestAmbiguousAddress(t *testing.T) {
	one, two := person("1", "", access.PersonActive), person("2", "", access.PersonActive)
	one.Email, two.Email = "shared@example.com", "Shared@example.com"
	p := NewPeople([]access.Identity{one, two})
	if got := p.ByEmail("shared@example.com"); got != "" {
		t.Errorf("%s was guessed", got)
	}
}

// Quiet hours are of the clock on the wall, on the night when it is set back, too.
func TestQuiet(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	q := Defaults().Quiet
	for text, want := range map[string]bool{
		"2026-11-02T06:59:00+01:00": true, "2026-11-02T07:00:00+01:00": false, "2026-11-02T19:59:00+01:00": false, "2026-11-02T20:00:00+01:00": true,
		"2026-11-01T12:00:00+01:00": true, "2026-10-26T06:30:00+01:00": true, "2026-03-30T07:00:00+02:00": false,
	} {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		if got := q.At(at, berlin); got != want {
			t.Errorf("%s: quiet %v, want %v", text, got, want)
		}
	}
	if (Quiet{}).At(noon.Add(12*time.Hour), berlin) {
		t.Error("never is sometimes")
	}
}

// post is a channel in memory. blind can't look for what it has delivered.
type post struct {
	name      string
	delivered map[string]int
	messages  []Message
	updates   int
	blind     bool
	fault     func(m Message, attempt int) (effect bool, answer error)
	attempts  int
}

func (c *post) Name() string { return c.name }

func (c *post) Send(_ context.Context, m Message) (Receipt, error) {
	effect, answer := true, error(nil)
	if c.fault != nil {
		effect, answer = c.fault(m, c.attempts)
	}
	c.attempts++
	if effect {
		c.delivered[m.Key]++
		c.messages = append(c.messages, m)
	}
	return Receipt{Channel: c.name, IDs: []string{m.Key}}, answer
}

func (c *post) Find(_ context.Context, m Message) (Receipt, bool, error) {
	return Receipt{Channel: c.name, IDs: []string{m.Key}}, !c.blind && c.delivered[m.Key] > 0, nil
}

func (c *post) Update(context.Context, Receipt, Message) error { c.updates++; return nil }

// bench is a pipeline over a decision database of its own, started the night before noon.
type bench struct {
	t     *testing.T
	state *state.State
	post  *post
	own   *Owners
	now   time.Time
	run   uint64
	open  []Open
}

func newBench(t *testing.T, n int) *bench {
	t.Helper()
	s, err := state.Open(t.Context(), state.Options{Path: filepath.Join(t.TempDir(), "state.db"), Clock: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	b := &bench{t: t, state: s, post: &post{name: "post", delivered: map[string]int{}}, own: newOwners(), now: noon, run: 2}
	if _, err := s.StartSending(t.Context(), state.Actor{ID: "op"}, 1, noon.AddDate(0, 0, -1)); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		b.open = append(b.open, Open{found(i, []string{"hr:p1", "hr:p3"}[i%2]), Case{Assignee: "manager"}})
	}
	return b
}

func (b *bench) pipeline() *Pipeline {
	return &Pipeline{Decisions: b.state, Owners: b.own, Channels: []Channel{b.post}, Actor: state.Actor{ID: "op"}, Now: func() time.Time { return b.now },
		Log: slog.New(slog.DiscardHandler), Patience: []time.Duration{}}
}

func (b *bench) night() Night {
	b.t.Helper()
	n := Night{Run: b.run, Time: b.now, Now: b.now, Open: b.open}
	var err error
	if n.Sending, err = b.state.Sending(b.t.Context()); err == nil {
		n.Asked, err = b.state.Asked(b.t.Context(), false)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// turn runs the pipeline once.
func (b *bench) turn(p *Pipeline) (Sent, error) {
	b.t.Helper()
	if err := p.Queue(b.t.Context(), b.own.Draft(b.night())); err != nil {
		return Sent{}, err
	}
	return p.Send(b.t.Context())
}

func (b *bench) must() Sent {
	b.t.Helper()
	s, err := b.turn(b.pipeline())
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func (b *bench) whole() {
	b.t.Helper()
	if v, err := b.state.VerifyLedger(b.t.Context(), nil); err != nil || !v.OK() {
		b.t.Errorf("%v, %v", v, err)
	}
}

var errKilled = errors.New("killed")

// Wherever the process dies, the next one settles it: each finding is asked about in one message, and twice only where the
// channel can't say whether the first arrived; then it is counted.
func TestKilledAnywhere(t *testing.T) {
	for _, blind := range []bool{false, true} {
		for _, point := range []string{"before queueing", "queued", "before marking", "marked", "sent", "recorded"} {
			for nth := 1; nth <= 2; nth++ {
				t.Run(fmt.Sprintf("blind %v, %s, message %d", blind, point, nth), func(t *testing.T) {
					b := newBench(t, 4)
					b.post.blind = blind
					dying, seen := b.pipeline(), 0
					dying.reached = func(at, _ string) error {
						if at == point {
							if seen++; seen == nth {
								return errKilled
							}
						}
						return nil
					}
					if _, err := b.turn(dying); !errors.Is(err, errKilled) {
						t.Fatalf("it did not die: %v", err)
					}
					s := b.must()
					if len(b.post.delivered) != 2 {
						t.Fatalf("%d messages arrived, want 2", len(b.post.delivered))
					}
					asked := map[finding.Fingerprint]bool{}
					for _, m := range b.post.messages {
						for _, i := range m.Items {
							asked[i.Finding.Fingerprint] = true
						}
					}
					if len(asked) != 4 {
						t.Errorf("%d findings were asked about, want 4", len(asked))
					}
					twice := 0
					for _, n := range b.post.delivered {
						twice += n - 1
					}
					if want := map[bool]int{true: 1}[blind && point == "sent"]; twice != want || twice > s.Repeated {
						t.Errorf("%d arrived twice, want %d; %d were counted", twice, want, s.Repeated)
					}
					if again := b.must(); again != (Sent{}) {
						t.Errorf("the next turn is not silent: %+v", again)
					}
					b.whole()
				})
			}
		}
	}
}

func TestChannelFaults(t *testing.T) {
	refuse := errors.New("503")
	for _, c := range []struct {
		name   string
		fault  func(m Message, attempt int) (bool, error)
		blind  bool
		want   Sent
		copies int
	}{
		{"it fails once", func(_ Message, n int) (bool, error) { return n > 0, map[bool]error{true: refuse}[n == 0] }, false, Sent{Sent: 1}, 1},
		{"it delivers and the answer is lost", func(_ Message, n int) (bool, error) { return true, map[bool]error{true: ErrUnsure}[n == 0] }, false, Sent{Sent: 1}, 1},
		{"it delivers, the answer is lost, and it can't be asked", func(_ Message, n int) (bool, error) { return true, map[bool]error{true: ErrUnsure}[n == 0] }, true, Sent{Sent: 1, Repeated: 1}, 2},
		{"it is down", func(Message, int) (bool, error) { return false, refuse }, false, Sent{Waiting: 1}, 0},
		{"it asks to wait for long", func(Message, int) (bool, error) { return false, &RetryError{After: time.Hour, Err: refuse} }, false, Sent{Waiting: 1}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, 1)
			b.post.fault, b.post.blind = c.fault, c.blind
			p := b.pipeline()
			p.Patience = []time.Duration{0, 0}
			s, err := b.turn(p)
			if err != nil || s != c.want {
				t.Fatalf("%+v, %v; want %+v", s, err, c.want)
			}
			copies := 0
			for _, n := range b.post.delivered {
				copies += n
			}
			if copies != c.copies {
				t.Errorf("it arrived %d times, want %d", copies, c.copies)
			}
			if c.want.Waiting > 0 {
				attempts := b.post.attempts
				b.post.fault = nil
				if s := b.must(); s.Sent != 0 || b.post.attempts != attempts {
					t.Errorf("it was tried again at once: %+v", s)
				}
				b.now = b.now.Add(61 * time.Minute)
				if s := b.must(); s.Sent != 1 {
					t.Errorf("nothing was tried again: %+v", s)
				}
			}
			b.whole()
		})
	}
}

// Who can't be reached is passed over, and nothing is lost: at last the security team is asked, and that waits.
func TestUnreachable(t *testing.T) {
	b := newBench(t, 1)
	var tried []string
	b.post.fault = func(m Message, _ int) (bool, error) {
		tried = append(tried, m.To.ID())
		return false, ErrUnreachable
	}
	for range 6 {
		b.must()
	}
	if want := []string{"hr:m1", "hr:b", "hr:s", "security"}; !slices.Equal(tried, want) {
		t.Errorf("tried %v, want %v", tried, want)
	}
	b.post.fault, b.now = nil, b.now.Add(61*time.Minute)
	if s := b.must(); s.Sent != 1 || len(b.post.messages[0].Items) != 1 {
		t.Errorf("%+v", s)
	}
	b.whole()
}

func TestHold(t *testing.T) {
	b := newBench(t, 21)
	n := b.night()
	if d := b.own.Draft(n); d.Hold == "" || d.New != 21 {
		t.Errorf("21 where none is usual are not held: %+v", d)
	}
	n.Usual = 7
	if d := b.own.Draft(n); d.Hold != "" {
		t.Errorf("21 where 7 are usual are held: %s", d.Hold)
	}
	if s := b.must(); s.Sent != 0 {
		t.Fatalf("what is held was sent: %+v", s)
	}
	if _, err := b.state.HoldSending(t.Context(), state.Actor{ID: "op"}, b.run, "21"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.state.ReleaseSending(t.Context(), state.Actor{ID: "op"}); err != nil {
		t.Fatal(err)
	}
	if s := b.must(); s.Sent != 2 {
		t.Errorf("what was released was not sent: %+v", s)
	}
	if got := Usual([]int{900, 4, 6, 5, 0}); got != 5 {
		t.Errorf("usual is %d", got)
	}
}

// Each gets their own items alone, and all of them in one message.
func TestGrouping(t *testing.T) {
	b := newBench(t, 20)
	b.must()
	got := map[string]int{}
	for _, m := range b.post.messages {
		got[m.To.ID()] += len(m.Items)
		for _, i := range m.Items {
			if want := map[string]string{"hr:p1": "hr:m1", "hr:p3": "hr:b"}[i.Finding.Person]; want != m.To.ID() {
				t.Errorf("%s got an item of %s", m.To.ID(), want)
			}
		}
	}
	if len(b.post.messages) != 2 || got["hr:m1"] != 10 || got["hr:b"] != 10 {
		t.Errorf("%d messages: %v", len(b.post.messages), got)
	}
}

// What is settled before its message was sent is taken out of it.
func TestSettledBeforeSent(t *testing.T) {
	b := newBench(t, 3)
	b.now = noon.Add(10 * time.Hour) // quiet
	if s := b.must(); s.Quiet != 2 {
		t.Fatalf("%+v", s)
	}
	b.open, b.now = b.open[2:], noon.Add(24*time.Hour)
	if s := b.must(); s.Sent != 1 || len(b.post.messages[0].Items) != 1 || b.post.messages[0].Items[0].Finding.Name != "user2" {
		t.Errorf("%+v, %+v", s, b.post.messages)
	}
	b.whole()
}

// An accepted finding is asked about again when its exception has ended, and one that comes again is another.
func TestAskedAnew(t *testing.T) {
	b := newBench(t, 1)
	b.must()
	open := b.open
	b.open, b.now = nil, b.now.AddDate(0, 0, 1)
	if s := b.must(); s.Updated != 1 {
		t.Errorf("nobody was told that it is fixed: %+v", s)
	}
	b.now = b.now.AddDate(0, 0, 1)
	open[0].Finding.FirstSeen = b.now
	b.open = open
	if s := b.must(); s.Sent != 1 || b.post.messages[1].Kind != First || b.post.messages[1].Key == b.post.messages[0].Key {
		t.Errorf("%+v", s)
	}
}

// A message says of each item what was decided and then what came of it, and where an item is asked about by now: it never keeps a
// button for what is answered elsewhere.
func TestOlderMessagesSayWhere(t *testing.T) {
	b := newBench(t, 1)
	b.must()
	first := b.post.messages[0]
	said := func(key string) string {
		t.Helper()
		m, err := b.state.Outgoing(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		msg, err := decode(m.Body)
		if err != nil {
			t.Fatal(err)
		}
		return msg.Decided[b.open[0].Finding.Fingerprint]
	}
	b.now = b.now.AddDate(0, 0, b.own.Settings.RemindDays[0])
	if s := b.must(); s.Sent != 1 || s.Updated != 1 {
		t.Fatalf("the reminder: %+v", s)
	}
	if got := said(first.Key); got != "asked again in a newer message" {
		t.Errorf("the first message says %q", got)
	}
	reminder := b.post.messages[1]
	by := reminder.To.Person
	d := Decision{Channel: ChannelCLI, Who: by, Finding: b.open[0].Finding.Fingerprint, Answer: Later, ID: "click"}
	if _, err := b.pipeline().Answer(t.Context(), d, &b.open[0]); err != nil {
		t.Fatal(err)
	}
	open := b.open
	b.open, b.now = nil, b.now.AddDate(0, 0, 1)
	b.must()
	b.must()
	b.open = open
	if got := said(reminder.Key); !strings.HasPrefix(got, "asked again on ") || !strings.HasSuffix(got, "; a scan finds it no more") || strings.Count(got, ";") != 1 {
		t.Errorf("the reminder says %q", got)
	}
	b.whole()
}

// The summary is told once a run, and not where there is nothing to tell.
func TestSummary(t *testing.T) {
	b := newBench(t, 3)
	b.own.Settings.Summary = true
	if s := b.must(); s.Sent != 3 {
		t.Errorf("%+v", s)
	}
	i := slices.IndexFunc(b.post.messages, func(m Message) bool { return m.Kind == Summary })
	if i < 0 || b.post.messages[i].To.Role != RoleSecurity || b.post.messages[i].Counts[0] != (Count{"findings are new", 3}) {
		t.Errorf("the summary: %d of %+v", i, b.post.messages)
	}
	if s := b.must(); s.Sent != 0 {
		t.Errorf("the same run again: %+v", s)
	}
	b.run, b.now = 3, b.now.AddDate(0, 0, 1)
	if s := b.must(); s.Sent != 0 {
		t.Errorf("a night on which nothing is new: %+v", s)
	}
	b.run, b.open = 4, nil
	if s := b.must(); s.Sent != 1 || s.Updated != 2 {
		t.Errorf("a night on which all is fixed: %+v", s)
	}
	b.whole()
}

func BenchmarkDraft(b *testing.B) {
	o := newOwners()
	var people []access.Identity
	for i := range 10_000 {
		people = append(people, person(fmt.Sprint("m", i), "", access.PersonActive), person(fmt.Sprint("w", i), fmt.Sprint("m", i), access.PersonEnded))
	}
	o.People = NewPeople(people)
	n := Night{Run: 2, Now: noon, Usual: 1 << 20}
	for i := range 100_000 {
		n.Open = append(n.Open, Open{found(i, fmt.Sprint("hr:w", i%10_000)), Case{Assignee: "manager"}})
	}
	for b.Loop() {
		if d := o.Draft(n); len(d.Letters) != 10_000 {
			b.Fatal(len(d.Letters))
		}
	}
}
