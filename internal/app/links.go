package app

import (
	"context"
	"errors"
	"strings"

	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/notify/digest"
	"github.com/lapse-audit/lapse/internal/notify/link"
	"github.com/lapse-audit/lapse/internal/state"
)

// Links are those that lapse.yaml describes, nil where it doesn't.
func (a *App) Links(ctx context.Context) (*link.Links, error) {
	c := a.Config.Notify.Links
	if c == nil {
		return nil, nil
	}
	keys := map[string]string{}
	for id, ref := range c.Keys {
		var err error
		if keys[id], err = a.Config.Secret(ctx, "notify.links.keys."+id, ref); err != nil {
			return nil, err
		}
	}
	return link.New(*c, keys, a.Now)
}

// linkCallbacks answer what comes by links.
func linkCallbacks(use using) link.Callbacks {
	return link.Callbacks{
		Look: func(ctx context.Context, d notify.Decision) (standing link.Standing, err error) {
			err = use(ctx, func(a *App) (err error) {
				standing, err = a.linkStanding(ctx, d)
				return err
			})
			return standing, err
		},
		Decide: func(ctx context.Context, d notify.Decision) (said string, taken bool, err error) {
			err = use(ctx, func(a *App) error {
				ans, err := a.Answer(ctx, state.Actor{ID: d.Channel}, d)
				reason, refused := refusal(err)
				switch {
				case refused:
					said = reason
					return nil
				case err != nil:
					return err
				}
				said, taken = "Recorded: "+a.Answered(ans)+".", true
				return nil
			})
			return said, taken, err
		},
	}
}

// linkStanding is how it stands with what a link was sent for.
func (a *App) linkStanding(ctx context.Context, d notify.Decision) (link.Standing, error) {
	var out link.Standing
	decisions, err := a.State(ctx)
	if err != nil {
		return out, err
	}
	given, err := decisions.Answers(ctx, state.AnswerFilter{ID: d.ID})
	if err != nil {
		return out, err
	}
	if len(given) > 0 {
		out.Used = a.Answered(given[0])
		return out, nil
	}
	p, open, err := a.asking(ctx, state.Actor{ID: d.Channel}, d.Finding)
	if err != nil {
		return out, err
	}
	if err := p.May(ctx, d, open); err != nil {
		reason, refused := refusal(err)
		if refused {
			out.Gone, err = reason, nil
		}
		return out, err
	}
	out.Item = digest.Of(notify.Item{Finding: open.Finding, Privileged: open.Case.Privileged}, "", a.Config.Location)
	out.Source = digest.Source(open.Finding)
	return out, nil
}

// refusal is why an answer is not taken, for whoever gives it by a link to read.
func refusal(err error) (string, bool) {
	var r *notify.RefusalError
	switch {
	case !errors.As(err, &r):
		return "", false
	case errors.Is(err, notify.ErrNotTheirs):
		return "it is not yours to answer any more", true
	}
	text := strings.TrimPrefix(r.Error(), notify.ErrGone.Error()+": ")
	return strings.TrimPrefix(text, state.ErrExists.Error()+": "), true
}
