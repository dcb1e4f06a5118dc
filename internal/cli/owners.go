package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/state"
)

func newOwners(g *global) *cobra.Command {
	var q app.FindingQuery
	var minimum string
	cmd := &cobra.Command{
		Use:   "owners",
		Short: "Show who would be asked about which finding, and why",
		Long: `Of every open finding of the last scan: who would be asked about it, why it is they, and who came before and is not asked.

In order: whom the rule's METADATA names, the owner of the account, the manager (or theirs, and so on, until one is active), the
owner of the app (notify.owners in lapse.yaml), the security team. Nobody who has left or is away is asked, nor about privileged
access whoever benefits from it. Nothing is sent by this command.`,
		RunE: withState(g, func(cmd *cobra.Command, _ []string, a *app.App, _ *state.State) (err error) {
			if minimum != "" {
				if q.MinSeverity, err = finding.ParseSeverity(minimum); err != nil {
					return usagef("--min-severity: %w", err)
				}
			}
			if err := a.Means(cmd.Context(), q); err != nil {
				return fmt.Errorf("owners: %w", err)
			}
			all, err := a.AskedAbout(cmd.Context(), q)
			if err != nil {
				return fmt.Errorf("owners: %w", err)
			}
			l := list{columns: []string{"to", "name", "why", "finding", "policy", "source", "subject", "not asked"}}
			for _, o := range all {
				f := o.Finding
				row := ownedJSON{To: o.Asking.To.ID(), Name: o.Asking.To.Name, Email: o.Asking.To.Email, Why: o.Asking.Why, Finding: f.Fingerprint,
					Policy: f.Policy, Severity: f.Severity, Source: f.Subject.Source, Subject: f.Name, Passed: o.Asking.Passed}
				l.add(row, row.To, row.Name, row.Why, short(f.Fingerprint), f.Policy, f.Subject.Source, f.Name, strings.Join(row.Passed, "; "))
			}
			return l.print(g.sys.Stdout, g.format, "Nothing is open.")
		}),
	}
	cmd.Flags().StringSliceVar(&q.Policies, "policy", nil, "findings of these policies")
	cmd.Flags().StringSliceVar(&q.Sources, "source", nil, "findings in these sources")
	cmd.Flags().StringVar(&minimum, "min-severity", "", "findings of this severity or above")
	return cmd
}

type ownedJSON struct {
	To       string              `json:"to"`
	Name     string              `json:"name,omitempty"`
	Email    string              `json:"email,omitempty"`
	Why      string              `json:"why"`
	Finding  finding.Fingerprint `json:"finding"`
	Policy   string              `json:"policy"`
	Severity finding.Severity    `json:"severity"`
	Source   string              `json:"source"`
	Subject  string              `json:"subject"`
	Passed   []string            `json:"not_asked,omitempty"`
}
