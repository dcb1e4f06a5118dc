package cli

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/policy"
)

func newPolicyNew(g *global) *cobra.Command {
	s := policy.Skeleton{}
	subject := string(access.SubjectAccount)
	cmd := &cobra.Command{
		Use:   "new ID",
		Short: "Write a policy to begin with, with tests that pass",
		Example: `  lapse policy new ACME-01 --title "Idle sales account"
  lapse policy new ACME-02 --subject entitlement --dir rules`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			s.ID, s.Subject = args[0], access.SubjectKind(subject)
			a, err := g.openOrDefault()
			if err != nil {
				return err
			}
			defer a.Close()
			// The folder need not be in lapse.yaml yet, nor exist. A policy that is broken is no reason not to write another.
			_, _ = a.AddPolicies([]string{s.Dir})
			if pack, err := a.Pack(); err == nil {
				if p, ok := pack.Policy(s.ID); ok {
					return fmt.Errorf("id %s is taken by %s (%s): choose another", s.ID, p.Title, p.File)
				}
			}
			dir, err := s.Write()
			if err != nil {
				return fmt.Errorf("write policy %s: %w", s.ID, err)
			}
			dir = filepath.ToSlash(dir)
			w := g.sys.Stdout
			fmt.Fprintf(w, "Wrote %s/policy.rego and %s/policy_test.rego.\n", dir, dir)
			_, err = fmt.Fprintf(w, "Edit them, then:\n  lapse policy check %s\n  lapse policy test %s\n  lapse policy try %s\n", s.Dir, s.Dir, s.Dir)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&subject, "subject", subject, "what it judges: account, person, entitlement, license or source")
	f.StringVar(&s.Title, "title", "", "what is wrong, in a few words; its folder is named so")
	f.StringVar(&s.Dir, "dir", "policies", "folder of policies to write it into")
	return cmd
}
