package slack

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/lapse-audit/lapse/internal/notify"

	"github.com/lapse-audit/lapse/internal/notify/slack/slacktest"
)

type safeLog struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *safeLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *safeLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type envelope struct {
	ID      string          `json:"envelope_id"`
	Payload json.RawMessage `json:"payload"`
}

func next(t *testing.T, conns <-chan *websocket.Conn) *websocket.Conn {
	t.Helper()
	select {
	case c := <-conns:
		_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
		return c
	case <-time.After(30 * time.Second):
		t.Fatal("no connection is made")
		return nil
	}
}

// Over a real websocket the same answers come as over HTTP; what is delivered again is the same decision; a connection that
// Slack ends is made again.
func TestSocketMode(t *testing.T) {
	w, d, a, m := sent(t, 2)
	var log safeLog
	a.c.log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	conns := w.Sockets()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()

	click := w.Click("U1ANNA", w.Messages[annas][0], actionAnswer+"revoke", string(m.Items[0].Finding.Fingerprint), "1764000000.1")
	ask := func(c *websocket.Conn, id, kind string, payload any) envelope {
		t.Helper()
		if err := c.WriteJSON(map[string]any{"envelope_id": id, "type": kind, "payload": payload, "accepts_response_payload": true}); err != nil {
			t.Fatal(err)
		}
		var e envelope
		if err := c.ReadJSON(&e); err != nil {
			t.Fatal(err)
		}
		if e.ID != id {
			t.Errorf("%s is acknowledged, want %s", e.ID, id)
		}
		return e
	}
	first := next(t, conns)
	if e := ask(first, "e1", "interactive", click); e.Payload != nil {
		t.Errorf("with the acknowledgement comes %s", e.Payload)
	}
	e := ask(first, "e2", "slash_commands", map[string]any{"command": "/lapse", "user_id": "U1ANNA", "text": "mine", "is_enterprise_install": "false"})
	if !strings.Contains(string(e.Payload), "a line of what waits") {
		t.Errorf("/lapse mine: %.200s", e.Payload)
	}
	if err := first.WriteJSON(map[string]any{"type": "disconnect", "reason": "refresh_requested"}); err != nil {
		t.Fatal(err)
	}

	second := next(t, conns)
	if e := ask(second, "e1", "interactive", click); e.Payload != nil {
		t.Errorf("with the acknowledgement comes %s", e.Payload)
	}
	got := d.decisions()
	if len(got) != 2 || got[0].ID != got[1].ID || got[0].Answer != notify.Revoke || got[0].Email != "anna.berg@example.com" {
		t.Errorf("decisions: %+v", got)
	}

	// What is not committed is not acknowledged: the next acknowledgement is another's.
	d.mu.Lock()
	d.fail = 1
	d.mu.Unlock()
	if err := second.WriteJSON(map[string]any{"envelope_id": "e3", "type": "interactive", "payload": click}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(log.String(), "not taken"); {
		if time.Now().After(deadline) {
			t.Fatal("the failure is not logged")
		}
		time.Sleep(5 * time.Millisecond)
	}
	ask(second, "e4", "interactive", click)

	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	for _, secret := range []string{token, appToken, signingSecret, "secret-ticket"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log tells %q:\n%s", secret, log.String())
		}
	}
}

func TestSocketModeRefused(t *testing.T) {
	w := newWorkspace(t)
	c := w.channel(Options{})
	w.Strike(slacktest.Trouble{Method: "apps.connections.open", Code: "invalid_auth"})
	err := c.Answers((&desk{}).callbacks()).Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "app_token (invalid_auth)") || strings.Contains(err.Error(), appToken) {
		t.Errorf("error %v", err)
	}
	c.secrets.AppToken = ""
	if err := c.Answers((&desk{}).callbacks()).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "app_token") {
		t.Errorf("without a token: %v", err)
	}
}
