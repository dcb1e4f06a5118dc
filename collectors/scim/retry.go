package scim

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// pause is how long to wait before the next attempt: what the server wants and a little more, so that those it put off don't
// all come back at once; else twice as long each time, from one second to half a minute, and anything down to half of that.
func (c *client) pause(h http.Header, attempt int) time.Duration {
	if d, ok := retryAfter(h, c.now()); ok {
		return d + time.Duration(c.jitter()*float64(min(max(d/10, 100*time.Millisecond), 10*time.Second)))
	}
	full := min(time.Second<<min(attempt, 10), 30*time.Second)
	return full/2 + time.Duration(c.jitter()*float64(full/2))
}

// retryAfter is how long a server wants to be left alone: Retry-After in seconds or as a date (RFC 9110, 10.2.3), or
// X-Retry-After, which some libraries send instead. A date is compared with the server's own clock where it tells it.
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	for _, name := range []string{"Retry-After", "X-Retry-After"} {
		value := strings.TrimSpace(h.Get(name))
		if value == "" {
			continue
		}
		if s, err := strconv.ParseFloat(value, 64); err == nil {
			if s >= 0 && s < math.MaxInt32 {
				return time.Duration(s * float64(time.Second)), true
			}
			continue
		}
		at, err := http.ParseTime(value)
		if err != nil {
			continue
		}
		if server, err := http.ParseTime(h.Get("Date")); err == nil {
			now = server
		}
		return max(0, at.Sub(now)), true
	}
	return 0, false
}

// sleep waits, or returns the error of ctx once it ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
