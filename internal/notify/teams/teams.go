package teams

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/mail"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/notify/link"
)

// Name is that of the channel, in receipts and decisions.
const Name = "teams"

// URLs are what the references in Config resolve to. They print as <secret>.
type URLs struct {
	Security string
	Channels map[string]string
	People   string
}

func (URLs) String() string { return "<secret>" }

// GoString keeps %#v from printing them.
func (URLs) GoString() string { return "<secret>" }

// Options are what a Channel may be told beside. The zero value is right for Teams itself.
type Options struct {
	Links *link.Links // that answers come back by
	Pace  time.Duration
}

// Channel reaches people by Teams. It is safe for use by several goroutines.
type Channel struct {
	urls   URLs
	links  *link.Links
	client *http.Client
	pace   *rate.Limiter

	mu   sync.Mutex
	done map[[32]byte]bool // parts of messages of which another could not be sent yet
}

var _ notify.Channel = (*Channel)(nil)

// New makes a channel. Nothing is sent yet. It follows no redirect: an address holds its own key.
func New(u URLs, o Options) (*Channel, error) {
	all := map[string]string{"url": u.Security, "people": u.People}
	for role, at := range u.Channels {
		all["channels."+role] = at
	}
	for name, at := range all {
		if at == "" {
			continue
		}
		// What is wrong with it is not repeated.
		p, err := url.Parse(at)
		if err != nil || p.Host == "" || p.Scheme != "https" && (p.Scheme != "http" || p.Hostname() != "127.0.0.1") {
			return nil, fmt.Errorf("notify.teams.%s: it is no https address: copy that of the workflow", name)
		}
	}
	if o.Pace == 0 {
		o.Pace = 300 * time.Millisecond // four requests a second are too many
	}
	return &Channel{urls: u, links: o.Links, pace: rate.NewLimiter(rate.Every(o.Pace), 1), done: map[[32]byte]bool{}, client: &http.Client{
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Name is teams.
func (c *Channel) Name() string { return Name }

// place is the workflow that reaches a recipient, and what it is called where the address, a secret, may not stand.
func (c *Channel) place(r notify.Recipient) (at, name string, err error) {
	switch {
	case r.Person != "" && c.urls.People == "":
		return "", "", fmt.Errorf("teams: notify.teams.people is not set up: %w", notify.ErrUnreachable)
	case r.Person != "":
		if a, err := mail.ParseAddress("<" + strings.TrimSpace(r.Email) + ">"); err != nil || strings.ContainsAny(a.Address, "\r\n") {
			return "", "", fmt.Errorf("teams: %s has no address that Teams could know them by: %w", r.Person, notify.ErrUnreachable)
		}
		return c.urls.People, "people", nil
	case c.urls.Channels[r.Role] != "":
		return c.urls.Channels[r.Role], r.Role, nil
	case (r.Role == "" || r.Role == notify.RoleSecurity) && c.urls.Security != "":
		return c.urls.Security, notify.RoleSecurity, nil
	}
	return "", "", fmt.Errorf("teams: notify.teams.channels has no workflow of %s: %w", r.Role, notify.ErrUnreachable)
}

// Send posts a message, in as many cards as it needs. Those that were taken before another was not are not posted again by this
// process. That a workflow has taken a card doesn't say that it could post it: its owner sees that in Power Automate.
func (c *Channel) Send(ctx context.Context, m notify.Message) (notify.Receipt, error) {
	at, name, err := c.place(m.To)
	if err != nil {
		return notify.Receipt{}, err
	}
	parts, err := Render(m, c.links)
	if err != nil {
		return notify.Receipt{}, err
	}
	r := notify.Receipt{Channel: Name, Place: name}
	for _, p := range parts {
		r.IDs = append(r.IDs, p.Key)
		if c.sent(p) {
			continue
		}
		if err := c.pace.Wait(ctx); err != nil {
			return notify.Receipt{}, fmt.Errorf("teams: %w", err)
		}
		if err := c.post(ctx, at, name, p.Body); err != nil {
			return notify.Receipt{}, err
		}
		c.mu.Lock()
		c.done[p.sum()] = true
		c.mu.Unlock()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range parts {
		delete(c.done, p.sum())
	}
	return r, nil
}

// sum tells parts apart: their links are new each time, and don't count.
func (p Part) sum() [32]byte { return sha256.Sum256([]byte(fmt.Sprint(p.Key, p.Items))) }

func (c *Channel) sent(p Part) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.done[p.sum()]
}

// Find says false: a workflow can't be asked.
func (c *Channel) Find(context.Context, notify.Message) (notify.Receipt, bool, error) {
	return notify.Receipt{}, false, nil
}

// Update does nothing: a workflow can't change what it has posted. The page behind a link says how its item stands.
func (c *Channel) Update(context.Context, notify.Receipt, notify.Message) error { return nil }

func (c *Channel) post(ctx context.Context, at, name string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("teams %s: the address can't be read", name)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.client.Do(req)
	if err != nil {
		return unanswered(name, err)
	}
	defer res.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	fault := fmt.Errorf("teams %s: the workflow answers %s", name, res.Status)
	switch {
	case res.StatusCode/100 == 2 && bytes.Contains(said, []byte("HTTP error 413")), res.StatusCode/100 == 2 && bytes.Contains(said, []byte("HTTP error 429")):
		// The connectors that came before workflows said so with a 200.
		return &notify.RetryError{After: time.Minute, Err: fmt.Errorf("teams %s: the card was not posted", name)}
	case res.StatusCode/100 == 2:
		return nil
	case res.StatusCode == http.StatusTooManyRequests, res.StatusCode == http.StatusServiceUnavailable:
		after := 30 * time.Second
		if n, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && n >= 0 {
			after = time.Duration(n) * time.Second
		}
		return &notify.RetryError{After: after, Err: fault}
	case res.StatusCode >= 500:
		return fmt.Errorf("%w: %w", fault, notify.ErrUnsure)
	case res.StatusCode == http.StatusNotFound, res.StatusCode == http.StatusUnauthorized, res.StatusCode == http.StatusForbidden, res.StatusCode == http.StatusGone:
		return fmt.Errorf("%w: is it there still, turned on, and open to anyone? (notify.teams)", fault)
	}
	return fault
}

// unanswered tells what was not sent from what may have arrived. The address is not in the error.
func unanswered(name string, err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return fmt.Errorf("teams %s: no connection: %w", name, err)
	}
	return fmt.Errorf("teams %s: %w: %w", name, err, notify.ErrUnsure)
}
