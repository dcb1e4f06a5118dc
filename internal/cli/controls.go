package cli

import (
	"strconv"
	"strings"

	"github.com/lapse-audit/lapse/reports"
)

// controlJSON is a control with what may be concluded.
type controlJSON struct {
	reports.Control
	Verdict string `json:"verdict"`
}

// printControls writes the matrix of frameworks, controls and rules.
func (g *global) printControls(r *reports.Report) error {
	l := list{columns: []string{"framework", "control", "rules", "off", "evaluated", "flagged", "excepted", "excluded", "not evaluable", "says"}}
	number := func(n uint64) string { return strconv.FormatUint(n, 10) }
	for _, c := range r.Controls() {
		l.add(controlJSON{c, c.Verdict()}, c.Framework, c.ID, strings.Join(c.Rules, " "), strings.Join(c.Off, " "), number(c.Evaluated), number(c.Flagged),
			number(c.Excepted), number(c.Excluded), number(c.NotEvaluable), c.Verdict())
	}
	return l.print(g.sys.Stdout, g.format, "No policy names a control.")
}
