package notify

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/state"
)

// asked is a bench on which m1 was asked about one finding of p1's.
func asked(t *testing.T) *bench {
	b := newBench(t, 1)
	b.own.Settings.Delegates = map[string][]string{"hr:m1": {"hr:p2"}}
	b.must()
	return b
}

func (b *bench) decision(answer Answer, email string) Decision {
	return Decision{Channel: "post", Who: "U1", Email: email, Finding: b.open[0].Finding.Fingerprint, Answer: answer, Reason: "needed", Until: noon.AddDate(0, 0, 5), ID: "click-" + string(answer) + email}
}

func TestAnswerRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		meddle func(*bench, *Decision)
		want   error
		text   string
	}{
		{"somebody else", func(_ *bench, d *Decision) { d.Email = "b@example.com" }, ErrNotTheirs, "hr:m1 is asked"},
		{"an address that nobody has", func(_ *bench, d *Decision) { d.Email = "evil@example.org" }, ErrNotTheirs, "nobody knows who U1 is"},
		{"no address", func(_ *bench, d *Decision) { d.Email = "" }, ErrNotTheirs, "nobody knows who U1 is"},
		{"a key where the channel can't vouch for it", func(_ *bench, d *Decision) { d.Email, d.Who = "", "hr:m1" }, ErrNotTheirs, "nobody knows"},
		{"who has left meanwhile", func(b *bench, _ *Decision) {
			b.own.People = NewPeople([]access.Identity{person("m1", "", access.PersonEnded)})
		}, ErrNotTheirs, "hr:m1 is ended"},
		{"who benefits", func(b *bench, _ *Decision) { b.open[0].Finding.Person, b.open[0].Case.Privileged = "hr:m1", true }, ErrNotTheirs, "benefits"},
		{"a finding that is gone", func(b *bench, _ *Decision) { b.open = nil }, ErrGone, "not open any more"},
		{"a finding that nobody was asked about", func(b *bench, d *Decision) { d.Finding = found(77, "hr:p1").Fingerprint }, ErrGone, "nobody was asked"},
		{"no reason", func(_ *bench, d *Decision) { d.Reason = " " }, nil, "takes a reason"},
		{"no expiry", func(_ *bench, d *Decision) { d.Until = time.Time{} }, nil, "takes a reason and a day"},
		{"an expiry in the past", func(_ *bench, d *Decision) { d.Until = noon.Add(-time.Hour) }, nil, "not into the past"},
		{"kept for years", func(_ *bench, d *Decision) { d.Until = noon.AddDate(3, 0, 0) }, nil, "at the latest"},
		{"put off for a year", func(_ *bench, d *Decision) { d.Answer, d.Until = Later, noon.AddDate(1, 0, 0) }, nil, "at the latest"},
		{"passed on to a leaver", func(_ *bench, d *Decision) { d.Answer, d.To = NotMine, "p1@example.com" }, nil, "hr:p1 is ended"},
		{"passed on to nobody", func(_ *bench, d *Decision) { d.Answer, d.To = NotMine, "ghost" }, nil, "the rosters know nobody"},
		{"passed on to themselves", func(_ *bench, d *Decision) { d.Answer, d.To = NotMine, "hr:m1" }, nil, "asked already"},
		{"revoke what can't be", func(b *bench, d *Decision) { d.Answer, b.open[0].Finding.Action = Revoke, "none" }, nil, "nothing that Lapse can take away"},
		{"no answer", func(_ *bench, d *Decision) { d.Answer = "maybe" }, nil, `"maybe" is no answer`},
		{"no id", func(_ *bench, d *Decision) { d.ID = "" }, nil, "no id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := asked(t)
			d := b.decision(Keep, "m1@example.com")
			c.meddle(b, &d)
			var open *Open
			if len(b.open) > 0 {
				open = &b.open[0]
			}
			_, err := b.pipeline().Answer(t.Context(), d, open)
			var refusal *RefusalError
			if !errors.As(err, &refusal) || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v; want %q", err, c.text)
			}
			if all, err := b.state.Answers(t.Context(), state.AnswerFilter{}); err != nil || len(all) != 0 {
				t.Errorf("recorded: %+v, %v", all, err)
			}
			if all, err := b.state.Exceptions(t.Context(), noon, state.ExceptionFilter{}); err != nil || len(all) != 0 {
				t.Errorf("accepted: %+v, %v", all, err)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	t.Run("keep, twice", func(t *testing.T) {
		b := asked(t)
		d := b.decision(Keep, "M1@example.com")
		first, err := b.pipeline().Answer(t.Context(), d, &b.open[0])
		if err != nil || first.Exception == "" || first.By != "hr:m1" {
			t.Fatalf("%+v, %v", first, err)
		}
		again, err := b.pipeline().Answer(t.Context(), d, nil)
		if err != nil || again != first {
			t.Errorf("the second click: %+v, %v", again, err)
		}
		d.Answer = Revoke
		if _, err := b.pipeline().Answer(t.Context(), d, &b.open[0]); err == nil {
			t.Error("one id for two answers")
		}
		d.ID = "other"
		if _, err := b.pipeline().Answer(t.Context(), d, &b.open[0]); !errors.Is(err, ErrGone) {
			t.Errorf("answered again: %v", err)
		}
		// Its message says so, and when the exception has ended the finding is asked about anew.
		if s, err := b.pipeline().Send(t.Context()); err != nil || s.Updated != 1 {
			t.Errorf("%+v, %v", s, err)
		}
		b.now = noon.AddDate(0, 0, 7)
		if s := b.must(); s.Sent != 1 || b.post.messages[1].Kind != First {
			t.Errorf("after the exception: %+v", s)
		}
		b.whole()
	})
	t.Run("a delegate puts it off", func(t *testing.T) {
		b := asked(t)
		ans, err := b.pipeline().Answer(t.Context(), b.decision(Later, "p2@example.com"), &b.open[0])
		if err != nil || ans.By != "hr:p2" {
			t.Fatalf("%+v, %v", ans, err)
		}
		b.now = noon.AddDate(0, 0, 4)
		if s := b.must(); s.Sent != 0 {
			t.Errorf("it was put off, and is reminded of: %+v", s)
		}
		b.now = noon.AddDate(0, 0, 7).Add(time.Hour)
		if s := b.must(); s.Sent != 1 || b.post.messages[1].Kind != Reminder || !slices.Equal(b.post.messages[1].Earlier, []string{b.post.messages[0].Key}) {
			t.Errorf("it is not asked again: %+v, %+v", s, b.post.messages)
		}
	})
	t.Run("it is nobody's", func(t *testing.T) {
		b := asked(t)
		for _, who := range []string{"m1", "b", "s"} {
			if _, err := b.pipeline().Answer(t.Context(), b.decision(NotMine, who+"@example.com"), &b.open[0]); err != nil {
				t.Fatalf("%s: %v", who, err)
			}
			b.must()
		}
		last := b.post.messages[len(b.post.messages)-1]
		if len(b.post.messages) != 4 || last.To.Role != RoleSecurity {
			t.Errorf("%d messages, the last to %s", len(b.post.messages), last.To.ID())
		}
		if _, err := b.pipeline().Answer(t.Context(), b.decision(Later, "m1@example.com"), &b.open[0]); !errors.Is(err, ErrNotTheirs) {
			t.Errorf("whose it is not answers: %v", err)
		}
		b.whole()
	})
	t.Run("revoke", func(t *testing.T) {
		b := asked(t)
		ans, err := b.pipeline().Answer(t.Context(), b.decision(Revoke, "m1@example.com"), &b.open[0])
		if err != nil || !ans.Pending {
			t.Fatalf("%+v, %v", ans, err)
		}
		b.now = noon.AddDate(0, 0, 8)
		if s := b.must(); s.Sent != 0 {
			t.Errorf("what was answered is reminded of: %+v", s)
		}
		b.now = noon.AddDate(0, 0, 11)
		if s := b.must(); s.Sent != 1 || b.post.messages[1].To.Role != RoleSecurity {
			t.Errorf("it still stands, and nobody is told: %+v", s)
		}
	})
}

// What the security team is asked about, whoever is reached at its address answers for it, and nobody at another's. May says so
// beforehand, and records nothing.
func TestRoleAnswers(t *testing.T) {
	b := newBench(t, 1)
	b.own.Settings.Security = Security{Email: "security@example.com"}
	b.open[0].Case.Assignee = RoleSecurity
	b.must()
	for _, email := range []string{"m1@example.com", "security@example.org", ""} {
		if err := b.pipeline().May(t.Context(), b.decision(Keep, email), &b.open[0]); !errors.Is(err, ErrNotTheirs) {
			t.Errorf("%q: %v", email, err)
		}
	}
	d := b.decision(Keep, "Security@Example.com")
	if err := b.pipeline().May(t.Context(), d, &b.open[0]); err != nil {
		t.Fatal(err)
	}
	if all, err := b.state.Answers(t.Context(), state.AnswerFilter{}); err != nil || len(all) != 0 {
		t.Fatalf("recorded: %+v, %v", all, err)
	}
	if ans, err := b.pipeline().Answer(t.Context(), d, &b.open[0]); err != nil || ans.By != RoleSecurity || ans.Exception == "" {
		t.Errorf("%+v, %v", ans, err)
	}
	for open, want := range map[*Open]string{nil: "it is kept", &b.open[0]: "it is kept"} {
		if err := b.pipeline().May(t.Context(), b.decision(Later, "security@example.com"), open); !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), want) {
			t.Errorf("answered already: %v", err)
		}
	}
}

// What is said of an answer tells whether more is to come of its item.
func TestAwaits(t *testing.T) {
	for answer, want := range map[Answer]bool{Keep: false, NotMine: false, Later: true, Revoke: true} {
		b := asked(t)
		b.open[0].Finding.Action = "disable"
		if _, err := b.pipeline().Answer(t.Context(), b.decision(answer, "m1@example.com"), &b.open[0]); err != nil {
			t.Fatalf("%s: %v", answer, err)
		}
		m, err := b.state.Outgoing(t.Context(), b.post.messages[0].Key)
		if err != nil {
			t.Fatal(err)
		}
		said, err := decode(m.Body)
		if text := said.Decided[b.open[0].Finding.Fingerprint]; err != nil || text == "" || Awaits(text) != want {
			t.Errorf("%s: %q, %v", answer, text, err)
		}
	}
}
