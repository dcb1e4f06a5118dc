// Package webhook posts messages as JSON to a URL, signed so that the receiver knows whose they are.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/notify"
)

// The headers of a request. The signature is "t=UNIX,v1=HEX": an HMAC-SHA256 with the shared secret over UNIX, a dot and the
// body. A receiver refuses old times, and takes a key it has seen before for the same message.
const (
	HeaderSignature = "Lapse-Signature"
	HeaderKey       = "Idempotency-Key"
)

// Channel posts to one URL.
type Channel struct {
	url    string
	secret []byte
	client *http.Client
	now    func() time.Time
}

// New returns the channel. It follows no redirect: what is signed goes where lapse.yaml says.
func New(url, secret string) *Channel {
	return &Channel{url: url, secret: []byte(secret), now: time.Now, client: &http.Client{
		Timeout:       20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Name implements [notify.Channel].
func (c *Channel) Name() string { return "webhook" }

type body struct {
	Key    string      `json:"key"`
	Kind   notify.Kind `json:"kind"`
	Update bool        `json:"update,omitempty"` // of a message that was posted before
	To     to          `json:"to"`
	Run    uint64      `json:"run"`
	AsOf   time.Time   `json:"as_of"`
	Items  []item      `json:"items,omitempty"`
	Counts []count     `json:"counts,omitempty"`
	Title  string      `json:"title,omitempty"` // of a notice
	Lines  []string    `json:"lines,omitempty"`
}

type to struct {
	Person string `json:"person,omitempty"`
	Role   string `json:"role,omitempty"`
	Name   string `json:"name,omitempty"`
	Email  string `json:"email,omitempty"`
}

type item struct {
	Finding    finding.Fingerprint `json:"finding"`
	Policy     string              `json:"policy"`
	Severity   finding.Severity    `json:"severity"`
	Source     string              `json:"source"`
	SourceName string              `json:"source_name"`
	Subject    string              `json:"subject"`
	Name       string              `json:"name"`
	Message    string              `json:"message"`
	FirstSeen  time.Time           `json:"first_seen"`
	CostMonth  string              `json:"cost_month,omitempty"`
	Currency   string              `json:"currency,omitempty"`
	Why        string              `json:"why"`
	Due        time.Time           `json:"due,omitzero"`
	Otherwise  string              `json:"otherwise,omitempty"`
	Overdue    bool                `json:"overdue,omitempty"`
	Privileged bool                `json:"privileged,omitempty"`
	Answers    []notify.Answer     `json:"answers"`
	Decided    string              `json:"decided,omitempty"`
}

type count struct {
	Text string `json:"text"`
	N    int    `json:"n"`
}

func encode(m notify.Message, update bool) ([]byte, error) {
	b := body{Key: m.Key, Kind: m.Kind, Update: update, To: to{m.To.Person, m.To.Role, m.To.Name, m.To.Email}, Run: m.Run, AsOf: m.AsOf, Title: m.Title, Lines: m.Lines}
	for _, i := range m.Items {
		f := i.Finding
		b.Items = append(b.Items, item{Finding: f.Fingerprint, Policy: f.Policy, Severity: f.Severity, Source: f.Subject.Source, SourceName: f.SourceName,
			Subject: f.Subject.ID, Name: f.Name, Message: f.Message, FirstSeen: f.FirstSeen, CostMonth: f.CostMonth, Currency: f.Currency, Why: i.Why, Due: i.Due,
			Otherwise: i.Otherwise, Overdue: i.Urgency == notify.Overdue, Privileged: i.Privileged, Answers: i.Answers, Decided: m.Decided[f.Fingerprint]})
	}
	for _, c := range m.Counts {
		b.Counts = append(b.Counts, count(c))
	}
	return json.Marshal(b)
}

// Send implements [notify.Channel].
func (c *Channel) Send(ctx context.Context, m notify.Message) (notify.Receipt, error) {
	if err := c.post(ctx, m, false); err != nil {
		return notify.Receipt{}, err
	}
	return notify.Receipt{Channel: c.Name(), Place: c.host(), IDs: []string{m.Key}}, nil
}

// Find implements [notify.Channel]: a receiver can't be asked. It knows a message that comes again by its key.
func (c *Channel) Find(context.Context, notify.Message) (notify.Receipt, bool, error) {
	return notify.Receipt{}, false, nil
}

// Update implements [notify.Channel].
func (c *Channel) Update(ctx context.Context, _ notify.Receipt, m notify.Message) error {
	return c.post(ctx, m, true)
}

func (c *Channel) post(ctx context.Context, m notify.Message, update bool) error {
	text, err := encode(m, update)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(text))
	if err != nil {
		return errors.New("webhook: the URL can't be read")
	}
	key := m.Key
	if update { // another message to whoever counts keys
		sum := sha256.Sum256(text)
		key += "-" + hex.EncodeToString(sum[:8])
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(HeaderKey, key)
	req.Header.Set(HeaderSignature, Sign(c.secret, c.now(), text))
	res, err := c.client.Do(req)
	if err != nil {
		return c.unanswered(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<16)) // so that the connection can be used again
	switch {
	case res.StatusCode/100 == 2:
		return nil
	case res.StatusCode == http.StatusGatewayTimeout:
		return fmt.Errorf("webhook %s answered %s: %w", c.host(), res.Status, notify.ErrUnsure)
	}
	err = fmt.Errorf("webhook %s answered %s", c.host(), res.Status)
	if after, e := strconv.Atoi(res.Header.Get("Retry-After")); e == nil && after >= 0 {
		return &notify.RetryError{After: time.Duration(after) * time.Second, Err: err}
	}
	return err
}

// unanswered tells what was not sent from what may have arrived. The URL, which may hold a secret, is not in the error.
func (c *Channel) unanswered(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return fmt.Errorf("webhook %s: %w", c.host(), err)
	}
	return fmt.Errorf("webhook %s: %w: %w", c.host(), err, notify.ErrUnsure)
}

func (c *Channel) host() string {
	u, err := url.Parse(c.url)
	if err != nil {
		return ""
	}
	return u.Host
}

// Sign is the signature of a body sent at a time.
func Sign(secret []byte, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%d.", at.Unix())
	mac.Write(body)
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(mac.Sum(nil)))
}
