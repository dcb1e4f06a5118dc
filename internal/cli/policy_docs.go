package cli

import (
	"github.com/spf13/cobra"
)

func newPolicyDocs(g *global) *cobra.Command {
	return &cobra.Command{
		Use:         "docs",
		Short:       "Write the catalogue of the policies as they are set: what each flags, needs, and is evidence for",
		Example:     `  lapse policy docs --format html > policies.html`,
		Annotations: formats("table", "json", "markdown", "html"),
		RunE: func(*cobra.Command, []string) error {
			a, err := g.openOrDefault()
			if err != nil {
				return err
			}
			defer a.Close()
			pack, err := a.Pack()
			if err != nil {
				return err
			}
			switch g.format {
			case "html":
				return pack.WriteHTML(g.sys.Stdout)
			case "json":
				out := []policyJSON{}
				for _, p := range pack.Policies() {
					out = append(out, newPolicyJSON(p))
				}
				return printJSON(g.sys.Stdout, out)
			}
			return pack.WriteMarkdown(g.sys.Stdout) // which reads well as it is
		},
	}
}
