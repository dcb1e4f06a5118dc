package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/policy"
)

func newPolicy(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Write, check, test, try and explain policies",
	}
	cmd.AddCommand(newPolicyList(g), newPolicyNew(g), newPolicyFields(g), newPolicyCheck(g), newPolicyTest(g))
	return cmd
}

func newPolicyList(g *global) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the policies: what each flags, how grave it is, and what it needs to know",
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
			l := list{columns: []string{"id", "on", "severity", "subject", "title", "params"}}
			for _, p := range pack.Policies() {
				if !all && !p.Enabled {
					continue
				}
				var params []string
				for _, k := range slices.Sorted(maps.Keys(p.Params)) {
					params = append(params, fmt.Sprintf("%s=%v", k, p.Params[k]))
				}
				on := "no"
				if p.Enabled {
					on = "yes"
				}
				l.add(newPolicyJSON(p), p.ID, on, p.Severity.String(), string(p.Subject), p.Title, strings.Join(params, " "))
			}
			return l.print(g.sys.Stdout, g.format, "No policy is enabled.")
		},
	}
	cmd.Flags().BoolVar(&all, "all", true, "disabled ones too")
	return cmd
}

// policyJSON is a policy as the command line prints it.
type policyJSON struct {
	ID          string           `json:"id"`
	Title       string           `json:"title"`
	Description string           `json:"description"`
	Enabled     bool             `json:"enabled"`
	Subject     string           `json:"subject"`
	Severity    finding.Severity `json:"severity"`
	Action      string           `json:"action"`
	Assignee    string           `json:"assignee"`
	Controls    []string         `json:"controls"`
	Params      map[string]any   `json:"params"`
	Exempt      []string         `json:"exempt,omitempty"`
	Needs       []string         `json:"needs,omitempty"`
	File        string           `json:"file"`
}

func newPolicyJSON(p policy.Policy) policyJSON {
	out := policyJSON{ID: p.ID, Title: p.Title, Description: p.Description, Enabled: p.Enabled, Subject: string(p.Subject), Severity: p.Severity,
		Action: p.Action, Assignee: p.Assignee, Controls: p.Controls, Params: p.Params, Exempt: p.Exempt, File: p.File}
	for _, n := range p.Needs {
		out.Needs = append(out.Needs, n.String())
	}
	return out
}

func newPolicyTest(g *global) *cobra.Command {
	o := policyTestOptions{global: g}
	cmd := &cobra.Command{
		Use:   "test [FOLDER...]",
		Short: "Run the policies' tests, with the lines that they reach",
		Long: `Run the tests beside the policies (rules that begin with test_ in *_test.rego), those built in, those of lapse.yaml and
those in the folders named. A failed test shows the expression that did not hold.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args) },
	}
	cmd.Flags().StringVar(&o.only, "run", "", "regular expression of the tests to run, over package and name")
	cmd.Flags().BoolVar(&o.each, "each", false, "print what passes too")
	return cmd
}

type policyTestOptions struct {
	*global
	only string
	each bool
}

func (o *policyTestOptions) run(cmd *cobra.Command, folders []string) error {
	a, err := o.openOrDefault()
	if err != nil {
		return err
	}
	defer a.Close()
	if _, err := a.AddPolicies(folders); err != nil {
		return err
	}
	pack, err := a.Pack()
	if err != nil {
		return err
	}
	r, err := policy.Test(cmd.Context(), pack, o.sys.Stdout, policy.TestOptions{Run: o.only, Verbose: o.each})
	if err != nil {
		return err
	}
	if o.format == "json" {
		err = printJSON(o.sys.Stdout, r)
	} else {
		err = printPolicyTest(o.sys.Stdout, r)
	}
	if err == nil && !r.OK() {
		return exit{exitError}
	}
	return err
}

func printPolicyTest(w io.Writer, r policy.TestReport) error {
	l := list{columns: []string{"policy", "coverage", "lines not reached"}}
	for _, c := range r.Coverage {
		missed := make([]string, len(c.Missed))
		for i, line := range c.Missed {
			missed[i] = strconv.Itoa(line)
		}
		l.add(nil, c.File, fmt.Sprintf("%.1f%%", c.Percent), strings.Join(missed, " "))
	}
	if err := l.print(w, "table", "There is no policy."); err != nil {
		return err
	}
	for _, f := range r.Untested {
		fmt.Fprintf(w, "%s has no tests beside it\n", f)
	}
	_, err := fmt.Fprintf(w, "%d passed, %d failed, %d skipped\n", r.Passed, r.Failed, r.Skipped)
	return err
}
