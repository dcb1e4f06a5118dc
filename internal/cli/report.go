package cli

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/reports"
)

func newReport(g *global) *cobra.Command {
	var run uint64
	var dir string
	var controls bool
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Write the report of a run: one HTML page, JSON, CSV, and a summary to the terminal",
		Example: `  lapse report
  lapse report list
  lapse report --run 30 --dir evidence/2026-11-10
  lapse report --controls --format csv > controls.csv`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			a, err := g.open()
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, a.Close()) }()
			r, err := a.Report(cmd.Context(), run)
			if err != nil {
				return err
			}
			if controls {
				return g.printControls(r)
			}
			switch g.format {
			case "json":
				return r.JSON(g.sys.Stdout)
			case "csv":
				return r.CSV(g.sys.Stdout)
			}
			if dir == "" {
				dir = a.Config.Path(a.Config.Report.Dir)
			}
			if err := app.WriteReport(r, dir); err != nil {
				return err
			}
			return g.printSummary(r, dir)
		},
	}
	cmd.AddCommand(newReportList(g), newClock(g), newReportExceptions(g))
	cmd.Flags().Uint64Var(&run, "run", 0, "of this run, as 'lapse report list' numbers them (default: the last one)")
	cmd.Flags().BoolVar(&controls, "controls", false, "only the controls of the frameworks, with the rules that evidence them and what these judged")
	cmd.Flags().StringVar(&dir, "dir", "", "folder for the files (default: report.dir of lapse.yaml)")
	return cmd
}

// printSummary writes what a person wants to know after a scan.
func (g *global) printSummary(r *reports.Report, dir string) error {
	width, ok := terminal(g.sys.Stdout)
	_, plain := g.sys.LookupEnv("NO_COLOR")
	if kind, _ := g.sys.LookupEnv("TERM"); kind == "dumb" {
		plain = true
	}
	full := ""
	if dir != "" {
		full = fmt.Sprintf("%s%creport.html", dir, os.PathSeparator)
	}
	return r.Text(g.sys.Stdout, reports.TextOptions{Width: min(width, 100), Color: ok && !plain, Full: full})
}
