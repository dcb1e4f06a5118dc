// Package cli is the command line: one file a command. A command is an options struct that flags fill and a function
// that runs it. Data goes to stdout; progress and logs go to stderr.
package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/config"
	"github.com/lapse-audit/lapse/internal/spell"
)

// Exit codes of the program.
const (
	exitOK         = 0
	exitError      = 1
	exitUsage      = 2
	exitFindings   = 3 // findings at or above --fail-on
	exitIncomplete = 4 // completed, but stale, quarantined or incomplete
)

// System is what the command line has of the machine it runs on.
type System struct {
	Args           []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	LookupEnv      func(string) (string, bool)
	Version        string
	Program        string // path of the program itself, to run policies in a process of their own; "": in this one
}

// exit ends a command with a code other than 1, after what it has to say was said.
type exit struct{ code int }

func (e exit) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// usageError is a fault in how a command was called.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// Run runs one command and returns the exit code.
func Run(ctx context.Context, sys System) int {
	root := newRoot(&sys)
	root.SetArgs(sys.Args)
	cmd, err := root.ExecuteContextC(ctx)
	var code exit
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &code):
		return code.code
	case errors.As(err, &usage):
		fmt.Fprintf(sys.Stderr, "lapse: %v\nRun '%s --help' for how to use it.\n", err, cmd.CommandPath())
		return exitUsage
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(sys.Stderr, "lapse: interrupted; nothing half done is visible, run the command again")
		return exitError
	}
	fmt.Fprintf(sys.Stderr, "lapse: %v\n", err)
	return exitError
}

// formatsKey annotates a command that prints in other formats than the usual ones: their names.
const formatsKey = "formats"

func formats(names ...string) map[string]string {
	return map[string]string{formatsKey: strings.Join(names, " ")}
}

// global holds the flags that every command has.
type global struct {
	sys     *System
	config  string
	format  string
	at      string
	verbose bool
	quiet   bool
	piped   bool // the configuration's text comes by standard input: the service gives what is in force to what it runs
}

func newRoot(sys *System) *cobra.Command {
	g := &global{sys: sys}
	root := &cobra.Command{
		Use:   "lapse",
		Short: "Find access that should have lapsed, and prove it",
		Long: `Lapse snapshots people, accounts, entitlements, grants and license seats from HR, directories and apps,
judges them by Rego policies, and reports orphaned accounts, license waste and excess access.

Start with 'lapse demo' for a made-up company, or 'lapse init' for your own exports.`,
		SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: false},
	}
	root.SetIn(sys.Stdin)
	root.SetOut(sys.Stdout)
	root.SetErr(sys.Stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	f := root.PersistentFlags()
	f.StringVarP(&g.config, "config", "c", "", "configuration file (default lapse.yaml, or LAPSE_CONFIG)")
	f.StringVar(&g.format, "format", "table", "how lists are printed: table, json or csv")
	f.StringVar(&g.at, "at", "", "the run's clock instead of now: 2026-11-23, or with a time, or RFC 3339")
	f.BoolVarP(&g.verbose, "verbose", "v", false, "log details to stderr")
	f.BoolVarP(&g.quiet, "quiet", "q", false, "log only warnings and errors")
	f.BoolVar(&g.piped, pipedFlag, false, "read the text of the configuration from standard input; the service runs its jobs so")
	if err := f.MarkHidden(pipedFlag); err != nil {
		panic(err) // there is no such flag
	}
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		formats := []string{"table", "json", "csv"}
		if own := cmd.Annotations[formatsKey]; own != "" {
			formats = strings.Fields(own)
		}
		if !slices.Contains(formats, g.format) {
			return usagef("--format %q: want %s", g.format, either(formats))
		}
		return nil
	}
	root.AddCommand(
		newDemo(g), newInit(g), newDoctor(g), newCollect(g), newScan(g), newSource(g), newFindings(g), newPolicy(g), newReport(g),
		newPlan(g), newApprove(g), newApply(g), newUndo(g), newActions(g), newStop(g), newOwners(g), newNotify(g), newReview(g), newOffboard(g), newExtend(g), newTransfer(g), newExcept(g), newLink(g), newStore(g), newLedger(g), newVersion(g), newTrial(g), newServe(g), newCarryLeavers(g),
	)
	strictArgs(root)
	sayFormats(root)
	return root
}

// sayFormats says in the help of the commands that print in other formats than the usual ones which these are: the flag is one for all.
func sayFormats(c *cobra.Command) {
	if own := c.Annotations[formatsKey]; own != "" {
		c.Long = strings.TrimRight(cmp.Or(c.Long, c.Short+"."), "\n") + "\n\n--format is " + either(strings.Fields(own)) + "."
	}
	for _, sub := range c.Commands() {
		sayFormats(sub)
	}
}

func either(words []string) string {
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// strictArgs makes wrong arguments a usage error, and an unknown subcommand too.
func strictArgs(c *cobra.Command) {
	check := c.Args
	if check == nil && c.HasSubCommands() {
		check = func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unknown command %q for %q%s", args[0], cmd.CommandPath(), suggest(cmd, args[0]))
			}
			return nil
		}
		if c.RunE == nil {
			c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
	if check == nil {
		check = cobra.NoArgs
	}
	c.Args = func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
	for _, sub := range c.Commands() {
		strictArgs(sub)
	}
}

func suggest(cmd *cobra.Command, word string) string {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	if near := spell.Nearest(word, names); near != "" {
		return fmt.Sprintf(": did you mean %q?", near)
	}
	return ""
}

// configPath is the file of configuration that is meant.
func (g *global) configPath() string {
	if g.config != "" {
		return g.config
	}
	if p, ok := g.sys.LookupEnv("LAPSE_CONFIG"); ok && p != "" {
		return p
	}
	return "lapse.yaml"
}

// open reads the configuration; the parts it names are opened when they are used.
func (g *global) open() (*app.App, error) {
	c, err := g.load()
	if err != nil {
		return nil, err
	}
	return g.openConfig(c)
}

func (g *global) load() (*config.Config, error) {
	if !g.piped {
		return config.Load(g.configPath())
	}
	text, err := io.ReadAll(g.sys.Stdin)
	if err != nil {
		return nil, err
	}
	path, err := filepath.Abs(g.configPath())
	if err != nil {
		return nil, err
	}
	return config.Parse(g.configPath(), filepath.Dir(path), text)
}

func (g *global) openConfig(c *config.Config) (*app.App, error) {
	now, err := g.clock(c.Location)
	if err != nil {
		return nil, err
	}
	library, _ := g.sys.LookupEnv("LAPSE_LIBCHDB")
	return app.New(c, app.Options{Now: now, Library: library, Log: g.logger(), Version: g.sys.Version, Sandbox: g.sandbox()}), nil
}

// clock is the run's clock: --at, or the time it is.
func (g *global) clock(zone *time.Location) (func() time.Time, error) {
	if g.at == "" {
		return time.Now, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, g.at, zone); err == nil {
			return func() time.Time { return t.UTC() }, nil
		}
	}
	return nil, usagef("--at %q: want a date (2026-11-23), a date and time (2026-11-23T02:00) or RFC 3339", g.at)
}

func (g *global) logger() *slog.Logger {
	level := slog.LevelInfo
	if g.verbose {
		level = slog.LevelDebug
	}
	if g.quiet {
		level = slog.LevelWarn
	}
	return slog.New(slog.NewTextHandler(g.sys.Stderr, &slog.HandlerOptions{Level: level}))
}

// terminal reports whether w is one, and how wide it is.
func terminal(w io.Writer) (width int, ok bool) {
	f, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	return width, err == nil
}

// actor is who a decision is recorded for. An operating-system user name is no identity, so it is marked as one.
func (g *global) actor(by string) string {
	if by != "" {
		return by
	}
	for _, name := range []string{"LAPSE_ACTOR", "SUDO_USER", "USER", "LOGNAME"} {
		if v, ok := g.sys.LookupEnv(name); ok && strings.TrimSpace(v) != "" {
			if name == "LAPSE_ACTOR" {
				return v
			}
			return "os:" + v
		}
	}
	return "os:unknown"
}

// openOrDefault is open where there is a lapse.yaml, and the default configuration where there is none.
func (g *global) openOrDefault() (*app.App, error) {
	if g.config == "" {
		if _, err := os.Stat(g.configPath()); errors.Is(err, os.ErrNotExist) {
			c, err := config.Parse("default configuration", ".", []byte("{}"))
			if err != nil {
				return nil, err
			}
			return g.openConfig(c)
		}
	}
	return g.open()
}
