package scan

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"sync"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/policy"
	"github.com/lapse-audit/lapse/internal/store"
)

// Rejudged is what some policies say of a run that was.
type Rejudged struct {
	Run      store.RunInfo
	Inputs   []store.RunInput
	Results  []policy.Result // excluded ones too, in no order
	Tallies  []finding.Tally
	Failures map[string]error // by policy; its results are left out
}

// Rejudging says by what kept runs are judged again, one after the other. Its fields stay as they are from the first run on, but
// for Whole. Close it.
type Rejudging struct {
	Store   *store.Store
	Pack    *policy.Pack
	Only    []string // the policies, enabled or not
	Workers int      // 0 for one a core
	Lane    Lane     // "" is LaneAuto
	// Sandbox is where those policies that do not come with the program are tried first, on all of a run, until one does no harm;
	// nil: nowhere.
	Sandbox *policy.Sandbox
	// Whole makes all of the subjects, whatever the policies read of them.
	Whole bool

	tamper func(*policy.Screen) // in tests: makes the prefilter unsound

	engine  *policy.Engine                        // made for the first run
	screens map[access.SubjectKind]*policy.Screen // by kinds that were translated; nil: they can't be
	doubted map[access.SubjectKind]bool           // the translation has passed over what it shouldn't
	nights  int                                   // that were judged
	tried   map[string]bool                       // the policies that have passed the sandbox
}

// Close ends what the first run began.
func (j *Rejudging) Close(ctx context.Context) {
	if j.engine != nil {
		j.engine.Close(context.WithoutCancel(ctx))
	}
}

// begin compiles the policies, or takes those of the run before.
func (j *Rejudging) begin(ctx context.Context, options policy.EngineOptions) (err error) {
	if j.engine == nil {
		j.screens, j.doubted, j.tried = map[access.SubjectKind]*policy.Screen{}, map[access.SubjectKind]bool{}, map[string]bool{}
		j.engine, err = policy.NewEngine(ctx, j.Pack, options)
		return err
	}
	if j.engine.UsesClock() {
		clear(j.screens)
	}
	return j.engine.Again(options.Time, options.RunID)
}

// screen translates the policies of a kind for the prefilter; nil: it is no use.
func (j *Rejudging) screen(ctx context.Context, kind access.SubjectKind) (*policy.Screen, error) {
	screen, known := j.screens[kind]
	if j.doubted[kind] {
		return nil, nil
	}
	if known {
		return screen, nil
	}
	screen, err := j.engine.Screen(ctx, kind)
	if err != nil {
		return nil, err
	}
	if screen != nil && !asks(screen) {
		screen = nil
	}
	if screen != nil && j.tamper != nil {
		j.tamper(screen)
	}
	j.screens[kind] = screen
	return screen, nil
}

const (
	// rejudgedSample is about how many subjects of a kind are judged in full to check the prefilter, in the first night and in
	// each that is some sampledNights after: over a month of nights that comes to more than a scan's sample. To make a few whole
	// takes nearly as long as to make many.
	rejudgedSample = 1000
	sampledNights  = 5
)

// Run makes the subjects of a kept run again, as they were, and judges them. Nothing is recorded. Its caller holds the lease.
// A run that is no longer kept is store.ErrNotFound.
//
// Of the subjects no more is made than the policies look at, unless that is not known: there is no column then for a policy
// to take for unknown, and a statement that asks for it fails. The prefilter passes over as in a scan; what its sample shows
// is judged again by all, and said by nobody: the results are right. In the nights that follow, the kind is not prefiltered.
func (j *Rejudging) Run(ctx context.Context, run uint64) (Rejudged, error) {
	info, err := j.Store.RunByID(ctx, run)
	if err != nil {
		return Rejudged{}, err
	}
	options := policy.EngineOptions{Time: info.Time, RunID: int64(info.ID), Only: j.Only}
	if err := j.begin(ctx, options); err != nil {
		return Rejudged{}, err
	}
	engine := j.engine
	screens, wanted, err := j.prepare(ctx, info)
	if err != nil {
		return Rejudged{}, err
	}
	past, err := revisit(ctx, j.Store, run, wanted)
	if err != nil {
		return Rejudged{}, err
	}
	out := Rejudged{Run: past.RunInfo, Inputs: past.Inputs}
	if err := j.tryFirst(ctx, past, options); err != nil {
		return out, err
	}
	for _, kind := range engine.Kinds() {
		if err := j.judge(ctx, past, engine, kind, screens[kind], &out); err != nil {
			return out, err
		}
	}
	j.nights++
	for _, d := range engine.Doubts() {
		j.doubted[d.Subject.Kind] = true
	}
	out.Tallies, out.Failures = engine.Tallies(), engine.Failures()
	kept := out.Results[:0]
	for _, r := range out.Results {
		if out.Failures[r.Policy] == nil {
			kept = append(kept, r)
		}
	}
	out.Results = kept
	return out, nil
}

// tryFirst tries in the sandbox what has not passed it in a night before.
func (j *Rejudging) tryFirst(ctx context.Context, past *store.Past, options policy.EngineOptions) error {
	untried := j.untried()
	if err := tryFirst(ctx, j.Sandbox, past, j.Pack, untried, j.engine, options); err != nil {
		return err
	}
	failures := j.engine.Failures()
	for _, p := range untried {
		j.tried[p.ID] = failures[p.ID] == nil
	}
	return nil
}

// prepare says what the run's subjects are screened by, and what the policies look at; nil if that is everything.
func (j *Rejudging) prepare(ctx context.Context, info store.RunInfo) (map[access.SubjectKind]*policy.Screen, store.Wanted, error) {
	screens, wanted := map[access.SubjectKind]*policy.Screen{}, store.Wanted{}
	subjects := map[access.SubjectKind]uint64{access.SubjectAccount: info.Accounts, access.SubjectPerson: info.People, access.SubjectEntitlement: info.Entitlements}
	for _, kind := range j.engine.Kinds() {
		if j.Lane == LanePrefilter || j.Lane != LaneFull && subjects[kind] >= manySubjects {
			screen, err := j.screen(ctx, kind)
			if err != nil {
				return nil, nil, err
			}
			if screen != nil {
				screens[kind] = screen
			}
		}
		columns, ok := j.engine.Columns(kind, screens[kind])
		if wanted != nil && ok {
			wanted[kind] = store.Part{Columns: columns, Asked: screens[kind] != nil}
		} else {
			wanted = nil
		}
	}
	if j.Whole || len(j.untried()) > 0 { // the sandbox is sent whole subjects
		wanted = nil
	}
	return screens, wanted, nil
}

// untried are the policies that do not come with the program and have not passed the sandbox yet.
func (j *Rejudging) untried() (untried []policy.Policy) {
	if j.Sandbox == nil {
		return nil
	}
	for _, id := range j.Only {
		if p, ok := j.Pack.Policy(id); ok && !p.BuiltIn && !j.tried[id] {
			untried = append(untried, p)
		}
	}
	return untried
}

// judge judges the subjects of one kind.
func (j *Rejudging) judge(ctx context.Context, past *store.Past, engine *policy.Engine, kind access.SubjectKind, screen *policy.Screen, out *Rejudged) error {
	n, err := past.Slices(ctx, kind)
	if err != nil {
		return err
	}
	workers := j.Workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	var building, adding sync.Mutex
	found := gathered{&adding, &out.Results}
	if screen != nil {
		subjects, err := past.SubjectCount(ctx, kind)
		if err != nil {
			return err
		}
		a := asking{screening: newScreening(screen, past.ID, subjects/rejudgedSample), engine: engine, workers: workers, progress: unheard{},
			writing: &building, taker: func() taker { return found }}
		if j.nights%sampledNights > 0 {
			a.asked.Sample = store.Sample{}
		}
		return a.judgeAll(ctx, past)
	}
	return each(ctx, workers, n, func(ctx context.Context, i int) error {
		building.Lock()
		err := past.BuildSubjects(ctx, kind, i)
		building.Unlock()
		if err != nil {
			return err
		}
		return evalAll(ctx, engine.NewEvaluator(), kind, past.Subjects(ctx, kind, i), found.add)
	})
}

// gathered is a taker that keeps everything.
type gathered struct {
	mu *sync.Mutex
	to *[]policy.Result
}

func (g gathered) add(r policy.Result) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	*g.to = append(*g.to, r)
	return nil
}

func (gathered) writeMany() error { return nil }
func (gathered) write() error     { return nil }

// unheard is a Progress.
type unheard struct{}

func (unheard) Reading(string, int64, int64) {}
func (unheard) Collected(Collected)          {}
func (unheard) Phase(string, int)            {}
func (unheard) Advance(int)                  {}

func evalAll(ctx context.Context, ev *policy.Evaluator, kind access.SubjectKind, rows iter.Seq2[access.Row, error], emit func(policy.Result) error) error {
	for row, err := range rows {
		if err != nil {
			return err
		}
		if err := ev.Eval(ctx, kind, row, emit); err != nil {
			return err
		}
	}
	return nil
}

// revisit begins to make the wanted parts of the subjects of a kept run again; nil is all of them.
func revisit(ctx context.Context, s *store.Store, run uint64, wanted store.Wanted) (*store.Past, error) {
	past, err := s.RevisitPart(ctx, run, wanted)
	if err != nil {
		return nil, err
	}
	if err := past.WriteClosure(ctx, closure(ctx, past)); err != nil {
		return nil, fmt.Errorf("make the subjects of run %d again: %w", run, err)
	}
	return past, nil
}

// Subject makes the subjects of one kind of a kept run again and finds one of them; store.ErrNotFound if there is none.
func Subject(ctx context.Context, s *store.Store, run uint64, subject finding.Subject) (access.Row, error) {
	if err := Remake(ctx, s, run, subject.Kind); err != nil {
		return nil, err
	}
	return s.Subject(ctx, run, subject)
}

// Remake makes the subjects of one kind of a kept run again, as they were. Its caller holds the lease.
func Remake(ctx context.Context, s *store.Store, run uint64, kind access.SubjectKind) error {
	past, err := revisit(ctx, s, run, nil)
	if err != nil {
		return err
	}
	n, err := past.Slices(ctx, kind)
	if err != nil {
		return err
	}
	for i := range n {
		if err := past.BuildSubjects(ctx, kind, i); err != nil {
			return err
		}
	}
	return nil
}

// Sample makes the subjects of a kept run again and reads up to n of each kind, spread over all of them. The table takes the
// place of the first of them.
func Sample(ctx context.Context, s *store.Store, run uint64, n int) (map[access.SubjectKind][]access.Row, policy.Table, store.RunInfo, error) {
	past, err := revisit(ctx, s, run, nil)
	if err != nil {
		return nil, nil, store.RunInfo{}, err
	}
	out := map[access.SubjectKind][]access.Row{}
	for _, kind := range access.SubjectKinds() {
		slices, err := past.Slices(ctx, kind)
		if err != nil {
			return nil, nil, past.RunInfo, err
		}
		for i := range slices {
			if err := past.BuildSubjects(ctx, kind, i); err != nil {
				return nil, nil, past.RunInfo, err
			}
			share := (n - len(out[kind])) / (slices - i)
			for row, err := range past.Subjects(ctx, kind, i) {
				if err != nil {
					return nil, nil, past.RunInfo, err
				}
				if share <= 0 {
					break
				}
				share--
				out[kind] = append(out[kind], row.Clone())
			}
		}
	}
	return out, table{past}, past.RunInfo, nil
}
