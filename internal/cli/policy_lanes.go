package cli

import (
	"context"
	"fmt"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/policy"
)

// laneRow is a condition that the prefilter leaves to a policy; without one it leaves none, or all.
type laneRow struct {
	Policy    string      `json:"policy"`
	Lane      policy.Lane `json:"lane"`
	File      string      `json:"file,omitempty"`
	Line      int         `json:"line,omitempty"`
	Condition string      `json:"condition,omitempty"`
	Why       string      `json:"why,omitempty"`
}

// printLanes lists the policies with what the prefilter leaves to them, a line for each condition.
func (o *policyCheckOptions) printLanes(ctx context.Context, a *app.App, focus []string) error {
	coverage, err := a.Lanes(ctx)
	if err != nil {
		return err
	}
	l := list{columns: []string{"policy", "lane", "place", "condition", "why"}}
	counts := map[policy.Lane]int{}
	for _, c := range coverage {
		if !within(c.File, focus) {
			continue
		}
		counts[c.Lane]++
		if len(c.Dropped) == 0 {
			l.add(laneRow{Policy: c.Policy, Lane: c.Lane, Why: c.Why}, c.Policy, string(c.Lane), "", "", c.Why)
		}
		for _, d := range c.Dropped {
			place := ""
			if d.File != "" {
				place = fmt.Sprintf("%s:%d", d.File, d.Line)
			}
			l.add(laneRow{c.Policy, c.Lane, d.File, d.Line, d.Text, d.Why}, c.Policy, string(c.Lane), place, d.Text, d.Why)
		}
	}
	if err := l.print(o.sys.Stdout, o.global.format, "There are no policies."); err != nil {
		return err
	}
	if o.global.format == "table" {
		_, err = fmt.Fprintf(o.sys.Stdout, "%d complete, %d partly, %d full\n", counts[policy.LaneComplete], counts[policy.LanePartly], counts[policy.LaneFull])
	}
	return err
}
