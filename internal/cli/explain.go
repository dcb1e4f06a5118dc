package cli

import (
	"context"
	"fmt"
	"io"
	"path"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/policy"
)

func newPolicyExplain(g *global) *cobra.Command {
	return newExplain(g, "Show the lines of a policy that made a finding, with what they read, in plain words", false)
}

// newExplain is the command under findings, which shows the subject too, and under policy, which shows the rule.
func newExplain(g *global, short string, subject bool) *cobra.Command {
	o := explainOptions{global: g, subject: subject}
	cmd := &cobra.Command{
		Use:         "explain FINDING",
		Short:       short,
		Args:        cobra.ExactArgs(1),
		Annotations: formats("table", "json"),
		RunE:        func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	cmd.Flags().BoolVar(&o.trace, "trace", false, "the whole evaluation, step by step")
	return cmd
}

type explainOptions struct {
	*global
	subject, trace bool
}

func (o *explainOptions) run(ctx context.Context, finding string) error {
	a, err := o.open()
	if err != nil {
		return err
	}
	defer a.Close()
	e, err := a.Explain(ctx, finding, o.trace)
	if err != nil {
		return err
	}
	w := o.sys.Stdout
	if o.format == "json" {
		out := map[string]any{"finding": newFindingJSON(e.Finding), "description": e.Description, "file": e.File, "input": e.Input, "why": e.Why.Rules}
		if e.WhyNot != "" {
			out["why_not"] = e.WhyNot
		}
		if o.trace {
			out["trace"] = e.Why.Trace
		}
		return printJSON(w, out)
	}
	if o.subject {
		if err := printFinding(w, a, e.Finding); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(w, printable(e.Finding.Message))
	}
	fmt.Fprintf(w, "\nThe rule (%s): %s\n", e.File, printable(e.Description))
	printWhy(w, e)
	if o.trace && e.Why.Trace != "" {
		fmt.Fprintf(w, "\nThe whole evaluation:\n%s", e.Why.Trace)
	}
	switch {
	case !o.subject:
		return nil
	case e.Input == nil:
		_, err = fmt.Fprintln(w, "\nThe subject as it was judged is not kept: it is of an earlier run.")
		return err
	}
	fmt.Fprintln(w, "\nThe subject as it was judged:")
	return printJSON(w, e.Input)
}

func printWhy(w io.Writer, e app.Explanation) {
	if e.WhyNot != "" {
		fmt.Fprintf(w, "\nWhy is not known: %s.\n", e.WhyNot)
		return
	}
	fmt.Fprintln(w, "\nWhy:")
	for i, r := range e.Why.Rules {
		if i > 0 {
			fmt.Fprintf(w, "  %s, because:\n", printable(r.Name))
		}
		for _, l := range r.Lines {
			fmt.Fprintf(w, "  %s- %s\n", indent(i), printable(l.Words))
		}
	}
	fmt.Fprintln(w, "\nThe lines that held:")
	for _, r := range e.Why.Rules {
		for _, l := range r.Lines {
			fmt.Fprintf(w, "  %s:%d  %s\n", path.Base(r.File), l.Line, printable(l.Text))
			for _, v := range values(l) {
				fmt.Fprintf(w, "      %s = %s\n", printable(v.Name), printable(v.Value))
			}
		}
	}
}

func indent(i int) string {
	if i > 0 {
		return "  "
	}
	return ""
}

// values are those that a line does not say itself.
func values(l policy.ExplainedLine) (out []policy.ExplainedValue) {
	for _, v := range l.Values {
		if v.Name != v.Value && v.Value != "true" {
			out = append(out, v)
		}
	}
	return out
}
