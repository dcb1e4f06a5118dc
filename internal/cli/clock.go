package cli

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/state"
)

func newClock(g *global) *cobra.Command {
	var since, limit string
	cmd := &cobra.Command{
		Use:   "clock",
		Short: "How long access outlived the people who left, per account",
		Long: `Of everybody who left since then: when they ended, when HR's word of it was first read, and when each account was closed, by the
journal where Lapse did it, else by the first scan that saw it. IT's hours count from when the end was there and known: late word from
HR is no breach of IT's, and is counted apart.`,
		RunE: withState(g, func(cmd *cobra.Command, _ []string, a *app.App, _ *state.State) error {
			ago, err := parseAgo(since)
			if err != nil {
				return err
			}
			within, err := time.ParseDuration(limit)
			if err != nil || within <= 0 {
				return usagef("--limit %q: want hours, such as 24h", limit)
			}
			c, err := a.Clock(cmd.Context(), a.Now().Add(-ago), within)
			if err != nil {
				return fmt.Errorf("report clock: %w", err)
			}
			if g.format == "json" {
				return printJSON(g.sys.Stdout, c)
			}
			hours := func(h float64) string { return strconv.FormatFloat(h, 'f', 1, 64) }
			stamp := func(t time.Time) string {
				if t.IsZero() {
					return ""
				}
				return t.In(a.Config.Location).Format("2006-01-02 15:04")
			}
			l := list{columns: []string{"person", "name", "source", "account", "ended", "known", "closed", "how", "hours", "exposure_hours", "breach"}}
			for _, r := range c.Accounts {
				breach := ""
				if r.Breach {
					breach = "yes"
				}
				name := r.Username
				if name == "" {
					name = r.Account
				}
				l.add(r, r.Person, r.Name, r.Source, name, stamp(r.Ended), stamp(r.Known), stamp(r.Closed), r.How, hours(r.Hours), hours(r.Exposure), breach)
			}
			if g.format == "table" {
				fmt.Fprintf(g.sys.Stdout, "%d people left since %s. %d of their accounts outlived them: %d can still be used, %d for longer than %s.\n"+
					"Hours that IT took: half within %s, 95%% within %s, the worst %s. Exposure: %s hours. HR's word came late for %d.\n\n",
					c.Leavers, stamp(c.Since), len(c.Accounts), c.Open, c.Breaches, limit, hours(c.P50), hours(c.P95), hours(c.Worst), hours(c.Exposure), c.LateHR)
			}
			return l.print(g.sys.Stdout, g.format, "No account outlived its person.")
		}),
	}
	cmd.Flags().StringVar(&since, "since", "90d", "people who left in the last days: 90d")
	cmd.Flags().StringVar(&limit, "limit", "24h", "how long closing an account may take")
	return cmd
}
