package serve

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/state"
)

const hookSecret = "a-secret-of-hr"

func sign(secret string, at time.Time, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.%s", at.Unix(), body)
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(mac.Sum(nil)))
}

// hooks takes events in a state of its own.
func hooks(t *testing.T) (h *HR, s *state.State, log *logs) {
	t.Helper()
	var settings struct{ Webhooks []Webhook }
	err := yaml.Unmarshal([]byte(`webhooks:
- {name: workday, secret: "env:X", roster: hr, id: .id, event: .type, leaver: [terminated, resigned], person: .worker.id, on: .worker.last_day}
- {name: simple, bearer: "env:Y", id: .event_id, event: .kind, leaver: leaver, person: 'first(.emails[])'}
`), &settings)
	if err != nil {
		t.Fatal(err)
	}
	s, log = openState(t, state.Options{}), &logs{}
	h = &HR{Hooks: []Hook{{Webhook: settings.Webhooks[0], SecretText: hookSecret}, {Webhook: settings.Webhooks[1], BearerText: "t0ken"}},
		Record: func(ctx context.Context, l state.Leaver) (bool, error) {
			_, added, err := s.AddLeaver(ctx, state.Actor{ID: "webhook:" + l.Origin}, l)
			return added, err
		},
		Now: func() time.Time { return evening }, Zone: time.UTC, Log: slog.New(slog.NewJSONHandler(log, nil))}
	return h, s, log
}

func post(h *HR, path, body string, header ...string) (int, string) {
	mux := http.NewServeMux()
	mux.Handle("/hr/{name}", h)
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

const leaves7 = `{"id":"e-1","type":"terminated","worker":{"id":7,"last_day":"2026-11-30","name":"Bea Ardent"}}`

func TestHREvent(t *testing.T) {
	h, s, log := hooks(t)
	if status, body := post(h, "/hr/workday", leaves7, HeaderSignature, sign(hookSecret, evening, leaves7)); status != http.StatusAccepted {
		t.Fatalf("%d %s", status, body)
	}
	// The second delivery is signed anew, and is the same event.
	if status, body := post(h, "/hr/workday", leaves7, HeaderSignature, sign(hookSecret, evening.Add(time.Second), leaves7)); status != http.StatusAccepted {
		t.Errorf("the second time: %d %s", status, body)
	}
	if status, body := post(h, "/hr/simple", `{"event_id":"x","kind":"leaver","emails":["bea@example.com","b@example.com"]}`, "Authorization", "Bearer t0ken"); status != http.StatusAccepted {
		t.Errorf("bearer: %d %s", status, body)
	}
	hired := `{"type":"hired"}`
	if status, body := post(h, "/hr/workday", hired, HeaderSignature, sign(hookSecret, evening, hired)); status != http.StatusOK {
		t.Errorf("another kind: %d %s", status, body)
	}
	all, err := s.Leavers(t.Context(), true)
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, l := range all {
		switch l.ID {
		case "workday/e-1":
			// The last day is worked to its end.
			if l.Person != "hr:7" || !l.On.Equal(time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)) || l.Hash == "" {
				t.Errorf("%+v", l)
			}
		case "simple/x":
			if l.Person != "bea@example.com" || !l.On.IsZero() {
				t.Errorf("%+v", l)
			}
		default:
			t.Errorf("%+v", l)
		}
	}
	if strings.Contains(log.String(), "Ardent") {
		t.Errorf("the log has more of the body than ids: %s", log)
	}
}

func TestHRRefusals(t *testing.T) {
	h, s, log := hooks(t)
	good := func(body string) []string { return []string{HeaderSignature, sign(hookSecret, evening, body)} }
	with := func(body string) (string, []string) { return body, good(body) }
	large := `{"id":"` + strings.Repeat("x", maxEvent) + `"}`
	type refused struct {
		path   string
		body   string
		header []string
		status int
		want   string
	}
	tests := map[string]refused{
		"nobody's":     {"/hr/bamboo", leaves7, nil, http.StatusNotFound, "no such webhook"},
		"unsigned":     {"/hr/workday", leaves7, nil, http.StatusUnauthorized, "it is not signed"},
		"forged":       {"/hr/workday", leaves7, []string{HeaderSignature, sign("guess", evening, leaves7)}, http.StatusUnauthorized, "not valid"},
		"altered":      {"/hr/workday", strings.Replace(leaves7, "7", "8", 1), good(leaves7), http.StatusUnauthorized, "not valid"},
		"old":          {"/hr/workday", leaves7, []string{HeaderSignature, sign(hookSecret, evening.Add(-6*time.Minute), leaves7)}, http.StatusUnauthorized, "of another time"},
		"early":        {"/hr/workday", leaves7, []string{HeaderSignature, sign(hookSecret, evening.Add(6*time.Minute), leaves7)}, http.StatusUnauthorized, "of another time"},
		"no time":      {"/hr/workday", leaves7, []string{HeaderSignature, "t=now,v1=00"}, http.StatusUnauthorized, "the time of the signature"},
		"no token":     {"/hr/simple", `{}`, nil, http.StatusUnauthorized, "bearer token"},
		"wrong token":  {"/hr/simple", `{}`, []string{"Authorization", "Bearer guess"}, http.StatusUnauthorized, "bearer token"},
		"list of mail": {"/hr/simple", `{"event_id":"x","kind":"leaver","emails":[{}]}`, []string{"Authorization", "Bearer t0ken"}, http.StatusUnprocessableEntity, "person: its expression yields neither"},
	}
	for name, body := range map[string]string{
		"oversized: the body is larger than":           large,
		"no json: the body is no JSON":                 "<event/>",
		"two: the body is no JSON":                     leaves7 + leaves7,
		"no kind: event: the body has none":            `{"id":"e-1","worker":{"id":7}}`,
		"no id: id: the body has none":                 `{"type":"terminated","worker":{"id":7}}`,
		"no person: person: the body has none":         `{"id":"e-1","type":"terminated","worker":{}}`,
		"shape: person: its expression doesn't fit":    `{"id":"e-1","type":"terminated","worker":"7"}`,
		"control: id: it is longer than 200 bytes, or": `{"id":"e\u0000","type":"terminated","worker":{"id":7}}`,
		"day: on: want a day":                          `{"id":"e-1","type":"terminated","worker":{"id":7,"last_day":"30/11/2026"}}`,
	} {
		name, want, _ := strings.Cut(name, ": ")
		status := http.StatusUnprocessableEntity
		if name == "oversized" {
			status = http.StatusRequestEntityTooLarge
		}
		b, header := with(body)
		tests[name] = refused{"/hr/workday", b, header, status, want}
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if status, body := post(h, tt.path, tt.body, tt.header...); status != tt.status || !strings.Contains(body, tt.want) {
				t.Errorf("%d %s, want %d %s", status, body, tt.status, tt.want)
			}
		})
	}
	if all, err := s.Leavers(t.Context(), true); err != nil || len(all) != 0 {
		t.Errorf("recorded: %+v, %v", all, err)
	}

	header := good(leaves7)
	if status, body := post(h, "/hr/workday", leaves7, header...); status != http.StatusAccepted {
		t.Fatalf("%d %s", status, body)
	}
	if status, body := post(h, "/hr/workday", leaves7, header...); status != http.StatusConflict || !strings.Contains(body, "came before") {
		t.Errorf("replayed: %d %s", status, body)
	}
	other := strings.Replace(leaves7, `"id":7`, `"id":8`, 1)
	if status, body := post(h, "/hr/workday", other, good(other)...); status != http.StatusConflict || !strings.Contains(body, "about somebody else") {
		t.Errorf("one id, two people: %d %s", status, body)
	}
	r := httptest.NewRequest(http.MethodGet, "/hr/workday", nil)
	r.SetPathValue("name", "workday")
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", w.Code)
	}
	// What could not be recorded is not acknowledged, and the very same request is taken later.
	record := h.Record
	h.Record = func(context.Context, state.Leaver) (bool, error) { return false, errors.New("the disk is full") }
	late := strings.Replace(leaves7, "e-1", "e-2", 1)
	if status, body := post(h, "/hr/workday", late, good(late)...); status != http.StatusInternalServerError || strings.Contains(body, "disk") {
		t.Errorf("not recorded: %d %s", status, body)
	}
	h.Record = record
	if status, body := post(h, "/hr/workday", late, good(late)...); status != http.StatusAccepted {
		t.Errorf("sent again: %d %s", status, body)
	}
	if all, err := s.Leavers(t.Context(), true); err != nil || len(all) != 2 {
		t.Errorf("recorded: %+v, %v", all, err)
	}
	for _, secret := range []string{hookSecret, "t0ken", "guess", sign(hookSecret, evening, leaves7)[14:], "Ardent"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

func FuzzHREvent(f *testing.F) {
	f.Add([]byte(leaves7))
	f.Add([]byte(`{"id":1e999,"type":"resigned","worker":{"id":[]}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var hook Webhook
		if err := yaml.Unmarshal([]byte(`{name: a, id: .id, event: .type, leaver: terminated, person: .worker.id, on: .worker.last_day}`), &hook); err != nil {
			t.Fatal(err)
		}
		h := &HR{Zone: time.UTC}
		l, err := h.event(t.Context(), &Hook{Webhook: hook}, bytes.Clone(body))
		if err == nil && (l.ID == "") != (l.Person == "") {
			t.Errorf("half an event: %+v", l)
		}
	})
}
