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
)

// Mount is where answers of one kind come in by HTTP.
type Mount struct {
	Pattern string // of http.ServeMux
	Handler http.Handler
}

// AnswerMounts are what lapse.yaml sets up to take answers by HTTP: Slack's signed requests, and links. one is held while this
// App is at work, which serves one at a time. wait returns when everything that was to be said has been said, at a graceful stop.
func (a *App) AnswerMounts(ctx context.Context, one sync.Locker) (mounts []Mount, wait func(), err error) {
	c := a.Config.Notify
	wait = func() {}
	if c.Slack != nil && c.Slack.SigningSecret.IsSet() {
		answers, err := a.slackAnswers(ctx, one)
		if err != nil {
			return nil, nil, err
		}
		mounts, wait = append(mounts, Mount{"/slack", answers}), answers.Wait
	}
	if c.Links != nil {
		links, err := a.Links(ctx)
		if err != nil {
			return nil, nil, err
		}
		mounts = append(mounts, Mount{link.Path, links.Answers(a.linkCallbacks(one), link.Options{Zone: a.Config.Location, Log: a.Log})})
	}
	return mounts, wait, nil
}

// Listen takes answers until ctx ends: from Slack by Socket Mode, or with an address whatever comes there by HTTP. Where Slack
// has no way to that address, it is heard by Socket Mode beside.
func (a *App) Listen(ctx context.Context, address string) error {
	var one sync.Mutex
	c := a.Config.Notify
	if address == "" {
		if c.Slack == nil && c.Links != nil {
			return fmt.Errorf("%s: answers come by notify.links: say at which address, with --http", a.Config.File)
		}
		return a.listenSocket(ctx, &one)
	}
	mounts, wait, err := a.AnswerMounts(ctx, &one)
	if err != nil {
		return err
	}
	defer wait()
	if len(mounts) == 0 {
		return fmt.Errorf("%s: nothing comes in by HTTP: set up notify.links, or notify.slack with a signing_secret", a.Config.File)
	}
	var beside sync.WaitGroup
	defer beside.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 2)
	if c.Slack != nil && !c.Slack.SigningSecret.IsSet() {
		beside.Go(func() { ended <- a.listenSocket(ctx, &one) })
	}
	mux := http.NewServeMux()
	var patterns []string
	for _, m := range mounts {
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

func (a *App) listenSocket(ctx context.Context, one sync.Locker) error {
	answers, err := a.slackAnswers(ctx, one)
	if err != nil {
		return err
	}
	defer answers.Wait()
	return answers.Run(ctx)
}
