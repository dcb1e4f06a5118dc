package app

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/remediate"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
)

// Answer takes an answer that came back by a channel. By the time it returns it is recorded, with the exception that it
// makes; the plan that it asks for is made here, too, or by the next Notify.
func (a *App) Answer(ctx context.Context, actor state.Actor, d notify.Decision) (state.Answered, error) {
	ans, err := a.recordAnswer(ctx, actor, d)
	if err != nil || !ans.Pending {
		return ans, err
	}
	return a.carry(ctx, actor, ans)
}

// recordAnswer takes an answer and makes no plan of it.
func (a *App) recordAnswer(ctx context.Context, actor state.Actor, d notify.Decision) (state.Answered, error) {
	p, open, err := a.asking(ctx, actor, d.Finding)
	if err != nil {
		return state.Answered{}, err
	}
	return p.Answer(ctx, d, open)
}

// asking is a pipeline that takes answers to a finding, which is nil where it is not open.
func (a *App) asking(ctx context.Context, actor state.Actor, fp finding.Fingerprint) (*notify.Pipeline, *notify.Open, error) {
	decisions, err := a.State(ctx)
	if err != nil {
		return nil, nil, err
	}
	run, err := a.lastRun(ctx)
	if err != nil {
		return nil, nil, err
	}
	owners, err := a.owners(ctx, run)
	if err != nil {
		return nil, nil, err
	}
	open, err := a.openItem(ctx, run, fp)
	if err != nil {
		return nil, nil, err
	}
	return &notify.Pipeline{Decisions: decisions, Owners: owners, Actor: actor, Now: a.Now, Log: a.Log}, open, nil
}

// carry makes the plan that an answer asks for. Where it can't the answer stands, and the next Notify tries again.
func (a *App) carry(ctx context.Context, actor state.Actor, ans state.Answered) (state.Answered, error) {
	decisions, err := a.State(ctx)
	if err != nil {
		return ans, err
	}
	carried, err := a.carryAnswer(ctx, actor, decisions, ans)
	if err != nil {
		a.Log.Warn("no plan could be made of an answer yet", "answer", ans.ID, "error", err)
		return ans, nil
	}
	return carried, nil
}

// Decide is Answer for a channel that tells whoever answered what came of it. A refusal is a reply, too; an error means that
// nothing was recorded and that the channel may try again.
func (a *App) Decide(ctx context.Context, actor state.Actor, d notify.Decision) (reply string, err error) {
	ans, err := a.Answer(ctx, actor, d)
	return a.reply(ans, err)
}

// RecordAnswer is Decide for a channel that waits for an acknowledgement: the plan that an answer asks for is left to FollowAnswer.
func (a *App) RecordAnswer(ctx context.Context, actor state.Actor, d notify.Decision) (reply string, err error) {
	ans, err := a.recordAnswer(ctx, actor, d)
	return a.reply(ans, err)
}

// FollowAnswer makes the plan that a recorded answer asks for, and says what came of it; "" where there is nothing to be done.
func (a *App) FollowAnswer(ctx context.Context, actor state.Actor, d notify.Decision) string {
	decisions, err := a.State(ctx)
	if err != nil {
		return ""
	}
	given, err := decisions.Answers(ctx, state.AnswerFilter{ID: d.ID})
	if err != nil || len(given) != 1 || !given[0].Pending {
		return ""
	}
	ans, err := a.carry(ctx, actor, given[0])
	if err != nil {
		return ""
	}
	return "Recorded: " + a.Answered(ans) + "."
}

func (a *App) reply(ans state.Answered, err error) (string, error) {
	var refusal *notify.RefusalError
	switch {
	case errors.As(err, &refusal):
		// It is read by whoever answered.
		return "This was not recorded: " + strings.Replace(refusal.Error(), "it is not theirs", "it is not yours", 1) + ".", nil
	case err != nil:
		return "", err
	}
	return "Recorded: " + a.Answered(ans) + ".", nil
}

// answering is what answers are held against: they come many to a run, and each has to be acknowledged soon. What is in it
// never changes for a run; exceptions are laid over it anew each time.
type answering struct {
	mu     sync.Mutex
	run    store.RunInfo
	at     time.Time                   // when run was the last one
	inputs map[uint64][]store.RunInput // of one run
	nested map[string]nesting          // by source
	opened uint64                      // the run that open is of
	open   map[finding.Fingerprint]notify.Open
}

// nesting is what can be held in a source and what that brings with it, in one snapshot.
type nesting struct {
	snapshot     uint64
	groups       map[string][]string
	entitlements map[string]access.Entitlement
}

// PrepareAnswers reads what the last run found open, where that is not known yet, so that an answer has to wait for no query. It
// may be called beside the answers of others, once policies, decisions and store are open.
func (a *App) PrepareAnswers(ctx context.Context) error {
	run, err := a.run(ctx, 0)
	if err != nil {
		return err
	}
	c := &a.answering
	c.mu.Lock()
	known := c.opened == run.ID
	c.mu.Unlock()
	if known {
		return nil
	}
	found, _, err := a.openFindings(ctx, run, FindingQuery{Statuses: []finding.Status{finding.Open}})
	if err != nil {
		return err
	}
	open := make(map[finding.Fingerprint]notify.Open, len(found))
	for _, f := range found {
		open[f.Finding.Fingerprint] = f
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opened, c.open = run.ID, open
	return nil
}

// openItem is a finding that is open as things stand now, nil if it isn't.
func (a *App) openItem(ctx context.Context, run store.RunInfo, fp finding.Fingerprint) (*notify.Open, error) {
	c := &a.answering
	c.mu.Lock()
	known, ok := c.open[fp]
	ok = ok && c.opened == run.ID
	c.mu.Unlock()
	if ok {
		accepted, err := a.matcher(ctx)
		if err != nil {
			return nil, err
		}
		if overlay(accepted, &known.Finding); known.Finding.Status != finding.Open {
			return nil, nil
		}
		return &known, nil
	}
	found, _, err := a.openFindings(ctx, run, FindingQuery{Fingerprint: string(fp), Statuses: []finding.Status{finding.Open}})
	if err != nil || len(found) != 1 {
		return nil, err
	}
	return &found[0], nil
}

// lastRun is the last run, as it was at most a second ago.
func (a *App) lastRun(ctx context.Context) (store.RunInfo, error) {
	c := &a.answering
	c.mu.Lock()
	run, at := c.run, c.at
	c.mu.Unlock()
	now := time.Now()
	if now.Sub(at) < time.Second {
		return run, nil
	}
	run, err := a.run(ctx, 0)
	if err != nil {
		return run, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.run, c.at = run, now
	return run, nil
}

// inputs are the snapshots of a run, which never change.
func (a *App) inputs(ctx context.Context, run uint64) ([]store.RunInput, error) {
	c := &a.answering
	c.mu.Lock()
	in, ok := c.inputs[run]
	c.mu.Unlock()
	if ok {
		return in, nil
	}
	in, err := a.store.Inputs(ctx, run)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inputs = map[uint64][]store.RunInput{run: in}
	return in, nil
}

// privileges reads what says whether accounts are privileged: them, what they hold, and what that brings with it.
func (a *App) privileges(ctx context.Context, in store.RunInput, src *remediate.Source, ids []string) error {
	accounts, err := a.store.AccountsByID(ctx, in.Source, in.Snapshot, ids)
	if err != nil {
		return err
	}
	for _, acc := range accounts {
		src.Accounts[acc.ID] = acc
	}
	grants, err := a.store.GrantsOf(ctx, in.Source, in.Snapshot, ids)
	if err != nil {
		return err
	}
	for _, g := range grants {
		src.Grants[g.HolderID] = append(src.Grants[g.HolderID], g)
	}
	n, err := a.nestingOf(ctx, in)
	src.Nested, src.Entitlements = n.groups, n.entitlements
	return err
}

// nestingOf is read once a snapshot: it is as large as the directory, whatever is asked about.
func (a *App) nestingOf(ctx context.Context, in store.RunInput) (nesting, error) {
	c := &a.answering
	c.mu.Lock()
	n, ok := c.nested[in.Source]
	c.mu.Unlock()
	if ok && n.snapshot == in.Snapshot {
		return n, nil
	}
	n = nesting{in.Snapshot, map[string][]string{}, map[string]access.Entitlement{}}
	nested, err := a.store.Nested(ctx, in.Source, in.Snapshot)
	if err != nil {
		return n, err
	}
	for _, g := range nested {
		n.groups[g.HolderID] = append(n.groups[g.HolderID], g.EntitlementID)
	}
	for e, err := range a.store.Entitlements(ctx, in.Source, in.Snapshot) {
		if err != nil {
			return n, err
		}
		n.entitlements[e.ID] = e
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.nested == nil {
		c.nested = map[string]nesting{}
	}
	c.nested[in.Source] = n
	return n, nil
}
