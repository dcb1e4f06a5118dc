// Package app wires the parts together: it alone knows all of them.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/config"
	"github.com/lapse-audit/lapse/internal/notify/slack"
	"github.com/lapse-audit/lapse/internal/policy"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
)

// Options are what an App needs beside its configuration.
type Options struct {
	Now     func() time.Time // the run's clock
	Library string           // path of libchdb, "" to look for it
	Log     *slog.Logger
	Own     time.Duration // how long to wait for another command to give an embedded store up, before being served by it
	Version string
	Sandbox *policy.Sandbox // where policies are tried; nil: nowhere
}

// App holds the parts that the configuration names. Each is opened when it is first asked for; Close closes them.
// It is not safe for concurrent use.
type App struct {
	Config *config.Config
	Options

	state     *state.State
	pack      *policy.Pack
	known     knownPeople
	answering answering
	added     []folder // of policies, beside those of lapse.yaml
	store     *store.Store
	slack     *slack.Channel
	closes    []func() error

	opening  sync.Mutex                 // guards changers, and closes while one is added
	changers map[string]collect.Changer // opened ones, by source
}

// New returns an App of which nothing is open yet.
func New(c *config.Config, o Options) *App { return &App{Config: c, Options: o} }

// Close closes what was opened, the last first.
func (a *App) Close() error {
	var errs []error
	for i := len(a.closes) - 1; i >= 0; i-- {
		errs = append(errs, a.closes[i]())
	}
	a.closes, a.changers = nil, nil
	return errors.Join(errs...)
}

// State opens the decisions.
func (a *App) State(ctx context.Context) (*state.State, error) {
	if a.state != nil {
		return a.state, nil
	}
	o := state.Options{Version: a.Version}
	if at := a.Config.StateURL(); strings.Contains(at, "://") {
		u, err := url.Parse(at)
		if err != nil {
			return nil, fmt.Errorf("%s: state: the URL can't be read", a.Config.File)
		}
		if a.Config.State.Password.IsSet() {
			password, err := a.Config.State.Password.Resolve(ctx, a.Config.Dir)
			if err != nil {
				return nil, fmt.Errorf("state: password: %w", err)
			}
			u.User = url.UserPassword(u.User.Username(), password)
		} else if _, ok := u.User.Password(); ok {
			return nil, fmt.Errorf("%s: state: the URL holds a password: give it as `password: env:NAME`", a.Config.File)
		}
		o.URL = u.String()
	} else {
		o.Path = at
	}
	s, err := state.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	a.state = s
	a.closes = append(a.closes, s.Close)
	return s, nil
}

// holder names this process to others that wait for a lease.
func holder(what string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return fmt.Sprintf("%s on %s, process %d", what, host, os.Getpid())
}
