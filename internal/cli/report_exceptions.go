package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/state"
)

func newReportExceptions(g *global) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "exceptions",
		Short: "Write everything that is accepted on purpose, for the auditor: HTML, CSV, JSON or Markdown",
		Long: `Write all exceptions with who granted each, why, since when and until when, how often it was renewed, and which findings of the
last scan it covers. What covers more than somebody has looked at, and what never ends, comes first.`,
		Annotations: formats("table", "html", "json", "csv", "markdown"),
		RunE: withState(g, func(cmd *cobra.Command, _ []string, a *app.App, _ *state.State) error {
			r, err := a.Accepted(cmd.Context())
			if err != nil {
				return fmt.Errorf("report exceptions: %w", err)
			}
			format := g.formatFor(out)
			if g.format == "table" && strings.HasSuffix(out, ".csv") {
				format = "csv"
			}
			write := map[string]func(io.Writer) error{"html": r.HTML, "json": r.JSON, "csv": r.CSV}[format]
			if write == nil { // to a terminal, it is text
				write = r.Markdown
			}
			return g.writeTo(out, write)
		}),
	}
	cmd.Flags().StringVar(&out, "out", "", "write it to this file; its name says the format where --format doesn't")
	return cmd
}
