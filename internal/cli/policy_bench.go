package cli

import (
	"cmp"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func newPolicyBench(g *global) *cobra.Command {
	var c choice
	n := 2000
	cmd := &cobra.Command{
		Use:   "bench [FOLDER...]",
		Short: "Measure what policies take, on subjects of the last run",
		Long: `Measure what the enabled policies take, or those named, on subjects of the last run: each policy alone, and all at once as
a scan judges them.

"each" is the full lane, in which a policy judges every subject. "prefilter" is the lane for many subjects, in which it judges
the candidates: those that the store has not passed over. Part of what the store takes is the same for however many subjects:
--subjects 20000 shows what a large company pays.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if n < 1 {
				return usagef("--subjects must be at least 1")
			}
			a, err := g.open()
			if err != nil {
				return err
			}
			defer a.Close()
			chosen, err := c.chosen(a, args)
			if err != nil {
				return err
			}
			costs, err := a.BenchPolicies(cmd.Context(), chosen, n)
			if err != nil {
				return err
			}
			l := list{columns: []string{"policy", "subject", "subjects", "each", "slowest", "allocates", "lane", "candidates", "prefilter", "failed"}}
			for _, c := range costs {
				l.add(c, cmp.Or(c.Policy, "all at once"), string(c.Subject), fmt.Sprint(c.Subjects), c.Each.Round(100*time.Nanosecond).String(),
					c.Slowest.Round(time.Microsecond).String(), fmt.Sprintf("%.1f KB", float64(c.Bytes)/1024),
					string(c.Lane), fmt.Sprint(c.Candidates), c.Screened.Round(100*time.Nanosecond).String(), c.Failed)
			}
			return l.print(g.sys.Stdout, g.format, "The last run has no subject that an enabled policy judges.")
		},
	}
	c.flags(cmd)
	cmd.Flags().IntVar(&n, "subjects", n, "subjects of each kind to measure on, at most")
	return cmd
}
