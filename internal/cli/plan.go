package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/remediate"
	"github.com/lapse-audit/lapse/internal/state"
)

// planFormats are how a plan is shown.
var planFormats = formats("table", "json", "markdown", "html")

func newPlan(g *global) *cobra.Command {
	o := planOptions{global: g}
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Plan what findings ask for: who loses what, and why",
		Long: `Make a plan of the findings of the last run: each change once, in order, with what it comes to and whether it can be
undone. Nothing is changed. The plan is recorded under its hash; 'lapse approve' approves it and 'lapse apply' carries it out.`,
		Example: `  lapse plan --policy LVR-01
  lapse plan --source crm --format html --out plan.html
  lapse plan --finding 3fa9c2 --dry-run
  lapse plan show plan-k2m4`,
		Annotations: planFormats,
		RunE:        func(cmd *cobra.Command, _ []string) error { return o.make(cmd.Context()) },
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.query.Policies, "policy", nil, "of findings of these policies")
	f.StringSliceVar(&o.query.Sources, "source", nil, "of findings in these sources")
	f.StringSliceVar(&o.query.Findings, "finding", nil, "of these findings, by the first letters of their fingerprints")
	f.StringVar(&o.query.Person, "person", "", "of findings on this person, as ROSTER:ID")
	f.StringVar(&o.query.Assignee, "assignee", "", "of findings that this person, or role, answers for")
	f.StringVar(&o.severity, "severity", "", "of findings of this severity or above")
	f.BoolVar(&o.query.Auto, "auto", false, "of findings of policies in mode auto, which lapse.yaml approves")
	f.StringVar(&o.query.Reason, "reason", "", "why, if there is more to say than the findings do")
	f.BoolVar(&o.dry, "dry-run", false, "show the plan and do not record it")
	f.StringVar(&o.out, "out", "", "write it to this file instead; as JSON it can be given to approve and apply")
	f.StringVar(&o.by, "by", "", "who makes it (default LAPSE_ACTOR, else the operating system's user, marked as such)")
	cmd.AddCommand(newPlanList(g), newPlanShow(g), newPlanEnd(g))
	return cmd
}

type planOptions struct {
	*global
	query             app.PlanQuery
	severity, out, by string
	dry               bool
}

func (o *planOptions) make(ctx context.Context) error {
	if o.severity != "" {
		s, err := finding.ParseSeverity(o.severity)
		if err != nil {
			return usagef("--severity: %w", err)
		}
		o.query.MinSeverity = s
	}
	a, err := o.open()
	if err != nil {
		return err
	}
	defer a.Close()
	if err := a.Means(ctx, o.query.FindingQuery); err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	d, err := a.MakePlan(ctx, state.Actor{ID: o.actor(o.by)}, o.query, o.dry)
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	return o.show(a, d, o.out, !o.dry)
}

// show prints a plan, or writes it to a file and prints where.
func (g *global) show(a *app.App, d app.Drafted, out string, recorded bool) (err error) {
	v := remediate.PlanView{Plan: d.Plan, Hash: d.Recorded.Hash, Zone: a.Config.Location, Refusals: d.Refusals}
	if out == "" {
		return printPlan(g.sys.Stdout, g.format, v, d.Recorded, recorded)
	}
	f, err := os.OpenFile(out, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	format := g.format
	if format == "table" {
		format = formatOf(out)
	}
	if err := printPlan(f, format, v, d.Recorded, recorded); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(g.sys.Stdout, "%s: %s\nwritten to %s\n", v.ID, v.Totals(), out)
	return err
}

// formatOf goes by a file's name.
func formatOf(path string) string {
	switch {
	case strings.HasSuffix(path, ".html"):
		return "html"
	case strings.HasSuffix(path, ".md"):
		return "markdown"
	}
	return "json"
}

func printPlan(w io.Writer, format string, v remediate.PlanView, recorded state.Plan, kept bool) error {
	switch format {
	case "json":
		return printJSON(w, remediate.Sheet(recorded))
	case "markdown":
		return v.Markdown(w)
	case "html":
		return v.HTML(w)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Plan %s: %s\n", v.ID, v.Totals())
	if v.PersonName != "" {
		fmt.Fprintf(&b, "For %s\n", printable(v.PersonName))
	}
	fmt.Fprintf(&b, "Made %s by %s of run %d (%s), hash %.16s\n", v.When(v.Made), printable(v.By), v.Run, v.When(v.RunTime), v.Hash)
	for _, r := range v.Refusals {
		fmt.Fprintf(&b, "Would be refused now: %s\n", printable(r.String()))
	}
	b.WriteString("\n")
	var rows [][]string
	byHand := map[string][]string{} // sources, by why
	for _, s := range v.Steps {
		what := append([]string{s.What()}, s.Effects()...)
		if !s.Undo && s.Manual == "" {
			what = append(what, "can't be undone")
		}
		if v.Waits(s) {
			what = append(what, "not before "+v.When(s.NotBefore))
		}
		if s.Responsible != "" {
			what = append(what, s.Responsible+" does it")
		}
		if s.ByHand() != "" {
			what = append(what, "BY HAND")
			if !slices.Contains(byHand[s.ByHand()], s.Source) {
				byHand[s.ByHand()] = append(byHand[s.ByHand()], s.Source)
			}
		}
		var why []string
		for _, one := range s.Why {
			why = append(why, one.Policy)
		}
		rows = append(rows, []string{strconv.Itoa(s.N), s.Source, s.Subject, strings.Join(what, "; "), strings.Join(why, ", ")})
	}
	if len(rows) == 0 {
		b.WriteString("Nothing is to be changed.\n")
	} else if err := printTable(&b, []string{"#", "source", "account", "change", "why"}, rows); err != nil {
		return err
	}
	for _, why := range slices.Sorted(maps.Keys(byHand)) {
		fmt.Fprintf(&b, "\nBy hand in %s: %s\n", strings.Join(byHand[why], ", "), printable(why))
	}
	if len(v.Left) > 0 {
		fmt.Fprintf(&b, "\nLeft as it is (%d):\n", len(v.Left))
		rows = nil
		for _, l := range v.Left {
			rows = append(rows, []string{l.Why.Policy, l.Source, l.Subject, l.Reason})
		}
		if err := printTable(&b, []string{"policy", "source", "account", "why nothing is planned"}, rows); err != nil {
			return err
		}
	}
	if kept && len(v.Steps) > 0 && recorded.Ended.IsZero() {
		fmt.Fprintf(&b, "\nNext: lapse approve %s --key FILE, then lapse apply %s\n", v.ID, v.ID)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func newPlanList(g *global) *cobra.Command {
	var f state.PlanFilter
	var confidential bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the plans that are not done with, newest first",
		RunE: withState(g, func(cmd *cobra.Command, _ []string, a *app.App, s *state.State) error {
			all, err := s.Plans(cmd.Context(), f)
			if err != nil {
				return fmt.Errorf("plan list: %w", err)
			}
			l := list{columns: []string{"plan", "kind", "made", "by", "person", "steps", "made_steps", "ended"}}
			hidden, err := a.Confidential(cmd.Context())
			if err != nil {
				return fmt.Errorf("plan list: %w", err)
			}
			for _, p := range all {
				if hidden[p.ID] && !confidential {
					continue
				}
				entries, err := s.ChangeEntries(cmd.Context(), state.ChangeFilter{Plan: p.ID})
				if err != nil {
					return fmt.Errorf("plan list: %w", err)
				}
				l.add(p, p.ID, p.Kind, p.Made.In(a.Config.Location).Format("2006-01-02 15:04"), p.By, p.Person, strconv.FormatInt(p.Steps, 10),
					strconv.Itoa(len(remediate.Made(entries))), p.EndWhy)
			}
			return l.print(g.sys.Stdout, g.format, "There is no plan.")
		}),
	}
	cmd.Flags().BoolVar(&f.Ended, "all", false, "those that are done with, too")
	cmd.Flags().StringVar(&f.Person, "person", "", "for this person")
	cmd.Flags().StringVar(&f.Kind, "kind", "", "findings, offboard, transfer or review")
	cmd.Flags().BoolVar(&confidential, "confidential", false, "confidential ones, too")
	return cmd
}

func newPlanShow(g *global) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:         "show PLAN",
		Short:       "Show a plan again",
		Args:        cobra.ExactArgs(1),
		Annotations: planFormats,
		RunE: withState(g, func(cmd *cobra.Command, args []string, a *app.App, _ *state.State) error {
			p, recorded, err := a.FindPlan(cmd.Context(), args[0])
			if err != nil {
				return fmt.Errorf("plan show: %w", err)
			}
			return g.show(a, app.Drafted{Plan: p, Recorded: recorded}, out, true)
		}),
	}
	cmd.Flags().StringVar(&out, "out", "", "write it to this file instead")
	return cmd
}

func newPlanEnd(g *global) *cobra.Command {
	var why, by string
	cmd := &cobra.Command{
		Use:   "end PLAN",
		Short: "Give a plan up: nothing of it is carried out any more",
		Args:  cobra.ExactArgs(1),
		RunE: withState(g, func(cmd *cobra.Command, args []string, _ *app.App, s *state.State) error {
			if err := s.EndPlan(cmd.Context(), state.Actor{ID: g.actor(by)}, args[0], why); err != nil {
				return fmt.Errorf("plan end: %w", err)
			}
			_, err := fmt.Fprintf(g.sys.Stdout, "%s is ended\n", args[0])
			return err
		}),
	}
	cmd.Flags().StringVar(&why, "reason", "", "why")
	cmd.Flags().StringVar(&by, "by", "", "who decides")
	return cmd
}
