package store

import (
	"context"
	"fmt"
	"regexp"
	"slices"

	"github.com/lapse-audit/lapse/internal/access"
)

// Asking asks a screen of a run's subjects before they are made: of what it looks at, which is never written down, in one
// statement for several slices. The few that it says need looking at are then made whole. What names and paths cost, and the
// writing and reading of it all, is so paid for these alone.
//
// For each of Stretches: Screen. Then for parts of what needs looking at: Make → Screening.Subjects. Make writes, so one
// goroutine at a time calls it. Stretches and parts are independent of each other.
type Asking struct {
	run       *Run
	kind      access.SubjectKind
	screen    Screen
	looks     string          // the query of what the screen looks at
	made      []access.Column // of what is made whole: all, or what is wanted of a kept run
	whole     string          // the statement that makes it
	stretches []stretch
}

// stretch are neighbouring slices that are asked at once: that takes less memory than making them, and a statement about all
// policies takes the engine longer to read than to answer for one slice.
type stretch struct {
	span
	slices int
}

// slicesAsked is how many slices a stretch has.
const slicesAsked = 8

// askedKinds are those of which there are many, and that are made slice by slice.
var askedKinds = []access.SubjectKind{access.SubjectAccount, access.SubjectPerson, access.SubjectEntitlement}

// Asks reports whether Ask serves a kind of subject.
func Asks(kind access.SubjectKind) bool { return slices.Contains(askedKinds, kind) }

func judgedTable(kind access.SubjectKind) string { return "judged_" + string(kind) }
func pickedTable(kind access.SubjectKind) string { return "picked_" + string(kind) } // the numbers of what becomes whole

// table is one of the above, for a kept run another: what the last run has judged is still asked for.
func (a *Asking) table(of func(access.SubjectKind) string) string {
	if a.run.past != 0 {
		return "past_" + of(a.kind)
	}
	return of(a.kind)
}

// Ask prepares it. It may be called from WriteClosure on. What another Ask of the kind has made is gone.
func (r *Run) Ask(ctx context.Context, kind access.SubjectKind, s Screen) (*Asking, error) {
	a, err := r.ask(ctx, kind, s)
	if err != nil {
		return nil, fmt.Errorf("ask %s subjects of run %d: %w", kind, r.ID, err)
	}
	return a, nil
}

func (r *Run) ask(ctx context.Context, kind access.SubjectKind, s Screen) (*Asking, error) {
	if !Asks(kind) {
		return nil, fmt.Errorf("only subjects of %v are asked", askedKinds)
	}
	a := &Asking{run: r, kind: kind, screen: s, made: access.SchemaOf(kind).Columns()}
	if r.plan != nil {
		a.made = r.plan.columns(kind)
	}
	ranges, err := r.ranges(ctx, string(kind))
	if err != nil {
		return nil, err
	}
	for some := range slices.Chunk(ranges, slicesAsked) {
		a.stretches = append(a.stretches, stretch{span{some[0].slice, some[0].first, some[len(some)-1].last}, len(some)})
	}
	if a.looks, err = narrow(subjectQuery(kind), s.looksAt(kind)); err != nil {
		return nil, err
	}
	if a.whole, err = insertColumns(a.table(judgedTable), kind, a.made); err != nil {
		return nil, err
	}
	a.whole = numberRange.ReplaceAllString(a.whole, "${0} AND ${1} IN (SELECT no FROM "+a.table(pickedTable)+" WHERE slice = {slice:UInt32})")
	if err := r.s.prepareTable(ctx, a.table(pickedTable), placed(nil)); err != nil {
		return nil, err
	}
	return a, r.s.prepareTable(ctx, a.table(judgedTable), placed(a.made))
}

// looksAt tells the columns that the screen looks at, and those that say which subject it is.
func (s Screen) looksAt(kind access.SubjectKind) func(column string) bool {
	names := map[string]bool{"no": true, "source_uid": true, subjectIDs[kind]: true}
	for _, e := range slices.Concat(s.Atoms, s.Flags, s.Facts) {
		for w := range words(e) {
			names[w] = true
		}
	}
	return func(column string) bool { return names[column] }
}

// numberRange is how the files say of which subjects they speak.
var numberRange = regexp.MustCompile(`(\w+) BETWEEN \{first:UInt32\} AND \{last:UInt32\}`)

// Again is the asking of another screen that looks at no other columns.
func (a *Asking) Again(s Screen) *Asking {
	again := *a
	again.screen = s
	return &again
}

func (a *Asking) fault(err error, what string, part int) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s subjects, part %d of run %d: %w", what, a.kind, part, a.run.ID, err)
}

// Stretches is the number of stretches that are asked.
func (a *Asking) Stretches() int { return len(a.stretches) }

// Screen asks the subjects of a stretch. They can't be read: see Make.
func (a *Asking) Screen(ctx context.Context, stretch int) (*Screening, error) {
	sc := &Screening{run: a.run, kind: a.kind}
	query := screenQuery("(\n"+a.looks+")", a.kind, a.screen) + "max_block_size = 8192, " + screenSettings
	args := append(a.run.parameters(a.stretches[stretch].parameters()), a.screen.parameters()...)
	return sc, a.fault(sc.ask(ctx, a.screen, query, args), "ask", stretch)
}

// MakeAtATime is about how many subjects are worth being made whole at a time: each time takes something whatever their number.
const MakeAtATime = 10_000

// Weight is about how many grants so many subjects of a stretch have, where a slice has 1 in all.
func (a *Asking) Weight(stretch, subjects int) float64 {
	of := a.stretches[stretch]
	return float64(subjects) / float64(of.last-of.first+1) * float64(of.slices)
}

// Make makes those subjects whole that need looking at in some stretches, in order, as a part with a number of its own, to be read
// from what it returns.
func (a *Asking) Make(ctx context.Context, part int, stretches []*Screening) (*Screening, error) {
	made := &Screening{run: a.run, kind: a.kind, table: a.table(judgedTable), slice: part, columns: screenedColumns(a.kind, a.screen)}
	for _, s := range stretches {
		made.found = append(made.found, s.found...)
	}
	return made, a.fault(a.make(ctx, made), "make", part)
}

func (a *Asking) make(ctx context.Context, made *Screening) error {
	for _, table := range []string{a.table(pickedTable), a.table(judgedTable)} {
		if err := a.run.s.exec(ctx, fmt.Sprintf("ALTER TABLE %s DROP PARTITION %d", table, made.slice)); err != nil {
			return err
		}
	}
	if len(made.found) == 0 {
		return nil
	}
	if err := a.pick(ctx, made); err != nil {
		return err
	}
	these := span{uint32(made.slice), made.found[0].no, made.found[len(made.found)-1].no}
	return a.run.s.exec(ctx, a.whole, a.run.parameters(these.parameters())...)
}

// pick writes the numbers into a table. As a parameter they would be part of the statement's text in a dozen places, and of the
// names of all that is computed with them.
func (a *Asking) pick(ctx context.Context, made *Screening) error {
	b, err := a.run.s.conn.PrepareBatch(ctx, "INSERT INTO "+a.table(pickedTable)+" (run, slice, no)")
	if err != nil {
		return a.run.s.fault(ctx, err)
	}
	defer b.Close()
	for _, f := range made.found {
		if err := b.Append(a.run.ID, uint32(made.slice), f.no); err != nil {
			return err
		}
	}
	return a.run.s.fault(ctx, b.Send())
}
