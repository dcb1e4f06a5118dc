package slack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"
	"golang.org/x/time/rate"

	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/notify"
)

// Name is that of the channel, in receipts and decisions.
const Name = "slack"

// eventType marks our messages in their metadata; the payload has the key of the part.
const eventType = "lapse_digest"

// Options are what a Channel may be told beside Config. The zero value is right for Slack itself.
type Options struct {
	Client *http.Client     // must not follow redirects, which would take the token elsewhere
	Now    func() time.Time // by default time.Now
	Zone   *time.Location   // in which a day ends that somebody picks; UTC by default
	Pace   time.Duration    // between two messages to one conversation, one second by default: Slack's limit
	Later  time.Duration    // how long Later puts an item off, three days by default
	Log    *slog.Logger     // by default nothing is logged
}

// Channel reaches people by Slack. It is safe for use by several goroutines.
type Channel struct {
	config  Config
	secrets Secrets
	options Options
	api     *slack.Client
	people  people
	log     *slog.Logger

	mu   sync.Mutex
	pace map[string]*rate.Limiter // by conversation
	me   *slack.AuthTestResponse  // nil until it was asked for
}

var _ notify.Channel = (*Channel)(nil)

// New makes a channel. Nothing is sent yet, nor is the token tried: Check does.
func New(c Config, s Secrets, o Options) (*Channel, error) {
	if err := errors.Join(c.Validate(), s.Validate()); err != nil {
		return nil, fmt.Errorf("notify.slack: %w", err)
	}
	api := slack.APIURL
	if c.API != "" {
		api = strings.TrimSuffix(c.API, "/") + "/"
	}
	if o.Client == nil {
		o.Client = &http.Client{
			Timeout:       20 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	if o.Pace == 0 {
		o.Pace = time.Second
	}
	if o.Later == 0 {
		o.Later = 3 * 24 * time.Hour
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Channel{
		config: c, secrets: s, options: o, log: o.Log,
		api:    slack.New(s.Token, slack.OptionAPIURL(api), slack.OptionHTTPClient(o.Client), slack.OptionAppLevelToken(s.AppToken)),
		people: people{byEmail: map[string]known{}, byID: map[string]known{}, now: o.Now},
		pace:   map[string]*rate.Limiter{},
	}, nil
}

// Name is slack.
func (c *Channel) Name() string { return Name }

// Check tries the token.
func (c *Channel) Check(ctx context.Context) error {
	_, err := c.self(ctx)
	return err
}

// self says which bot the token is of, and of which workspace.
func (c *Channel) self(ctx context.Context) (*slack.AuthTestResponse, error) {
	c.mu.Lock()
	me := c.me
	c.mu.Unlock()
	if me != nil {
		return me, nil
	}
	me, err := c.api.AuthTestContext(ctx)
	if err != nil {
		return nil, c.fault("auth.test", "the token", err)
	}
	if me.BotID == "" || me.TeamID == "" {
		return nil, errors.New("slack auth.test: the token is not that of a bot in a workspace")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.me = me
	return me, nil
}

// place is the conversation that a recipient is reached in. A role without a channel of its own can't be reached: its
// items are not for the security team's eyes until the pipeline says so.
func (c *Channel) place(ctx context.Context, r notify.Recipient) (string, error) {
	if r.Person != "" {
		return c.directTo(ctx, r)
	}
	if id, ok := c.config.Channels[r.Role]; ok {
		return id, nil
	}
	if r.Role == "" || r.Role == "security" {
		return c.config.Channel, nil
	}
	return "", fmt.Errorf("slack: notify.slack.channels has no channel of %s: %w", r.Role, notify.ErrUnreachable)
}

// Send posts a message, in as many parts as it needs. When some of them are there already, from a Send that was cut
// short, only the others are posted; so it may be called again after any error but ErrUnsure, after which Find is to be
// asked first.
func (c *Channel) Send(ctx context.Context, m notify.Message) (notify.Receipt, error) {
	place, err := c.place(ctx, m.To)
	if err != nil {
		return notify.Receipt{}, err
	}
	parts := Render(m)
	sent := map[string]string{}
	if len(parts) > 1 {
		// Who sends has no record of a part, nor would it outlive a crash: the conversation itself is asked.
		if sent, err = c.posted(ctx, place, m, len(parts)); err != nil {
			return notify.Receipt{}, err
		}
	}
	r := notify.Receipt{Channel: Name, Place: place}
	for _, p := range parts {
		ts, ok := sent[p.Key]
		if !ok {
			if ts, err = c.post(ctx, place, p); err != nil {
				if unreachable(err) {
					c.people.forget(strings.ToLower(strings.TrimSpace(m.To.Email)))
				}
				return r, err
			}
		}
		r.IDs = append(r.IDs, ts)
	}
	return r, nil
}

func (c *Channel) post(ctx context.Context, place string, p Part) (string, error) {
	if err := c.wait(ctx, place); err != nil {
		return "", fmt.Errorf("slack chat.postMessage: %w", err)
	}
	got, ts, err := c.api.PostMessageContext(ctx, place, body(p)...)
	if err != nil {
		return "", c.fault("chat.postMessage", place, err)
	}
	if got == "" || ts == "" {
		return "", fmt.Errorf("slack chat.postMessage: the answer names no message: %w", notify.ErrUnsure)
	}
	return ts, nil
}

// body is a part as the methods take it.
func body(p Part) []slack.MsgOption {
	return []slack.MsgOption{
		slack.MsgOptionText(p.Text, false), slack.MsgOptionBlocks(p.Blocks...),
		slack.MsgOptionMetadata(slack.SlackMetadata{EventType: eventType, EventPayload: map[string]any{"key": p.Key}}),
		slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
	}
}

// wait keeps the pace that Slack asks for in a conversation.
func (c *Channel) wait(ctx context.Context, place string) error {
	c.mu.Lock()
	l, ok := c.pace[place]
	if !ok {
		l = rate.NewLimiter(rate.Every(c.options.Pace), 1)
		c.pace[place] = l
	}
	c.mu.Unlock()
	return l.Wait(ctx)
}

// Find looks for all parts of a message in the conversation. With some of them there it says false: Send then posts the
// others. Slack may still be at work on what it did not answer: the later it is asked, the surer the answer.
func (c *Channel) Find(ctx context.Context, m notify.Message) (notify.Receipt, bool, error) {
	place, err := c.place(ctx, m.To)
	if err != nil {
		return notify.Receipt{}, false, err
	}
	parts := Render(m)
	sent, err := c.posted(ctx, place, m, len(parts))
	if err != nil {
		return notify.Receipt{}, false, err
	}
	r := notify.Receipt{Channel: Name, Place: place}
	for _, p := range parts {
		ts, ok := sent[p.Key]
		if !ok {
			return notify.Receipt{}, false, nil
		}
		r.IDs = append(r.IDs, ts)
	}
	return r, true, nil
}

// skew is how far Slack's clock may be from ours.
const skew = time.Hour

// posted lists the parts of a message that are in a conversation, by key. It reads back to where the message was made,
// to the end: a page that was not read is not a part that is missing.
func (c *Channel) posted(ctx context.Context, place string, m notify.Message, parts int) (map[string]string, error) {
	me, err := c.self(ctx)
	if err != nil {
		return nil, err
	}
	p := slack.GetConversationHistoryParameters{ChannelID: place, Limit: 200, IncludeAllMetadata: true}
	if !m.AsOf.IsZero() {
		p.Oldest = strconv.FormatInt(m.AsOf.Add(-skew).Unix(), 10)
	}
	out := map[string]string{}
	for {
		h, err := c.api.GetConversationHistoryContext(ctx, &p)
		if err != nil {
			return nil, c.fault("conversations.history", place, err)
		}
		for _, msg := range h.Messages {
			key, _ := msg.Metadata.EventPayload["key"].(string)
			// Another app may copy our metadata: only what our bot wrote was sent.
			if msg.Metadata.EventType != eventType || msg.BotID != me.BotID || !strings.HasPrefix(key, m.Key+"#") {
				continue
			}
			out[key] = msg.Timestamp
		}
		if len(out) == parts || !h.HasMore {
			return out, nil
		}
		if h.ResponseMetaData.NextCursor == "" || h.ResponseMetaData.NextCursor == p.Cursor {
			return nil, fmt.Errorf("slack conversations.history: %s: there is more, and no way to it", place)
		}
		p.Cursor = h.ResponseMetaData.NextCursor
	}
}

// Update rewrites the parts that have decided items. m is the message as it was sent, with Decided. A part that is gone
// from Slack is passed over: nobody sees it any more.
func (c *Channel) Update(ctx context.Context, r notify.Receipt, m notify.Message) error {
	parts := Render(m)
	if len(parts) != len(r.IDs) {
		return fmt.Errorf("slack: message %s was sent in %d parts and has %d: it is to be updated with the items it was sent with", m.Key, len(r.IDs), len(parts))
	}
	for i, p := range parts {
		if i > 0 && !decides(p, m.Decided) {
			continue
		}
		if err := c.wait(ctx, r.Place); err != nil {
			return fmt.Errorf("slack chat.update: %w", err)
		}
		_, _, _, err := c.api.UpdateMessageContext(ctx, r.Place, r.IDs[i], body(p)...)
		if said, ok := errors.AsType[slack.SlackErrorResponse](err); ok && (said.Err == "message_not_found" || said.Err == "thread_not_found") {
			c.log.InfoContext(ctx, "slack: a message to update is gone", "key", p.Key)
			continue
		}
		if err != nil {
			return c.fault("chat.update", r.Place, err)
		}
	}
	return nil
}

func decides(p Part, decided map[finding.Fingerprint]string) bool {
	for _, fp := range p.Items {
		if _, ok := decided[fp]; ok {
			return true
		}
	}
	return false
}
