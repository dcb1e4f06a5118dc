package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/scan"
)

// Check is one thing that the doctor looked at.
type Check struct {
	What   string `json:"what"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// Doctor tries everything that a scan needs and changes nothing in the sources: the policies, the store, the decisions,
// and each of the named sources (all of them where none is named), which it reads whole.
func (a *App) Doctor(ctx context.Context, uids []string) []Check {
	var out []Check
	note := func(what string, err error, detail string) {
		c := Check{What: what, OK: err == nil, Detail: detail}
		if err != nil {
			c.Detail = strings.ReplaceAll(err.Error(), "\n", "; ") // faults that were joined are lines
		}
		out = append(out, c)
	}
	pack, err := a.Pack()
	detail := ""
	if err == nil {
		on := 0
		for _, p := range pack.Policies() {
			if p.Enabled {
				on++
			}
		}
		detail = fmt.Sprintf("%d loaded, %d enabled", len(pack.Policies()), on)
	}
	note("policies", err, detail)
	st, err := a.State(ctx)
	if err == nil {
		detail = st.Name()
	}
	note("decisions", err, detail)
	if err == nil {
		facts, err := a.Store(ctx)
		if err == nil {
			detail = facts.Describe()
		}
		note("store", err, detail)
	}
	if !slices.ContainsFunc(a.Config.Sources, rosterSource) {
		out = append(out, Check{"roster", false, a.Config.File + ": no source has a roster section: nobody will be known to have left"})
	}
	a.checkLists(ctx, note)
	sources, err := a.Sources(uids)
	if err != nil {
		note("sources", err, "")
	} else if a.store != nil && len(uids) == 0 {
		if err := scan.KeepsRosters(ctx, scan.Options{Sources: sources, Retired: a.Config.Retired, Store: a.store}); err != nil {
			note("roster", err, "")
		}
	}
	for _, s := range sources {
		res, advice, err := collect.Examine(ctx, s.Collector, collect.Options{Limits: s.Limits, Now: a.Now()})
		note("source "+s.UID, err, describe(res))
		for _, r := range res.Rejections[:min(5, len(res.Rejections))] {
			out = append(out, Check{"source " + s.UID, false, "rejected: " + r.String()})
		}
		for _, g := range res.Gaps {
			out = append(out, Check{"source " + s.UID, false, "gap: " + g.String()})
		}
		if stale := res.Provenance.Stale; stale != "" {
			out = append(out, Check{"source " + s.UID, false, "stale: " + stale})
		}
		for _, n := range res.Provenance.Notes {
			out = append(out, Check{"source " + s.UID, true, "note: " + n})
		}
		for _, a := range advice {
			out = append(out, Check{"source " + s.UID + ": " + a.What, !a.Missing, a.Detail})
		}
	}
	for _, s := range sources {
		out = append(out, a.checkWrite(ctx, s.UID)...)
	}
	return out
}

// checkWrite says what is missing to change a source, if that is wanted.
func (a *App) checkWrite(ctx context.Context, uid string) []Check {
	c, err := a.Changer(uid)
	if err == nil {
		_, err = c.Abilities()
	}
	d, ok := c.(collect.Doctor)
	if errors.Is(err, access.ErrCannot) || err == nil && !ok {
		return nil // it is only read
	}
	var advice []collect.Advice
	if err == nil {
		advice, err = d.Diagnose(ctx)
	}
	var out []Check
	for _, one := range advice {
		out = append(out, Check{"source " + uid + ", changes: " + one.What, !one.Missing, one.Detail})
	}
	if err != nil {
		out = append(out, Check{"source " + uid + ", changes", false, err.Error()})
	}
	return out
}

// describe says what a source gave and what it lacks.
func describe(res collect.Result) string {
	var parts []string
	for _, k := range collect.Kinds() {
		if n := res.Counts[k]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, k))
		}
	}
	if len(parts) == 0 {
		parts = []string{"nothing"}
	}
	var missing, partial []string
	for name, c := range res.Provenance.Coverage {
		switch c {
		case access.CoverageNone:
			missing = append(missing, name)
		case access.CoveragePartial:
			partial = append(partial, name)
		}
	}
	slices.Sort(missing)
	slices.Sort(partial)
	if missing != nil {
		parts = append(parts, "not given: "+strings.Join(missing, " "))
	}
	if partial != nil {
		parts = append(parts, "given for some: "+strings.Join(partial, " "))
	}
	return strings.Join(parts, "; ")
}
