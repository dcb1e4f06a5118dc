package cli

import (
	"github.com/spf13/cobra"
)

func newDoctor(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor [SOURCE...]",
		Short: "Check the configuration, the policies, the stores and every source",
		Long: `Check lapse.yaml, load the policies, open the stores and read each source whole, keeping nothing: what it gives, how far
each signal is covered, which rows can't be read, and which right is missing for what.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := g.open()
			if err != nil {
				return err
			}
			defer a.Close()
			l := list{columns: []string{"check", "result", "detail"}}
			failed := false
			for _, c := range a.Doctor(cmd.Context(), args) {
				result := "ok"
				if !c.OK {
					result, failed = "FAULT", true
				}
				l.add(c, c.What, result, c.Detail)
			}
			if err := l.print(g.sys.Stdout, g.format, ""); err != nil {
				return err
			}
			if failed {
				return exit{exitError}
			}
			return nil
		},
	}
}
