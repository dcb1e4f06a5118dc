package link

import (
	"maps"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// perCaller is what one caller may ask for: a person opens a page and sends a form, and a scanner or two look before them.
const (
	perCaller = rate.Limit(1) // a second
	atOnce    = 20
	// maxCallers bounds what is remembered. Where so many come at once, those who come anew wait.
	maxCallers = 50_000
)

// limits are how fast callers may ask.
type limits struct {
	mu    sync.Mutex
	all   map[string]*caller
	swept time.Time
}

type caller struct {
	limit *rate.Limiter
	last  time.Time
}

func (l *limits) allow(who string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = map[string]*caller{}
	}
	if now.Sub(l.swept) > time.Minute {
		maps.DeleteFunc(l.all, func(_ string, c *caller) bool { return now.Sub(c.last) > time.Minute })
		l.swept = now
	}
	c := l.all[who]
	if c == nil {
		if len(l.all) >= maxCallers {
			return false
		}
		c = &caller{limit: rate.NewLimiter(perCaller, atOnce)}
		l.all[who] = c
	}
	c.last = now
	return c.limit.AllowN(now, 1)
}
