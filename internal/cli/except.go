package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/state"
)

func newExcept(g *global) *cobra.Command {
	o := exceptOptions{global: g}
	cmd := &cobra.Command{
		Use:   "except [FINDING]",
		Short: "Accept a finding on purpose, until a day",
		Long: `Accept one finding (by the first letters of its fingerprint), or a policy for one account or a whole group, with a
reason and an expiry. The finding stays in the store and in every report as excepted; when the exception expires, it
stands open again.`,
		Example: `  lapse except 3fa9c2 --reason "kept for the audit" --until 2027-01-31
  lapse except --policy DOR-01 --source crm --subject 0051 --reason "seasonal worker" --until 90d
  lapse except --policy LIC-02 --department Research --reason "annual campaign" --until 60d --ticket OPS-12
  lapse except list
  lapse except export > exceptions.yaml
  lapse except import exceptions.yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && o.scope == (state.Scope{}) {
				return cmd.Help()
			}
			return o.run(cmd.Context(), args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.scope.Policy, "policy", "", "policy, for a subject or a group")
	f.StringVar(&o.scope.Source, "source", "", "uid of the source; '*' for the whole policy")
	f.StringVar(&o.scope.SubjectKind, "kind", "", "kind of the subject: account, person, entitlement, license or source (default account)")
	f.StringVar(&o.scope.SubjectID, "subject", "", "id of the subject")
	f.StringVar(&o.scope.Department, "department", "", "department")
	f.StringVar(&o.reason, "reason", "", "why it is accepted (required)")
	f.StringVar(&o.until, "until", "", "day it expires, or a number of days such as 90d (required)")
	f.StringVar(&o.ticket, "ticket", "", "ticket")
	f.StringVar(&o.by, "by", "", "who decides (default LAPSE_ACTOR, else the operating system's user, marked as such)")
	cmd.AddCommand(newExceptList(g), newExceptRevoke(g), newExceptExport(g), newExceptImport(g))
	return cmd
}

type exceptOptions struct {
	*global
	scope                     state.Scope
	reason, until, ticket, by string
}

func (o *exceptOptions) run(ctx context.Context, args []string) error {
	if strings.TrimSpace(o.reason) == "" {
		return usagef("--reason is missing: say why this is accepted")
	}
	a, err := o.open()
	if err != nil {
		return err
	}
	defer a.Close()
	expires, err := parseUntil(o.until, a.Now(), a.Config.Location)
	if err != nil {
		return err
	}
	scope := o.scope
	if len(args) == 1 {
		if scope != (state.Scope{}) {
			return usagef("name a finding or a group by flags, not both")
		}
		f, err := a.Finding(ctx, args[0])
		if err != nil {
			return err
		}
		scope = state.Scope{Fingerprint: string(f.Fingerprint)}
	} else if scope.SubjectID != "" && scope.SubjectKind == "" {
		scope.SubjectKind = "account"
	}
	s, err := a.State(ctx)
	if err != nil {
		return err
	}
	e := state.Exception{Scope: scope, Reason: o.reason, Ticket: o.ticket, Expires: expires}
	if o.at != "" {
		e.Created = a.Now()
	}
	e, err = s.AddException(ctx, state.Actor{ID: o.actor(o.by)}, e)
	if err != nil {
		return fmt.Errorf("except: %w", err)
	}
	if o.format == "json" {
		return printJSON(o.sys.Stdout, e)
	}
	_, err = fmt.Fprintf(o.sys.Stdout, "%s accepts %s until %s\n", e.ID, e.Scope, e.Expires.In(a.Config.Location).Format("2006-01-02 15:04 MST"))
	return err
}

// parseUntil reads a day, whose end is meant, a number of days from now, or an instant.
func parseUntil(text string, now time.Time, zone *time.Location) (time.Time, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 {
			return now.AddDate(0, 0, n), nil
		}
	}
	if t, err := time.ParseInLocation("2006-01-02", text, zone); err == nil {
		return t.AddDate(0, 0, 1).UTC(), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UTC(), nil
	}
	return time.Time{}, usagef("--until %q: want a day such as 2027-01-31, or a number of days such as 90d", text)
}

func newExceptList(g *global) *cobra.Command {
	var f state.ExceptionFilter
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List what is accepted",
		RunE: withState(g, func(cmd *cobra.Command, _ []string, a *app.App, s *state.State) error {
			all, err := s.Exceptions(cmd.Context(), a.Now(), f)
			if err != nil {
				return fmt.Errorf("except list: %w", err)
			}
			l := list{columns: []string{"id", "status", "scope", "expires", "by", "ticket", "reason"}}
			for _, e := range all {
				l.add(e, e.ID, string(e.Status(a.Now())), e.Scope.String(), e.Expires.In(a.Config.Location).Format("2006-01-02"), e.By, e.Ticket, e.Reason)
			}
			return l.print(g.sys.Stdout, g.format, "Nothing is accepted.")
		}),
	}
	cmd.Flags().BoolVar(&f.All, "all", false, "pending, expired and revoked ones too")
	cmd.Flags().StringVar(&f.Policy, "policy", "", "of this policy")
	cmd.Flags().StringVar(&f.Source, "source", "", "of this source")
	return cmd
}

func newExceptRevoke(g *global) *cobra.Command {
	var reason, by string
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "End an exception now",
		Args:  cobra.ExactArgs(1),
		RunE: withState(g, func(cmd *cobra.Command, args []string, _ *app.App, s *state.State) error {
			e, err := s.RevokeException(cmd.Context(), state.Actor{ID: g.actor(by)}, args[0], reason)
			if err != nil {
				return fmt.Errorf("except revoke: %w", err)
			}
			_, err = fmt.Fprintf(g.sys.Stdout, "%s no longer accepts %s\n", e.ID, e.Scope)
			return err
		}),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	cmd.Flags().StringVar(&by, "by", "", "who decides")
	return cmd
}

func newExceptExport(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "export",
		Short: "Write the exceptions in force as YAML, for a file in git",
		RunE: withState(g, func(cmd *cobra.Command, _ []string, a *app.App, s *state.State) error {
			all, err := s.Exceptions(cmd.Context(), a.Now(), state.ExceptionFilter{})
			if err != nil {
				return fmt.Errorf("except export: %w", err)
			}
			return state.ExportExceptions(g.sys.Stdout, all)
		}),
	}
}

func newExceptImport(g *global) *cobra.Command {
	var by string
	var prune, dry bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Bring the exceptions in line with a YAML file ('-' is standard input)",
		Long: `Bring the exceptions in line with a YAML file, all of it or with a fault nothing, and say what is added, changed and removed.
Importing a file twice changes nothing the second time. What stands in the database alone is left alone, and named, unless
--prune ends it. An entry that has expired is passed over, with its line.`,
		Args: cobra.ExactArgs(1),
		RunE: withState(g, func(cmd *cobra.Command, args []string, a *app.App, s *state.State) error {
			in, name := g.sys.Stdin, "standard input"
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return fmt.Errorf("except import: %w", err)
				}
				defer f.Close()
				in, name = io.Reader(f), args[0]
			}
			r, err := s.ImportExceptions(cmd.Context(), state.Actor{ID: g.actor(by)}, in,
				state.ImportOptions{Name: name, Location: a.Config.Location, RemoveMissing: prune, DryRun: dry})
			if err != nil {
				return fmt.Errorf("except import: %w", err)
			}
			if g.format != "json" {
				if err := printExceptionDiff(g.sys.Stdout, r.Diff, a.Config.Location); err != nil {
					return err
				}
			}
			return printImport(g, r)
		}),
	}
	cmd.Flags().StringVar(&by, "by", "", "who decides")
	cmd.Flags().BoolVar(&prune, "prune", false, "also revoke what stands in the database but not in the file")
	cmd.Flags().BoolVar(&prune, "remove-missing", false, "")
	_ = cmd.Flags().MarkDeprecated("remove-missing", "it is called --prune") // the flag is there
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would change, and change nothing")
	return cmd
}

func printImport(g *global, r state.ImportReport) error {
	if g.format == "json" {
		return printJSON(g.sys.Stdout, r)
	}
	_, err := fmt.Fprintf(g.sys.Stdout, "%d added, %d changed, %d unchanged, %d removed\n", len(r.Added), len(r.Changed), len(r.Unchanged), len(r.Removed))
	if len(r.Missing) > 0 {
		_, e := fmt.Fprintf(g.sys.Stdout, "%d stand only in the database: %s\n", len(r.Missing), strings.Join(r.Missing, ", "))
		err = errors.Join(err, e)
	}
	for _, s := range r.Skipped {
		_, e := fmt.Fprintf(g.sys.Stdout, "%s: passed over: %s\n", s.Place, s.Why)
		err = errors.Join(err, e)
	}
	return err
}
