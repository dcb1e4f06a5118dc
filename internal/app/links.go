package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/config"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/notify/digest"
	"github.com/lapse-audit/lapse/internal/notify/email"
	"github.com/lapse-audit/lapse/internal/notify/link"
	"github.com/lapse-audit/lapse/internal/notify/teams"
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
		if keys[id], err = (config.Secret{Secret: ref}).Resolve(ctx, a.Config.Dir); err != nil {
			return nil, fmt.Errorf("notify.links.keys.%s: %w", id, err)
		}
	}
	return link.New(*c, keys, a.Now)
}

// email is the channel that lapse.yaml describes.
func (a *App) email(ctx context.Context) (*email.Channel, error) {
	c := a.Config.Notify.Email
	o := email.Options{Now: a.Now}
	var err error
	if o.Password, err = (config.Secret{Secret: c.Password}).Resolve(ctx, a.Config.Dir); err != nil {
		return nil, fmt.Errorf("notify.email.password: %w", err)
	}
	if c.CA != "" {
		if o.CA, err = os.ReadFile(a.Config.Path(c.CA)); err != nil {
			return nil, fmt.Errorf("notify.email.ca: %w", err)
		}
	}
	if o.Links, err = a.Links(ctx); err != nil {
		return nil, err
	}
	return email.New(*c, o)
}

// teams is the channel that lapse.yaml describes.
func (a *App) teams(ctx context.Context) (*teams.Channel, error) {
	c := a.Config.Notify.Teams
	var errs []error
	resolve := func(name string, ref collect.Secret) string {
		at, err := (config.Secret{Secret: ref}).Resolve(ctx, a.Config.Dir)
		if err != nil {
			errs = append(errs, fmt.Errorf("notify.teams.%s: %w", name, err))
		}
		return at
	}
	u := teams.URLs{Security: resolve("url", c.URL), People: resolve("people", c.People), Channels: map[string]string{}}
	for _, role := range slices.Sorted(maps.Keys(c.Channels)) {
		u.Channels[role] = resolve("channels."+role, c.Channels[role])
	}
	links, err := a.Links(ctx)
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	return teams.New(u, teams.Options{Links: links})
}

// linkCallbacks answer what comes by links.
func (a *App) linkCallbacks(one sync.Locker) link.Callbacks {
	return link.Callbacks{
		Look: func(ctx context.Context, d notify.Decision) (link.Standing, error) {
			one.Lock()
			defer one.Unlock()
			return a.linkStanding(ctx, d)
		},
		Decide: func(ctx context.Context, d notify.Decision) (string, bool, error) {
			one.Lock()
			defer one.Unlock()
			ans, err := a.Answer(ctx, state.Actor{ID: d.Channel}, d)
			if reason, refused := refusal(err); refused {
				return reason, false, nil
			}
			if err != nil {
				return "", false, err
			}
			return "Recorded: " + a.Answered(ans) + ".", true, nil
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

// asking is a pipeline that takes answers to a finding, which is nil where it is not open.
func (a *App) asking(ctx context.Context, actor state.Actor, fp finding.Fingerprint) (*notify.Pipeline, *notify.Open, error) {
	decisions, err := a.State(ctx)
	if err != nil {
		return nil, nil, err
	}
	run, err := a.run(ctx, 0)
	if err != nil {
		return nil, nil, err
	}
	owners, err := a.owners(ctx, run)
	if err != nil {
		return nil, nil, err
	}
	found, _, err := a.openFindings(ctx, run, FindingQuery{Fingerprint: string(fp), Statuses: []finding.Status{finding.Open}})
	if err != nil {
		return nil, nil, err
	}
	p := &notify.Pipeline{Decisions: decisions, Owners: owners, Actor: actor, Now: a.Now, Log: a.Log}
	if len(found) != 1 {
		return p, nil, nil
	}
	return p, &found[0], nil
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
