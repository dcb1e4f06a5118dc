package rest

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// clock is time as a collection sees it; tests have one of their own.
type clock struct {
	now   func() time.Time
	sleep func(context.Context, time.Duration) error
}

func realSleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pacer keeps the requests that count against one quota within a share of it. What the answers say of the quota goes
// before what the recipe says.
type pacer struct {
	limits *Limits
	share  float64
	every  time.Duration // between two requests, from the documented quota; 0 for none
	clock  clock

	mu       sync.Mutex
	next     time.Time // before which no request may start, by every
	held     time.Time // before which none may start, by an answer
	flying   int
	known    bool // left and reset are
	left     int  // requests within the share until reset
	resetsAt time.Time
}

func newPacer(l *Limits, perMinute int, share float64, c clock) *pacer {
	p := &pacer{limits: l, share: share, clock: c}
	if perMinute > 0 {
		p.every = time.Duration(float64(time.Minute) / (float64(perMinute) * share))
	}
	return p
}

// wait returns when a request may start. done must be called after it.
func (p *pacer) wait(ctx context.Context) error {
	for {
		p.mu.Lock()
		now := p.clock.now()
		if p.known && !now.Before(p.resetsAt) {
			p.known = false
		}
		until := p.held
		if p.next.After(until) {
			until = p.next
		}
		if p.known && p.left <= 0 && p.resetsAt.After(until) {
			until = p.resetsAt
		}
		if !until.After(now) {
			if p.every > 0 {
				p.next = now.Add(p.every)
			}
			p.left--
			p.flying++
			p.mu.Unlock()
			return ctx.Err()
		}
		p.mu.Unlock()
		if deadline, ok := ctx.Deadline(); ok && deadline.Before(until) && p.clock.now().Before(deadline) {
			return &tooLong{until.Sub(now)}
		}
		if err := p.clock.sleep(ctx, until.Sub(now)); err != nil {
			return err
		}
	}
}

// tooLong says that the app asks to wait longer than a collection may take.
type tooLong struct{ wait time.Duration }

func (e *tooLong) Error() string {
	return "the app's quota is used up, and the wait of " + e.wait.Round(time.Second).String() + " goes beyond timeout: raise it, or share"
}

// done notes what an answer says of the quota; header is nil where there was none.
func (p *pacer) done(h http.Header) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flying--
	if h == nil {
		return
	}
	limit, ok1 := number(first(h, p.limits.Limit, "X-RateLimit-Limit", "X-Rate-Limit-Limit", "RateLimit-Limit"))
	remaining, ok2 := number(first(h, p.limits.Remaining, "X-RateLimit-Remaining", "X-Rate-Limit-Remaining", "RateLimit-Remaining"))
	at, ok3 := parseReset(first(h, p.limits.Reset, "X-RateLimit-Reset", "X-Rate-Limit-Reset", "RateLimit-Reset"), p.clock.now())
	if !ok1 || !ok2 || !ok3 || limit <= 0 || at.Sub(p.clock.now()) > 25*time.Hour {
		return
	}
	// What must be left for others; the requests under way have not been counted yet.
	reserve := int(math.Ceil(float64(limit) * (1 - p.share)))
	left := remaining - reserve - p.flying
	if p.known && at.Sub(p.resetsAt).Abs() < 2*time.Second {
		left = min(left, p.left) // answers may overtake each other
	}
	p.known, p.left, p.resetsAt = true, left, at
}

// hold stops requests for a while.
func (p *pacer) hold(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := p.clock.now().Add(d); until.After(p.held) {
		p.held = until
	}
}

// first is the value of the header that is named, or else of the first usual one that is there.
func first(h http.Header, named string, usual ...string) string {
	if named != "" {
		return h.Get(named)
	}
	for _, name := range usual {
		if v := h.Get(name); v != "" {
			return v
		}
	}
	return ""
}

// number reads "600", and the first number of "100, 100;w=10".
func number(s string) (int, bool) {
	s, _, _ = strings.Cut(s, ",")
	s, _, _ = strings.Cut(s, ";")
	n, err := strconv.Atoi(strings.TrimSpace(s))
	return n, err == nil && n >= 0
}

// parseReset reads when a quota is filled up: seconds from now, seconds or milliseconds since 1970, or a date.
func parseReset(s string, now time.Time) (time.Time, bool) {
	s = strings.TrimSpace(s)
	if f, err := strconv.ParseFloat(s, 64); err == nil && f >= 0 && f < 1e16 {
		switch {
		case f > 1e11:
			return time.UnixMilli(int64(f)), true
		case f > 1e9:
			return time.Unix(int64(f), 0), true
		}
		return now.Add(time.Duration(f * float64(time.Second))), f < 1e7
	}
	for _, layout := range []string{time.RFC3339, http.TimeFormat, time.RFC850, time.ANSIC} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// retryAfter is how long an answer asks to wait (RFC 9110, 10.2.3): seconds, with a fraction too, or a date; 0 where it
// doesn't say, or means the past.
func retryAfter(h http.Header, now time.Time) time.Duration {
	at, ok := parseReset(h.Get("Retry-After"), now)
	if !ok {
		return 0
	}
	return max(0, at.Sub(now))
}
