package cli

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

func newVersion(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		RunE: func(*cobra.Command, []string) error {
			if g.format == "json" {
				return printJSON(g.sys.Stdout, map[string]string{
					"version": g.sys.Version, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
				})
			}
			_, err := fmt.Fprintf(g.sys.Stdout, "lapse %s (%s, %s/%s)\n", g.sys.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
