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
	cmd.AddCommand(newPolicyList(g), newPolicyNew(g), newPolicyFields(g), newPolicyCheck(g), newPolicyTest(g), newPolicyTry(g), newPolicyBacktest(g), newPolicyExplain(g), newPolicyRecord(g), newPolicyBench(g), newPolicyDocs(g))
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
	Data        string           `json:"data,omitempty"`
}

func newPolicyJSON(p policy.Policy) policyJSON {
	out := policyJSON{ID: p.ID, Title: p.Title, Description: p.Description, Enabled: p.Enabled, Subject: string(p.Subject), Severity: p.Severity,
		Action: p.Action, Assignee: p.Assignee, Controls: p.Controls, Params: p.Params, Exempt: p.Exempt, File: p.File, Data: p.Table}
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
		Long: `Run the tests beside the policies (rules that begin with test_ in *_test.rego): those built in and
those of lapse.yaml; or only those in the folders named. A failed test shows the line that did not hold, and what the two
sides of a comparison don't have in common: - what the right side wants, + what the left side is.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args) },
	}
	cmd.Flags().BoolVar(&o.apart, "apart", false, "this is the process of its own")
	_ = cmd.Flags().MarkHidden("apart") // it is there
	cmd.Flags().StringVar(&o.only, "run", "", "regular expression of the tests to run, over package and name")
	cmd.Flags().BoolVar(&o.each, "each", false, "print what passes too")
	cmd.Flags().Float64Var(&o.coverage, "coverage", 0, "exit 1 unless the tests reach so many percent of each policy's lines")
	return cmd
}

type policyTestOptions struct {
	*global
	only     string
	each     bool
	coverage float64
	apart    bool // this process runs nothing but the tests
}

func (o *policyTestOptions) run(cmd *cobra.Command, folders []string) error {
	if o.sys.Program != "" && !o.apart {
		return o.testApart(cmd.Context(), append(slices.Clone(o.sys.Args), "--apart"))
	}
	a, err := o.openOrDefault()
	if err != nil {
		return err
	}
	defer a.Close()
	below, err := a.AddPolicies(folders)
	if err != nil {
		return err
	}
	pack, err := a.Pack()
	if err != nil {
		return err
	}
	opts := policy.TestOptions{Run: o.only, Verbose: o.each, Below: below}
	if o.apart {
		opts.Begin = func(test string) { fmt.Fprintln(o.sys.Stderr, testMark+test) }
	}
	r, err := policy.Test(cmd.Context(), pack, o.sys.Stdout, opts)
	if err != nil {
		return err
	}
	if o.format == "json" {
		err = printJSON(o.sys.Stdout, r)
	} else {
		err = printPolicyTest(o.sys.Stdout, r)
	}
	if err != nil {
		return err
	}
	low := o.low(r)
	for _, c := range low {
		fmt.Fprintf(o.sys.Stderr, "lapse: the tests of %s reach %.1f%% of its lines, less than %v%%: test lines %s\n", c.File, c.Percent, o.coverage, lineNumbers(c.Missed))
	}
	if !r.OK() || len(low) > 0 {
		return exit{exitError}
	}
	return nil
}

// low lists the files whose tests reach too little.
func (o *policyTestOptions) low(r policy.TestReport) []policy.FileCoverage {
	return slices.DeleteFunc(slices.Clone(r.Coverage), func(c policy.FileCoverage) bool { return c.Percent >= o.coverage })
}

func lineNumbers(lines []int) string {
	out := make([]string, len(lines))
	for i, n := range lines {
		out[i] = strconv.Itoa(n)
	}
	return strings.Join(out, " ")
}

func printPolicyTest(w io.Writer, r policy.TestReport) error {
	l := list{columns: []string{"policy", "coverage", "lines not reached"}}
	for _, c := range r.Coverage {
		l.add(nil, c.File, fmt.Sprintf("%.1f%%", c.Percent), lineNumbers(c.Missed))
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
