package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newPolicyRecord(g *global) *cobra.Command {
	var only bool
	cmd := &cobra.Command{
		Use:   "record FINDING",
		Short: "Write a finding's subject, made anonymous, as a test case beside its policy",
		Long: `Write the subject of a finding as a test case: the input as far as the policy can read it, with every name, id and address
replaced, and the message that the policy gives for it.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := g.open()
			if err != nil {
				return err
			}
			defer a.Close()
			r, err := a.Record(cmd.Context(), args[0], !only)
			if err != nil {
				return err
			}
			if only {
				_, err = fmt.Fprint(g.sys.Stdout, r.Text)
				return err
			}
			_, err = fmt.Fprintf(g.sys.Stdout, "Added to %s:\n\n%s", r.File, r.Text)
			return err
		},
	}
	cmd.Flags().BoolVar(&only, "print", false, "print the test case, and write nothing")
	return cmd
}
