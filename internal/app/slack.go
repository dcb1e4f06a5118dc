package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/notify/slack"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
)

// Slack is the channel that lapse.yaml describes.
func (a *App) Slack(ctx context.Context) (*slack.Channel, error) {
	c := a.Config.Notify.Slack
	if c == nil {
		return nil, fmt.Errorf("%s: notify.slack is missing", a.Config.File)
	}
	if a.slack != nil {
		return a.slack, nil
	}
	var secrets slack.Secrets
	for _, s := range []struct {
		name string
		from collect.Secret
		to   *string
	}{{"token", c.Token, &secrets.Token}, {"signing_secret", c.SigningSecret, &secrets.SigningSecret}, {"app_token", c.AppToken, &secrets.AppToken}} {
		var err error
		if *s.to, err = a.Config.Secret(ctx, "notify.slack."+s.name, s.from); err != nil {
			return nil, err
		}
	}
	ch, err := slack.New(*c, secrets, slack.Options{
		Now: a.Now, Zone: a.Config.Location, Log: a.Log, Later: time.Duration(min(3, a.Config.Notify.LaterDays)) * 24 * time.Hour,
	})
	if err != nil {
		return nil, err
	}
	a.slack = ch
	return ch, nil
}

// using calls a function with an App that nobody else uses then.
type using func(ctx context.Context, f func(*App) error) error

// callbacks take what comes from Slack.
func callbacks(use using) slack.Callbacks {
	var following sync.Mutex // of what follows only one waits for its turn, so that no click waits for more
	return slack.Callbacks{
		Decide: func(ctx context.Context, d notify.Decision) (string, error) {
			return replying(ctx, use, func(a *App) (string, error) { return a.RecordAnswer(ctx, state.Actor{ID: "slack"}, d) })
		},
		Follow: func(ctx context.Context, d notify.Decision) string {
			following.Lock()
			defer following.Unlock()
			reply, err := replying(ctx, use, func(a *App) (string, error) { return a.FollowAnswer(ctx, state.Actor{ID: "slack"}, d), nil })
			if err != nil {
				return "" // what was recorded is carried out later
			}
			return reply
		},
		Who: func(ctx context.Context, by slack.Asker, user string) (string, error) {
			return replying(ctx, use, func(a *App) (string, error) { return a.who(ctx, by, user) })
		},
		Mine: func(ctx context.Context, by slack.Asker) (string, error) {
			return replying(ctx, use, func(a *App) (string, error) { return a.mine(ctx, by) })
		},
	}
}

func replying(ctx context.Context, use using, f func(*App) (string, error)) (reply string, err error) {
	err = use(ctx, func(a *App) (err error) {
		reply, err = f(a)
		return err
	})
	return reply, err
}

// keepPrepared has answers prepared for, beside them and for each new run, until what it returns is called. What that takes of
// this App is open when it returns.
func (a *App) keepPrepared(ctx context.Context) (stop func()) {
	const late = "answers take longer: what the last run found can't be read beforehand"
	_, packErr := a.Pack()
	_, stateErr := a.State(ctx)
	_, storeErr := a.Store(ctx)
	if err := errors.Join(packErr, stateErr, storeErr); err != nil {
		a.Log.Warn(late, "error", err)
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var g sync.WaitGroup
	g.Go(func() {
		said := ""
		for tick := time.NewTicker(5 * time.Second); ; {
			switch err := a.PrepareAnswers(ctx); {
			case err == nil:
				said = ""
			case ctx.Err() == nil && err.Error() != said:
				said = err.Error()
				a.Log.Warn(late, "error", err)
			}
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case <-tick.C:
			}
		}
	})
	return func() { cancel(); g.Wait() }
}

// asker is the person who asks by Slack, known by an address.
func (a *App) asker(ctx context.Context, by slack.Asker) (store.RunPerson, bool, error) {
	if by.Email == "" {
		return store.RunPerson{}, false, nil
	}
	run, err := a.run(ctx, 0)
	if err != nil {
		return store.RunPerson{}, false, err
	}
	found, err := a.store.PersonByQuery(ctx, run.ID, by.Email)
	if err != nil || len(found) != 1 || found[0].Status == access.PersonEnded {
		return store.RunPerson{}, false, err
	}
	return found[0], true, nil
}

const unknownAsker = "Lapse knows nobody with your address in this workspace."

// who says what accounts a person has, to their manager and to the security team.
func (a *App) who(ctx context.Context, by slack.Asker, user string) (string, error) {
	me, ok, err := a.asker(ctx, by)
	if err != nil || !ok {
		return unknownAsker, err
	}
	run, err := a.run(ctx, 0)
	if err != nil {
		return "", err
	}
	found, err := a.store.PersonByQuery(ctx, run.ID, user)
	if err != nil {
		return "", err
	}
	if len(found) != 1 || found[0].Key != me.Key && found[0].ManagerID != me.Key && !a.security(me.Key) {
		return "There is nobody called so whom you may ask about.", nil
	}
	links, err := a.store.LinksOf(ctx, run.ID, found[0].Key)
	if err != nil {
		return "", err
	}
	lines := []string{fmt.Sprintf("%s (%s), as of %s:", found[0].Name, found[0].Status, run.Time.In(a.Config.Location).Format("2006-01-02 15:04 MST"))}
	for _, l := range links {
		lines = append(lines, fmt.Sprintf("- an account in %s, by %s", l.Source, l.Method))
	}
	if len(links) == 0 {
		lines = append(lines, "- no account is known to be theirs")
	}
	return strings.Join(lines, "\n"), nil
}

// security says whether somebody may answer for the security team.
func (a *App) security(person string) bool {
	for _, p := range a.Config.Notify.Security.People {
		if p == person {
			return true
		}
	}
	return false
}

// mine lists what a person is asked about.
func (a *App) mine(ctx context.Context, by slack.Asker) (string, error) {
	me, ok, err := a.asker(ctx, by)
	if err != nil || !ok {
		return unknownAsker, err
	}
	all, err := a.AskedAbout(ctx, FindingQuery{})
	if err != nil {
		return "", err
	}
	var lines []string
	for _, o := range all {
		if o.Asking.To.Person == me.Key {
			lines = append(lines, "- "+o.Finding.Policy+": "+o.Finding.Message)
		}
	}
	if len(lines) == 0 {
		return "Nothing waits for you.", nil
	}
	return strings.Join(lines, "\n"), nil
}
