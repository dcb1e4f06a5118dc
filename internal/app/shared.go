package app

import (
	"context"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/config"
	"github.com/lapse-audit/lapse/internal/state"
)

// shared is an App for what takes moments in a service that runs all the time: one goroutine has it at a time. An embedded
// store is not kept: it is given up when nobody has used it for a while, and before a job begins, so that the process of
// the job has it, and gives its memory back. While that runs, it serves this one.
type shared struct {
	config  *config.Config
	options Options
	state   *state.State

	turn chan struct{} // whoever has put something in may use what follows
	app  *App
	idle *time.Timer
	stop func() // ends what prepares answers; nil: nothing does
}

// keepFor is how long an embedded store is kept when nobody uses it.
const keepFor = 10 * time.Second

func newShared(c *config.Config, o Options, s *state.State) *shared {
	return &shared{config: c, options: o, state: s, turn: make(chan struct{}, 1)}
}

func (s *shared) take(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// use implements [using].
func (s *shared) use(ctx context.Context, f func(*App) error) error {
	if err := s.take(ctx); err != nil {
		return err
	}
	defer func() { <-s.turn }()
	if s.idle != nil {
		s.idle.Stop()
	}
	if s.app == nil {
		s.app = New(s.config, s.options)
		s.app.state = s.state // it is the service's, which closes it
	}
	if strings.HasPrefix(s.config.Store.URL, "embedded:") {
		defer func() {
			s.idle = time.AfterFunc(keepFor, func() {
				if err := s.giveUp(context.Background()); err != nil {
					s.options.Log.Warn("giving the store up", "error", err)
				}
			})
		}()
	}
	return f(s.app)
}

// answer is use for the answers of people, which come many at once.
func (s *shared) answer(ctx context.Context, f func(*App) error) error {
	return s.use(ctx, func(a *App) error {
		if s.stop == nil {
			s.stop = a.keepPrepared(context.WithoutCancel(ctx))
		}
		return f(a)
	})
}

// giveUp closes what is open, once nobody uses it. What is used after that is opened again.
func (s *shared) giveUp(ctx context.Context) error {
	if err := s.take(ctx); err != nil {
		return err
	}
	defer func() { <-s.turn }()
	if s.app == nil {
		return nil
	}
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
	a := s.app
	s.app = nil
	return a.Close()
}
