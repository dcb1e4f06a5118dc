package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/remediate"
	"github.com/lapse-audit/lapse/internal/scan"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
)

// PlanQuery chooses the findings of the last run that a plan is made of.
type PlanQuery struct {
	FindingQuery
	Findings []string // beginnings of fingerprints; they add up
	Assignee string
	Auto     bool   // only of policies in mode auto; lapse.yaml approves it
	Reason   string // why it is made, if there is more to say
	Answer   string // id of the answer that it is made from
}

func (q PlanQuery) words() string {
	var parts []string
	add := func(name string, values ...string) {
		if s := strings.Join(values, ","); s != "" {
			parts = append(parts, name+" "+s)
		}
	}
	add("policy", q.Policies...)
	add("source", q.Sources...)
	add("finding", q.Findings...)
	add("person", q.Person)
	add("assignee", q.Assignee)
	if q.Auto {
		parts = append(parts, "mode auto")
	}
	return strings.Join(parts, ", ")
}

// Drafted is a plan and how it stands.
type Drafted struct {
	Plan     remediate.Plan
	Recorded state.Plan
	// Refusals are what the guards would say if it were carried out now, but for the approvals that it can't have yet.
	Refusals []remediate.Refusal
}

// MakePlan makes a plan of findings of the last run and, unless it is a dry run, records it.
func (a *App) MakePlan(ctx context.Context, actor state.Actor, q PlanQuery, dry bool) (Drafted, error) {
	run, err := a.run(ctx, 0)
	if err != nil {
		return Drafted{}, err
	}
	found, err := a.chosen(ctx, q)
	if err != nil {
		return Drafted{}, err
	}
	return a.draft(ctx, actor, run, remediate.Plan{Kind: remediate.KindFindings, Query: q.words(), Reason: q.Reason, Auto: q.Auto, Answer: q.Answer}, found, dry)
}

// draft makes a plan of findings, of which what they are asked for is known beforehand.
func (a *App) draft(ctx context.Context, actor state.Actor, run store.RunInfo, p remediate.Plan, found []finding.Finding, dry bool) (Drafted, error) {
	want := map[string][]string{}
	for _, f := range found {
		if a.Config.Remediation.Wants(f) {
			want[f.Subject.Source] = append(want[f.Subject.Source], f.Subject.ID)
		}
	}
	inputs, err := a.current(ctx, run)
	if err != nil {
		return Drafted{}, err
	}
	facts, err := a.facts(ctx, run, inputs, want)
	if err != nil {
		return Drafted{}, err
	}
	m := remediate.Maker{Settings: a.Config.Remediation, Facts: facts, Location: a.Config.Location, Plan: a.blank(actor, run, p)}
	for _, f := range found {
		m.Add(f)
	}
	return a.record(ctx, actor, m.Finish(), facts, dry)
}

// blank fills in what every new plan says of itself.
func (a *App) blank(actor state.Actor, run store.RunInfo, p remediate.Plan) remediate.Plan {
	p.ID, p.Made, p.By = state.NewPlanID(), a.Now().UTC().Truncate(time.Second), actor.ID
	if p.Answer != "" {
		p.ID = state.AnswerPlanID(p.Answer)
	}
	p.Run, p.RunTime = run.ID, run.Time
	return p
}

// record seals a plan and asks the guards about it.
func (a *App) record(ctx context.Context, actor state.Actor, p remediate.Plan, facts remediate.Facts, dry bool) (Drafted, error) {
	sealed, err := p.Seal()
	if err != nil {
		return Drafted{}, err
	}
	decisions, err := a.State(ctx)
	if err != nil {
		return Drafted{}, err
	}
	if !dry && len(p.Steps) > 0 {
		if sealed, err = decisions.SavePlan(ctx, actor, sealed); err != nil {
			return Drafted{}, err
		}
	}
	s, err := a.situation(ctx, p, sealed, p.Steps, facts, "")
	if err != nil {
		return Drafted{}, err
	}
	d := Drafted{Plan: p, Recorded: sealed}
	for _, r := range remediate.Guard(s) {
		if r.Guard != "approval" && r.Guard != "window" {
			d.Refusals = append(d.Refusals, r)
		}
	}
	return d, nil
}

// chosen are the findings that a query means.
func (a *App) chosen(ctx context.Context, q PlanQuery) ([]finding.Finding, error) {
	var out []finding.Finding
	for _, prefix := range q.Findings {
		f, err := a.Finding(ctx, prefix)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	if len(q.Findings) > 0 {
		return out, nil
	}
	q.Statuses = []finding.Status{finding.Open}
	all, err := a.Findings(ctx, q.FindingQuery)
	if err != nil {
		return nil, err
	}
	for f, err := range all {
		if err != nil {
			return nil, err
		}
		if q.Assignee == "" || f.Assignee == q.Assignee {
			out = append(out, f)
		}
	}
	return out, nil
}

// situation is what the guards look at.
func (a *App) situation(ctx context.Context, p remediate.Plan, recorded state.Plan, steps []remediate.Step, facts remediate.Facts, applier string) (remediate.Situation, error) {
	decisions, err := a.State(ctx)
	if err != nil {
		return remediate.Situation{}, err
	}
	s := remediate.Situation{Plan: p, Recorded: recorded, Steps: steps, Settings: a.Config.Remediation, Facts: facts, Now: a.Now(), Zone: a.Config.Location, Applier: applier}
	if s.Approved, err = decisions.Approvals(ctx, p.ID); err != nil {
		return s, err
	}
	if p.Answer != "" {
		if s.Answers, err = decisions.Answers(ctx, state.AnswerFilter{ID: p.Answer}); err != nil {
			return s, err
		}
	}
	if s.Stops, err = decisions.Stops(ctx); err != nil {
		return s, err
	}
	// A day of the journal is one by the clock on the wall, whatever the run's clock says.
	entries, err := decisions.ChangeEntries(ctx, state.ChangeFilter{Since: time.Now().Add(-24 * time.Hour)})
	if err != nil {
		return s, err
	}
	touched := map[state.Ref]bool{}
	for _, c := range entries {
		if c.Undoes == "" && c.Status.Made() {
			touched[state.Ref{Source: c.Source, ID: c.Object}] = true
		}
	}
	s.Today = len(touched)
	return s, nil
}

// FindPlan reads a recorded plan by its id, or by the file that it was written to.
func (a *App) FindPlan(ctx context.Context, name string) (remediate.Plan, state.Plan, error) {
	decisions, err := a.State(ctx)
	if err != nil {
		return remediate.Plan{}, state.Plan{}, err
	}
	read := func(id string) (state.Plan, error) {
		p, err := decisions.PlanByID(ctx, id)
		if errors.Is(err, state.ErrNotFound) {
			err = fmt.Errorf("there is no plan %s: `lapse plan list` has them", id)
		}
		return p, err
	}
	var sealed state.Plan
	if text, readErr := os.ReadFile(name); readErr == nil {
		if sealed, err = remediate.CheckSheet(text, read); err != nil {
			err = fmt.Errorf("%s: %w", name, err)
		}
	} else {
		sealed, err = read(name)
	}
	if err != nil {
		return remediate.Plan{}, sealed, err
	}
	p, err := remediate.Unseal(sealed)
	return p, sealed, err
}

// Applied is what came of applying a plan.
type Applied struct {
	Plan     remediate.Plan
	Refusals []remediate.Refusal // nothing was done, then
	Outcomes []remediate.Outcome
	Waiting  []remediate.Step // not due yet
	Ended    bool             // every step is settled: there is nothing more to do
}

// ApplyOptions say how a plan is applied.
type ApplyOptions struct {
	Actor state.Actor
	Dry   bool // ask the guards, and do nothing
	Told  func(remediate.Outcome)
	Scan  ScanOptions // for reading rosters anew
}

// applyLease is held by whoever changes something.
const applyLease = "remediate"

// Apply carries out the due steps of a plan.
func (a *App) Apply(ctx context.Context, p remediate.Plan, recorded state.Plan, o ApplyOptions) (out Applied, err error) {
	err = a.changing(ctx, "lapse apply", func(ctx context.Context, decisions *state.State) error {
		out, err = a.apply(ctx, decisions, p, recorded, o)
		return err
	})
	return out, err
}

// changing runs f while nobody else changes anything.
func (a *App) changing(ctx context.Context, who string, f func(context.Context, *state.State) error) (err error) {
	decisions, err := a.State(ctx)
	if err != nil {
		return err
	}
	l, err := decisions.TryAcquire(ctx, applyLease, holder(who), 30*time.Second)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Release(context.WithoutCancel(ctx))) }()
	ctx, cancel := l.Context(ctx)
	defer cancel()
	return f(ctx, decisions)
}

func (a *App) apply(ctx context.Context, decisions *state.State, p remediate.Plan, recorded state.Plan, o ApplyOptions) (Applied, error) {
	out := Applied{Plan: p}
	if !recorded.Ended.IsZero() {
		return out, fmt.Errorf("plan %s was ended on %s: %s", p.ID, recorded.Ended.In(a.Config.Location).Format("2006-01-02 15:04"), recorded.EndWhy)
	}
	run, err := a.run(ctx, 0)
	if err != nil {
		return out, err
	}
	inputs, err := a.current(ctx, run)
	if err != nil {
		return out, err
	}
	if !o.Dry {
		// Who was rehired an hour ago is not disabled by what HR said last night.
		rosters := func(in store.RunInput) bool { return in.Roster && a.Now().After(in.Taken) }
		if inputs, err = a.readAnew(ctx, o.Scan, run, inputs, rosters); err != nil {
			return out, err
		}
	}
	due, left, err := a.due(ctx, decisions, p)
	if err != nil {
		return out, err
	}
	out.Waiting = left
	want := wanted(due)
	facts, err := a.facts(ctx, run, inputs, want)
	if err != nil {
		return out, err
	}
	if len(want) > 0 {
		links, err := a.linksNow(ctx, scan.Recheck{Inputs: inputs, Accounts: want})
		if err != nil {
			return out, err
		}
		relink(facts, links)
	}
	s, err := a.situation(ctx, p, recorded, due, facts, o.Actor.ID)
	if err != nil {
		return out, err
	}
	if out.Refusals = remediate.Guard(s); len(out.Refusals) > 0 || o.Dry {
		if o.Dry || len(out.Refusals) == 0 {
			return out, nil
		}
		var texts []string
		for _, r := range out.Refusals {
			texts = append(texts, r.String())
		}
		return out, decisions.RefusePlan(ctx, o.Actor, p.ID, texts)
	}
	e := a.engine(decisions, o.Actor, o.Told)
	if a.Config.Remediation.Tickets {
		t, err := a.tickets(ctx)
		if err != nil {
			return out, err
		}
		e.Desk = desk{t, a.Config.Remediation.Contact}
	}
	e.Recheck = func(ctx context.Context, looked []remediate.Looked) (map[int]string, error) {
		return a.recheck(ctx, p, inputs, looked)
	}
	if out.Outcomes, err = e.Apply(ctx, p, due); err != nil {
		return out, err
	}
	out.Ended, err = a.endIfDone(ctx, decisions, p, o.Actor)
	return out, err
}

func (a *App) engine(decisions *state.State, actor state.Actor, told func(remediate.Outcome)) *remediate.Engine {
	return &remediate.Engine{Journal: decisions, Actor: actor, Open: a.Changer, Parallel: a.Config.Remediation.Parallel, Log: a.Log, Told: told}
}

// due parts the steps that are to be made now from those whose time has not come.
func (a *App) due(ctx context.Context, decisions *state.State, p remediate.Plan) (due, waiting []remediate.Step, err error) {
	entries, err := decisions.ChangeEntries(ctx, state.ChangeFilter{Plan: p.ID})
	if err != nil {
		return nil, nil, err
	}
	made := remediate.Made(entries)
	for _, s := range p.Steps {
		c, ok := made[s.N]
		switch {
		case ok && c.Status.Settled():
		case s.NotBefore.After(a.Now()):
			waiting = append(waiting, s)
		default:
			due = append(due, s)
		}
	}
	return due, waiting, nil
}

// endIfDone ends a plan of which every step was made.
func (a *App) endIfDone(ctx context.Context, decisions *state.State, p remediate.Plan, actor state.Actor) (bool, error) {
	entries, err := decisions.ChangeEntries(ctx, state.ChangeFilter{Plan: p.ID})
	if err != nil {
		return false, err
	}
	made := remediate.Made(entries)
	for _, s := range p.Steps {
		if c, ok := made[s.N]; !ok || !c.Status.Settled() {
			return false, nil
		}
	}
	return true, decisions.EndPlan(ctx, actor, p.ID, "every step was made")
}

// recheck says why steps are not to be made any more, by what their objects and the people are like now.
func (a *App) recheck(ctx context.Context, p remediate.Plan, inputs []store.RunInput, looked []remediate.Looked) (map[int]string, error) {
	o, err := a.scanOptions(ctx, ScanOptions{})
	if err != nil {
		return nil, err
	}
	if o.Pack, err = a.Pack(); err != nil {
		return nil, err
	}
	o.Holder = holder("lapse apply")
	q := scan.Recheck{Inputs: inputs, Fresh: map[string]scan.Fresh{}}
	type object struct {
		source string
		access.Object
	}
	seen := map[object]bool{}
	for _, l := range looked {
		at := object{l.Step.Source, l.Step.Change.Object}
		if !seen[at] {
			seen[at] = true
			f := q.Fresh[l.Step.Source]
			f.Live = append(f.Live, l.Live)
			q.Fresh[l.Step.Source] = f
			if l.Live.Account != nil {
				q.Subjects = append(q.Subjects, accountSubject(l.Step.Source, l.Live.Account.ID))
			}
		}
		for _, w := range l.Step.Why {
			if p.Kind == remediate.KindReview {
				break // people decided it, and no policy
			}
			if !slices.Contains(q.Policies, w.Policy) {
				q.Policies = append(q.Policies, w.Policy)
			}
			q.Subjects = append(q.Subjects, w.Subject)
		}
	}
	found, err := o.Recheck(ctx, q)
	if err != nil {
		return nil, err
	}
	accepted, err := a.matcher(ctx)
	if err != nil {
		return nil, err
	}
	out := map[int]string{}
	for _, l := range looked {
		out[l.Step.N] = holds(p, l, found, accepted)
	}
	return out, nil
}

func accountSubject(source, id string) finding.Subject {
	return finding.Subject{Kind: access.SubjectAccount, Source: source, ID: id}
}

// holds says why a step does not hold any more, "" if it does.
func holds(p remediate.Plan, l remediate.Looked, found scan.Rechecked, accepted *state.Matcher) string {
	s := l.Step
	if l.Live.Account != nil {
		doc := found.Documents[accountSubject(s.Source, l.Live.Account.ID)]
		if doc == nil {
			return "the account could not be judged now"
		}
		if s.Person != "" {
			if reason := stillTheirs(p, s, doc); reason != "" {
				return reason
			}
		}
	}
	if p.Kind == remediate.KindOffboard {
		if e := extended(accepted, s.Source, s.Change.Object.ID); e != "" && !p.Emergency {
			return "their access was extended by exception " + e
		}
		return ""
	}
	if p.Kind == remediate.KindReview {
		return ""
	}
	var reasons []string
	for _, w := range s.Why {
		r, hit := found.Hits[w.Finding]
		switch {
		case found.Failures[w.Policy] != nil:
			reasons = append(reasons, fmt.Sprintf("%s failed: %v", w.Policy, found.Failures[w.Policy]))
		case !hit && found.Unknown[store.Judged{Policy: w.Policy, Subject: w.Subject}]:
			reasons = append(reasons, fmt.Sprintf("%s can't judge it by what can be read now", w.Policy))
		case !hit:
			reasons = append(reasons, fmt.Sprintf("%s doesn't find it any more", w.Policy))
		default:
			e, ok := accepted.Match(state.Subject{Fingerprint: string(w.Finding), Policy: w.Policy, Kind: string(w.Subject.Kind), Source: w.Subject.Source, ID: w.Subject.ID, Department: r.Department})
			if !ok {
				return ""
			}
			reasons = append(reasons, fmt.Sprintf("%s was accepted by exception %s", w.Policy, e.ID))
		}
	}
	return cmp.Or(strings.Join(reasons, "; "), "no finding is behind it")
}

// stillTheirs says why an account is not to be taken for the person's any more.
func stillTheirs(p remediate.Plan, s remediate.Step, doc map[string]any) string {
	person, _ := doc["person"].(map[string]any)
	link, _ := doc["link"].(map[string]any)
	switch method, _ := link["method"].(string); {
	case person["id"] != s.Person:
		return "the account is not linked to the person any more"
	case !slices.Contains([]string{string(access.LinkManual), string(access.LinkEmployeeID), string(access.LinkEmail)}, method):
		return fmt.Sprintf("the account is linked to the person by %s alone by now", method)
	case p.Kind == remediate.KindOffboard && !p.Emergency && person["status"] != string(access.PersonEnded):
		return fmt.Sprintf("the person is %v by what HR says now", cmp.Or[any](person["status"], "of unknown status"))
	}
	return ""
}

// Undo undoes a change of the journal, or all of a plan. It needs neither the store nor the roster.
func (a *App) Undo(ctx context.Context, actor state.Actor, id string, told func(remediate.Outcome)) (out []remediate.Outcome, err error) {
	err = a.changing(ctx, "lapse undo", func(ctx context.Context, decisions *state.State) error {
		entries, err := a.undoable(ctx, decisions, id)
		if err != nil {
			return err
		}
		out, err = a.engine(decisions, actor, told).Undo(ctx, entries)
		return err
	})
	return out, err
}

// undoable are the changes that an id means, without those that undo.
func (a *App) undoable(ctx context.Context, decisions *state.State, id string) ([]state.ChangeEntry, error) {
	f := state.ChangeFilter{ID: id}
	if strings.HasPrefix(id, "plan-") {
		f = state.ChangeFilter{Plan: id}
	}
	all, err := decisions.ChangeEntries(ctx, f)
	if err != nil {
		return nil, err
	}
	var out []state.ChangeEntry
	for _, c := range all {
		if c.Undoes == "" && c.Status.Made() {
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: no change was made that could be undone: `lapse actions` lists them", id)
	}
	return out, nil
}

// UndoCommands are the commands by which a person undoes changes when Lapse can't, the last change first.
func (a *App) UndoCommands(ctx context.Context, id string) ([]string, error) {
	decisions, err := a.State(ctx)
	if err != nil {
		return nil, err
	}
	entries, err := a.undoable(ctx, decisions, id)
	if err != nil {
		return nil, err
	}
	slices.Reverse(entries)
	var out []string
	for _, e := range entries {
		c, err := a.Changer(e.Source)
		if err != nil {
			return nil, err
		}
		commands, err := remediate.UndoCommands(c, e)
		if err != nil {
			return nil, fmt.Errorf("change %s: %w", e.ID, err)
		}
		out = append(out, fmt.Sprintf("# %s: %s %s in %s", e.ID, e.Action, e.Object, e.Source))
		out = append(out, commands...)
	}
	return out, nil
}

// Attest writes down that a person made a step of a plan.
func (a *App) Attest(ctx context.Context, actor state.Actor, plan string, step int, evidence string) error {
	p, recorded, err := a.FindPlan(ctx, plan)
	if err != nil {
		return err
	}
	if !recorded.Ended.IsZero() {
		return fmt.Errorf("plan %s was ended: %s", plan, recorded.EndWhy)
	}
	i := slices.IndexFunc(p.Steps, func(s remediate.Step) bool { return s.N == step })
	if i < 0 {
		return fmt.Errorf("plan %s has no step %d", plan, step)
	}
	if strings.TrimSpace(evidence) == "" {
		return errors.New("say what was done, and where it can be looked up")
	}
	decisions, err := a.State(ctx)
	if err != nil {
		return err
	}
	s := p.Steps[i]
	change, err := json.Marshal(s.Change)
	if err != nil {
		return err
	}
	_, err = decisions.NoteChange(ctx, actor, state.ChangeEntry{Plan: p.ID, Step: int64(s.N), Source: s.Source, Object: s.Change.Object.ID, Person: s.Person,
		Action: string(s.Change.Action), Change: change, Detail: evidence}, state.ChangeAttested)
	if err != nil {
		return err
	}
	_, err = a.endIfDone(ctx, decisions, p, actor)
	return err
}
