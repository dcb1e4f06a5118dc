package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/policy"
)

// choice is how commands name the policies that they try.
type choice struct{ policies []string }

func (c *choice) flags(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&c.policies, "policy", nil, "these policies, by id")
}

// chosen adds the folders and says which policies are meant.
func (c *choice) chosen(a *app.App, folders []string) (app.Chosen, error) {
	below, err := a.AddPolicies(folders)
	return app.Chosen{IDs: c.policies, Below: below}, err
}

func newPolicyTry(g *global) *cobra.Command {
	o := policyTryOptions{global: g}
	cmd := &cobra.Command{
		Use:   "try [FOLDER...]",
		Short: "Try policies on the last run: what would be new, what would go",
		Long: `Judge the subjects of the last run again by the policies in the folders named, or by those that differ from what the run
was judged by, and compare with the findings that stand. Nothing is recorded. A policy need not be enabled to be tried.

Exit code 4 if a policy was broken off.`,
		Example: `  lapse policy try policies/acme
  lapse policy try --policy DOR-01 --examples 10`,
		Args:        cobra.ArbitraryArgs,
		Annotations: formats("table", "json"),
		RunE:        func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	o.flags(cmd)
	cmd.Flags().IntVar(&o.examples, "examples", 3, "examples of each kind")
	return cmd
}

type policyTryOptions struct {
	*global
	choice
	examples int
}

func (o *policyTryOptions) run(ctx context.Context, folders []string) error {
	a, err := o.open()
	if err != nil {
		return err
	}
	defer a.Close()
	chosen, err := o.chosen(a, folders)
	if err != nil {
		return err
	}
	t, err := a.Try(ctx, chosen, o.examples)
	if err != nil {
		return err
	}
	if o.format == "json" {
		err = printJSON(o.sys.Stdout, newTryJSON(t))
	} else {
		err = printTry(o.sys.Stdout, a, t)
	}
	if err != nil {
		return err
	}
	if slices.ContainsFunc(t.Policies, func(p app.Tried) bool { return p.Failed != "" }) {
		return exit{exitIncomplete}
	}
	return nil
}

func printTry(w io.Writer, a *app.App, t app.Try) error {
	fmt.Fprintf(w, "Run %d of %s, judged again. Nothing is recorded.\n", t.Run.ID, t.Run.Time.In(a.Config.Location).Format("2006-01-02 15:04 MST"))
	if t.Stale != nil {
		fmt.Fprintf(w, "Not fresh in that run: %s.\n", strings.Join(t.Stale, ", "))
	}
	for _, p := range t.Policies {
		printTitle(w, p.Policy, p.Change)
		if p.Failed != "" {
			fmt.Fprintf(w, "  broken off, so nothing is known: %s\n", printable(p.Failed))
			continue
		}
		printEvaluated(w, p)
		fmt.Fprintf(w, "  flags      %d: %d new, %d that stand already", p.Flagged, p.New, p.Same)
		if p.Excluded > 0 {
			fmt.Fprintf(w, "; %d more excluded", p.Excluded)
		}
		fmt.Fprintf(w, "\n  would go   %d\n", p.Gone)
		printCounts(w, "new by source", p.BySource)
		printCounts(w, "new by who is asked", p.ByAssignee)
		printCounts(w, "gone by source", p.GoneBySource)
		printExamples(w, "+", p.NewExamples)
		printExamples(w, "-", p.GoneExamples)
	}
	return nil
}

func printTitle(w io.Writer, p policy.Policy, change string) {
	state := map[string]string{"new": "new", "changed": "changed since that run", "unchanged": "as that run was judged"}[change]
	if !p.Enabled {
		state += ", not enabled"
	}
	fmt.Fprintf(w, "\n%s  %s  (%s, %s)\n", p.ID, printable(p.Title), p.File, state)
}

func printEvaluated(w io.Writer, p app.Tried) {
	t := p.Tally
	fmt.Fprintf(w, "  evaluated  %d of %d subjects; %d out of scope, %d not evaluable", t.Evaluated, t.Subjects, t.OutOfScope, t.NotEvaluable)
	var missing []string
	for field := range t.Missing {
		missing = append(missing, field)
	}
	slices.SortFunc(missing, func(a, b string) int {
		return cmp.Or(cmp.Compare(t.Missing[b], t.Missing[a]), strings.Compare(a, b))
	})
	for i, field := range missing {
		missing[i] = fmt.Sprintf("%s unknown for %d", field, t.Missing[field])
	}
	if missing != nil {
		fmt.Fprintf(w, " (%s)", strings.Join(missing, ", "))
	}
	fmt.Fprintln(w)
}

// mostCounts is how many counts a line shows.
const mostCounts = 8

func printCounts(w io.Writer, of string, counts []app.Count) {
	if len(counts) == 0 {
		return
	}
	var parts []string
	for i, c := range counts {
		if i == mostCounts {
			parts = append(parts, fmt.Sprintf("%d others", len(counts)-i))
			break
		}
		parts = append(parts, fmt.Sprintf("%s %d", printable(cmp.Or(c.Name, c.Of, "(people)")), c.N))
	}
	fmt.Fprintf(w, "  %s: %s\n", of, strings.Join(parts, ", "))
}

func printExamples(w io.Writer, sign string, examples []app.Example) {
	for _, e := range examples {
		at := strings.TrimPrefix(e.Source+"/"+e.Subject, "/")
		fmt.Fprintf(w, "  %s %s  %s\n", sign, printable(at), printable(e.Message))
	}
}

type tryJSON struct {
	Run      uint64      `json:"run"`
	Time     string      `json:"time"`
	Stale    []string    `json:"stale,omitempty"`
	Policies []triedJSON `json:"policies"`
}

type triedJSON struct {
	Policy       string            `json:"policy"`
	Title        string            `json:"title"`
	File         string            `json:"file"`
	Change       string            `json:"change"`
	Enabled      bool              `json:"enabled"`
	Failed       string            `json:"failed,omitempty"`
	Subjects     uint64            `json:"subjects"`
	OutOfScope   uint64            `json:"out_of_scope"`
	Evaluated    uint64            `json:"evaluated"`
	NotEvaluable uint64            `json:"not_evaluable"`
	Missing      map[string]uint64 `json:"missing,omitempty"`
	Flagged      int               `json:"flagged"`
	New          int               `json:"new"`
	Same         int               `json:"same"`
	Gone         int               `json:"gone"`
	Excluded     int               `json:"excluded"`
	NewBySource  []app.Count       `json:"new_by_source"`
	NewBy        []app.Count       `json:"new_by_assignee"`
	GoneBySource []app.Count       `json:"gone_by_source"`
	NewExamples  []app.Example     `json:"new_examples"`
	GoneExamples []app.Example     `json:"gone_examples"`
}

func newTryJSON(t app.Try) tryJSON {
	out := tryJSON{Run: t.Run.ID, Time: t.Run.Time.UTC().Format("2006-01-02T15:04:05Z07:00"), Stale: t.Stale, Policies: []triedJSON{}}
	for _, p := range t.Policies {
		out.Policies = append(out.Policies, triedJSON{Policy: p.Policy.ID, Title: p.Policy.Title, File: p.Policy.File, Change: p.Change, Enabled: p.Policy.Enabled, Failed: p.Failed,
			Subjects: p.Tally.Subjects, OutOfScope: p.Tally.OutOfScope, Evaluated: p.Tally.Evaluated, NotEvaluable: p.Tally.NotEvaluable, Missing: p.Tally.Missing,
			Flagged: p.Flagged, New: p.New, Same: p.Same, Gone: p.Gone, Excluded: p.Excluded,
			NewBySource: p.BySource, NewBy: p.ByAssignee, GoneBySource: p.GoneBySource, NewExamples: p.NewExamples, GoneExamples: p.GoneExamples})
	}
	return out
}
