package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/state"
)

func newReportList(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the runs: when they were, how they ended, and which still have a report",
		Long: `List all runs, the newest first: when each was, how it ended, and what it found. 'lapse report --run' and 'lapse findings list --run'
take a run's number. Of runs that retention no longer keeps (retention in lapse.yaml) only these numbers are left.`,
		RunE: withState(g, func(cmd *cobra.Command, _ []string, a *app.App, _ *state.State) error {
			runs, err := a.Runs(cmd.Context())
			if err != nil {
				return fmt.Errorf("report list: %w", err)
			}
			l := list{columns: []string{"run", "time", "status", "people", "accounts", "open", "backlog", "closed", "report", "why"}}
			for _, r := range runs {
				row := runJSON{Run: r.ID, Time: r.Time.UTC(), Recorded: r.RecordedAt.UTC(), Status: string(r.Status), Reasons: r.Reasons, People: r.People,
					Accounts: r.Accounts, Open: r.Open, Backlog: r.Backlog, Closed: r.Closed, Report: r.Kept}
				when, report := r.Time.UTC().Format(time.RFC3339), "no"
				if g.format == "table" {
					when = r.Time.In(a.Config.Location).Format("2006-01-02 15:04 MST")
				}
				if r.Kept {
					report = "yes"
				}
				l.add(row, fmt.Sprint(r.ID), when, row.Status, fmt.Sprint(r.People), fmt.Sprint(r.Accounts), fmt.Sprint(r.Open), fmt.Sprint(r.Backlog),
					fmt.Sprint(r.Closed), report, strings.Join(r.Reasons, "; "))
			}
			return l.print(g.sys.Stdout, g.format, "Nothing was scanned yet.")
		}),
	}
}

// runJSON is a run as the command line prints it.
type runJSON struct {
	Run      uint64    `json:"run"`
	Time     time.Time `json:"time"`
	Recorded time.Time `json:"recorded"`
	Status   string    `json:"status"`
	Reasons  []string  `json:"reasons,omitempty"` // why it is incomplete
	People   uint64    `json:"people"`
	Accounts uint64    `json:"accounts"`
	Open     uint64    `json:"open"` // without the backlog
	Backlog  uint64    `json:"backlog"`
	Closed   uint64    `json:"closed"`
	Report   bool      `json:"report"` // its findings are kept, so that it can be reported
}
