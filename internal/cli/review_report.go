package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/state"
)

func newReviewReport(g *global) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:         "report NAME",
		Short:       "Write the report of a review for the auditor: HTML, JSON or Markdown",
		Args:        cobra.ExactArgs(1),
		Annotations: formats("table", "html", "json", "markdown"),
		RunE: withState(g, func(cmd *cobra.Command, args []string, a *app.App, _ *state.State) error {
			f, err := a.Review(cmd.Context(), args[0])
			if err != nil {
				return fmt.Errorf("review report: %w", err)
			}
			r, err := a.ReviewReport(cmd.Context(), f, nil, "")
			if err != nil {
				return fmt.Errorf("review report: %w", err)
			}
			write := map[string]func(io.Writer) error{"html": r.HTML, "json": r.JSON}[g.formatFor(out)]
			if write == nil { // to a terminal, it is text
				write = r.Markdown
			}
			return g.writeTo(out, write)
		}),
	}
	cmd.Flags().StringVar(&out, "out", "", "write it to this file; its name says the format where --format doesn't")
	return cmd
}

// formatFor is the format that is asked for, or else the one that a file's name stands for.
func (g *global) formatFor(out string) string {
	if g.format == "table" && out != "" {
		return formatOf(out)
	}
	return g.format
}

// writeTo writes to a file that only its owner reads, or to standard output.
func (g *global) writeTo(out string, write func(io.Writer) error) error {
	if out == "" {
		return write(g.sys.Stdout)
	}
	f, err := os.OpenFile(out, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(g.sys.Stdout, "written to %s\n", out)
	return err
}
