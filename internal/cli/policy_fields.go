package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/access"
)

func newPolicyFields(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "fields [SUBJECT] [WORD]",
		Short: "List the fields that a rule can read of a subject, and what each means",
		Example: `  lapse policy fields
  lapse policy fields account login`,
		Args: cobra.MaximumNArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			kind, word := string(access.SubjectAccount), ""
			if len(args) > 0 {
				kind = args[0]
			}
			if len(args) > 1 {
				word = strings.ToLower(args[1])
			}
			if !slices.Contains(access.SubjectKinds(), access.SubjectKind(kind)) {
				return usagef("there is no subject %q: want account, person, entitlement, license or source", kind)
			}
			l := list{columns: []string{"field", "type", "always there", "meaning"}}
			listFields(&l, access.SchemaOf(access.SubjectKind(kind)).Root, word, true)
			return l.print(g.sys.Stdout, g.format, "No field matches.")
		},
	}
}

// listFields adds the fields below a node. What lies in something that may be absent is not always there.
func listFields(l *list, n *access.Node, word string, there bool) {
	for _, f := range n.Fields {
		always := there && f.Required
		if f.Leaf() && (word == "" || strings.Contains(strings.ToLower(f.Path+" "+f.About), word)) {
			typ := string(f.Type)
			if f.Array {
				typ += " list"
			}
			if f.Enum != nil {
				typ = strings.Join(f.Enum, "|")
			}
			yes := "no"
			if always {
				yes = "yes"
			}
			l.add(map[string]any{"field": "input." + f.Path, "type": typ, "required": always, "meaning": f.About}, "input."+f.Path, typ, yes, f.About)
		}
		listFields(l, f, word, always)
	}
}
