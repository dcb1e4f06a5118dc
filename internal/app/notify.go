package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/notify/text"
	"github.com/lapse-audit/lapse/internal/notify/webhook"
	"github.com/lapse-audit/lapse/internal/remediate"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
)

// Owned is a finding and who is asked about it.
type Owned struct {
	Finding finding.Finding
	Asking  notify.Asking
}

// AskedAbout says of every open finding of the last run who would be asked about it, and why.
func (a *App) AskedAbout(ctx context.Context, q FindingQuery) ([]Owned, error) {
	run, err := a.run(ctx, 0)
	if err != nil {
		return nil, err
	}
	owners, err := a.owners(ctx, run)
	if err != nil {
		return nil, err
	}
	q.Statuses = []finding.Status{finding.Open}
	open, _, err := a.openFindings(ctx, run, q)
	if err != nil {
		return nil, err
	}
	out := make([]Owned, len(open))
	for i, f := range open {
		out[i] = Owned{f.Finding, owners.Of(f.Finding, f.Case, nil)}
	}
	return out, nil
}

// knownPeople are the people of the run that was last asked for: answers come many to a run.
type knownPeople struct {
	run    uint64
	people *notify.People
}

// owners knows the people of a run.
func (a *App) owners(ctx context.Context, run store.RunInfo) (*notify.Owners, error) {
	if a.known.people != nil && a.known.run == run.ID {
		return &notify.Owners{Settings: a.Config.Notify.Settings, People: a.known.people, Zone: a.Config.Location}, nil
	}
	var people []access.Identity
	for p, err := range a.store.RunPeople(ctx, run.ID) {
		if err != nil {
			return nil, err
		}
		people = append(people, p.Identity)
	}
	a.known = knownPeople{run.ID, notify.NewPeople(people)}
	return a.owners(ctx, run)
}

// openFindings are the open ones with what has to be known to say who is asked, and the exceptions of those that are
// accepted.
func (a *App) openFindings(ctx context.Context, run store.RunInfo, q FindingQuery) ([]notify.Open, map[finding.Fingerprint]string, error) {
	pack, err := a.Pack()
	if err != nil {
		return nil, nil, err
	}
	all, err := a.findingsOf(ctx, run, q)
	if err != nil {
		return nil, nil, err
	}
	var open []notify.Open
	accepted := map[finding.Fingerprint]string{}
	for f, err := range all {
		switch {
		case err != nil:
			return nil, nil, err
		case f.Status == finding.Excepted:
			accepted[f.Fingerprint] = f.ExceptionID
		case f.Status == finding.Open:
			open = append(open, notify.Open{Finding: f, Case: notify.Case{Assignee: cmp.Or(pack.Assignee(f.Policy, f.Subject.Source), f.Assignee)}})
		}
	}
	return open, accepted, a.cases(ctx, run, open)
}

// cases adds who answers for accounts and entitlements, and whether they are privileged, as the snapshots of the run say.
func (a *App) cases(ctx context.Context, run store.RunInfo, open []notify.Open) error {
	inputs, err := a.inputs(ctx, run.ID)
	if err != nil {
		return err
	}
	bySource := map[string][]*notify.Open{}
	for i := range open {
		s := open[i].Finding.Subject.Source
		bySource[s] = append(bySource[s], &open[i])
	}
	for _, in := range inputs {
		theirs := bySource[in.Source]
		if in.Snapshot == 0 || len(theirs) == 0 {
			continue
		}
		var ids []string
		for _, f := range theirs {
			if f.Finding.Subject.Kind == access.SubjectAccount {
				ids = append(ids, f.Finding.Subject.ID)
			}
		}
		slices.Sort(ids)
		src := &remediate.Source{UID: in.Source, Accounts: map[string]access.Account{}, Grants: map[string][]access.Grant{}}
		if err := a.privileges(ctx, in, src, slices.Compact(ids)); err != nil {
			return err
		}
		for _, f := range theirs {
			switch f.Finding.Subject.Kind {
			case access.SubjectAccount:
				acc := src.Accounts[f.Finding.Subject.ID]
				f.Case.Owner, f.Case.Privileged = acc.OwnerID, src.Privileged(acc.ID, f.Finding.Key)
			case access.SubjectEntitlement:
				e := src.Entitlements[f.Finding.Subject.ID]
				f.Case.Owner, f.Case.Privileged = e.OwnerID, e.Privileged != nil && *e.Privileged
			}
		}
	}
	return nil
}

// NotifyStatus is how the asking stands.
type NotifyStatus struct {
	Sending state.Sending              `json:"sending"`
	Asked   map[state.AskedStatus]int  `json:"asked"`
	Outbox  map[state.OutboxStatus]int `json:"outbox"`
	Pending int                        `json:"pending"` // answers of which a plan is still to be made
}

// NotifyStatus counts what was asked and sent.
func (a *App) NotifyStatus(ctx context.Context) (NotifyStatus, error) {
	out := NotifyStatus{Asked: map[state.AskedStatus]int{}}
	decisions, err := a.State(ctx)
	if err != nil {
		return out, err
	}
	if out.Sending, err = decisions.Sending(ctx); err != nil {
		return out, err
	}
	asked, err := decisions.Asked(ctx, true)
	if err != nil {
		return out, err
	}
	for _, i := range asked {
		out.Asked[i.Status]++
	}
	if out.Outbox, err = decisions.CountOutbox(ctx); err != nil {
		return out, err
	}
	pending, err := decisions.Answers(ctx, state.AnswerFilter{Pending: true})
	out.Pending = len(pending)
	return out, err
}

// StartNotify lets people be asked from now on. What the last run found open is the backlog: how much of it there is, is
// returned.
func (a *App) StartNotify(ctx context.Context, actor state.Actor) (state.Sending, uint64, error) {
	run, err := a.run(ctx, 0)
	if err != nil {
		return state.Sending{}, 0, err
	}
	decisions, err := a.State(ctx)
	if err != nil {
		return state.Sending{}, 0, err
	}
	n, err := decisions.StartSending(ctx, actor, run.ID, run.Time)
	if errors.Is(err, state.ErrExists) {
		err = errors.New("people are asked already: `lapse notify status` says since when")
	}
	return n, run.Open, err
}

// ErrNotStarted means that nobody is asked yet.
var ErrNotStarted = errors.New("nobody is asked yet: look at `lapse owners`, then `lapse notify start`")

// night is the last run, as far as asking goes.
func (a *App) night(ctx context.Context, decisions *state.State) (notify.Night, *notify.Owners, error) {
	n := notify.Night{Now: a.Now()}
	run, err := a.run(ctx, 0)
	if err != nil {
		return n, nil, err
	}
	n.Run, n.Time = run.ID, run.Time
	if n.Sending, err = decisions.Sending(ctx); err != nil {
		return n, nil, err
	}
	if n.Asked, err = decisions.Asked(ctx, false); err != nil {
		return n, nil, err
	}
	owners, err := a.owners(ctx, run)
	if err != nil {
		return n, nil, err
	}
	if n.Open, n.Accepted, err = a.openFindings(ctx, run, FindingQuery{Statuses: []finding.Status{finding.Open, finding.Excepted}}); err != nil {
		return n, nil, err
	}
	then, err := decisions.Exceptions(ctx, n.Sending.RunTime, state.ExceptionFilter{})
	if err != nil {
		return n, nil, err
	}
	matcher := state.NewMatcher(then, n.Sending.RunTime)
	n.Reopened = func(f finding.Finding) bool {
		f.Status = finding.Open
		overlay(matcher, &f)
		return f.Status == finding.Excepted
	}
	n.Usual, err = a.usual(ctx, run)
	return n, owners, err
}

// usualNights is how many nights say what is usual.
const usualNights = 14

// usual is how many findings were new in each of the last nights. The first night of all, on which everything is, is none.
func (a *App) usual(ctx context.Context, run store.RunInfo) (int, error) {
	runs, err := a.store.Runs(ctx, store.RunFilter{Until: run.Time, Limit: usualNights})
	if err != nil {
		return 0, err
	}
	var counts []int
	for _, r := range runs {
		if r.Previous != 0 {
			counts = append(counts, int(r.New))
		}
	}
	return notify.Usual(counts), nil
}

// Preview is what would be said now. It changes nothing, and can be asked for before anything is started: then it shows what
// would be said of all that is open and was not there on the first night of its source or rule.
func (a *App) Preview(ctx context.Context) (notify.Draft, error) {
	decisions, err := a.State(ctx)
	if err != nil {
		return notify.Draft{}, err
	}
	n, owners, err := a.night(ctx, decisions)
	if err != nil {
		return notify.Draft{}, err
	}
	d := owners.Draft(n)
	notices, err := a.notices(ctx, decisions, owners, n)
	d.Letters = append(d.Letters, notices...)
	return d, err
}

// channels are those that lapse.yaml sets up, in the order in which they are tried: tickets, which take the items of some roles
// alone, then what can be answered in place, and last what no person reads.
func (a *App) channels(ctx context.Context) ([]notify.Channel, error) {
	var out []notify.Channel
	c := a.Config.Notify
	if c.Tickets != nil {
		ch, err := a.tickets(ctx)
		if err != nil {
			return nil, err
		}
		out = append(out, ch)
	}
	if c.Slack != nil {
		ch, err := a.Slack(ctx)
		if err != nil {
			return nil, err
		}
		out = append(out, ch)
	}
	if c.Teams != nil {
		ch, err := a.teams(ctx)
		if err != nil {
			return nil, err
		}
		out = append(out, ch)
	}
	if c.Email != nil {
		ch, err := a.email(ctx)
		if err != nil {
			return nil, err
		}
		out = append(out, ch)
	}
	if c.Webhook.URL != "" {
		secret, err := a.Config.Secret(ctx, "notify.webhook.secret", c.Webhook.Secret)
		if err != nil {
			return nil, err
		}
		out = append(out, webhook.New(c.Webhook.URL, secret))
	}
	if c.Text.Dir != "" {
		out = append(out, text.New(a.Config.Path(c.Text.Dir)))
	}
	return out, nil
}

// Notified is what came of asking people.
type Notified struct {
	notify.Sent
	Hold    string `json:"hold,omitempty"`
	Backlog int    `json:"backlog"`
	Plans   int    `json:"plans"` // made of answers
}

// notifyLease is held by whoever sends.
const notifyLease = "notify"

// Notify makes plans of answers, queues what is to be said after the last run, and sends what is in the outbox.
func (a *App) Notify(ctx context.Context, actor state.Actor) (out Notified, err error) {
	decisions, err := a.State(ctx)
	if err != nil {
		return out, err
	}
	l, err := decisions.TryAcquire(ctx, notifyLease, holder("lapse notify"), 30*time.Second)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, l.Release(context.WithoutCancel(ctx))) }()
	ctx, cancel := l.Context(ctx)
	defer cancel()
	channels, err := a.channels(ctx)
	if err != nil {
		return out, err
	}
	if len(channels) == 0 {
		return out, fmt.Errorf("%s: notify: no channel is set up: write text: {dir: ./messages} to begin with", a.Config.File)
	}
	if out.Plans, err = a.carryAnswers(ctx, actor, decisions); err != nil {
		return out, err
	}
	if err := a.refreshReviews(ctx, actor); err != nil {
		return out, err
	}
	// Whoever can't be reached has somebody next in line, who may not be reached either.
	for range 10 {
		more, err := a.notifyOnce(ctx, actor, decisions, channels, &out)
		if err != nil || !more {
			return out, err
		}
	}
	return out, nil
}

func (a *App) notifyOnce(ctx context.Context, actor state.Actor, decisions *state.State, channels []notify.Channel, out *Notified) (more bool, err error) {
	n, owners, err := a.night(ctx, decisions)
	if err != nil {
		return false, err
	}
	if n.Sending.Started.IsZero() {
		return false, ErrNotStarted
	}
	d := owners.Draft(n)
	notices, err := a.notices(ctx, decisions, owners, n)
	if err != nil {
		return false, err
	}
	d.Letters = append(d.Letters, notices...)
	out.Hold, out.Backlog = d.Hold, d.Backlog
	switch {
	case d.Hold != "" && n.Sending.HeldRun != n.Run:
		_, err = decisions.HoldSending(ctx, actor, n.Run, d.Hold)
	case d.Hold == "" && n.Sending.HeldRun != 0: // what was too much then is not any more
		_, err = decisions.ReleaseSending(ctx, actor)
	}
	if err != nil {
		return false, err
	}
	p := &notify.Pipeline{Decisions: decisions, Owners: owners, Channels: channels, Actor: actor, Now: a.Now, Log: a.Log}
	if err := p.Queue(ctx, d); err != nil {
		return false, err
	}
	s, err := p.Send(ctx)
	out.Sent.Sent += s.Sent
	out.Updated += s.Updated
	out.Repeated += s.Repeated
	out.Unreachable += s.Unreachable
	out.Quiet, out.Waiting = s.Quiet, s.Waiting
	return s.Unreachable > 0 && d.Hold == "", err
}

// Answered says what came of an answer.
func (a *App) Answered(ans state.Answered) string {
	when := ans.Until.In(a.Config.Location).Format("2006-01-02 15:04 MST")
	switch {
	case ans.Exception != "":
		return fmt.Sprintf("%s accepts it until %s", ans.Exception, when)
	case ans.Plan != "":
		return fmt.Sprintf("%s, %s", ans.Plan, ans.Outcome)
	case ans.Outcome != "":
		return ans.Outcome
	case ans.Pending:
		return "a plan is made of it"
	case ans.To != "":
		return ans.To + " is asked"
	case !ans.Until.IsZero():
		return "asked again on " + when
	}
	return "the next in line is asked"
}

func (a *App) carryAnswers(ctx context.Context, actor state.Actor, decisions *state.State) (int, error) {
	pending, err := decisions.Answers(ctx, state.AnswerFilter{Pending: true})
	if err != nil {
		return 0, err
	}
	made := 0
	for _, ans := range pending {
		switch _, err := a.carryAnswer(ctx, actor, decisions, ans); {
		case ctx.Err() != nil:
			return made, ctx.Err()
		case err != nil:
			a.Log.Warn("no plan could be made of an answer yet", "answer", ans.ID, "error", err)
			continue
		}
		made++
	}
	return made, nil
}

// carryAnswer makes a plan of one of an answer and, where lapse.yaml lets answers approve, approves it in the name of whoever
// answered. Whether that counts the guards say. It can be repeated at any point, and by two at once.
func (a *App) carryAnswer(ctx context.Context, actor state.Actor, decisions *state.State, ans state.Answered) (state.Answered, error) {
	recorded, err := decisions.PlanByID(ctx, state.AnswerPlanID(ans.ID)) // it is there if the process ended before that was recorded
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return ans, err
	}
	if err != nil {
		d, err := a.MakePlan(ctx, actor, PlanQuery{Findings: []string{ans.Finding}, Answer: ans.ID, Reason: "answer of " + ans.By}, false)
		if err != nil {
			return ans, err
		}
		if len(d.Plan.Steps) == 0 {
			why := "there is nothing to take away"
			if len(d.Plan.Left) > 0 {
				why = d.Plan.Left[0].Reason
			}
			return decisions.CarryAnswer(ctx, actor, ans.ID, "", "no plan was made: "+why)
		}
		recorded = d.Recorded
	}
	outcome := "an approver has to approve the plan"
	if a.Config.Remediation.ByClick && !notify.IsRole(ans.By) {
		_, err := decisions.ApprovePlan(ctx, state.Actor{ID: ans.By}, state.Approval{Plan: recorded.ID, Hash: recorded.Hash, Method: remediate.MethodClick})
		if err != nil && !errors.Is(err, state.ErrExists) {
			return ans, err
		}
		outcome = "the answer approves the plan, if its guards let it"
	}
	return decisions.CarryAnswer(ctx, actor, ans.ID, recorded.ID, outcome)
}
