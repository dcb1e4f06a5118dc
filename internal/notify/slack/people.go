package slack

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"github.com/lapse-audit/lapse/internal/notify"
)

// How long is believed what Slack said of a person: an account is switched off more often than one appears.
const (
	foundFor   = 4 * time.Hour
	missingFor = 30 * time.Minute
)

// people knows who is who in Slack. It is asked once for each person, and again when the answer is old.
type people struct {
	mu      sync.Mutex
	byEmail map[string]known
	byID    map[string]known
	now     func() time.Time
}

type known struct {
	user  slack.User
	place string // the direct conversation, "" until it is opened
	err   error  // that they can't be reached
	at    time.Time
}

func (p *people) get(m map[string]known, key string) (known, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k, ok := m[key]
	age := foundFor
	if k.err != nil {
		age = missingFor
	}
	return k, ok && p.now().Sub(k.at) < age
}

func (p *people) put(m map[string]known, key string, k known) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k.at = p.now()
	m[key] = k
}

// forget makes the next message look again: Slack said that what is known is no longer so.
func (p *people) forget(email string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.byEmail, email)
}

// directTo finds the conversation with a person.
func (c *Channel) directTo(ctx context.Context, r notify.Recipient) (string, error) {
	email := strings.ToLower(strings.TrimSpace(r.Email))
	if email == "" {
		return "", fmt.Errorf("slack: no e-mail address is known of %s: %w", r.Person, notify.ErrUnreachable)
	}
	if k, ok := c.people.get(c.people.byEmail, email); ok {
		return k.place, k.err
	}
	place, user, err := c.open(ctx, email)
	switch {
	case err == nil:
		c.people.put(c.people.byEmail, email, known{user: user, place: place})
	case unreachable(err):
		c.people.put(c.people.byEmail, email, known{err: err})
	}
	return place, err
}

func (c *Channel) open(ctx context.Context, email string) (string, slack.User, error) {
	user, err := c.api.GetUserByEmailContext(ctx, email)
	if err != nil {
		return "", slack.User{}, c.fault("users.lookupByEmail", "nobody with the address "+email, err)
	}
	ours, err := c.ours(ctx, *user)
	switch {
	case err != nil:
		return "", *user, err
	case !ours:
		return "", *user, fmt.Errorf("slack: %s is somebody of another workspace: %w", email, notify.ErrUnreachable)
	case user.Deleted:
		return "", *user, fmt.Errorf("slack: the account of %s is deactivated: %w", email, notify.ErrUnreachable)
	case user.IsBot:
		return "", *user, fmt.Errorf("slack: %s is the address of a bot: %w", email, notify.ErrUnreachable)
	}
	conversation, _, _, err := c.api.OpenConversationContext(ctx, &slack.OpenConversationParameters{Users: []string{user.ID}})
	if err != nil {
		return "", *user, c.fault("conversations.open", email, err)
	}
	return conversation.ID, *user, nil
}

// emailOf is the address of a Slack user, "" where Slack has none: such a user is only an id, which matches nobody, so
// an answer of theirs is refused, not guessed. An error means that it is not known now.
func (c *Channel) emailOf(ctx context.Context, id string) (string, error) {
	if k, ok := c.people.get(c.people.byID, id); ok {
		return k.user.Profile.Email, nil
	}
	user, err := c.api.GetUserInfoContext(ctx, id)
	if err != nil {
		if err = c.fault("users.info", id, err); !unreachable(err) {
			return "", err
		}
		user = &slack.User{ID: id}
	}
	ours, err := c.ours(ctx, *user)
	if err != nil {
		return "", err
	}
	if !ours || user.Deleted || user.IsBot {
		user.Profile.Email = ""
	}
	c.people.put(c.people.byID, id, known{user: *user})
	return user.Profile.Email, nil
}

// ours reports whether a user belongs to our workspace, or to another of our organisation. In a shared channel there are
// others, whose addresses are what their own administrators wrote: such an address proves nothing here.
func (c *Channel) ours(ctx context.Context, user slack.User) (bool, error) {
	me, err := c.self(ctx)
	if err != nil {
		return false, err
	}
	if user.IsStranger || user.TeamID == "" {
		return false, nil
	}
	return user.TeamID == me.TeamID || me.EnterpriseID != "" && user.Enterprise.EnterpriseID == me.EnterpriseID, nil
}
