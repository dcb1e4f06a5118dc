package link

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/notify/digest"
)

// desk is what takes the answers: it keeps them by their id, as the decisions do.
type desk struct {
	mu      sync.Mutex
	given   map[string]notify.Decision
	looks   int
	decides int
	gone    string
	refuse  string
	broken  error
	item    *digest.Item // instead of the usual one
}

func (x *desk) callbacks() Callbacks {
	return Callbacks{
		Look: func(_ context.Context, d notify.Decision) (Standing, error) {
			x.mu.Lock()
			defer x.mu.Unlock()
			x.looks++
			s := Standing{Item: digest.Item{Title: "Leaver keeps access", Severity: "high", Message: "<b>Bobby</b> left", Subject: "bobby", Since: "2 Nov 2026"}, Source: "CRM", Gone: x.gone}
			if x.item != nil {
				s.Item = *x.item
			}
			if given, ok := x.given[d.ID]; ok {
				s.Used = "kept until " + given.Until.Format(time.DateOnly)
			}
			return s, x.broken
		},
		Decide: func(_ context.Context, d notify.Decision) (string, bool, error) {
			x.mu.Lock()
			defer x.mu.Unlock()
			x.decides++
			if x.broken != nil || x.refuse != "" {
				return x.refuse, false, x.broken
			}
			if _, ok := x.given[d.ID]; !ok {
				x.given[d.ID] = d
			}
			return "Recorded: " + string(x.given[d.ID].Answer) + ".", true, nil
		},
	}
}

type bench struct {
	*desk
	t     *testing.T
	now   time.Time
	links *Links
	h     http.Handler
	log   bytes.Buffer
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, desk: &desk{given: map[string]notify.Decision{}}, now: noon}
	b.links = newLinks(t, &b.now, "k1", "k1")
	mux := http.NewServeMux()
	mux.Handle(Path, b.links.Answers(b.callbacks(), Options{Log: slog.New(slog.NewTextHandler(&b.log, nil))}))
	b.h = mux
	return b
}

func (b *bench) token(a notify.Answer) string {
	o := offer
	o.Answer = a
	return token(b.t, b.links.URL(o))
}

func (b *bench) do(method, token string, form url.Values) (int, string) {
	b.t.Helper()
	r := httptest.NewRequest(method, Path+token, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	b.h.ServeHTTP(w, r)
	for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY"} {
		if got := w.Header().Get(name); got != want {
			b.t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	csp := w.Header().Get("Content-Security-Policy")
	if !strings.HasPrefix(csp, "default-src 'none';") || !strings.Contains(csp, "form-action 'self'") || !strings.Contains(csp, "frame-ancestors 'none'") {
		b.t.Errorf("policy %q", csp)
	}
	body := w.Body.String()
	if token != "" && strings.Contains(body, token) {
		b.t.Error("the token is in the page")
	}
	return w.Code, body
}

var keepForm = url.Values{"reason": {"needed for the audit"}, "until": {"2026-12-31"}}

// Whoever only follows a link, however often, changes nothing: the form decides, once.
func TestConfirmation(t *testing.T) {
	b := newBench(t)
	link := b.token(notify.Keep)
	for range 3 {
		code, body := b.do(http.MethodGet, link, nil)
		for _, want := range []string{"Keep this access?", "&lt;b&gt;Bobby&lt;/b&gt; left", "mia@example.com", `<form method="post">`, `value="2027-02-01"`} {
			if code != http.StatusOK || !strings.Contains(body, want) {
				t.Fatalf("%d, without %q: %s", code, want, body)
			}
		}
	}
	if code, _ := b.do(http.MethodHead, link, nil); code != http.StatusOK || b.decides != 0 {
		t.Fatalf("%d, %d decisions", code, b.decides)
	}
	code, body := b.do(http.MethodPost, link, keepForm)
	if code != http.StatusOK || !strings.Contains(body, "Your answer is recorded") || len(b.given) != 1 {
		t.Fatalf("%d %s", code, body)
	}
	for _, d := range b.given {
		if d.Reason != "needed for the audit" || !d.Until.Equal(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)) || d.Email != "mia@example.com" || d.Finding != fingerprint {
			t.Errorf("%+v", d)
		}
	}
	// Again it is the same answer, whatever the form says now, and the page says that the link was used.
	if code, _ := b.do(http.MethodPost, link, url.Values{"reason": {"another"}, "until": {"2026-11-30"}}); code != http.StatusOK || len(b.given) != 1 {
		t.Errorf("%d, %d answers", code, len(b.given))
	}
	if code, body := b.do(http.MethodGet, link, nil); code != http.StatusOK || !strings.Contains(body, "This link was used") || !strings.Contains(body, "kept until 2027-01-01") || strings.Contains(body, "<form") {
		t.Errorf("%d %s", code, body)
	}
}

func TestForms(t *testing.T) {
	for _, c := range []struct {
		answer notify.Answer
		form   url.Values
		fault  string
		want   notify.Decision
	}{
		{notify.Revoke, nil, "", notify.Decision{}},
		{notify.NotMine, url.Values{"to": {" max@example.com\r\n"}}, "", notify.Decision{To: "max@example.com"}},
		{notify.NotMine, nil, "", notify.Decision{}},
		{notify.NotMine, url.Values{"to": {strings.Repeat("a", 300)}}, "too long", notify.Decision{}},
		{notify.Later, url.Values{"until": {"2026-11-06"}}, "", notify.Decision{Until: time.Date(2026, 11, 6, 0, 0, 0, 0, time.UTC)}},
		{notify.Later, url.Values{"until": {"2026-11-03"}}, "has begun already", notify.Decision{}},
		{notify.Later, nil, "Choose the day", notify.Decision{}},
		{notify.Keep, url.Values{"until": {"2026-12-31"}}, "Say why", notify.Decision{}},
		{notify.Keep, url.Values{"reason": {" \u202e "}, "until": {"2026-12-31"}}, "Say why", notify.Decision{}},
		{notify.Keep, url.Values{"reason": {strings.Repeat("ä", 1001)}, "until": {"2026-12-31"}}, "too long", notify.Decision{}},
		{notify.Keep, url.Values{"reason": {"x"}}, "Choose the day", notify.Decision{}},
		{notify.Keep, url.Values{"reason": {"x"}, "until": {"2026-11-02"}}, "is past", notify.Decision{}},
		{notify.Keep, url.Values{"reason": {"x"}, "until": {"31.12.2026"}}, "Choose the day", notify.Decision{}},
	} {
		t.Run(fmt.Sprintf("%s %v", c.answer, c.form)[:min(60, len(fmt.Sprintf("%s %v", c.answer, c.form)))], func(t *testing.T) {
			b := newBench(t)
			code, body := b.do(http.MethodPost, b.token(c.answer), c.form)
			if c.fault != "" {
				if code != http.StatusUnprocessableEntity || !strings.Contains(body, c.fault) || !strings.Contains(body, "<form") || b.decides != 0 {
					t.Errorf("%d, %d decisions: %s", code, b.decides, body)
				}
				return
			}
			if code != http.StatusOK || len(b.given) != 1 {
				t.Fatalf("%d %s", code, body)
			}
			for _, d := range b.given {
				if d.To != c.want.To || !d.Until.Equal(c.want.Until) || d.Answer != c.answer {
					t.Errorf("%+v", d)
				}
			}
		})
	}
}

func TestWhatCannotBeAnswered(t *testing.T) {
	t.Run("forged", func(t *testing.T) {
		b := newBench(t)
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if code, body := b.do(method, b.token(notify.Keep)[1:], keepForm); code != http.StatusForbidden || !strings.Contains(body, "not valid") || b.looks+b.decides != 0 {
				t.Errorf("%d %s", code, body)
			}
		}
	})
	t.Run("expired", func(t *testing.T) {
		b := newBench(t)
		link := b.token(notify.Keep)
		b.now = noon.AddDate(0, 1, 0)
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if code, body := b.do(method, link, keepForm); code != http.StatusGone || !strings.Contains(body, "has expired") || b.looks+b.decides != 0 {
				t.Errorf("%d %s", code, body)
			}
		}
	})
	t.Run("gone", func(t *testing.T) {
		b := newBench(t)
		b.gone = "the finding is not open any more"
		if code, body := b.do(http.MethodGet, b.token(notify.Keep), nil); code != http.StatusGone || !strings.Contains(body, b.gone) || strings.Contains(body, "<form") {
			t.Errorf("%d %s", code, body)
		}
	})
	t.Run("refused", func(t *testing.T) {
		b := newBench(t)
		b.refuse = "it is not theirs to answer: hr:m2 is asked"
		if code, body := b.do(http.MethodPost, b.token(notify.Keep), keepForm); code != http.StatusConflict || !strings.Contains(body, b.refuse) || !strings.Contains(body, "needed for the audit") || !strings.Contains(body, `value="2026-12-31"`) {
			t.Errorf("%d %s", code, body)
		}
	})
	t.Run("not recorded", func(t *testing.T) {
		b := newBench(t)
		b.broken = errors.New("the database at db.internal is away")
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if code, body := b.do(method, b.token(notify.Keep), keepForm); code != http.StatusServiceUnavailable || strings.Contains(body, "db.internal") {
				t.Errorf("%d %s", code, body)
			}
		}
		if !strings.Contains(b.log.String(), "db.internal") || strings.Contains(b.log.String(), b.token(notify.Keep)) {
			t.Errorf("logged: %s", b.log.String())
		}
	})
	t.Run("too long", func(t *testing.T) {
		b := newBench(t)
		if code, _ := b.do(http.MethodPost, b.token(notify.Keep), url.Values{"reason": {strings.Repeat("x", maxForm)}}); code != http.StatusBadRequest || b.decides != 0 {
			t.Error(code)
		}
	})
	t.Run("another method", func(t *testing.T) {
		b := newBench(t)
		if code, _ := b.do(http.MethodDelete, b.token(notify.Keep), nil); code != http.StatusMethodNotAllowed || b.looks+b.decides != 0 {
			t.Error(code)
		}
	})
}

// Whoever guesses is slowed down, and with them nobody who has a link.
func TestLimits(t *testing.T) {
	b := newBench(t)
	limited := 0
	for range 3 * atOnce {
		if code, _ := b.do(http.MethodGet, "guess", nil); code == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited < atOnce {
		t.Errorf("%d guesses of %d were limited", limited, 3*atOnce)
	}
	if code, _ := b.do(http.MethodGet, b.token(notify.Keep), nil); code != http.StatusOK {
		t.Errorf("a good link: %d", code)
	}
}

// Of many clicks at once one counts.
func TestAtOnce(t *testing.T) {
	b := newBench(t)
	link := b.token(notify.Revoke)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() { b.do(http.MethodPost, link, nil) })
	}
	all.Wait()
	if len(b.given) != 1 || b.decides != 10 {
		t.Errorf("%d answers of %d", len(b.given), b.decides)
	}
}
