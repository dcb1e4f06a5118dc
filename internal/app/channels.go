package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/notify/email"
	"github.com/lapse-audit/lapse/internal/notify/teams"
	"github.com/lapse-audit/lapse/internal/notify/tickets"
)

// email is the channel that lapse.yaml describes.
func (a *App) email(ctx context.Context) (*email.Channel, error) {
	c := a.Config.Notify.Email
	o := email.Options{Now: a.Now}
	var err error
	if o.Password, err = a.Config.Secret(ctx, "notify.email.password", c.Password); err != nil {
		return nil, err
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
		at, err := a.Config.Secret(ctx, "notify.teams."+name, ref)
		errs = append(errs, err)
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

// tickets is the channel that lapse.yaml describes.
func (a *App) tickets(ctx context.Context) (*tickets.Channel, error) {
	c := *a.Config.Notify.Tickets
	name := c.Recipe
	if !slices.Contains(tickets.Names(), name) {
		name = a.Config.Path(name)
	}
	recipe, err := tickets.LoadRecipe(name)
	if err != nil {
		return nil, fmt.Errorf("notify.tickets.recipe: %w", err)
	}
	key, ref := "password", c.Password
	if c.Token.IsSet() {
		key, ref = "token", c.Token
	}
	secret, err := a.Config.Secret(ctx, "notify.tickets."+key, ref)
	if err != nil {
		return nil, err
	}
	return tickets.New(c, recipe, tickets.Options{Secret: secret})
}
