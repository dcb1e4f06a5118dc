package webhook_test

import (
	"crypto/hmac"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/notify/notifytest"
	"github.com/lapse-audit/lapse/internal/notify/webhook"
)

const secret = "a shared secret"

// receiver checks signatures, and keeps what it has not seen before.
type receiver struct {
	mu   sync.Mutex
	seen map[string]bool
	got  []notifytest.Delivery
	t    *testing.T
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		r.t.Error(err)
	}
	signature := req.Header.Get(webhook.HeaderSignature)
	stamp, _, _ := strings.Cut(strings.TrimPrefix(signature, "t="), ",")
	unix, err := strconv.ParseInt(stamp, 10, 64)
	if at := time.Unix(unix, 0); err != nil || time.Since(at).Abs() > time.Minute || !hmac.Equal([]byte(signature), []byte(webhook.Sign([]byte(secret), at, body))) {
		http.Error(w, "forged", http.StatusForbidden)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if key := req.Header.Get(webhook.HeaderKey); !r.seen[key] {
		r.seen[key] = true
		r.got = append(r.got, notifytest.Delivery{Key: key, Text: string(body)})
	}
}

func TestContract(t *testing.T) {
	r := &receiver{t: t, seen: map[string]bool{}}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	suite := notifytest.Suite{Channel: webhook.New(server.URL, secret), Blind: true, Received: func(*testing.T) []notifytest.Delivery {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.got
	}}
	notifytest.Run(t, suite)
	if len(r.got) != 3 || !strings.Contains(r.got[1].Text, `"decided":"kept by Mia"`) || !strings.Contains(r.got[1].Text, `"update":true`) {
		t.Errorf("the update: %+v", r.got)
	}
	for _, d := range r.got {
		if !json.Valid([]byte(d.Text)) {
			t.Errorf("%s is no JSON", d.Text)
		}
	}
	notifytest.RunNotices(t, suite)
	if _, err := webhook.New(server.URL, "another").Send(t.Context(), notifytest.Message("key-3")); err == nil || errors.Is(err, notify.ErrUnsure) {
		t.Errorf("a forged message was taken: %v", err)
	}
}

func TestFaults(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	var elsewhere int
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	t.Cleanup(other.Close)
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		unsure bool
		after  time.Duration
	}{
		{"it is not there", nil, false, 0},
		{"busy", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
		}, false, 7 * time.Second},
		{"broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, false, 0},
		{"a proxy that gave up", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGatewayTimeout) }, true, 0},
		{"the answer is lost", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true, 0},
		{"it sends us elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		}, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			url := gone.URL
			if c.answer != nil {
				server := httptest.NewServer(c.answer)
				t.Cleanup(server.Close)
				url = server.URL
			}
			_, err := webhook.New(url+"/hook?token=hunter2", secret).Send(t.Context(), notifytest.Message("k"))
			var retry *notify.RetryError
			after := time.Duration(0)
			if errors.As(err, &retry) {
				after = retry.After
			}
			if err == nil || errors.Is(err, notify.ErrUnsure) != c.unsure || after != c.after {
				t.Errorf("%v, unsure %v, after %s", err, errors.Is(err, notify.ErrUnsure), after)
			}
			if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), secret)) {
				t.Errorf("a secret is in %v", err)
			}
		})
	}
	if elsewhere != 0 {
		t.Error("a redirect was followed")
	}
}
