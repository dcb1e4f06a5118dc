package remediate

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/state"
)

// Journal is where changes are written down; *state.State is one.
type Journal interface {
	BeginChange(ctx context.Context, actor state.Actor, e state.ChangeEntry) (state.ChangeEntry, error)
	NoteChange(ctx context.Context, actor state.Actor, e state.ChangeEntry, status state.ChangeStatus) (state.ChangeEntry, error)
	EndChange(ctx context.Context, actor state.Actor, id string, status state.ChangeStatus, after json.RawMessage, detail string) error
	ChangeEntries(ctx context.Context, f state.ChangeFilter) ([]state.ChangeEntry, error)
	Stops(ctx context.Context) ([]state.Stop, error)
}

// Looked is a step and what its object is like now.
type Looked struct {
	Step Step
	Live access.Live
}

// Engine carries changes out and undoes them.
type Engine struct {
	Journal Journal
	Actor   state.Actor
	// Open gives what changes a source. It is asked once a source, and closed by the engine's caller.
	Open func(source string) (Changer, error)
	// Desk asks people for the steps that no system can be told to make; nil: nobody is asked.
	Desk Desk
	// Recheck says for each step, by its number, why it is not to be made any more, "" for those that still are. A step that
	// it leaves out is not made.
	Recheck  func(ctx context.Context, looked []Looked) (map[int]string, error)
	Parallel int // objects of one source at the same time
	Log      *slog.Logger
	// Told hears of each step's outcome, from several goroutines.
	Told func(Outcome)
	// Patience is how long to wait before an object is read again that doesn't show a change yet; nil: 1 s, 3 s.
	Patience []time.Duration

	reached func(point string, step int) error // in tests: the process dies here
}

// Outcome is what came of a step.
type Outcome struct {
	Step   Step
	Change string // its id in the journal, "" if there is none
	Status state.ChangeStatus
	Detail string
}

// manual is the status of a step that a person has to make. It is no status of the journal.
const manual state.ChangeStatus = "manual"

// answerTime bounds a source's answer to one request, also after the engine's context has ended: what was begun is
// followed to its end.
const answerTime = 2 * time.Minute

// tooManyFaults in a row end the changes of a source.
const tooManyFaults = 3

// Apply carries out steps of a recorded plan, in order; steps of different objects may overtake each other. It can be
// called again after any interruption: what was made is not made again. Its error means that it could go no further, as
// when the journal can't be written; what is wrong with single steps is in the outcomes.
func (e *Engine) Apply(ctx context.Context, p Plan, steps []Step) ([]Outcome, error) {
	r := &applying{Engine: e, plan: p, outcomes: map[int]Outcome{}}
	err := r.apply(ctx, steps)
	var out []Outcome
	for _, s := range steps {
		if o, ok := r.outcomes[s.N]; ok {
			out = append(out, o)
		}
	}
	if err != nil {
		return out, fmt.Errorf("apply plan %s: %w", p.ID, err)
	}
	return out, nil
}

// applying is one call of Apply.
type applying struct {
	*Engine
	plan Plan

	mu       sync.Mutex
	outcomes map[int]Outcome
	faults   map[string]int // in a row, by source
}

func (r *applying) tell(o Outcome) {
	r.mu.Lock()
	r.outcomes[o.Step.N] = o
	if r.faults == nil {
		r.faults = map[string]int{}
	}
	switch o.Status {
	case state.ChangeFailed, state.ChangeUnknown, state.ChangeRefused:
		r.faults[o.Step.Source]++
	case state.ChangeDone, state.ChangeSent:
		r.faults[o.Step.Source] = 0
	}
	r.mu.Unlock()
	if r.Told != nil {
		r.Told(o)
	}
}

func (r *applying) broken(source string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.faults[source] >= tooManyFaults
}

// spoiled says that an earlier step of the same object did not come to its end.
func (r *applying) spoiled(s Step) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range r.outcomes {
		if o.Step.N < s.N && o.Step.Source == s.Source && o.Step.Change.Object == s.Change.Object {
			switch o.Status {
			case state.ChangeFailed, state.ChangeUnknown, state.ChangeRefused, state.ChangeSkipped, manual:
				return true
			}
		}
	}
	return false
}

func (r *applying) apply(ctx context.Context, steps []Step) error {
	if err := r.settle(ctx, state.ChangeFilter{Plan: r.plan.ID}); err != nil {
		return err
	}
	todo, err := r.pending(ctx, steps)
	if err != nil {
		return err
	}
	looked, err := r.look(ctx, todo)
	if err != nil || len(looked) == 0 {
		return err
	}
	holds, err := r.Recheck(ctx, looked)
	if err != nil {
		return fmt.Errorf("recheck: nothing was changed: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	bySource := groups(looked, func(l Looked) string { return l.Step.Source })
	for _, ofSource := range bySource {
		g.Go(func() error {
			g, ctx := errgroup.WithContext(ctx)
			g.SetLimit(max(1, r.Parallel))
			for _, ofObject := range groups(ofSource, func(l Looked) string { return string(l.Step.Change.Object.Kind) + " " + l.Step.Change.Object.ID }) {
				g.Go(func() error {
					for _, l := range ofObject {
						if err := r.step(ctx, l, holds); err != nil {
							return err
						}
					}
					return nil
				})
			}
			return g.Wait()
		})
	}
	return g.Wait()
}

// groups parts a list by a key, keeping the order.
func groups[T any](list []T, key func(T) string) [][]T {
	at := map[string]int{}
	var out [][]T
	for _, v := range list {
		k := key(v)
		i, ok := at[k]
		if !ok {
			i = len(out)
			at[k] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], v)
	}
	return out
}

// Made says which steps of a plan have been made, or attested, and not been undone, from the entries of its journal.
func Made(entries []state.ChangeEntry) map[int]state.ChangeEntry {
	undone := map[string]bool{}
	for _, c := range entries {
		if c.Undoes != "" && (c.Status.Made() || c.Status == state.ChangeAlready) {
			undone[c.Undoes] = true
		}
	}
	out := map[int]state.ChangeEntry{}
	for _, c := range entries {
		if c.Undoes == "" && !undone[c.ID] && (c.Status.Made() || c.Status == state.ChangeAlready || c.Status == state.ChangeAttested) {
			out[int(c.Step)] = c
		}
	}
	return out
}

// pending leaves out what is made already, and what a person has to make.
func (r *applying) pending(ctx context.Context, steps []Step) ([]Step, error) {
	entries, err := r.Journal.ChangeEntries(ctx, state.ChangeFilter{Plan: r.plan.ID})
	if err != nil {
		return nil, err
	}
	made := Made(entries)
	var out []Step
	for _, s := range steps {
		switch c, ok := made[s.N]; {
		case ok:
			r.tell(Outcome{s, c.ID, c.Status, cmp.Or(c.Detail, "made on "+c.Began.Format(time.DateTime))})
		case s.Manual != "":
			if err := r.byHand(ctx, s, entries); err != nil {
				return nil, err
			}
		default:
			out = append(out, s)
		}
	}
	return out, nil
}

// look reads the object of each step once. Steps whose object is gone, can't be read, or show already end here.
func (r *applying) look(ctx context.Context, steps []Step) ([]Looked, error) {
	type at struct {
		source string
		object access.Object
	}
	type seen struct {
		live access.Live
		err  error
	}
	reads := map[at]seen{}
	var out []Looked
	for _, s := range steps {
		k := at{s.Source, s.Change.Object}
		l, ok := reads[k]
		if !ok {
			c, err := r.Open(s.Source)
			if err == nil {
				l.live, err = c.Look(ctx, s.Change.Object)
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			l.err = err
			reads[k] = l
		}
		switch done, known := s.Change.Shows(l.live); {
		case errors.Is(l.err, access.ErrGone):
			status, detail := state.ChangeSkipped, "the account is not there any more (by its id)"
			if s.Change.Action == access.ActionDelete {
				status = state.ChangeAlready
			}
			if err := r.note(ctx, s, access.Live{}, status, detail); err != nil {
				return nil, err
			}
		case l.err != nil:
			if err := r.note(ctx, s, access.Live{}, state.ChangeSkipped, fmt.Sprintf("it can't be read now, and so is not changed: %v", l.err)); err != nil {
				return nil, err
			}
		case known && done:
			if err := r.note(ctx, s, l.live, state.ChangeAlready, "it is so already"); err != nil {
				return nil, err
			}
		default:
			out = append(out, Looked{s, l.live})
		}
	}
	return out, nil
}

// entry is the journal's of a step.
func (r *applying) entry(s Step, c access.Change, before access.Live) (state.ChangeEntry, error) {
	return entry(r.plan.ID, s, c, before)
}

func entry(plan string, s Step, c access.Change, before access.Live) (state.ChangeEntry, error) {
	change, err := json.Marshal(c)
	if err != nil {
		return state.ChangeEntry{}, err
	}
	e := state.ChangeEntry{Plan: plan, Step: int64(s.N), Source: s.Source, Object: c.Object.ID, Person: s.Person, Action: string(c.Action), Change: change}
	if before.Account != nil || before.Entitlement != nil {
		if e.Before, err = json.Marshal(before); err != nil {
			return state.ChangeEntry{}, err
		}
	}
	return e, nil
}

// note writes down a step for which nothing is sent, and tells of it.
func (r *applying) note(ctx context.Context, s Step, before access.Live, status state.ChangeStatus, detail string) error {
	e, err := r.entry(s, s.Change, before)
	if err != nil {
		return err
	}
	e.Detail = detail
	return r.write(ctx, s, e, status)
}

func (r *applying) write(ctx context.Context, s Step, e state.ChangeEntry, status state.ChangeStatus) error {
	e, err := r.Journal.NoteChange(ctx, r.Actor, e, status)
	if err != nil {
		return err
	}
	r.tell(Outcome{s, e.ID, status, e.Detail})
	return nil
}

// step makes one step, if nothing stands against it by now.
func (r *applying) step(ctx context.Context, l Looked, holds map[int]string) error {
	s := l.Step
	skip := func(format string, args ...any) error {
		return r.note(ctx, s, access.Live{}, state.ChangeSkipped, fmt.Sprintf(format, args...))
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if stops, err := r.Journal.Stops(ctx); err != nil {
		return err
	} else if len(stops) > 0 && !r.plan.Emergency {
		return skip("all changes were stopped: %s", stops[0].Reason)
	}
	switch why, ok := holds[s.N]; {
	case !ok:
		return skip("nobody could say whether it still holds")
	case why != "":
		return skip("%s", why)
	case r.broken(s.Source):
		return skip("%d changes in a row went wrong in %s: look what is wrong there first", tooManyFaults, s.Source)
	case (s.Change.Action == access.ActionMove || s.Change.Action == access.ActionDelete) && r.spoiled(s):
		return skip("an earlier step of the same account did not come to its end")
	}
	c, err := r.Open(s.Source)
	if err != nil {
		return skip("%v", err)
	}
	now, err := c.Look(ctx, s.Change.Object)
	switch {
	case errors.Is(err, access.ErrGone):
		return skip("the account is not there any more (by its id)")
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return skip("it can't be read now, and so is not changed: %v", err)
	}
	if done, known := s.Change.Shows(now); known && done {
		return r.note(ctx, s, now, state.ChangeAlready, "it is so already")
	}
	if !alike(l.Live, now) {
		again, err := r.Recheck(ctx, []Looked{{s, now}})
		if err != nil {
			return err
		}
		if why, ok := again[s.N]; !ok || why != "" {
			return skip("it has changed meanwhile: %s", cmp.Or(why, "nobody could say whether it still holds"))
		}
	}
	if err := c.May(ctx, s.Change); err != nil {
		return r.note(ctx, s, now, state.ChangeRefused, err.Error())
	}
	o, err := r.carryOut(ctx, c, r.plan.ID, s, s.Change, now, "")
	if err != nil {
		return err
	}
	r.tell(o)
	return nil
}

// alike says that an account is what it was, as far as rechecking goes. Signing in meanwhile is a change.
func alike(a, b access.Live) bool {
	a.At, b.At = time.Time{}, time.Time{}
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// carryOut journals a change, makes it and reads it back. undoes is the entry that it undoes, "" for none. Its error means
// that the journal can't be written: then nothing was sent, or what was sent stands in the journal as begun and is settled
// by the next call.
func (e *Engine) carryOut(ctx context.Context, c Changer, plan string, s Step, change access.Change, before access.Live, undoes string) (Outcome, error) {
	je, err := entry(plan, s, change, before)
	if err != nil {
		return Outcome{}, err
	}
	je.Undoes = undoes
	if err := e.reach("before begin", s.N); err != nil {
		return Outcome{}, err
	}
	if je, err = e.Journal.BeginChange(ctx, e.Actor, je); err != nil {
		return Outcome{}, fmt.Errorf("nothing was changed: %w", err)
	}
	if err := e.reach("begun", s.N); err != nil {
		return Outcome{}, err
	}
	// From here on the end of ctx doesn't break it off.
	ctx = context.WithoutCancel(ctx)
	sending, cancel := context.WithTimeout(ctx, answerTime)
	sent := c.Apply(sending, change)
	cancel()
	if err := e.reach("sent", s.N); err != nil {
		return Outcome{}, err
	}
	status, after, detail := e.readBack(ctx, c, change, sent)
	if err := e.reach("read back", s.N); err != nil {
		return Outcome{}, err
	}
	if err := e.end(ctx, je.ID, status, after, detail); err != nil {
		return Outcome{}, fmt.Errorf("change %s was sent to %s, and what came of it can't be written down; the next call finds out: %w", je.ID, s.Source, err)
	}
	if err := e.reach("ended", s.N); err != nil {
		return Outcome{}, err
	}
	return Outcome{s, je.ID, status, detail}, nil
}

func (e *Engine) reach(point string, step int) error {
	if e.reached == nil {
		return nil
	}
	return e.reached(point, step)
}

func (e *Engine) end(ctx context.Context, id string, status state.ChangeStatus, after *access.Live, detail string) error {
	var text json.RawMessage
	if after != nil {
		var err error
		if text, err = json.Marshal(after); err != nil {
			return err
		}
	}
	return e.Journal.EndChange(ctx, e.Actor, id, status, text, detail)
}

// readBack says what came of a change that was sent with the given answer. What counts is what the source shows: an answer
// is believed only where it shows nothing.
func (e *Engine) readBack(ctx context.Context, c Changer, change access.Change, sent error) (state.ChangeStatus, *access.Live, string) {
	untouched := sent != nil && !errors.Is(sent, access.ErrUnsure)
	patience := e.Patience
	if patience == nil {
		patience = []time.Duration{time.Second, 3 * time.Second}
	}
	for try := 0; ; try++ {
		status, after, detail := e.readOnce(ctx, c, change, sent)
		settled := status != state.ChangeFailed && status != state.ChangeUnknown
		if settled || untouched || try >= len(patience) {
			return status, after, detail
		}
		time.Sleep(patience[try])
	}
}

func (e *Engine) readOnce(ctx context.Context, c Changer, change access.Change, sent error) (state.ChangeStatus, *access.Live, string) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	after, err := c.Look(ctx, change.Object)
	if err != nil {
		return unread(change, sent, err)
	}
	done, known := change.Shows(after)
	switch {
	case known && done && refused(sent):
		return state.ChangeAlready, &after, fmt.Sprintf("somebody else did it; the source refused it to Lapse: %v", sent)
	case known && done:
		return state.ChangeDone, &after, ""
	case refused(sent):
		return state.ChangeRefused, &after, sent.Error()
	case sent != nil && !errors.Is(sent, access.ErrUnsure):
		return state.ChangeSkipped, &after, fmt.Sprintf("nothing was sent: %v", sent)
	case known && sent != nil:
		return state.ChangeFailed, &after, fmt.Sprintf("no answer came, and it is not so: %v", sent)
	case known:
		return state.ChangeFailed, &after, "the source answered that it was done, and it is not so"
	case sent != nil:
		return state.ChangeUnknown, &after, fmt.Sprintf("no answer came, and the source can't show it: %v", sent)
	}
	return state.ChangeSent, &after, "the source accepted it; it can't be read back"
}

// unread says what came of a change whose object can't be read afterwards.
func unread(change access.Change, sent, look error) (state.ChangeStatus, *access.Live, string) {
	gone := errors.Is(look, access.ErrGone)
	switch {
	case gone && change.Action == access.ActionDelete && !change.Undo:
		return state.ChangeDone, nil, ""
	case refused(sent):
		return state.ChangeRefused, nil, sent.Error()
	case sent != nil && !errors.Is(sent, access.ErrUnsure):
		return state.ChangeSkipped, nil, fmt.Sprintf("nothing was sent: %v", sent)
	case gone:
		return state.ChangeSkipped, nil, "the account is not there any more (by its id)"
	}
	return state.ChangeUnknown, nil, fmt.Sprintf("it can't be read back: %v", look)
}

func refused(err error) bool {
	return errors.Is(err, access.ErrRefused) || errors.Is(err, access.ErrCannot) || errors.Is(err, access.ErrGone)
}

// settle finds out by reading what came of changes that were begun and never ended, because a process died, or whose
// outcome is unknown.
func (e *Engine) settle(ctx context.Context, f state.ChangeFilter) error {
	entries, err := e.Journal.ChangeEntries(ctx, f)
	if err != nil {
		return err
	}
	for _, je := range entries {
		if je.Status.Settled() {
			continue
		}
		status, after, detail, err := e.find(ctx, je)
		if err != nil {
			return err
		}
		if status == je.Status {
			continue
		}
		if err := e.end(ctx, je.ID, status, after, detail); err != nil {
			return err
		}
		e.Log.Info("settled a change of unknown outcome", "change", je.ID, "status", status)
	}
	return nil
}

func (e *Engine) find(ctx context.Context, je state.ChangeEntry) (state.ChangeStatus, *access.Live, string, error) {
	var change access.Change
	if err := json.Unmarshal(je.Change, &change); err != nil {
		return "", nil, "", fmt.Errorf("change %s in the journal: %w", je.ID, err)
	}
	c, why := e.Open(je.Source)
	if c == nil { // which is nothing to give up for: the outcome stays unknown
		return state.ChangeUnknown, nil, fmt.Sprint(why), nil
	}
	lost := fmt.Errorf("%w: the process ended before the answer", access.ErrUnsure)
	status, after, detail := e.readOnce(ctx, c, change, lost)
	if ctx.Err() != nil {
		return "", nil, "", ctx.Err()
	}
	if status == state.ChangeUnknown && after != nil {
		// What can't be read back can be made again: it says what is to be so, and not how often.
		return state.ChangeFailed, after, "nobody can tell whether it took place: it may be made again", nil
	}
	return status, after, detail, nil
}

// Undo puts back what changes have changed, the last first. It needs the journal and the sources, and nothing else.
func (e *Engine) Undo(ctx context.Context, changes []state.ChangeEntry) ([]Outcome, error) {
	var out []Outcome
	changes = slices.Clone(changes)
	slices.Reverse(changes)
	for _, je := range changes {
		o, err := e.undo(ctx, je)
		if err != nil {
			return out, fmt.Errorf("undo change %s: %w", je.ID, err)
		}
		out = append(out, o)
		if e.Told != nil {
			e.Told(o)
		}
	}
	return out, nil
}

func (e *Engine) undo(ctx context.Context, je state.ChangeEntry) (Outcome, error) {
	s := Step{N: int(je.Step), Source: je.Source, Subject: je.Object, Person: je.Person}
	if err := e.settle(ctx, state.ChangeFilter{Plan: je.Plan}); err != nil {
		return Outcome{}, err
	}
	of, err := e.Journal.ChangeEntries(ctx, state.ChangeFilter{Plan: je.Plan})
	if err != nil {
		return Outcome{}, err
	}
	i := slices.IndexFunc(of, func(c state.ChangeEntry) bool { return c.ID == je.ID })
	if i < 0 {
		return Outcome{}, state.ErrNotFound
	}
	je = of[i]
	change, before, err := undoing(je)
	if err != nil {
		return Outcome{}, err
	}
	s.Change = change
	if before.Account != nil {
		s.Subject = subjectName(*before.Account)
	}
	skipped := func(format string, args ...any) (Outcome, error) {
		return Outcome{s, "", state.ChangeSkipped, fmt.Sprintf(format, args...)}, nil
	}
	switch m, ok := Made(of)[s.N]; {
	case !je.Status.Made():
		return skipped("nothing is to be undone: it is %s", je.Status)
	case !ok || m.ID != je.ID:
		return Outcome{s, "", state.ChangeAlready, "it was undone already"}, nil
	}
	c, err := e.Open(je.Source)
	if err != nil {
		return skipped("%v", err)
	}
	abilities, err := c.Abilities()
	if err != nil {
		return skipped("%v", err)
	}
	if !abilities[change.Action].Undo {
		return skipped("%s can't undo it: %s", je.Source, strings.Join(c.Native(change), "; "))
	}
	now, err := c.Look(ctx, change.Object)
	switch {
	case errors.Is(err, access.ErrGone):
		return skipped("the account is not there any more (by its id)")
	case err != nil:
		return skipped("it can't be read now: %v", err)
	}
	if done, known := change.Shows(now); known && done {
		note, err := entry(je.Plan, s, change, now)
		if err != nil {
			return Outcome{}, err
		}
		note.Undoes, note.Detail = je.ID, "it is as it was before already"
		note, err = e.Journal.NoteChange(ctx, e.Actor, note, state.ChangeAlready)
		return Outcome{s, note.ID, state.ChangeAlready, note.Detail}, err
	}
	return e.carryOut(ctx, c, je.Plan, s, change, now, je.ID)
}

// undoing is the change that undoes one of the journal, and what the object was like before that.
func undoing(je state.ChangeEntry) (change access.Change, before access.Live, err error) {
	if err := json.Unmarshal(je.Change, &change); err != nil {
		return change, before, fmt.Errorf("the journal's text: %w", err)
	}
	if len(je.Before) > 0 {
		if err := json.Unmarshal(je.Before, &before); err != nil {
			return change, before, fmt.Errorf("the journal's text of what was before: %w", err)
		}
	}
	change.Undo, change.Before = true, &before
	return change, before, nil
}

// UndoCommands are the commands by which a person undoes a change of the journal when Lapse itself can't.
func UndoCommands(c Changer, je state.ChangeEntry) ([]string, error) {
	change, _, err := undoing(je)
	if err != nil {
		return nil, err
	}
	return c.Native(change), nil
}
