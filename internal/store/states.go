package store

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
)

// Judgement is one policy on one source, "" for person subjects.
type Judgement struct{ Policy, Source string }

// Judged is a subject with a policy that judges it.
type Judged struct {
	Policy  string
	Subject finding.Subject
}

// RunPolicy is a policy that is enabled in a run.
type RunPolicy struct {
	ID     string
	Hash   string // of its text and parameters
	Failed bool   // it ended in an error: its hits don't count, its findings stand as they were
}

// Carry says what a run's evaluation is worth, for carrying findings forward.
type Carry struct {
	// Policies are all enabled policies. A finding of any other closes as rule_disabled.
	Policies []RunPolicy
	// Judged are the pairs that were evaluated to the end. The store itself leaves out those whose input isn't fresh.
	Judged []Judgement
	// Unknown are subjects that a policy could not judge, because something that it needs to know of them is not known
	// tonight. Those that [Run.Standing] lists are enough.
	Unknown []Judged
	// Incomplete says that the run did not come to its end: nothing closes.
	Incomplete bool
	// BacklogDue is the time given for findings that are there when a policy first judges a source.
	BacklogDue time.Duration
}

// CarryStates makes the finding states after this run from those of the run before and this run's hits. A finding that
// was hit is open (or excluded). One that was not hit closes
//
//   - as rule_disabled, if its policy is no longer enabled,
//   - as subject_gone, if its source is no longer an input of the run, or was judged and lacks the subject,
//   - as rule_changed, if it was judged by a policy that has changed since the pair was last judged,
//   - as fixed, if it was judged,
//
// and else stands as it was, marked as carried. Judged means that Carry.Judged names the pair, that all it rests on is
// fresh (its source; for accounts and entitlements all rosters too; for people every input), and that Carry.Unknown does
// not name the subject: what is not known is neither fixed nor clean. A closed finding is in the
// states of this run and of none after; a hit on it later begins a new stretch.
func (r *Run) CarryStates(ctx context.Context, c Carry) error {
	if err := r.carryStates(ctx, c); err != nil {
		return fmt.Errorf("carry findings into run %d: %w", r.ID, err)
	}
	return nil
}

func (r *Run) carryStates(ctx context.Context, c Carry) error {
	if err := r.flushHits(); err != nil {
		return err
	}
	policies := newBatch(ctx, r.s, "work_policies", r.token("policies"), []field[RunPolicy]{
		column("policy", func(p *RunPolicy) string { return p.ID }),
		column("hash", func(p *RunPolicy) string { return p.Hash }),
		column("failed", func(p *RunPolicy) bool { return p.Failed }),
	})
	byID := map[string]RunPolicy{}
	for _, p := range c.Policies {
		byID[p.ID] = p
		if err := policies.put(p); err != nil {
			break
		}
	}
	if err := policies.close(); err != nil {
		return err
	}

	rostersFresh, allFresh, fresh := true, true, map[string]bool{}
	for _, i := range r.Inputs {
		fresh[i.Source] = i.Status == InputFresh
		rostersFresh = rostersFresh && (i.Status == InputFresh || !i.Roster)
		allFresh = allFresh && i.Status == InputFresh
	}
	fresh[""] = allFresh
	unknown := newBatch(ctx, r.s, "work_unknown", r.token("unknown"), []field[Judged]{
		column("policy", func(j *Judged) string { return j.Policy }),
		column("subject_kind", func(j *Judged) string { return string(j.Subject.Kind) }),
		column("source", func(j *Judged) string { return j.Subject.Source }),
		column("subject", func(j *Judged) string { return j.Subject.ID }),
	})
	for _, j := range c.Unknown {
		if err := unknown.put(j); err != nil {
			break
		}
	}
	if err := unknown.close(); err != nil {
		return err
	}
	judged := newBatch(ctx, r.s, "run_judged", r.token("judged"), []field[Judgement]{
		column("run", func(*Judgement) uint64 { return r.ID }),
		column("policy", func(j *Judgement) string { return j.Policy }),
		column("source", func(j *Judgement) string { return j.Source }),
		column("hash", func(j *Judgement) string { return byID[j.Policy].Hash }),
	})
	for _, j := range c.Judged {
		if p, enabled := byID[j.Policy]; !enabled || p.Failed || !fresh[j.Source] || c.Incomplete {
			continue
		}
		if err := judged.put(j); err != nil {
			break
		}
	}
	if err := judged.close(); err != nil {
		return err
	}
	return r.do(ctx, "states", clickhouse.Named("rosters_fresh", bit(rostersFresh)), clickhouse.Named("all_fresh", bit(allFresh)),
		clickhouse.Named("incomplete", bit(c.Incomplete)), clickhouse.Named("due", int64(c.BacklogDue/time.Second)))
}

// Standing lists the subjects on which findings stand since the run before, each once a policy.
func (r *Run) Standing(ctx context.Context) iter.Seq2[Judged, error] {
	return stream(ctx, r.s, func(rows driver.Rows, j *Judged) error {
		var kind string
		err := rows.Scan(&j.Policy, &kind, &j.Subject.Source, &j.Subject.ID)
		j.Subject.Kind = access.SubjectKind(kind)
		return err
	}, `SELECT DISTINCT policy, subject_kind, source, subject FROM finding_states WHERE run = {previous:UInt64} AND status != 'closed'`,
		clickhouse.Named("previous", r.Previous))
}

func bit(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// RunStatus says how a run ended.
type RunStatus string

// A complete run judged all it was meant to, on whatever inputs there were. An incomplete one was broken off or lacks a
// policy or a source.
const (
	RunComplete   RunStatus = "complete"
	RunIncomplete RunStatus = "incomplete"
)

// Publish makes the run visible, in one step. The store counts what there is in it.
func (r *Run) Publish(ctx context.Context, status RunStatus, reasons []string) (RunInfo, error) {
	info, err := r.publish(ctx, status, reasons)
	if err != nil {
		return RunInfo{}, fmt.Errorf("publish run %d: %w", r.ID, err)
	}
	return info, nil
}

func (r *Run) publish(ctx context.Context, status RunStatus, reasons []string) (RunInfo, error) {
	if err := r.flushHits(); err != nil {
		return RunInfo{}, err
	}
	if err := r.do(ctx, "changes"); err != nil {
		return RunInfo{}, err
	}
	i := RunInfo{ID: r.ID, Time: r.Time, RecordedAt: r.recordedAt.UTC(), FinishedAt: r.s.now().UTC(), Previous: r.Previous,
		Status: status, Reasons: reasons, People: r.counts.people, Accounts: r.counts.accounts,
		Entitlements: r.counts.entitlements, Grants: r.counts.grants, Effective: r.counts.effective, Seats: r.counts.seats}
	err := r.s.row(ctx, []any{&i.Open, &i.New, &i.Closed, &i.Backlog}, `SELECT countIf(status = 'open'),
		countIf(status = 'open' AND first_seen = time), countIf(status = 'closed'), countIf(status = 'open' AND backlog)
		FROM finding_states WHERE run = {run:UInt64}`, clickhouse.Named("run", r.ID))
	if err != nil {
		return RunInfo{}, err
	}
	b := newBatch(ctx, r.s, "runs", r.token("publish"), runFields())
	_ = b.put(i) // kept
	return i, b.close()
}
