package remediate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/state"
)

// system is a source in memory that does what a test tells it to.
type system struct {
	mu       sync.Mutex
	accounts map[string]*access.Live
	effects  map[string]int // by change: how often it really changed something
	applies  int
	fault    func(access.Change) fault
	may      func(access.Change) error
	looked   func(s *system, o access.Object) // called before each look, without the lock
}

// fault is how the system answers a change.
type fault struct {
	effect bool // it takes place
	answer error
}

func (s *system) Abilities() (map[access.Action]access.Ability, error) {
	return map[access.Action]access.Ability{
		access.ActionDisable: {Undo: true, ReadBack: true}, access.ActionRevoke: {Undo: true, ReadBack: true},
		access.ActionEndSessions: {}, access.ActionMove: {Undo: true, ReadBack: true},
	}, nil
}

func (s *system) Look(_ context.Context, o access.Object) (access.Live, error) {
	if s.looked != nil {
		s.looked(s, o)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.accounts[o.ID]
	if !ok {
		return access.Live{}, access.ErrGone
	}
	text, err := json.Marshal(l)
	if err != nil {
		return access.Live{}, err
	}
	var out access.Live
	return out, json.Unmarshal(text, &out)
}

func (s *system) May(_ context.Context, c access.Change) error {
	if s.may == nil {
		return nil
	}
	return s.may(c)
}

func (s *system) Apply(_ context.Context, c access.Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.applies++
	f := fault{effect: true}
	if s.fault != nil {
		f = s.fault(c)
	}
	if f.effect {
		s.make(c)
	}
	return f.answer
}

func (s *system) make(c access.Change) {
	l := s.accounts[c.Object.ID]
	if l == nil {
		return
	}
	was, _ := json.Marshal(l)
	switch c.Action {
	case access.ActionDisable:
		enabled := c.Undo && *c.Before.Account.Enabled
		l.Account.Enabled = &enabled
	case access.ActionRevoke:
		l.Grants = slices.DeleteFunc(l.Grants, func(g access.Grant) bool { return g.EntitlementID == c.Entitlement })
		if c.Undo {
			l.Grants = append(l.Grants, access.Grant{HolderKind: access.HolderAccount, HolderID: c.Object.ID, EntitlementID: c.Entitlement})
		}
	case access.ActionMove:
		l.Keep = map[string][]string{"move": {c.To}}
		if c.Undo {
			l.Keep = c.Before.Keep
		}
	}
	if now, _ := json.Marshal(l); string(now) != string(was) {
		s.effects[fmt.Sprintf("%s %s %s undo %v", c.Action, c.Object.ID, c.Entitlement, c.Undo)]++
	}
}

func (s *system) Native(c access.Change) []string {
	return []string{fmt.Sprintf("change %s %s", c.Action, c.Object.ID)}
}
func (s *system) Close() error { return nil }

func account(id string, groups ...string) *access.Live {
	yes := true
	l := &access.Live{Account: &access.Account{ID: id, Username: "user" + id, Kind: access.KindHuman, Enabled: &yes}, Grants: []access.Grant{}, Keep: map[string][]string{"move": {"OU=People"}}}
	for _, g := range groups {
		l.Grants = append(l.Grants, access.Grant{HolderKind: access.HolderAccount, HolderID: id, EntitlementID: g})
	}
	return l
}

func newSystem(n int) *system {
	s := &system{accounts: map[string]*access.Live{}, effects: map[string]int{}}
	for i := range n {
		s.accounts[fmt.Sprint(i)] = account(fmt.Sprint(i), "admins", "staff")
	}
	return s
}

// bench is a decision database with a plan for every account of a system: disable it, take admins, move it.
type bench struct {
	t     *testing.T
	state *state.State
	plan  Plan
	sys   *system
	actor state.Actor
}

func newBench(t *testing.T, sys *system) *bench {
	t.Helper()
	s, err := state.Open(t.Context(), state.Options{Path: filepath.Join(t.TempDir(), "state.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	b := &bench{t: t, state: s, sys: sys, actor: state.Actor{ID: "hr:9"}}
	b.plan = Plan{ID: state.NewPlanID(), Kind: KindFindings, By: "hr:9"}
	for i := range len(sys.accounts) {
		o := access.Object{Kind: access.HolderAccount, ID: fmt.Sprint(i)}
		for _, c := range []access.Change{{Action: access.ActionDisable, Object: o}, {Action: access.ActionRevoke, Object: o, Entitlement: "admins"}, {Action: access.ActionMove, Object: o, To: "OU=Left"}} {
			b.plan.Steps = append(b.plan.Steps, Step{N: len(b.plan.Steps) + 1, Source: "ad", Change: c, Subject: "user" + o.ID, Person: "hr:" + o.ID})
		}
	}
	b.record()
	return b
}

func (b *bench) record() {
	b.t.Helper()
	sealed, err := b.plan.Seal()
	if err == nil {
		_, err = b.state.SavePlan(b.t.Context(), b.actor, sealed)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) engine() *Engine {
	return &Engine{
		Journal: b.state, Actor: b.actor, Log: slog.New(slog.DiscardHandler), Patience: []time.Duration{},
		Open:    func(string) (Changer, error) { return b.sys, nil },
		Recheck: func(_ context.Context, l []Looked) (map[int]string, error) { return holdsAll(l), nil },
	}
}

func holdsAll(l []Looked) map[int]string {
	out := map[int]string{}
	for _, one := range l {
		out[one.Step.N] = ""
	}
	return out
}

func (b *bench) apply(e *Engine) []Outcome {
	b.t.Helper()
	out, err := e.Apply(b.t.Context(), b.plan, b.plan.Steps)
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

func statuses(out []Outcome) string {
	var s []string
	for _, o := range out {
		s = append(s, string(o.Status))
	}
	return strings.Join(s, " ")
}

func (b *bench) entries() []state.ChangeEntry {
	b.t.Helper()
	all, err := b.state.ChangeEntries(b.t.Context(), state.ChangeFilter{Plan: b.plan.ID})
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

// whole makes sure that the ledger tells of all that was journaled.
func (b *bench) whole() {
	b.t.Helper()
	if v, err := b.state.VerifyLedger(b.t.Context(), nil); err != nil || !v.OK() {
		b.t.Errorf("%v, %v", v, err)
	}
}

func (b *bench) isDone(done bool) {
	b.t.Helper()
	for id, l := range b.sys.accounts {
		admin := slices.ContainsFunc(l.Grants, func(g access.Grant) bool { return g.EntitlementID == "admins" })
		if *l.Account.Enabled == done || admin == done || (l.Keep["move"][0] == "OU=Left") != done || !slices.ContainsFunc(l.Grants, func(g access.Grant) bool { return g.EntitlementID == "staff" }) {
			b.t.Errorf("account %s: enabled %v, grants %v, in %v", id, *l.Account.Enabled, l.Grants, l.Keep)
		}
	}
}

func TestApplyAndUndo(t *testing.T) {
	b := newBench(t, newSystem(2))
	if got := statuses(b.apply(b.engine())); got != "done done done done done done" {
		t.Fatalf("applied: %s", got)
	}
	b.isDone(true)
	if got := statuses(b.apply(b.engine())); got != "done done done done done done" || b.sys.applies != 6 {
		t.Errorf("applied again: %s, after %d applies", got, b.sys.applies)
	}
	out, err := b.engine().Undo(t.Context(), b.entries())
	if err != nil || statuses(out) != "done done done done done done" {
		t.Fatalf("undone: %s, %v", statuses(out), err)
	}
	b.isDone(false)
	out, err = b.engine().Undo(t.Context(), b.entries())
	if err != nil || strings.Contains(statuses(out), "done") || b.sys.applies != 12 {
		t.Errorf("undone again: %s, %v, after %d applies", statuses(out), err, b.sys.applies)
	}
	if got := statuses(b.apply(b.engine())); got != "done done done done done done" {
		t.Errorf("applied after undoing: %s", got)
	}
	b.whole()
}

var errKilled = errors.New("killed")

// The process dies at every step of applying and of undoing. After a restart each change was made once, and the journal
// tells what is so.
func TestKilledEverywhere(t *testing.T) {
	points := []string{"before begin", "begun", "sent", "read back", "ended"}
	for _, undo := range []bool{false, true} {
		for _, point := range points {
			for step := 1; step <= 3; step++ {
				t.Run(fmt.Sprintf("undo %v, %s, step %d", undo, point, step), func(t *testing.T) {
					b := newBench(t, newSystem(1))
					if undo {
						b.apply(b.engine())
					}
					dying := b.engine()
					dying.reached = func(at string, n int) error {
						if at == point && n == step {
							return errKilled
						}
						return nil
					}
					var err error
					if undo {
						_, err = dying.Undo(t.Context(), b.entries())
					} else {
						_, err = dying.Apply(t.Context(), b.plan, b.plan.Steps)
					}
					if !errors.Is(err, errKilled) {
						t.Fatalf("it did not die: %v", err)
					}
					if undo {
						if _, err := b.engine().Undo(t.Context(), b.entries()); err != nil {
							t.Fatal(err)
						}
					} else {
						b.apply(b.engine())
					}
					b.isDone(!undo)
					for change, n := range b.sys.effects {
						if n != 1 {
							t.Errorf("%s took place %d times", change, n)
						}
					}
					for _, e := range b.entries() {
						if !e.Status.Settled() {
							t.Errorf("change %s is %s", e.ID, e.Status)
						}
					}
					b.whole()
				})
			}
		}
	}
}

func TestFaultsOfTheSource(t *testing.T) {
	unsure, no := fmt.Errorf("no answer in 30 s: %w", access.ErrUnsure), fmt.Errorf("insufficient access rights: %w", access.ErrRefused)
	for _, c := range []struct {
		name       string
		fault      fault
		want       state.ChangeStatus
		disabled   bool
		detail     string
		afterRetry state.ChangeStatus
	}{
		{"it refuses", fault{false, no}, state.ChangeRefused, false, "insufficient access rights", state.ChangeDone},
		{"it closes the connection after accepting", fault{true, unsure}, state.ChangeDone, true, "", state.ChangeDone},
		{"it times out and does nothing", fault{false, unsure}, state.ChangeFailed, false, "no answer came, and it is not so", state.ChangeDone},
		{"it answers success and does nothing", fault{false, nil}, state.ChangeFailed, false, "it is not so", state.ChangeDone},
		{"it can't be reached", fault{false, errors.New("connection refused")}, state.ChangeSkipped, false, "nothing was sent", state.ChangeDone},
		{"it refuses what somebody else does", fault{true, no}, state.ChangeAlready, true, "somebody else", state.ChangeAlready},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, newSystem(1))
			b.plan.Steps = b.plan.Steps[:1]
			b.sys.fault = func(access.Change) fault { return c.fault }
			out := b.apply(b.engine())
			if len(out) != 1 || out[0].Status != c.want || !strings.Contains(out[0].Detail, c.detail) || *b.sys.accounts["0"].Account.Enabled == c.disabled {
				t.Errorf("%+v, enabled %v", out, *b.sys.accounts["0"].Account.Enabled)
			}
			b.sys.fault = nil
			if out := b.apply(b.engine()); out[0].Status != c.afterRetry {
				t.Errorf("afterwards: %+v", out)
			}
			b.whole()
		})
	}
}

// An account that is not what the plan is about any more is not touched.
func TestChangedSincePlan(t *testing.T) {
	rehired := "the person is active again"
	for _, c := range []struct {
		name   string
		meddle func(b *bench, e *Engine)
		want   string
		detail string
	}{
		{"rehired", func(_ *bench, e *Engine) {
			e.Recheck = func(_ context.Context, l []Looked) (map[int]string, error) {
				out := holdsAll(l)
				for n := range out {
					out[n] = rehired
				}
				return out, nil
			}
		}, "skipped skipped skipped", rehired},
		{"nobody can say", func(_ *bench, e *Engine) {
			e.Recheck = func(context.Context, []Looked) (map[int]string, error) { return nil, nil }
		}, "skipped skipped skipped", "nobody could say"},
		{"deleted, and created again with the same name", func(b *bench, _ *Engine) {
			again := account("17", "admins")
			again.Account.Username = "user0"
			b.sys.accounts = map[string]*access.Live{"17": again}
		}, "skipped skipped skipped", "not there any more"},
		{"renamed", func(b *bench, _ *Engine) { b.sys.accounts["0"].Account.Username = "other" }, "done done done", ""},
		{"moved", func(b *bench, _ *Engine) { b.sys.accounts["0"].Keep["move"] = []string{"OU=Elsewhere"} }, "done done done", ""},
		{"disabled by hand", func(b *bench, _ *Engine) {
			no := false
			b.sys.accounts["0"].Account.Enabled = &no
		}, "already done done", "it is so already"},
		{"refused to the credential", func(b *bench, _ *Engine) {
			b.sys.may = func(access.Change) error { return fmt.Errorf("AdminSDHolder protects it: %w", access.ErrRefused) }
		}, "refused refused skipped", "AdminSDHolder"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, newSystem(1))
			e := b.engine()
			c.meddle(b, e)
			out := b.apply(e)
			if statuses(out) != c.want || !strings.Contains(out[0].Detail, c.detail) {
				t.Errorf("%s: %+v", statuses(out), out[0])
			}
			if strings.HasPrefix(c.want, "skipped") && b.sys.applies > 0 {
				t.Error("something was sent")
			}
			b.whole()
		})
	}
}

// Between rechecking and the change somebody changes the account: it is judged again, as it is then.
func TestChangedBetween(t *testing.T) {
	b := newBench(t, newSystem(1))
	looks := 0
	b.sys.looked = func(s *system, _ access.Object) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if looks++; looks == 2 {
			s.accounts["0"].Account.Email = "back@example.com"
		}
	}
	e, asked := b.engine(), 0
	e.Recheck = func(_ context.Context, l []Looked) (map[int]string, error) {
		if asked++; asked == 1 {
			return holdsAll(l), nil
		}
		if l[0].Live.Account.Email != "back@example.com" {
			t.Errorf("judged by %+v", l[0].Live.Account)
		}
		return map[int]string{l[0].Step.N: "it belongs to somebody else now"}, nil
	}
	out := b.apply(e)
	if out[0].Status != state.ChangeSkipped || !strings.Contains(out[0].Detail, "somebody else") {
		t.Errorf("%+v", out[0])
	}
}

// fullDisk is a journal that can't be written any more after some writes.
type fullDisk struct {
	Journal
	left int
}

var errFull = errors.New("no space left on device")

func (f *fullDisk) BeginChange(ctx context.Context, a state.Actor, e state.ChangeEntry) (state.ChangeEntry, error) {
	if f.left--; f.left < 0 {
		return e, errFull
	}
	return f.Journal.BeginChange(ctx, a, e)
}

func (f *fullDisk) EndChange(ctx context.Context, a state.Actor, id string, s state.ChangeStatus, after json.RawMessage, detail string) error {
	if f.left--; f.left < 0 {
		return errFull
	}
	return f.Journal.EndChange(ctx, a, id, s, after, detail)
}

func TestFullDisk(t *testing.T) {
	for writes := range 6 {
		b := newBench(t, newSystem(1))
		e := b.engine()
		e.Journal = &fullDisk{b.state, writes}
		_, err := e.Apply(t.Context(), b.plan, b.plan.Steps)
		if !errors.Is(err, errFull) {
			t.Fatalf("after %d writes: %v", writes, err)
		}
		begun := (writes + 1) / 2
		if b.sys.applies != begun {
			t.Errorf("after %d writes %d changes were sent, %d were journaled", writes, b.sys.applies, begun)
		}
		b.apply(b.engine())
		b.isDone(true)
		if b.sys.applies != 3 {
			t.Errorf("%d changes were sent in all", b.sys.applies)
		}
	}
}

func TestStopSwitch(t *testing.T) {
	b := newBench(t, newSystem(2))
	e := b.engine()
	e.Told = func(o Outcome) {
		if o.Step.N == 2 {
			if _, err := b.state.SetStop(t.Context(), b.actor, "payroll is broken"); err != nil {
				t.Error(err)
			}
		}
	}
	if got := statuses(b.apply(e)); got != "done done skipped skipped skipped skipped" {
		t.Errorf("stopped: %s", got)
	}
	if _, err := b.state.LiftStops(t.Context(), b.actor); err != nil {
		t.Fatal(err)
	}
	if got := statuses(b.apply(b.engine())); got != "done done done done done done" {
		t.Errorf("lifted: %s", got)
	}
}

// After three changes in a row that went wrong a source is left alone.
func TestBrokenSource(t *testing.T) {
	b := newBench(t, newSystem(4))
	b.sys.fault = func(access.Change) fault { return fault{} }
	out := b.apply(b.engine())
	if b.sys.applies != tooManyFaults || !strings.Contains(out[len(out)-1].Detail, "look what is wrong") {
		t.Errorf("%d changes were sent: %s, %s", b.sys.applies, statuses(out), out[len(out)-1].Detail)
	}
}

// Two processes apply one plan at once: each change is made once.
func TestTwoApplies(t *testing.T) {
	b := newBench(t, newSystem(5))
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			_, err := b.engine().Apply(context.Background(), b.plan, b.plan.Steps)
			if err != nil && !errors.Is(err, state.ErrExists) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	b.apply(b.engine())
	b.isDone(true)
	for change, n := range b.sys.effects {
		if n != 1 {
			t.Errorf("%s took place %d times", change, n)
		}
	}
	b.whole()
}

// What can't be read back is made again after a crash: it says what is to be so.
func TestUnreadable(t *testing.T) {
	b := newBench(t, newSystem(1))
	b.plan.Steps = b.plan.Steps[:1]
	b.plan.Steps[0].Change.Action = access.ActionEndSessions
	e := b.engine()
	e.reached = func(at string, _ int) error {
		if at == "sent" {
			return errKilled
		}
		return nil
	}
	if _, err := e.Apply(t.Context(), b.plan, b.plan.Steps); !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	if out := b.apply(b.engine()); out[0].Status != state.ChangeSent || b.sys.applies != 2 {
		t.Errorf("%+v after %d applies", out, b.sys.applies)
	}
	out, err := b.engine().Undo(t.Context(), b.entries())
	if err != nil || out[len(out)-1].Status != state.ChangeSkipped {
		t.Errorf("undone: %+v, %v", out, err)
	}
}
