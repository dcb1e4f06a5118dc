package tickets

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/notify/digest"
)

// Name is that of the channel, in receipts.
const Name = "tickets"

// Options are what a Channel may be told beside Config.
type Options struct {
	Secret string        // what password or token refers to
	Pace   time.Duration // between two requests, a tenth of a second by default
}

// Channel opens tickets. It is safe for use by several goroutines.
type Channel struct {
	config Config
	recipe *Recipe
	params map[string]any
	base   *url.URL
	secret string
	client *http.Client
	pace   *rate.Limiter
}

var _ notify.Channel = (*Channel)(nil)

// New makes a channel. Nothing is asked for yet. It follows no redirect, which would take the credential elsewhere.
func New(c Config, r *Recipe, o Options) (*Channel, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("notify.tickets: %w", err)
	}
	base, err := url.Parse(strings.TrimRight(c.URL, "/"))
	if err != nil {
		return nil, errors.New("notify.tickets.url: it can't be read")
	}
	params, err := r.fill(c.Params)
	if err != nil {
		return nil, err
	}
	if o.Pace == 0 {
		o.Pace = 100 * time.Millisecond
	}
	return &Channel{config: c, recipe: r, params: params, base: base, secret: o.Secret, pace: rate.NewLimiter(rate.Every(o.Pace), 1), client: &http.Client{
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Name is tickets.
func (c *Channel) Name() string { return Name }

// reaches says whether a message becomes tickets. A summary or a notice doesn't: there is nothing in it to settle.
func (c *Channel) reaches(m notify.Message) error {
	if !c.config.takes(m.To) || m.Kind == notify.Summary || m.Kind == notify.Notice {
		return fmt.Errorf("tickets: what %s is told is no ticket (notify.tickets.for): %w", m.To.ID(), notify.ErrUnreachable)
	}
	return nil
}

// Send sees to it that each item has a ticket in which this message stands: a new one, or the open one that it has. It can be
// repeated at any point: each ticket is looked for before it is opened or written into.
func (c *Channel) Send(ctx context.Context, m notify.Message) (notify.Receipt, error) {
	r := notify.Receipt{Channel: Name, Place: c.base.Host}
	if err := c.reaches(m); err != nil {
		return r, err
	}
	for _, it := range items(m) {
		id, err := c.find(ctx, it)
		if err != nil {
			return r, err
		}
		if id == "" {
			id, err = c.create(ctx, it)
		} else {
			err = c.say(ctx, it, id, again(m.Kind, it.item), mark(m))
		}
		if err != nil {
			return r, err
		}
		r.IDs = append(r.IDs, id)
	}
	return r, nil
}

// again is what is said of an item whose ticket is open.
func again(k notify.Kind, it digest.Item) string {
	switch k {
	case notify.Reminder:
		return "Reminder: it waits for an answer. " + it.Otherwise
	case notify.Escalation:
		return "Nobody else answered in time. " + it.Message
	}
	return "It is asked about again. " + it.Message
}

// Find looks for the tickets of a message. With some of them there it says false: Send then opens the others.
func (c *Channel) Find(ctx context.Context, m notify.Message) (notify.Receipt, bool, error) {
	r := notify.Receipt{Channel: Name, Place: c.base.Host}
	if err := c.reaches(m); err != nil {
		return r, false, err
	}
	for _, it := range items(m) {
		id, err := c.find(ctx, it)
		if err != nil || id == "" {
			return notify.Receipt{}, false, err
		}
		if said, err := c.said(ctx, it, id, mark(m)); err != nil || !said {
			return notify.Receipt{}, false, err
		}
		r.IDs = append(r.IDs, id)
	}
	return r, true, nil
}

// Update says in the tickets what became of their items, once, and closes those that are done with.
func (c *Channel) Update(ctx context.Context, r notify.Receipt, m notify.Message) error {
	all := items(m)
	if len(all) != len(r.IDs) {
		return fmt.Errorf("tickets: message %s has %d tickets and %d items: it is to be updated with the items it was sent with", m.Key, len(r.IDs), len(all))
	}
	for i, it := range all {
		text := m.Decided[it.item.Finding]
		if text == "" {
			continue
		}
		sum := sha256.Sum256([]byte(m.Key + " " + text))
		if err := c.say(ctx, it, r.IDs[i], it.item.Decided, "Lapse note "+hex.EncodeToString(sum[:8])); err != nil {
			return err
		}
		if notify.Awaits(text) || len(c.recipe.Close.Do) == 0 {
			continue
		}
		if _, err := c.run(ctx, "close", c.recipe.Close, it, r.IDs[i], it.item.Decided); err != nil {
			return err
		}
	}
	return nil
}

func (c *Channel) find(ctx context.Context, it ticket) (string, error) {
	out, err := c.run(ctx, "find", c.recipe.Find, it, "", "")
	if err != nil || out == nil {
		return "", err
	}
	id, ok := asID(out)
	if !ok {
		return "", fmt.Errorf("tickets find: the recipe's result is no id: want a text, a number or null")
	}
	return id, nil
}

func (c *Channel) create(ctx context.Context, it ticket) (string, error) {
	out, err := c.run(ctx, "create", c.recipe.Create, it, "", "")
	if err != nil {
		return "", err
	}
	id, ok := asID(out)
	if !ok {
		return "", fmt.Errorf("tickets create: the answer names no ticket: %w", notify.ErrUnsure)
	}
	return id, nil
}

func asID(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, v != ""
	case float64, int:
		return fmt.Sprint(v), true
	}
	return "", false
}

func (c *Channel) said(ctx context.Context, it ticket, id, mark string) (bool, error) {
	if len(c.recipe.Said.Do) == 0 {
		return false, nil
	}
	out, err := c.run(ctx, "said", c.recipe.Said, it, id, mark)
	return out == true, err
}

// say writes into a ticket, unless its mark stands there already.
func (c *Channel) say(ctx context.Context, it ticket, id, text, mark string) error {
	said, err := c.said(ctx, it, id, mark)
	if err != nil || said {
		return err
	}
	_, err = c.run(ctx, "say", c.recipe.Say, it, id, text+"\n"+mark)
	return err
}

// ticket is an item and what a recipe sees of it.
type ticket struct {
	item     digest.Item
	document map[string]any
}

// mark is by which it is known that a message stands in a ticket.
func mark(m notify.Message) string { return "Lapse message " + m.Key }

func items(m notify.Message) []ticket {
	var out []ticket
	for _, g := range digest.New(m).Groups {
		for _, it := range g.Items {
			out = append(out, ticket{it, document(m, g.Name, it)})
		}
	}
	return out
}

// maxSummary is for a ticket's title, which Jira bounds at 255 characters and ServiceNow at 160.
const maxSummary = 150

func shorten(summary string) string {
	if r := []rune(summary); len(r) > maxSummary {
		return string(r[:maxSummary-1]) + "…"
	}
	return summary
}

// document is a finding as the expressions of a recipe see it. Every text is one line without controls.
func document(m notify.Message, source string, it digest.Item) map[string]any {
	lines := []any{it.Message}
	for _, l := range []struct{ label, text string }{
		{"About: ", it.Subject}, {"In: ", source}, {"Since: ", it.Since}, {"Cost: ", it.Cost}, {"Asked as: ", it.Why}, {"Was accepted: ", it.Accepted}, {"", it.Otherwise},
		{"Rule: ", it.Policy}, {"To answer: lapse notify answer ", fmt.Sprintf("%.12s", it.Finding)}, {"", mark(m)},
	} {
		if l.text != "" {
			lines = append(lines, l.label+l.text)
		}
	}
	var text strings.Builder
	for _, l := range lines {
		text.WriteString(l.(string) + "\n")
	}
	return map[string]any{
		"label": fmt.Sprintf("lapse-%.32s", it.Finding), "finding": string(it.Finding), "policy": it.Policy, "title": it.Title, "severity": it.Severity,
		"privileged": it.Privileged, "message": it.Message, "subject": it.Subject, "source": source, "why": it.Why, "since": it.Since, "cost": it.Cost,
		"otherwise": it.Otherwise, "kind": string(m.Kind), "to": m.To.ID(), "summary": shorten(it.Title + ": " + it.Subject), "lines": lines, "text": text.String(),
	}
}
