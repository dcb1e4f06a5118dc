package scim

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/collect"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		header http.Header
		want   time.Duration
		ok     bool
	}{
		{http.Header{"Retry-After": {"7"}}, 7 * time.Second, true},
		{http.Header{"Retry-After": {" 1.5 "}}, 1500 * time.Millisecond, true},
		{http.Header{"Retry-After": {"Mon, 23 Nov 2026 02:00:30 GMT"}}, 30 * time.Second, true},
		{http.Header{"Retry-After": {"Mon, 23 Nov 2026 03:00:30 GMT"}, "Date": {"Mon, 23 Nov 2026 03:00:00 GMT"}}, 30 * time.Second, true},
		{http.Header{"Retry-After": {"Mon, 23 Nov 2026 01:00:00 GMT"}}, 0, true},
		{http.Header{"X-Retry-After": {"10"}}, 10 * time.Second, true},
		{http.Header{"Retry-After": {"soon"}, "X-Retry-After": {"10"}}, 10 * time.Second, true},
		{http.Header{"Retry-After": {"-1"}}, 0, false},
		{http.Header{"Retry-After": {"NaN"}}, 0, false},
		{http.Header{"Retry-After": {"1e300"}}, 0, false},
		{http.Header{}, 0, false},
	} {
		d, ok := retryAfter(c.header, now)
		if d != c.want || ok != c.ok {
			t.Errorf("%v: %s %v, want %s %v", c.header, d, ok, c.want, c.ok)
		}
	}
}

// A server that puts requests off is asked again when it wants, and no page is lost.
func TestPutOff(t *testing.T) {
	for _, c := range []struct {
		name   string
		header map[string]string
		status int
		waits  time.Duration // in all, of three times
	}{
		{"seconds", map[string]string{"Retry-After": "20"}, 429, 3 * 21 * time.Second},
		{"of a library", map[string]string{"X-Retry-After": "20"}, 429, 3 * 21 * time.Second},
		{"a date", map[string]string{"Retry-After": "Mon, 23 Nov 2026 02:00:40 GMT", "Date": "Mon, 23 Nov 2026 02:00:20 GMT"}, 503, 3 * 21 * time.Second},
		{"nothing", nil, 429, 750*time.Millisecond + 1500*time.Millisecond + 3*time.Second},
		{"broken", nil, 502, 750*time.Millisecond + 1500*time.Millisecond + 3*time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			off := 0
			f := &fake{users: people(60), answer: onUsers(nil)}
			f.answer = func(w http.ResponseWriter, r *http.Request, _ int) bool {
				if r.URL.Query().Get("startIndex") != "21" || off == 3 {
					return false
				}
				off++
				for name, value := range c.header {
					w.Header().Set(name, value)
				}
				w.WriteHeader(c.status)
				fmt.Fprint(w, "Too many requests")
				return true
			}
			k := build(t, f.start(t), "")
			begin := k.now()
			var out keeper
			if _, err := k.Collect(t.Context(), &out); err != nil {
				t.Fatal(err)
			}
			if n := len(strings.Fields(ids(&out))); n != 60 {
				t.Errorf("%d accounts", n)
			}
			// Jitter is half of a tenth here.
			waited := k.now().Sub(begin)
			if least := c.waits * 95 / 100; waited < least || waited > c.waits {
				t.Errorf("waited %s, want about %s", waited, c.waits)
			}
		})
	}
}

func TestPutOffForGood(t *testing.T) {
	for _, c := range []struct{ after, want string }{
		{"3600", "GET /ServiceProviderConfig: the server answers 429 Too Many Requests: it wants to be asked again in 1h0m5s, and retry_for is 5m0s"},
		{"", "GET /ServiceProviderConfig: the server answers 429 Too Many Requests, also after 17 more attempts in 5m0s (retry_for)"},
	} {
		f := &fake{answer: func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			if c.after != "" {
				w.Header().Set("Retry-After", c.after)
			}
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		}}
		_, _, err := gather(t, f.start(t), "")
		if err == nil || err.Error() != c.want {
			t.Errorf("error\n%v\nwant\n%s", err, c.want)
		}
	}
}

// An answer that breaks off is asked for again, and given up soon: a wrong address doesn't cost minutes.
func TestConnectionBreaks(t *testing.T) {
	breaks := 2
	f := &fake{users: people(60)}
	f.answer = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.URL.Query().Get("startIndex") != "41" || breaks == 0 {
			return false
		}
		breaks--
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, `{"totalResults":60,`)
		return true
	}
	out, _, err := gather(t, f.start(t), "")
	if err != nil || len(out.records) != 60 {
		t.Fatalf("%d records, error %v", len(out.records), err)
	}
	breaks = 100
	_, _, err = gather(t, f.start(t), "")
	if err == nil || err.Error() != "GET /Users?count=100&startIndex=41: the answer was cut off: unexpected EOF, also after 3 more attempts" {
		t.Errorf("error %v", err)
	}
}

// A token that expires in the middle is fetched again, once, and reading goes on if there is another one.
func TestTokenExpires(t *testing.T) {
	for _, c := range []struct {
		renewable   bool
		concurrency int
	}{{true, 1}, {true, 3}, {false, 1}} {
		renewable := c.renewable
		f := &fake{users: people(60)}
		f.answer = func(w http.ResponseWriter, r *http.Request, n int) bool {
			if r.Header.Get("Authorization") == "Bearer second" || n <= 4 {
				return false
			}
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"detail":"token first expired"}`)
			return true
		}
		k := build(t, f.start(t), fmt.Sprintf("concurrency: %d", c.concurrency))
		var resolved atomic.Int64
		k.opt.Secret = func(context.Context, collect.Secret) (string, error) {
			if resolved.Add(1) > 1 && renewable {
				return "second", nil
			}
			return "first", nil
		}
		var out keeper
		_, err := k.Collect(t.Context(), &out)
		switch {
		case renewable && (err != nil || len(out.records) != 60):
			t.Errorf("%d records, error %v", len(out.records), err)
		case !renewable && (err == nil || err.Error() != "GET /Users?count=100&startIndex=41: the server answers 401 Unauthorized: token <secret> expired: has the token or password expired, or is it of another service?"):
			t.Errorf("error %v", err)
		}
	}
}

// The token goes to its host and to no other.
func TestRedirects(t *testing.T) {
	other := &fake{users: people(1)}
	elsewhere := strings.Replace(other.start(t), "127.0.0.1", "localhost", 1)
	f := &fake{users: people(1)}
	to := elsewhere + "/Users"
	f.answer = onUsers(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("moved") != "" {
			fmt.Fprint(w, list(f.users, r, 20))
			return
		}
		http.Redirect(w, r, to, http.StatusTemporaryRedirect)
	})
	base := f.start(t)
	_, _, err := gather(t, base, "")
	if want := strings.TrimSuffix(elsewhere, "/v2"); err == nil || !strings.Contains(err.Error(), "redirects to "+want+": credentials go to the host of url: only") {
		t.Errorf("error %v", err)
	}
	if len(other.requests) > 0 {
		t.Errorf("%d requests went to another host", len(other.requests))
	}
	to = base + "/Users?moved=1&count=20&startIndex=1"
	if out, _, err := gather(t, base, ""); err != nil || len(out.records) != 1 {
		t.Errorf("on the same host: %d records, error %v", len(out.records), err)
	}
	to = base + "/Users"
	if _, _, err := gather(t, base, ""); err == nil || !strings.Contains(err.Error(), "one page after the other") {
		t.Errorf("in circles: %v", err)
	}
}

func TestOrigin(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"https://app.example.com/a", "https://APP.example.com:443/b", true},
		{"https://app.example.com", "http://app.example.com", false},
		{"https://app.example.com", "https://app.example.com:8443", false},
		{"https://app.example.com", "https://a.app.example.com", false},
		{"https://app.example.com", "https://app.example.com@evil.example", false},
	} {
		a, err := url.Parse(c.a)
		if err != nil {
			t.Fatal(err)
		}
		b, err := url.Parse(c.b)
		if err != nil {
			t.Fatal(err)
		}
		if same := origin(a) == origin(b); same != c.same {
			t.Errorf("%s and %s: %v", c.a, c.b, same)
		}
	}
}

func TestTLS(t *testing.T) {
	f := &fake{users: people(2)}
	s := httptest.NewUnstartedServer(f)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	_, _, err := gather(t, s.URL+"/v2", "")
	if err == nil || !strings.Contains(err.Error(), "nobody that is trusted signed the server's certificate: set ca: to the authority's PEM file") {
		t.Errorf("error %v", err)
	}
	if len(f.requests) > 0 {
		t.Error("the token was sent to a server that nobody vouches for")
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _, err := gather(t, s.URL+"/v2", "ca: "+ca)
	if err != nil || len(out.records) != 2 {
		t.Errorf("%d records, error %v", len(out.records), err)
	}
}

func TestProxy(t *testing.T) {
	f := &fake{users: people(2)}
	var through atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Host != "127.0.0.1:9" {
			t.Errorf("the proxy is asked for %s", r.URL)
		}
		through.Add(1)
		f.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	out, _, err := gather(t, "http://127.0.0.1:9/v2", "proxy: "+proxy.URL)
	if err != nil || len(out.records) != 2 || through.Load() == 0 {
		t.Errorf("%d records, %d requests through the proxy, error %v", len(out.records), through.Load(), err)
	}
}

func TestAuthorization(t *testing.T) {
	f := &fake{users: people(1)}
	if _, _, err := gather(t, f.start(t), ""); err != nil {
		t.Fatal(err)
	}
	if len(f.tokens) != 1 || !f.tokens["Bearer "+token] {
		t.Errorf("authorization %v", f.tokens)
	}
	f.tokens = nil
	c := parseConfig(t, "url: "+f.start(t)+"\nauth: {user: lapse, password: file:p}")
	for secret, want := range map[string]string{"p:w": "", "": "auth.password: is empty", "a\nb": "auth.password: has several lines: name a file or command that gives the secret alone"} {
		k, err := New(c, Options{Secret: func(context.Context, collect.Secret) (string, error) { return secret, nil }})
		if err != nil {
			t.Fatal(err)
		}
		_, err = k.Collect(t.Context(), &keeper{})
		if got := fmt.Sprint(err); want == "" && err != nil || want != "" && got != want {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if want := "Basic " + base64.StdEncoding.EncodeToString([]byte("lapse:p:w")); len(f.tokens) != 1 || !f.tokens[want] {
		t.Errorf("authorization %v", f.tokens)
	}
	k, err := New(c, Options{Secret: func(context.Context, collect.Secret) (string, error) { return "", errors.New("not set") }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Collect(t.Context(), &keeper{}); err == nil || err.Error() != "auth.password: not set" {
		t.Errorf("error %v", err)
	}
}

// A source keeps to the share of the server's limit that is configured, also with several requests at a time.
func TestManners(t *testing.T) {
	const most, rate = 3, 50
	var now, peak atomic.Int64
	var mu sync.Mutex
	var asked int
	var last time.Time
	f := &fake{users: people(400)}
	f.answer = onUsers(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked++
		last = time.Now()
		mu.Unlock()
		if n := now.Add(1); n > peak.Load() {
			peak.Store(n)
		}
		time.Sleep(60 * time.Millisecond)
		now.Add(-1)
		fmt.Fprint(w, list(f.users, r, 20))
	})
	k := build(t, f.start(t), fmt.Sprintf("concurrency: %d", most))
	k.config.MaxRate = rate
	var out keeper
	begin := time.Now()
	if _, err := k.Collect(t.Context(), &out); err != nil || len(out.records) != 400 {
		t.Fatalf("%d records, error %v", len(out.records), err)
	}
	if p := peak.Load(); p > most || p < 2 {
		t.Errorf("%d requests at a time, want %d", p, most)
	}
	if took := last.Sub(begin); float64(asked-1) > took.Seconds()*rate {
		t.Errorf("%d requests in %s, want %d a second at most", asked, took, rate)
	}
}

func TestTimeout(t *testing.T) {
	done := make(chan struct{})
	defer close(done)
	f := &fake{answer: func(w http.ResponseWriter, r *http.Request, _ int) bool {
		select {
		case <-done:
		case <-r.Context().Done():
		}
		return true
	}}
	_, _, err := gather(t, f.start(t), "timeout: 50ms")
	if err == nil || err.Error() != "GET /ServiceProviderConfig: no answer within 50ms (timeout), also after 3 more attempts" {
		t.Errorf("error %v", err)
	}
}
