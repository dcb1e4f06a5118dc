package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/policy"
)

func newPolicyCheck(g *global) *cobra.Command {
	o := policyCheckOptions{global: g}
	cmd := &cobra.Command{
		Use:   "check [FOLDER...]",
		Short: "Check policies: what keeps them from loading, and what they likely don't mean",
		Long: `Check the policies of lapse.yaml, or only those in the folders named: syntax, types against the subjects' schema, METADATA,
forbidden builtins and parameters, all of which keep a policy from being loaded; and what loads but is likely not meant,
such as a "not" that holds where nobody knows. Each problem comes with its place, the reason, and what to write instead.

A warning is silenced, with a reason, by a comment on its line or the one before:

  # lapse:allow unknown-not: a person without an end date has never left

With --lanes it says instead what a policy costs where there are many subjects: the store passes over those that a condition
rules out which it can test itself. "complete" is a policy that it can test as a whole; of one that is "partly" so, the
conditions are named that are left to the policy, with what to write so that they are not; "full" is one that has to judge
every subject, and why. What a policy finds is the same.

Exit code 1 if there is an error, or with --strict a warning.`,
		Example: `  lapse policy check policies/acme
  lapse policy check --strict --format sarif > check.sarif
  lapse policy check --lanes policies/acme`,
		Args:        cobra.ArbitraryArgs,
		Annotations: formats("table", "json", "csv", "sarif"),
		RunE:        func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	cmd.Flags().BoolVar(&o.strict, "strict", false, "exit 1 on a warning too")
	cmd.Flags().BoolVar(&o.lanes, "lanes", false, "say of each policy how far many subjects are prefiltered for it, and why no further")
	cmd.Flags().BoolVar(&o.fix, "fix", false, "write the files as opa fmt does")
	return cmd
}

type policyCheckOptions struct {
	*global
	strict, fix, lanes bool
}

func (o *policyCheckOptions) run(ctx context.Context, folders []string) error {
	a, err := o.openOrDefault()
	if err != nil {
		return err
	}
	defer a.Close()
	focus, err := a.AddPolicies(folders)
	if err != nil {
		return err
	}
	if o.lanes {
		return o.printLanes(ctx, a, focus)
	}
	problems, err := a.CheckPolicies()
	if err != nil {
		return err
	}
	if o.fix {
		if problems, err = o.format(a, problems, focus); err != nil {
			return err
		}
	}
	elsewhere := 0
	problems = slices.DeleteFunc(problems, func(p policy.Problem) bool {
		out := !within(p.File, focus)
		if out && p.Level == policy.Error {
			elsewhere++
		}
		return out
	})
	bad := slices.ContainsFunc(problems, func(p policy.Problem) bool { return p.Level == policy.Error || o.strict })
	if err := o.print(problems); err != nil {
		return err
	}
	if elsewhere > 0 {
		fmt.Fprintf(o.sys.Stderr, "lapse: %s elsewhere: see `lapse policy check`\n", plural(elsewhere, "error"))
	}
	if bad {
		return exit{exitError}
	}
	return nil
}

// within reports whether a file lies below one of the folders; without folders all do.
func within(file string, folders []string) bool {
	return len(folders) == 0 || slices.ContainsFunc(folders, func(f string) bool { return f == "." || strings.HasPrefix(file, f+"/") })
}

// format writes the files that are not as opa fmt writes them, and checks again.
func (o *policyCheckOptions) format(a *app.App, problems []policy.Problem, focus []string) ([]policy.Problem, error) {
	var errs []error
	for _, p := range problems {
		if p.Check != "format" || app.IsBuiltIn(p.File) || !within(p.File, focus) {
			continue
		}
		if _, err := os.Stat(p.File); err != nil {
			continue // in a bundle
		}
		errs = append(errs, policy.FormatFile(p.File))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return a.CheckPolicies()
}

func (o *policyCheckOptions) print(problems []policy.Problem) error {
	w := o.sys.Stdout
	switch o.global.format {
	case "sarif":
		return policy.WriteSARIF(w, o.sys.Version, problems)
	case "json", "csv":
		l := list{columns: []string{"file", "line", "column", "level", "check", "policy", "message", "instead"}}
		for _, p := range problems {
			l.add(p, p.File, fmt.Sprint(p.Line), fmt.Sprint(p.Column), string(p.Level), p.Check, p.Policy, p.Message, p.Instead)
		}
		return l.print(w, o.global.format, "")
	}
	counts := map[policy.Level]int{}
	for _, p := range problems {
		counts[p.Level]++
		at := p.File
		if p.Line > 0 {
			at += fmt.Sprintf(":%d", p.Line)
		}
		if p.Column > 0 {
			at += fmt.Sprintf(":%d", p.Column)
		}
		fmt.Fprintf(w, "%s: %s: %s [%s]\n", at, p.Level, printable(p.Message), p.Check)
		if line := sourceLine(p); line != "" {
			fmt.Fprintf(w, "    %s\n", printable(line))
		}
		fmt.Fprintf(w, "  write instead: %s\n", printable(p.Instead))
	}
	_, err := fmt.Fprintf(w, "%s, %s\n", plural(counts[policy.Error], "error"), plural(counts[policy.Warning], "warning"))
	return err
}

// sourceLine is the line that a problem is on, "" where it can't be shown.
func sourceLine(p policy.Problem) string {
	if p.Line < 1 || app.IsBuiltIn(p.File) {
		return ""
	}
	text, err := os.ReadFile(p.File)
	if err != nil {
		return ""
	}
	lines := strings.Split(string(text), "\n")
	if p.Line > len(lines) {
		return ""
	}
	return strings.TrimSpace(lines[p.Line-1])
}
