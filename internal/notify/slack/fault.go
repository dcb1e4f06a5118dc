package slack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/slack-go/slack"

	"github.com/lapse-audit/lapse/internal/notify"
)

// retryDefault is for a limit that comes without a time.
const retryDefault = 30 * time.Second

// fault says what an error of a method means for whoever sends. The text is made here: what the library or the server
// says may hold the address of a socket or an echo of the request. object is whom or what the call was for.
func (c *Channel) fault(method, object string, err error) error {
	posting := method == "chat.postMessage"
	if limited, ok := errors.AsType[*slack.RateLimitedError](err); ok {
		return c.retry(method, max(limited.RetryAfter, time.Second))
	}
	if status, ok := errors.AsType[slack.StatusCodeError](err); ok {
		if status.Code == http.StatusTooManyRequests {
			return c.retry(method, retryDefault)
		}
		if posting && status.Code >= 500 {
			return fmt.Errorf("slack %s: HTTP %d: %w", method, status.Code, notify.ErrUnsure)
		}
		return fmt.Errorf("slack %s: HTTP %d", method, status.Code)
	}
	if said, ok := errors.AsType[slack.SlackErrorResponse](err); ok {
		return c.refusal(method, object, said)
	}
	if err := contextFault(err); err != nil && !posting {
		return fmt.Errorf("slack %s: %w", method, err)
	}
	if neverSent(err) {
		return fmt.Errorf("slack %s: no connection to Slack", method)
	}
	if posting {
		return fmt.Errorf("slack %s: no answer: %w", method, notify.ErrUnsure)
	}
	return fmt.Errorf("slack %s: no answer", method)
}

func (c *Channel) retry(method string, after time.Duration) error {
	return &notify.RetryError{After: after, Err: fmt.Errorf("slack %s: too many requests, again in %s", method, after)}
}

// refusal reads the error codes of https://docs.slack.dev/reference/methods.
func (c *Channel) refusal(method, object string, said slack.SlackErrorResponse) error {
	code := c.secrets.scrub(said.Err)
	switch code {
	case "ratelimited", "rate_limited", "message_limit_exceeded":
		return c.retry(method, retryDefault)
	case "users_not_found", "user_not_found", "user_disabled", "user_not_visible", "cannot_dm_bot", "messages_tab_disabled",
		"user_is_bot", "user_is_restricted", "no_user":
		return fmt.Errorf("slack %s: %s: %s: %w", method, object, code, notify.ErrUnreachable)
	case "channel_not_found":
		return fmt.Errorf("slack %s: %s is no channel that the app can see; give its id, and invite the app with /invite if it is private: %w", method, object, notify.ErrUnreachable)
	case "not_in_channel":
		return fmt.Errorf("slack %s: the app is not in the channel %s; invite it there with /invite: %w", method, object, notify.ErrUnreachable)
	case "is_archived":
		return fmt.Errorf("slack %s: the channel %s is archived: %w", method, object, notify.ErrUnreachable)
	case "restricted_action", "restricted_action_read_only_channel":
		return fmt.Errorf("slack %s: the app may not write in %s (%s): %w", method, object, code, notify.ErrUnreachable)
	case "invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive":
		return fmt.Errorf("slack %s: Slack refuses the token (%s); install the app again and renew notify.slack.token", method, code)
	case "missing_scope":
		return fmt.Errorf("slack %s: the app lacks the right %s; install it again by deploy/slack-manifest.yaml", method, c.secrets.scrub(said.Needed))
	case "internal_error", "fatal_error", "service_unavailable", "request_timeout":
		if method == "chat.postMessage" {
			return fmt.Errorf("slack %s: %s: %w", method, code, notify.ErrUnsure)
		}
	}
	return fmt.Errorf("slack %s: %s: %s", method, object, code)
}

func contextFault(err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return context.DeadlineExceeded
	}
	return nil
}

// neverSent reports whether no connection was made at all.
func neverSent(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	_, ok := errors.AsType[*net.DNSError](err)
	return ok
}

func unreachable(err error) bool { return errors.Is(err, notify.ErrUnreachable) }
