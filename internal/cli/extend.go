package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/state"
)

func newExtend(g *global) *cobra.Command {
	var until, reason, ticket, by string
	cmd := &cobra.Command{
		Use:   "extend PERSON",
		Short: "Let somebody who leaves keep their accounts for some days",
		Long: `Accept the leavers' findings on a person's accounts until a day, 30 days from now at most. It expires by itself, is in every
report, and holds an offboarding up.`,
		Example: `  lapse extend hr:10482 --until 2026-12-15 --ticket HR-77 --reason "hands the project over"`,
		Args:    cobra.ExactArgs(1),
		RunE: withState(g, func(cmd *cobra.Command, args []string, a *app.App, _ *state.State) error {
			end, err := parseUntil(until, a.Now(), a.Config.Location)
			if err != nil {
				return err
			}
			all, err := a.Extend(cmd.Context(), state.Actor{ID: g.actor(by)}, args[0], end, reason, ticket)
			if err != nil {
				return fmt.Errorf("extend: %w", err)
			}
			l := list{columns: []string{"exception", "scope", "expires"}}
			for _, e := range all {
				l.add(e, e.ID, e.Scope.String(), e.Expires.In(a.Config.Location).Format("2006-01-02 15:04 MST"))
			}
			return l.print(g.sys.Stdout, g.format, "No rule for leavers is enabled: nothing is to be extended.")
		}),
	}
	f := cmd.Flags()
	f.StringVar(&until, "until", "", "last day, or a number of days such as 14d (required)")
	f.StringVar(&reason, "reason", "", "why (required)")
	f.StringVar(&ticket, "ticket", "", "ticket (required)")
	f.StringVar(&by, "by", "", "who decides (default LAPSE_ACTOR, else the operating system's user, marked as such)")
	return cmd
}

func newTransfer(g *global) *cobra.Command {
	var reason, by, out string
	var dry bool
	cmd := &cobra.Command{
		Use:   "transfer PERSON",
		Short: "Plan what a person's new role no longer needs",
		Long: `Plan to take from somebody who changed roles what they kept and their new colleagues don't have (rules MOV-01 and PEER-01, enabled
or not). Nothing is changed before the plan is approved and applied.`,
		Args:        cobra.ExactArgs(1),
		Annotations: planFormats,
		RunE: withState(g, func(cmd *cobra.Command, args []string, a *app.App, _ *state.State) error {
			d, err := a.Transfer(cmd.Context(), state.Actor{ID: g.actor(by)}, args[0], reason, dry)
			if err != nil {
				return fmt.Errorf("transfer: %w", err)
			}
			return g.show(a, d, out, !dry)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&reason, "reason", "", "why, if there is more to say")
	f.BoolVar(&dry, "dry-run", false, "show the plan and do not record it")
	f.StringVar(&out, "out", "", "write the plan to this file instead")
	f.StringVar(&by, "by", "", "who makes it (default LAPSE_ACTOR, else the operating system's user, marked as such)")
	return cmd
}
