package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/config"
	"github.com/lapse-audit/lapse/internal/serve"
	"github.com/lapse-audit/lapse/internal/state"
)

// pipedFlag makes a command read the text of the configuration from standard input.
const pipedFlag = "config-from-stdin"

func newServe(g *global) *cobra.Command {
	o := serveOptions{global: g}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run all the time: scan every night, take answers, take what HR says",
		Long: `Run the nightly job and what follows it on the schedule of lapse.yaml (serve), take answers from Slack (/slack, or Socket Mode), take
leavers from HR systems (/hr/NAME), and say how it is: /healthz, /readyz, and /metrics for Prometheus.

A scheduled run is a process of its own. One that was missed is caught up once; one that fails is tried again a few times. Of
several replicas on one PostgreSQL one runs each.

SIGTERM and Ctrl-C let what runs come to its end (serve.grace), and interrupt it after that. SIGHUP reads lapse.yaml anew; a bad
one is refused, and the old one stays in force. The log is JSON, on stderr.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	cmd.Flags().Float64Var(&o.pace, "pace", 0, "let time run so many times faster, from --at on: to try a schedule")
	if err := cmd.Flags().MarkHidden("pace"); err != nil {
		panic(err) // there is no such flag
	}
	return cmd
}

type serveOptions struct {
	*global
	pace float64
}

func (o *serveOptions) run(ctx context.Context) (err error) {
	if o.sys.Program == "" {
		return errors.New("serve: the path of the program is not known, so that it can't run scans")
	}
	level := slog.LevelInfo
	switch {
	case o.quiet:
		level = slog.LevelWarn
	case o.verbose:
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewJSONHandler(o.sys.Stderr, &slog.HandlerOptions{Level: level}))
	first, _, err := o.read()
	if err != nil {
		return err
	}
	clock, err := o.clockOf(first)
	if err != nil {
		return err
	}
	library, _ := o.sys.LookupEnv("LAPSE_LIBCHDB")
	options := app.Options{Now: clock.Now, Library: library, Log: log, Version: o.sys.Version, Sandbox: o.sandbox()}
	holder := app.New(first, options)
	defer func() { err = errors.Join(err, holder.Close()) }()
	decisions, err := holder.State(ctx)
	if err != nil {
		return err
	}
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	return serve.Run(ctx, serve.Options{
		State: decisions, Clock: clock, Log: log, Holder: serveHolder(), Version: o.sys.Version, Reload: reload,
		Load: func(ctx context.Context) (*serve.Setup, error) {
			c, text, err := o.read()
			if err != nil {
				return nil, err
			}
			if c.StateURL() != first.StateURL() || c.StoreURL() != first.StoreURL() {
				return nil, fmt.Errorf("%s: store and state can't be changed while the service runs: start it again", c.File)
			}
			return app.Serve(ctx, c, options, app.ServeOptions{State: decisions, Child: o.child(text, clock)})
		},
		Ready: func(at net.Addr) { fmt.Fprintln(o.sys.Stdout, "http://"+at.String()) },
	})
}

// read reads the configuration, and its text for the processes that are run by it.
func (o *serveOptions) read() (*config.Config, []byte, error) {
	text, err := os.ReadFile(o.configPath())
	if errors.Is(err, os.ErrNotExist) {
		_, err = config.Load(o.configPath()) // says what to do
	}
	if err != nil {
		return nil, nil, err
	}
	path, err := filepath.Abs(o.configPath())
	if err != nil {
		return nil, nil, err
	}
	c, err := config.Parse(o.configPath(), filepath.Dir(path), text)
	return c, text, err
}

// childGrace is from when a process is interrupted until it is killed.
const childGrace = 30 * time.Second

// child runs this program by the configuration that is in force, whatever stands in the file by now.
func (o *serveOptions) child(text []byte, clock serve.Clock) func(args ...string) serve.Child {
	return func(args ...string) serve.Child {
		all := []string{"--" + pipedFlag, "--config", o.configPath()}
		if o.pace > 0 {
			all = append(all, "--at", clock.Now().UTC().Format(time.RFC3339Nano))
		}
		if o.verbose {
			all = append(all, "--verbose")
		}
		return serve.Child{Path: o.sys.Program, Args: append(all, args...), Stdin: text, Kill: childGrace}
	}
}

// clockOf is the machine's clock, but for trying a schedule.
func (o *serveOptions) clockOf(c *config.Config) (serve.Clock, error) {
	switch {
	case o.pace < 0 || (o.pace == 0) != (o.at == ""):
		return nil, usagef("serve goes by the machine's clock: --at needs --pace, and --pace needs --at")
	case o.pace == 0:
		return serve.WallClock{}, nil
	}
	from, err := o.clock(c.Location)
	if err != nil {
		return nil, err
	}
	return serve.PacedClock{From: from(), Begun: time.Now(), Pace: o.pace}, nil
}

// serveHolder names this process to other replicas.
func serveHolder() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return fmt.Sprintf("lapse serve on %s, process %d", host, os.Getpid())
}

// newCarryLeavers is the command by which the service plans offboardings in a process of its own.
func newCarryLeavers(g *global) *cobra.Command {
	return &cobra.Command{
		Use:    app.CommandCarryLeavers,
		Short:  "Plan the offboarding of those of whom HR said that they leave; the service runs this itself",
		Hidden: true,
		RunE: withState(g, func(cmd *cobra.Command, _ []string, a *app.App, _ *state.State) error {
			a.Own = longJob
			out, err := a.CarryLeavers(cmd.Context(), time.Now(), app.ScanOptions{Progress: g.progress(0)})
			if err != nil {
				return fmt.Errorf("%s: %w", app.CommandCarryLeavers, err)
			}
			if g.format == "json" {
				if err := printJSON(g.sys.Stdout, out); err != nil {
					return err
				}
			} else {
				fmt.Fprintf(g.sys.Stdout, "%d offboardings are planned or were, %d people are not known, %d failed\n", out.Planned, out.Unknown, out.Failed)
			}
			if out.Failed+out.Unknown > 0 {
				return exit{exitIncomplete}
			}
			return nil
		}),
	}
}
