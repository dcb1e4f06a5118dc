package cli

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/state"
)

func newLink(g *global) *cobra.Command {
	o := linkOptions{global: g}
	cmd := &cobra.Command{
		Use:   "link SOURCE:ACCOUNT [ROSTER:PERSON]",
		Short: "Decide whose an account is",
		Long: `Decide whose an account is, by their ids. The decision counts from the next scan on and is stronger than any match.
With --not the account is not that person's, whatever matches; with --nobody it is no person's.`,
		Example: `  lapse link crm:0051 hr:10482 --reason "confirmed by phone"
  lapse link crm:0051 hr:10482 --not --reason "same name, another person"
  lapse link vpn:lobby --nobody --reason "reception desk"
  lapse link people people.yaml
  lapse link list`,
		Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return o.run(cmd.Context(), args)
		},
	}
	cmd.Flags().StringVar(&o.reason, "reason", "", "why (required)")
	cmd.Flags().StringVar(&o.by, "by", "", "who decides (default LAPSE_ACTOR, else the operating system's user, marked as such)")
	cmd.Flags().BoolVar(&o.not, "not", false, "the account is not this person's")
	cmd.Flags().BoolVar(&o.nobody, "nobody", false, "the account is no person's")
	cmd.AddCommand(newLinkList(g), newLinkRemove(g), newLinkPeople(g))
	return cmd
}

type linkOptions struct {
	*global
	reason, by  string
	not, nobody bool
}

func (o *linkOptions) run(ctx context.Context, args []string) error {
	if strings.TrimSpace(o.reason) == "" {
		return usagef("--reason is missing: say how you know")
	}
	l := state.Link{Verdict: state.Is, Reason: o.reason}
	var err error
	if l.Account, err = parseRef(args[0]); err != nil {
		return err
	}
	switch {
	case o.nobody && (len(args) == 2 || o.not):
		return usagef("--nobody goes with an account alone")
	case o.nobody:
		l.Verdict = state.Nobody
	case len(args) == 1:
		return usagef("whose is %s? Name a person as ROSTER:ID, or say --nobody", args[0])
	case o.not:
		l.Verdict = state.IsNot
		fallthrough
	default:
		if l.Person, err = parseRef(args[1]); err != nil {
			return err
		}
	}
	a, err := o.open()
	if err != nil {
		return err
	}
	defer a.Close()
	if err := a.CheckRefs(ctx, l.Account, l.Person); err != nil {
		return fmt.Errorf("link: %w", err)
	}
	s, err := a.State(ctx)
	if err != nil {
		return err
	}
	if l, err = s.AddLink(ctx, state.Actor{ID: o.actor(o.by)}, l); err != nil {
		return fmt.Errorf("link: %w", err)
	}
	if o.format == "json" {
		return printJSON(o.sys.Stdout, l)
	}
	_, err = fmt.Fprintf(o.sys.Stdout, "%s: %s\nIt counts from the next scan on.\n", l.ID, sayLink(l))
	return err
}

func sayLink(l state.Link) string {
	switch l.Verdict {
	case state.Nobody:
		return fmt.Sprintf("%s is nobody's", l.Account)
	case state.IsNot:
		return fmt.Sprintf("%s is not %s", l.Account, l.Person)
	}
	return fmt.Sprintf("%s is %s", l.Account, l.Person)
}

func parseRef(text string) (state.Ref, error) {
	source, id, ok := strings.Cut(text, ":")
	if !ok || source == "" || id == "" {
		return state.Ref{}, usagef("%q: want SOURCE:ID, as lists print it", text)
	}
	return state.Ref{Source: source, ID: id}, nil
}

func newLinkList(g *global) *cobra.Command {
	var f state.LinkFilter
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the links that were decided by hand",
		RunE: withState(g, func(cmd *cobra.Command, _ []string, _ *app.App, s *state.State) error {
			all, err := s.Links(cmd.Context(), f)
			if err != nil {
				return fmt.Errorf("link list: %w", err)
			}
			l := list{columns: []string{"id", "link", "by", "at", "removed", "reason"}}
			for _, e := range all {
				removed := ""
				if !e.Removed.IsZero() {
					removed = e.Removed.Format("2006-01-02")
				}
				l.add(e, e.ID, sayLink(e), e.By, e.At.Format("2006-01-02"), removed, e.Reason)
			}
			return l.print(g.sys.Stdout, g.format, "No link was decided by hand.")
		}),
	}
	cmd.Flags().BoolVar(&f.All, "all", false, "removed ones too")
	return cmd
}

func newLinkRemove(g *global) *cobra.Command {
	var reason, by string
	cmd := &cobra.Command{
		Use:   "remove ID",
		Short: "Take back a link that was decided by hand",
		Args:  cobra.ExactArgs(1),
		RunE: withState(g, func(cmd *cobra.Command, args []string, _ *app.App, s *state.State) error {
			l, err := s.RemoveLink(cmd.Context(), state.Actor{ID: g.actor(by)}, args[0], reason)
			if err != nil {
				return fmt.Errorf("link remove: %w", err)
			}
			_, err = fmt.Fprintf(g.sys.Stdout, "taken back: %s\n", sayLink(l))
			return err
		}),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	cmd.Flags().StringVar(&by, "by", "", "who decides")
	return cmd
}

func newLinkPeople(g *global) *cobra.Command {
	var by string
	var remove bool
	cmd := &cobra.Command{
		Use:   "people FILE",
		Short: "Join one person's records over several rosters, from people.yaml",
		Args:  cobra.ExactArgs(1),
		RunE: withState(g, func(cmd *cobra.Command, args []string, _ *app.App, s *state.State) error {
			f, err := os.Open(args[0])
			if err != nil {
				return fmt.Errorf("link people: %w", err)
			}
			defer f.Close()
			r, err := s.ImportPeople(cmd.Context(), state.Actor{ID: g.actor(by)}, f, state.ImportOptions{Name: args[0], RemoveMissing: remove})
			if err != nil {
				return fmt.Errorf("link people: %w", err)
			}
			return printImport(g, r)
		}),
	}
	cmd.Flags().StringVar(&by, "by", "", "who decides")
	cmd.Flags().BoolVar(&remove, "remove-missing", false, "also part what stands in the database but not in the file")
	return cmd
}
