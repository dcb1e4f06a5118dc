package scan

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/policy"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
)

// finish carries the findings on and publishes the run, if the lease is still held.
func finish(ctx context.Context, o Options, l *state.Lease, run *store.Run, j judgement) (store.RunInfo, error) {
	if err := run.WriteTallies(ctx, j.tallies); err != nil {
		return store.RunInfo{}, err
	}
	carry := store.Carry{BacklogDue: o.Backlog}
	var ofPeople []string
	for _, p := range o.Pack.Policies() {
		if !p.Enabled {
			continue
		}
		if p.Subject == access.SubjectAccount && restsOnPerson(p) {
			ofPeople = append(ofPeople, p.ID)
		}
		carry.Policies = append(carry.Policies, store.RunPolicy{ID: p.ID, Hash: p.Hash, Failed: j.failures[p.ID] != nil})
		carry.Judged = append(carry.Judged, judgedBy(p, run.Inputs)...)
	}
	vanished, err := run.Vanished(ctx, ofPeople)
	if err != nil {
		return store.RunInfo{}, err
	}
	carry.Unknown = append(j.unknown, vanished...)
	if err := run.CarryStates(ctx, carry); err != nil {
		return store.RunInfo{}, err
	}
	status, reasons := store.RunComplete, incomplete(run.Inputs, j)
	if reasons != nil {
		status = store.RunIncomplete
	}
	if err := l.Check(ctx); err != nil {
		return store.RunInfo{}, err
	}
	return run.Publish(ctx, status, reasons)
}

// restsOnPerson reports whether a policy is about accounts only as somebody's: without the person it judges nothing.
func restsOnPerson(p policy.Policy) bool {
	ofPerson := func(path string) bool { return strings.HasPrefix(path, "person.") || strings.HasPrefix(path, "link.") }
	return slices.ContainsFunc(p.Scope, func(c policy.Condition) bool { return ofPerson(c.Path) }) ||
		slices.ContainsFunc(p.Needs, func(n policy.Need) bool { return slices.ContainsFunc(n, ofPerson) })
}

// judgedBy lists the sources that a policy has judged whole: those that give its kind of subject at all. What isn't
// fresh the store leaves out.
func judgedBy(p policy.Policy, inputs []store.RunInput) []store.Judgement {
	if p.Subject == access.SubjectPerson {
		return []store.Judgement{{Policy: p.ID}}
	}
	gives := map[access.SubjectKind][]string{
		access.SubjectAccount:     {store.KindAccounts},
		access.SubjectEntitlement: {store.KindEntitlements},
		access.SubjectLicense:     {store.KindLicenses, store.KindSeats},
	}[p.Subject]
	var out []store.Judgement
	for _, in := range inputs {
		if in.Snapshot != 0 && (gives == nil || slices.ContainsFunc(gives, func(kind string) bool { return slices.Contains(in.Reads, kind) })) {
			out = append(out, store.Judgement{Policy: p.ID, Source: in.Source})
		}
	}
	return out
}

// incomplete says, in words, what the run lacks; nil if nothing. Why a source is not fresh stands with its input.
func incomplete(inputs []store.RunInput, j judgement) []string {
	var out []string
	for _, in := range inputs {
		switch {
		case in.Status == store.InputFresh:
		case in.Snapshot == 0:
			out = append(out, fmt.Sprintf("%s is %s and has no earlier snapshot to stand in", in.Source, in.Status))
		case in.Status == store.InputStale && !in.AsOf.IsZero():
			out = append(out, fmt.Sprintf("%s is stale; its data is of %s", in.Source, in.AsOf.Format("2006-01-02 15:04 MST")))
		default:
			out = append(out, fmt.Sprintf("%s is %s; its snapshot of %s stands in", in.Source, in.Status, in.Taken.Format("2006-01-02 15:04 MST")))
		}
	}
	for _, f := range j.failed {
		out = append(out, "policy failed: "+f)
	}
	for _, d := range j.doubts {
		out = append(out, "prefilter: "+d.String()+"; the policy has judged all subjects again. Set scan.lane to full, and report this")
	}
	return out
}
