package slack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"
	"golang.org/x/sync/errgroup"
)

// atOnce is how many interactions of a socket are worked on at the same time.
const atOnce = 32

// Run takes interactions and commands over Socket Mode until the context ends, and connects again when a connection is
// lost. It returns an error when Slack refuses the app-level token.
func (a *Answers) Run(ctx context.Context) error {
	if a.c.secrets.AppToken == "" {
		return errors.New("slack: Socket Mode needs notify.slack.app_token")
	}
	// The library would log the contents of messages, and the address of the socket with its ticket.
	client := socketmode.New(a.c.api, socketmode.OptionLog(log.New(io.Discard, "", 0)))
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return client.RunContext(ctx) })
	g.Go(func() error { return a.receive(ctx, client) })
	err := g.Wait()
	if said, ok := errors.AsType[slack.SlackErrorResponse](err); ok {
		return fmt.Errorf("slack apps.connections.open: Slack refuses notify.slack.app_token (%s)", a.c.secrets.scrub(said.Err))
	}
	if cause := contextFault(err); cause != nil {
		return cause
	}
	if err != nil {
		return errors.New("slack: Socket Mode ended: Slack does not take the connection")
	}
	return nil
}

func (a *Answers) receive(ctx context.Context, client *socketmode.Client) error {
	var g errgroup.Group
	g.SetLimit(atOnce)
	defer func() { _ = g.Wait() }()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e := <-client.Events:
			switch e.Type {
			case socketmode.EventTypeConnectionError:
				a.c.log.WarnContext(ctx, "slack: Socket Mode is not connected; it is tried again")
			case socketmode.EventTypeConnected:
				a.c.log.InfoContext(ctx, "slack: Socket Mode is connected")
			case socketmode.EventTypeErrorBadMessage:
				a.c.log.WarnContext(ctx, "slack: a message over Socket Mode can't be read")
			}
			if e.Request == nil {
				continue
			}
			g.Go(func() error {
				a.event(ctx, client, e)
				return nil
			})
		}
	}
}

// event takes one and acknowledges it. What was not taken is not acknowledged: Slack shows that to whoever clicked.
func (a *Answers) event(ctx context.Context, client *socketmode.Client, e socketmode.Event) {
	var response any
	switch data := e.Data.(type) {
	case slack.InteractionCallback:
		var err error
		if response, err = a.interaction(ctx, data); err != nil {
			a.c.log.WarnContext(ctx, "slack: an interaction is not taken", "error", err)
			return
		}
	case slack.SlashCommand:
		response = a.command(ctx, data)
	case nil:
		return
	}
	var err error
	if response == nil {
		err = client.AckCtx(ctx, e.Request.EnvelopeID, nil)
	} else {
		err = client.AckCtx(ctx, e.Request.EnvelopeID, response)
	}
	if err != nil {
		a.c.log.WarnContext(ctx, "slack: an interaction is not acknowledged")
	}
}
