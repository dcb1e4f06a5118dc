package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/config"
	"github.com/lapse-audit/lapse/internal/serve"
	"github.com/lapse-audit/lapse/internal/state"
)

// ServeOptions are what the service needs beside an App's.
type ServeOptions struct {
	State *state.State // it stays open as long as the service runs
	// Child is this very program, to be run with the given arguments by the configuration that is in force.
	Child func(args ...string) serve.Child
}

// CommandCarryLeavers is the program's command that calls CarryLeavers.
const CommandCarryLeavers = "carry-leavers"

// Exit codes of the program's commands, as each documents them.
const (
	exitError      = 1
	exitUsage      = 2
	exitFindings   = 3
	exitIncomplete = 4
)

// serving is a configuration in force.
type serving struct {
	config  *config.Config
	options ServeOptions
	app     Options
	shared  *shared
	kick    chan struct{} // leavers may have to be seen to
}

// Serve sets up what a configuration asks of the service.
func Serve(ctx context.Context, c *config.Config, o Options, so ServeOptions) (*serve.Setup, error) {
	s := &serving{config: c, options: so, app: o, shared: newShared(c, o, so.State), kick: make(chan struct{}, 1)}
	settings := c.Serve
	if err := s.check(); err != nil {
		return nil, err
	}
	setup := &serve.Setup{Address: settings.Address, Grace: time.Duration(settings.Grace)}
	closes := []func() error{func() error { return s.shared.giveUp(context.WithoutCancel(ctx)) }}
	setup.Close = func() error {
		var errs []error
		for _, f := range closes {
			errs = append(errs, f())
		}
		return errors.Join(errs...)
	}
	setup.Facts = func(ctx context.Context) (f serve.Facts, err error) {
		err = s.shared.use(ctx, func(a *App) (err error) {
			f, err = a.Measure(ctx)
			return err
		})
		return f, err
	}
	var err error
	if setup.MetricsToken, err = c.Secret(ctx, "serve.metrics_token", settings.Metrics); err != nil {
		return nil, err
	}
	if setup.Jobs, err = s.jobs(); err != nil {
		return nil, err
	}
	if setup.HR, err = s.webhooks(ctx); err != nil {
		return nil, err
	}
	setup.Tasks = append(setup.Tasks, serve.Task{Name: "leavers", Run: s.leavers})
	in, err := New(c, o).incoming(ctx, s.shared.answer)
	if err != nil {
		return nil, err
	}
	setup.Mounts = in.mounts
	if c.Notify.Slack != nil && c.Notify.Slack.AppToken.IsSet() {
		setup.Tasks = append(setup.Tasks, serve.Task{Name: "Slack's Socket Mode", Run: in.socket})
	}
	closes = slices.Insert(closes, 0, func() error { // it answers with what is closed after it
		in.wait()
		return nil
	})
	return setup, nil
}

// check makes sure that a scan could begin: a configuration with which none can is not to come into force.
func (s *serving) check() (err error) {
	if len(s.config.Sources) == 0 {
		return fmt.Errorf("%s: sources: there is none: name an export of HR and of an app", s.config.File)
	}
	a := New(s.config, s.app)
	defer func() { err = errors.Join(err, a.Close()) }()
	if _, err := a.Pack(); err != nil {
		return err
	}
	_, err = a.Sources(nil)
	return err
}

// jobs are those that have a schedule.
func (s *serving) jobs() ([]serve.Job, error) {
	settings := s.config.Serve
	zone, err := settings.Zone(s.config.Location)
	if err != nil {
		return nil, err
	}
	scan := []serve.Step{s.command("scan", "scan")}
	for _, step := range settings.AfterScan {
		switch step {
		case serve.StepNotify:
			scan = append(scan, s.send())
		case serve.StepApply:
			scan = append(scan, s.apply())
		}
	}
	var jobs []serve.Job
	for _, j := range []struct {
		name, text string
		steps      []serve.Step
		after      func()
	}{{"nightly", settings.Schedule, scan, s.seeToLeavers}, {"send", settings.Send, []serve.Step{s.send()}, nil}} {
		if j.text == serve.Never {
			continue
		}
		schedule, err := serve.ParseSchedule(j.text, zone)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, serve.Job{Name: j.name, Schedule: schedule, Steps: j.steps, Attempts: settings.Attempts,
			Backoff: time.Duration(settings.RetryAfter), Overdue: time.Duration(settings.Overdue), After: j.after})
	}
	return jobs, nil
}

// command is a step that is a command of this program, in a process of its own, which gets the embedded store.
func (s *serving) command(name string, args ...string) serve.Step {
	return serve.Step{Name: name, Run: func(ctx context.Context, at serve.Attempt) (serve.Result, error) {
		if err := s.shared.giveUp(ctx); err != nil {
			return serve.Result{}, err
		}
		return exited(s.options.Child(args...).Run(ctx, at.Log))
	}}
}

// exited says what an exit code of the program means for a job.
func exited(err error) (serve.Result, error) {
	var exit *serve.ExitError
	if !errors.As(err, &exit) {
		return serve.Result{}, err
	}
	switch exit.Code {
	case exitFindings:
		return serve.Result{}, nil
	case exitIncomplete:
		return serve.Result{Incomplete: "not everything was done: the log has what the command said (exit code 4)"}, nil
	case exitUsage:
		return serve.Result{}, fmt.Errorf("%w: %w", err, serve.ErrHopeless)
	}
	return serve.Result{}, err
}

// apply is the step that carries out what is approved and due. A plan that its guards refuse is no failure: it is said, and the
// next night asks them again.
func (s *serving) apply() serve.Step {
	step := s.command("apply", "apply", "--due")
	run := step.Run
	step.Run = func(ctx context.Context, at serve.Attempt) (serve.Result, error) {
		res, err := run(ctx, at)
		return refused(res, err)
	}
	return step
}

// refused tells a plan's refusal from an error: the program says what it fails of last, as "lapse: ...".
func refused(res serve.Result, err error) (serve.Result, error) {
	var exit *serve.ExitError
	if errors.As(err, &exit) && exit.Code == exitError && !strings.HasPrefix(exit.Said, "lapse: ") {
		return serve.Result{Incomplete: "a plan was refused by its guards: the log has which"}, nil
	}
	return res, err
}

// send is the step that asks people. As long as nobody let that begin there is nothing to do.
func (s *serving) send() serve.Step {
	step := s.command("notify", "notify", "send")
	run := step.Run
	step.Run = func(ctx context.Context, at serve.Attempt) (serve.Result, error) {
		n, err := s.options.State.Sending(ctx)
		if err != nil {
			return serve.Result{}, err
		}
		if n.Started.IsZero() {
			return serve.Result{Skipped: ErrNotStarted.Error()}, nil
		}
		return run(ctx, at)
	}
	return step
}

// webhooks take what HR systems say.
func (s *serving) webhooks(ctx context.Context) (*serve.HR, error) {
	if len(s.config.Serve.Webhooks) == 0 {
		return nil, nil
	}
	zone, err := s.config.Serve.Zone(s.config.Location)
	if err != nil {
		return nil, err
	}
	h := &serve.HR{Now: time.Now, Zone: zone, Log: s.app.Log, Record: func(ctx context.Context, l state.Leaver) (bool, error) {
		_, added, err := s.options.State.AddLeaver(ctx, state.Actor{ID: "webhook:" + l.Origin}, l)
		if err == nil {
			s.seeToLeavers()
		}
		return added, err
	}}
	for _, w := range s.config.Serve.Webhooks {
		k := serve.Hook{Webhook: w}
		key := "serve.webhooks." + w.Name
		if k.SecretText, err = s.config.Secret(ctx, key+".secret", w.Secret); err != nil {
			return nil, err
		}
		if k.BearerText, err = s.config.Secret(ctx, key+".bearer", w.Bearer); err != nil {
			return nil, err
		}
		if k.SecretText == "" && k.BearerText == "" {
			return nil, fmt.Errorf("serve.webhooks.%s: its secret is empty", w.Name)
		}
		h.Hooks = append(h.Hooks, k)
	}
	return h, nil
}

func (s *serving) seeToLeavers() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// How often leavers are looked for that another replica took; how often those whom nobody knew are tried again when something
// was decided or scanned outside of this process; and how long to wait after a failure.
const (
	leaversEvery = time.Minute
	unknownEvery = 15 * time.Minute
	leaversPause = 30 * time.Second
)

// leavers plans offboardings as soon as HR says that somebody leaves, what was left over by an earlier process first. It is
// done by a process of its own, as it reads sources.
func (s *serving) leavers(ctx context.Context) error {
	log := s.app.Log.With("job", "leavers")
	var tried time.Time // when those whom nobody knew were tried last
	var of state.Anchor
	for again := true; ctx.Err() == nil; {
		head, err := s.options.State.Head(ctx)
		if again = again || head != of && time.Since(tried) > unknownEvery; err == nil {
			err = s.seeTo(ctx, log, again)
		}
		if again {
			tried, of = time.Now(), head
		}
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			log.Error("leavers could not be seen to, and are tried again", "error", err)
			pause(ctx, leaversPause)
			continue // with those whom nobody knew, if they were to be tried
		}
		timer := time.NewTimer(leaversEvery)
		again = false
		select {
		case <-ctx.Done():
		case <-s.kick:
			again = true
		case <-timer.C:
		}
		timer.Stop()
	}
	return ctx.Err()
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// seeTo plans what is due, and carries out what lapse.yaml lets be carried out at once.
func (s *serving) seeTo(ctx context.Context, log *slog.Logger, unknown bool) error {
	due, err := s.leaversDue(ctx, unknown)
	if err != nil || !due {
		return err
	}
	log = log.With("run", state.NewRunID())
	if err := s.shared.giveUp(ctx); err != nil {
		return err
	}
	if _, err := exited(s.options.Child(CommandCarryLeavers).Run(ctx, log)); err != nil {
		return err
	}
	if !slices.Contains(s.config.Serve.AfterScan, serve.StepApply) {
		return nil
	}
	res, err := refused(exited(s.options.Child("apply", "--due").Run(ctx, log)))
	if res.Incomplete != "" {
		log.Warn("not all was carried out", "why", res.Incomplete)
	}
	return err
}

// leaversDue reports whether there is anything to be tried, with unknown also whom nobody knew at the last try.
func (s *serving) leaversDue(ctx context.Context, unknown bool) (bool, error) {
	all, err := s.options.State.Leavers(ctx, false)
	if err != nil {
		return false, err
	}
	now := time.Now()
	return slices.ContainsFunc(all, func(l state.Leaver) bool {
		return l.Status == state.LeaverUnknown && unknown || l.Status == state.LeaverPending && !l.Next.After(now)
	}), nil
}
