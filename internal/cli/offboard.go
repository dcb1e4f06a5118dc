package cli

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/state"
)

func newOffboard(g *global) *cobra.Command {
	o := offboardOptions{global: g}
	cmd := &cobra.Command{
		Use:   "offboard PERSON",
		Short: "Plan all that is done when a person leaves",
		Long: `Find everything that a person has in every source, from what they say now, and plan the organisation's own steps
(remediation.offboard in lapse.yaml): hand over, end sessions, disable, take groups and licenses away, each when it is due. Apps that
Lapse can't change are steps for a person. The plan is approved and applied like any other; what is not due yet waits for the next
'lapse apply'. 'lapse offboard certificate' says what was done, when, by whom and how that is known.

With --now --reason it is done at once, whatever HR says yet: approver and applier may then be who made the plan, the change window
and the age of the roster don't count, and all of that is recorded.`,
		Example: `  lapse offboard hr:10482
  lapse offboard bea@example.com --handover-to hr:77
  lapse offboard hr:10482 --now --reason "dismissed, CISO on the phone" --confidential
  lapse offboard certificate hr:10482 --out certificate.html`,
		Args:        cobra.MaximumNArgs(1),
		Annotations: planFormats,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			o.query.Person = args[0]
			return withState(g, func(cmd *cobra.Command, _ []string, a *app.App, _ *state.State) error { return o.run(cmd, a) })(cmd, args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.on, "on", "", "from when on they have no access (default: what HR says)")
	f.BoolVar(&o.query.Now, "now", false, "at once, whatever HR says yet")
	f.StringVar(&o.query.Reason, "reason", "", "why (required with --now)")
	f.StringVar(&o.query.HandoverTo, "handover-to", "", "who takes over what they own (default: their manager)")
	f.BoolVar(&o.query.Confidential, "confidential", false, "show it to nobody but those who carry it out, until it is done")
	f.BoolVar(&o.query.Renew, "renew", false, "make a new plan in the place of the one that is under way")
	f.BoolVar(&o.dry, "dry-run", false, "show the plan and do not record it")
	f.StringVar(&o.out, "out", "", "write the plan to this file instead")
	f.StringVar(&o.by, "by", "", "who makes it (default LAPSE_ACTOR, else the operating system's user, marked as such)")
	cmd.AddCommand(newOffboardList(g), newCertificate(g))
	return cmd
}

type offboardOptions struct {
	*global
	query       app.OffboardQuery
	on, out, by string
	dry         bool
}

func (o *offboardOptions) run(cmd *cobra.Command, a *app.App) error {
	if o.on != "" {
		t, err := parseInstant(o.on, a.Config.Location)
		if err != nil {
			return err
		}
		o.query.On = t
	}
	actor := state.Actor{ID: o.actor(o.by)}
	o.query.Scan = app.ScanOptions{Actor: actor, Progress: o.progress(len(a.Config.Sources))}
	d, err := a.Offboard(cmd.Context(), actor, o.query, o.dry)
	if err != nil {
		return fmt.Errorf("offboard: %w", err)
	}
	return o.show(a, d, o.out, !o.dry)
}

// parseInstant reads a day, which begins then, or a time.
func parseInstant(text string, zone *time.Location) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, usagef("%q: want a day (2026-11-30), a time (2026-11-30T17:00) or RFC 3339", text)
}

func newOffboardList(g *global) *cobra.Command {
	var all, confidential bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the offboardings that are not complete",
		RunE: withState(g, func(cmd *cobra.Command, _ []string, a *app.App, _ *state.State) error {
			found, err := a.Offboardings(cmd.Context(), all, confidential)
			if err != nil {
				return fmt.Errorf("offboard list: %w", err)
			}
			l := list{columns: []string{"plan", "person", "name", "since", "how_it_stands", "remark"}}
			for _, s := range found {
				l.add(s, s.Plan.ID, s.Plan.Person, s.Name, s.Made.In(a.Config.Location).Format("2006-01-02"), s.Sum, remark(s))
			}
			return l.print(g.sys.Stdout, g.format, "No offboarding is under way.")
		}),
	}
	cmd.Flags().BoolVar(&all, "all", false, "those that are complete, too")
	cmd.Flags().BoolVar(&confidential, "confidential", false, "confidential ones, too")
	return cmd
}

func remark(s app.OffboardState) string {
	switch {
	case s.Status == access.PersonActive || s.Status == access.PersonLeave:
		return "HR says that they are " + string(s.Status) + ": lapse undo " + s.Plan.ID + " gives their access back"
	case !s.Open:
		return s.Plan.EndWhy
	}
	return ""
}

func newCertificate(g *global) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:         "certificate PERSON|PLAN",
		Short:       "Say what was taken away, when, by whom and how that is known, and what is still open",
		Args:        cobra.ExactArgs(1),
		Annotations: formats("table", "json", "html"),
		RunE: withState(g, func(cmd *cobra.Command, args []string, a *app.App, _ *state.State) (err error) {
			c, err := a.Certificate(cmd.Context(), args[0])
			if err != nil {
				return fmt.Errorf("offboard certificate: %w", err)
			}
			w := g.sys.Stdout
			format := g.format
			if out != "" {
				f, openErr := os.OpenFile(out, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
				if openErr != nil {
					return openErr
				}
				defer func() { err = errors.Join(err, f.Close()) }()
				if w = f; format == "table" {
					format = formatOf(out)
				}
			}
			switch format {
			case "json":
				err = printJSON(w, c)
			case "html":
				err = c.HTML(w, a.Config.Location)
			default:
				var rows [][]string
				for _, one := range c.Apps {
					for _, l := range one.Lines {
						at := ""
						if !l.At.IsZero() {
							at = l.At.In(a.Config.Location).Format("2006-01-02 15:04")
						}
						rows = append(rows, []string{one.UID, l.Subject, l.What, l.State, at, l.By, l.How})
					}
					if len(one.Lines) == 0 {
						rows = append(rows, []string{one.UID, "", "no account of theirs", "", one.AsOf.In(a.Config.Location).Format("2006-01-02 15:04"), "", ""})
					}
				}
				for _, l := range c.Left {
					rows = append(rows, []string{l.Source, l.Subject, "left as it is", "open", "", "", l.Reason})
				}
				fmt.Fprintf(w, "%s (%s), plan %s: %s\n\n", printable(c.Name), c.Person, c.Plan, c.Sum())
				err = printTable(w, []string{"source", "account", "what", "state", "when", "by", "how it is known"}, rows)
			}
			if err == nil && !c.Complete {
				return exit{exitIncomplete}
			}
			return err
		}),
	}
	cmd.Flags().StringVar(&out, "out", "", "write it to this file: .html or .json")
	return cmd
}
