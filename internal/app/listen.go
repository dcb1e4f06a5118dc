package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/lapse-audit/lapse/internal/notify/link"
	"github.com/lapse-audit/lapse/internal/serve"
)

// incoming is what takes the answers that lapse.yaml sets up.
type incoming struct {
	mounts []serve.Mount                   // by HTTP: Slack's signed requests, and links
	socket func(ctx context.Context) error // Slack's Socket Mode, until ctx ends; nil without Slack
	wait   func()                          // until everything that was to be said has been said
}

func (a *App) incoming(ctx context.Context, use using) (in incoming, err error) {
	c := a.Config.Notify
	in.wait = func() {}
	if c.Slack != nil {
		ch, err := a.Slack(ctx)
		if err != nil {
			return in, err
		}
		answers := ch.Answers(callbacks(use))
		in.wait = answers.Wait
		if c.Slack.SigningSecret.IsSet() {
			in.mounts = append(in.mounts, serve.Mount{Pattern: "/slack", Handler: answers})
		}
		in.socket = func(ctx context.Context) error {
			if err := ch.Check(ctx); err != nil {
				return err
			}
			return answers.Run(ctx)
		}
	}
	if c.Links != nil {
		links, err := a.Links(ctx)
		if err != nil {
			return in, err
		}
		in.mounts = append(in.mounts, serve.Mount{Pattern: link.Path, Handler: links.Answers(linkCallbacks(use), link.Options{Zone: a.Config.Location, Log: a.Log})})
	}
	return in, nil
}

// Listen takes answers until ctx ends: from Slack by Socket Mode, or with an address whatever comes there by HTTP. Where Slack
// has no way to that address, it is heard by Socket Mode beside.
func (a *App) Listen(ctx context.Context, address string) error {
	var one sync.Mutex // an App serves one at a time
	in, err := a.incoming(ctx, func(_ context.Context, f func(*App) error) error {
		one.Lock()
		defer one.Unlock()
		return f(a)
	})
	if err != nil {
		return err
	}
	defer in.wait()
	if in.socket != nil {
		defer a.keepPrepared(ctx)()
	}
	if address == "" {
		switch {
		case in.socket != nil:
			return in.socket(ctx)
		case len(in.mounts) > 0:
			return fmt.Errorf("%s: answers come by notify.links: say at which address, with --http", a.Config.File)
		}
		return fmt.Errorf("%s: notify.slack is missing", a.Config.File)
	}
	if len(in.mounts) == 0 {
		return fmt.Errorf("%s: nothing comes in by HTTP: set up notify.links, or notify.slack with a signing_secret", a.Config.File)
	}
	var beside sync.WaitGroup
	defer beside.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 2)
	if in.socket != nil {
		switch ch, err := a.Slack(ctx); {
		case err != nil:
			return err
		case !a.Config.Notify.Slack.SigningSecret.IsSet():
			beside.Go(func() { ended <- in.socket(ctx) })
		default:
			if err := ch.Check(ctx); err != nil {
				return err
			}
		}
	}
	mux := http.NewServeMux()
	var patterns []string
	for _, m := range in.mounts {
		mux.Handle(m.Pattern, m.Handler)
		patterns = append(patterns, m.Pattern)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	a.Log.Info("taking answers", "at", "http://"+l.Addr().String(), "paths", strings.Join(patterns, " "))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute}
	go func() { ended <- server.Serve(l) }()
	var cause error
	select {
	case cause = <-ended:
	case <-ctx.Done():
		cause = ctx.Err()
	}
	closing, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer stop()
	return errors.Join(server.Shutdown(closing), cause)
}
