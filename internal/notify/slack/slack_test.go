package slack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/notify"

	"github.com/lapse-audit/lapse/internal/notify/slack/slacktest"
)

const annas = "DU1ANNA" // the conversation with Anna Berg

func TestSendAndFind(t *testing.T) {
	w := newWorkspace(t)
	c := w.channel(Options{})
	m := digestOf(100)
	if _, ok, err := c.Find(t.Context(), m); err != nil || ok {
		t.Fatalf("found what was not sent: %t, %v", ok, err)
	}
	r, err := c.Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	n := len(Render(m))
	if r.Channel != Name || r.Place != annas || len(r.IDs) != n || len(w.Keys(annas)) != n {
		t.Fatalf("receipt %+v for %d parts", r, n)
	}
	w.Page = 3
	found, ok, err := c.Find(t.Context(), m)
	if err != nil || !ok || !slices.Equal(found.IDs, r.IDs) || found.Place != r.Place {
		t.Errorf("found %+v, %t, %v; sent %+v", found, ok, err, r)
	}
	other := m
	other.Key = "msg-7f3" // of which the other begins
	if _, ok, err := c.Find(t.Context(), other); err != nil || ok {
		t.Errorf("found another message: %t, %v", ok, err)
	}
}

// Our metadata, copied by another app, is not our message.
func TestFindOnlyOurs(t *testing.T) {
	w := newWorkspace(t)
	c := w.channel(Options{})
	if _, err := c.Send(t.Context(), digestOf(1)); err != nil {
		t.Fatal(err)
	}
	w.Messages[annas][0].Bot = "B0OTHER"
	if _, ok, err := c.Find(t.Context(), digestOf(1)); err != nil || ok {
		t.Errorf("taken for ours: %t, %v", ok, err)
	}
}

// A Send that breaks off anywhere is finished by the next, whatever broke it, and no part is there twice.
func TestSendIsResumed(t *testing.T) {
	m := digestOf(60)
	parts := Render(m)
	for _, x := range []slacktest.Trouble{{Code: "internal_error"}, {Status: 503}, {Status: 429, After: 2}, {Code: "ratelimited"}, {Lost: true}} {
		for at := range parts {
			w := newWorkspace(t)
			x.Method, x.Skip = "chat.postMessage", at
			w.Strike(x)
			if _, err := w.channel(Options{}).Send(t.Context(), m); err == nil {
				t.Fatalf("%+v: no error", x)
			}
			c := w.channel(Options{}) // after a restart
			r, ok, err := c.Find(t.Context(), m)
			if err != nil || ok != (x.Lost && at == len(parts)-1) {
				t.Fatalf("%+v: found %t, %v", x, ok, err)
			}
			if !ok {
				if r, err = c.Send(t.Context(), m); err != nil {
					t.Fatal(err)
				}
			}
			got := w.Keys(annas)
			if len(got) != len(parts) || len(r.IDs) != len(parts) {
				t.Fatalf("%+v: sent %q", x, got)
			}
			for i, p := range parts {
				if got[i] != p.Key || r.IDs[i] != w.Messages[annas][i].TS {
					t.Errorf("%+v: part %d is %s", x, i+1, got[i])
				}
			}
		}
	}
}

// A message that may be there is looked up and found.
func TestLostReply(t *testing.T) {
	w := newWorkspace(t)
	c := w.channel(Options{})
	w.Strike(slacktest.Trouble{Method: "chat.postMessage", Lost: true})
	_, err := c.Send(t.Context(), digestOf(1))
	if !errors.Is(err, notify.ErrUnsure) {
		t.Fatalf("error %v, want that nobody knows", err)
	}
	r, ok, err := c.Find(t.Context(), digestOf(1))
	if err != nil || !ok || len(r.IDs) != 1 {
		t.Errorf("found %+v, %t, %v", r, ok, err)
	}
}

func TestFaults(t *testing.T) {
	const post = "chat.postMessage"
	anna := digestOf(1)
	team := digestOf(1)
	team.To = notify.Recipient{Role: "security"}
	for name, tt := range map[string]struct {
		x    slacktest.Trouble
		m    notify.Message
		is   error  // nil: none of the sentinels
		says string // part of the error
		wait time.Duration
	}{
		"too many":          {slacktest.Trouble{Method: post, Status: 429, After: 7}, anna, nil, "again in 7s", 7 * time.Second},
		"too many people":   {slacktest.Trouble{Method: "users.lookupByEmail", Status: 429, After: 3}, anna, nil, "again in 3s", 3 * time.Second},
		"too many, said":    {slacktest.Trouble{Method: post, Code: "ratelimited"}, anna, nil, "too many", retryDefault},
		"too many, no time": {slacktest.Trouble{Method: post, Status: 429}, anna, nil, "too many", retryDefault},
		"500":               {slacktest.Trouble{Method: post, Status: 500}, anna, notify.ErrUnsure, "HTTP 500", 0},
		"503 before":        {slacktest.Trouble{Method: "conversations.open", Status: 503}, anna, nil, "conversations.open: HTTP 503", 0},
		"redirect":          {slacktest.Trouble{Method: post, Status: 302}, anna, nil, "HTTP 302", 0},
		"fatal":             {slacktest.Trouble{Method: post, Code: "fatal_error"}, anna, notify.ErrUnsure, "fatal_error", 0},
		"half an answer":    {slacktest.Trouble{Method: post, Body: `{"ok":true,"chan`}, anna, notify.ErrUnsure, "no answer", 0},
		"empty answer":      {slacktest.Trouble{Method: post, Body: `{"ok":true}`}, anna, notify.ErrUnsure, "names no message", 0},
		"lost before":       {slacktest.Trouble{Method: "users.lookupByEmail", Lost: true}, anna, nil, "no answer", 0},
		"not there":         {slacktest.Trouble{Method: post, Code: "channel_not_found"}, team, notify.ErrUnreachable, "/invite", 0},
		"not in":            {slacktest.Trouble{Method: post, Code: "not_in_channel"}, team, notify.ErrUnreachable, "not in the channel C0SECURITY", 0},
		"archived":          {slacktest.Trouble{Method: post, Code: "is_archived"}, team, notify.ErrUnreachable, "archived", 0},
		"no messages":       {slacktest.Trouble{Method: post, Code: "messages_tab_disabled"}, anna, notify.ErrUnreachable, "messages_tab", 0},
		"unknown person":    {slacktest.Trouble{Method: "users.lookupByEmail", Code: "users_not_found"}, anna, notify.ErrUnreachable, "anna.berg@example.com", 0},
		"bad token":         {slacktest.Trouble{Method: post, Code: "invalid_auth"}, anna, nil, "refuses the token", 0},
		"revoked":           {slacktest.Trouble{Method: "users.lookupByEmail", Code: "token_revoked"}, anna, nil, "token_revoked", 0},
		"scope":             {slacktest.Trouble{Method: post, Code: "missing_scope"}, anna, nil, "lacks the right chat:write", 0},
		"echo":              {slacktest.Trouble{Method: post, Code: "echo_" + token}, anna, nil, "echo_<secret>", 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkspace(t)
			var log strings.Builder
			c := w.channel(Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
			w.Strike(tt.x)
			_, err := c.Send(t.Context(), tt.m)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("error %v, want one with %q", err, tt.says)
			}
			for _, s := range []error{notify.ErrUnsure, notify.ErrUnreachable} {
				if got, want := errors.Is(err, s), tt.is == s; got != want {
					t.Errorf("%v: is %q: %t, want %t", err, s, got, want)
				}
			}
			retry, ok := errors.AsType[*notify.RetryError](err)
			if ok != (tt.wait > 0) || ok && retry.After != tt.wait {
				t.Errorf("%v: to be tried again after %v, want %s", err, retry, tt.wait)
			}
			for _, text := range []string{err.Error(), fmt.Sprintf("%+v %#v", err, c.secrets), log.String()} {
				if strings.Contains(text, token) || strings.Contains(text, signingSecret) || strings.Contains(text, appToken) {
					t.Errorf("a secret is told: %s", text)
				}
			}
		})
	}
}

func TestNoConnection(t *testing.T) {
	w := newWorkspace(t)
	c := w.channel(Options{})
	if _, err := c.Send(t.Context(), digestOf(1)); err != nil { // so that Anna is known
		t.Fatal(err)
	}
	w.Close()
	_, err := c.Send(t.Context(), digestOf(1))
	if err == nil || errors.Is(err, notify.ErrUnsure) || !strings.Contains(err.Error(), "no connection") {
		t.Errorf("error %v, want that there is no connection: nothing was sent", err)
	}
}

func TestWhoCantBeReached(t *testing.T) {
	w := newWorkspace(t)
	w.User("U3GONE", "gone@example.com").Deleted = true
	w.User("U4BOT", "bot@example.com").IsBot = true
	w.User("U6OTHER", "other@example.com").TeamID = "T2"
	c := w.channel(Options{})
	for email, says := range map[string]string{"": "no e-mail", "other@example.com": "another workspace", "gone@example.com": "deactivated", "bot@example.com": "bot", "nobody@example.com": "nobody with"} {
		m := digestOf(1)
		m.To.Email = email
		if _, err := c.Send(t.Context(), m); !errors.Is(err, notify.ErrUnreachable) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: error %v, want unreachable with %q", email, err, says)
		}
	}
	m := digestOf(1)
	m.To = notify.Recipient{Role: "app_owner:Wiki"}
	if _, err := c.Send(t.Context(), m); !errors.Is(err, notify.ErrUnreachable) {
		t.Errorf("a role without a channel: %v", err)
	}
	for role, place := range map[string]string{"security": security, "app_owner:CRM": "C0CRMOWNERS"} {
		m.To.Role = role
		if r, err := c.Send(t.Context(), m); err != nil || r.Place != place {
			t.Errorf("%s: %+v, %v", role, r, err)
		}
	}
	if w.Count("chat.postMessage") != 2 {
		t.Error("something was sent to somebody who can't be reached")
	}
}

// Whoever comes from another workspace has the address that their own administrator wrote. It proves nothing, unless
// the workspace is of our organisation.
func TestStrangersHaveNoAddress(t *testing.T) {
	w := newWorkspace(t)
	w.User("U6OTHER", "anna.berg@example.com").TeamID = "T2"
	w.User("U7STRANGER", "anna.berg@example.com").IsStranger = true
	grid := w.User("U8GRID", "grid@example.com")
	grid.TeamID, grid.Enterprise.EnterpriseID = "T3", "E1"
	c := w.channel(Options{})
	for id, want := range map[string]string{"U6OTHER": "", "U7STRANGER": "", "U1ANNA": "anna.berg@example.com", "U8GRID": ""} {
		if got, err := c.emailOf(t.Context(), id); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", id, got, err, want)
		}
	}
	w.Enterprise = "E1"
	if got, err := w.channel(Options{}).emailOf(t.Context(), "U8GRID"); err != nil || got != "grid@example.com" {
		t.Errorf("of our organisation: %q, %v", got, err)
	}
}

// However Slack lists what it has, the receipt has the parts in their order.
func TestFindInAnyOrder(t *testing.T) {
	w := newWorkspace(t)
	c := w.channel(Options{})
	m := digestOf(60)
	r, err := c.Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(w.Messages[annas])
	found, ok, err := c.Find(t.Context(), m)
	if err != nil || !ok || !slices.Equal(found.IDs, r.IDs) {
		t.Errorf("found %+v, %t, %v; sent %+v", found, ok, err, r)
	}
}

// What Slack says of a person is asked for once, and again when it is old or no longer so.
func TestPeopleAreCached(t *testing.T) {
	w := newWorkspace(t)
	now := noon
	c := w.channel(Options{Now: func() time.Time { return now }})
	send := func(email string) error {
		m := digestOf(1)
		m.To.Email = email
		_, err := c.Send(t.Context(), m)
		return err
	}
	for range 3 {
		if err := send("Anna.Berg@example.com "); err != nil {
			t.Fatal(err)
		}
		if err := send("new@example.com"); !errors.Is(err, notify.ErrUnreachable) {
			t.Fatal(err)
		}
	}
	if n := w.Count("users.lookupByEmail"); n != 2 {
		t.Errorf("%d look-ups, want 2", n)
	}
	w.Mu.Lock()
	w.User("U5NEW", "new@example.com")
	w.Mu.Unlock()
	now = now.Add(missingFor)
	if err := send("new@example.com"); err != nil {
		t.Errorf("there by now: %v", err)
	}
	w.Mu.Lock()
	w.Users["U1ANNA"].Deleted = true
	w.Mu.Unlock()
	now = now.Add(foundFor)
	if err := send("anna.berg@example.com"); !errors.Is(err, notify.ErrUnreachable) {
		t.Errorf("deactivated by now: %v", err)
	}
	if err := send("new@example.com"); err != nil {
		t.Fatal(err)
	}
	w.Mu.Lock()
	w.Closed["DU5NEW"] = "user_disabled"
	w.Mu.Unlock()
	before := w.Count("users.lookupByEmail")
	for range 2 {
		if err := send("new@example.com"); !errors.Is(err, notify.ErrUnreachable) {
			t.Errorf("disabled: %v", err)
		}
	}
	if w.Count("users.lookupByEmail") == before {
		t.Error("what is no longer so is still believed")
	}
}

func TestUpdate(t *testing.T) {
	w := newWorkspace(t)
	c := w.channel(Options{})
	m := digestOf(60)
	r, err := c.Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	last := m.Items[59].Finding.Fingerprint
	m.Decided = map[finding.Fingerprint]string{last: "Bo Lind: keep until 2027-01-31 <b>"}
	if err := c.Update(t.Context(), r, m); err != nil {
		t.Fatal(err)
	}
	if n := w.Count("chat.update"); n != 2 {
		t.Errorf("%d parts are rewritten, want the first, which counts, and the last", n)
	}
	end := w.Messages[annas][len(r.IDs)-1].Blocks
	if !strings.Contains(end, "Bo Lind: keep until 2027-01-31 ") || strings.Contains(end, `"answer/`+string(last)) || strings.Contains(end, "<b>") {
		t.Errorf("the last part is %s", end)
	}
	if !strings.Contains(w.Messages[annas][0].Blocks, "1 no longer open") {
		t.Error("the first part doesn't say that one is decided")
	}
	if _, ok, err := c.Find(t.Context(), m); err != nil || !ok {
		t.Errorf("not found once it is decided: %v", err)
	}
	short := r
	short.IDs = r.IDs[:1]
	if err := c.Update(t.Context(), short, m); err == nil || !strings.Contains(err.Error(), "was sent in 1 parts") {
		t.Errorf("a receipt of another message: %v", err)
	}
	w.Strike(slacktest.Trouble{Method: "chat.update", Status: 429, After: 4})
	if err, ok := errors.AsType[*notify.RetryError](c.Update(t.Context(), r, m)); !ok || err.After != 4*time.Second {
		t.Errorf("too many: %v", err)
	}
	w.Mu.Lock()
	w.Messages[annas] = nil
	w.Mu.Unlock()
	if err := c.Update(t.Context(), r, m); err != nil {
		t.Errorf("a message that is gone: %v", err)
	}
}

// Messages to one conversation keep their distance; others don't wait for them.
func TestPace(t *testing.T) {
	const pace = 50 * time.Millisecond
	w := newWorkspace(t)
	n := len(Render(digestOf(80)))
	start := time.Now()
	if _, err := w.channel(Options{Pace: pace}).Send(t.Context(), digestOf(80)); err != nil {
		t.Fatal(err)
	}
	if d := w.Posts[n-1].Sub(start); n < 4 || d < time.Duration(n-1)*pace {
		t.Errorf("%d parts within %s", n, d)
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := w.channel(Options{Pace: time.Hour})
	for i := range 20 {
		m := digestOf(1)
		m.To.Email = fmt.Sprintf("person%d@example.com", i)
		w.Mu.Lock()
		w.User(fmt.Sprintf("U9N%d", i), m.To.Email)
		w.Mu.Unlock()
		if _, err := c.Send(ctx, m); err != nil {
			t.Fatalf("person %d waits for the others: %v", i, err)
		}
	}
}

// The token goes nowhere but to Slack.
func TestNoRedirect(t *testing.T) {
	w := newWorkspace(t)
	called := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
	defer elsewhere.Close()
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, elsewhere.URL, http.StatusTemporaryRedirect)
	}))
	defer front.Close()
	c := w.channel(Options{})
	config, o := c.config, c.options
	config.API, o.Client = front.URL, nil
	c, err := New(config, c.secrets, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Check(t.Context()); err == nil || called {
		t.Errorf("the redirection is followed: %v, %t", err, called)
	}
}
