package store

import (
	"context"
	"fmt"
	"regexp"
	"slices"

	"github.com/lapse-audit/lapse/internal/access"
)

// Asking asks a screen of a run's subjects before they are made. Of all subjects only those columns are made that the screen
// looks at; the few that it says need looking at are then made whole. What names and paths cost is so paid for these alone.
//
// For each slice: Build → Screen. Then for parts of what needs looking at: Make → Screening.Subjects. Build and Make write, so
// one goroutine at a time calls them. Slices and parts are independent of each other.
type Asking struct {
	run    *Run
	kind   access.SubjectKind
	screen Screen
	asked  []access.Column // that the screen looks at, and those that say which subject it is
	made   []access.Column // of what is made whole: all, or what is wanted of a kept run
	ranges []span
	build  string
	whole  string
}

// askedKinds are those of which there are many, and that are made slice by slice.
var askedKinds = []access.SubjectKind{access.SubjectAccount, access.SubjectPerson, access.SubjectEntitlement}

// Asks reports whether Ask serves a kind of subject.
func Asks(kind access.SubjectKind) bool { return slices.Contains(askedKinds, kind) }

func askedTable(kind access.SubjectKind) string  { return "asked_" + string(kind) }
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
	looks := lookedAt(s)
	a.asked = slices.DeleteFunc(access.SchemaOf(kind).Columns(), func(c access.Column) bool {
		return c.Name != "source_uid" && c.Name != subjectIDs[kind] && !looks[c.Name]
	})
	var err error
	if a.ranges, err = r.ranges(ctx, string(kind)); err != nil {
		return nil, err
	}
	if a.build, err = insertColumns(a.table(askedTable), kind, a.asked); err != nil {
		return nil, err
	}
	if a.whole, err = insertColumns(a.table(judgedTable), kind, a.made); err != nil {
		return nil, err
	}
	a.whole = numberRange.ReplaceAllString(a.whole, "${0} AND ${1} IN (SELECT no FROM "+a.table(pickedTable)+" WHERE slice = {slice:UInt32})")
	for _, t := range []struct {
		name    string
		columns []access.Column
	}{{a.table(askedTable), a.asked}, {a.table(pickedTable), nil}, {a.table(judgedTable), a.made}} {
		if err := r.s.prepareTable(ctx, t.name, placed(t.columns)); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// lookedAt are the names in a screen's expressions.
func lookedAt(s Screen) map[string]bool {
	out := map[string]bool{}
	for _, e := range slices.Concat(s.Atoms, s.Flags, s.Facts) {
		for w := range words(e) {
			out[w] = true
		}
	}
	return out
}

// numberRange is how the files say of which subjects they speak.
var numberRange = regexp.MustCompile(`(\w+) BETWEEN \{first:UInt32\} AND \{last:UInt32\}`)

// Again is the asking of another screen that looks at no other columns. Build has been called for all slices.
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

func (a *Asking) slice(slice int) (span, error) {
	if slice < 0 || slice >= len(a.ranges) {
		return span{}, fmt.Errorf("there are %d slices", len(a.ranges))
	}
	return a.ranges[slice], nil
}

// Build makes what the screen looks at.
func (a *Asking) Build(ctx context.Context, slice int) error {
	part, err := a.slice(slice)
	if err == nil {
		err = a.run.s.exec(ctx, a.build, a.run.parameters(part.parameters())...)
	}
	return a.fault(err, "build what is asked of", slice)
}

// Screen asks the subjects of a slice that was built. They can't be read: see Make.
func (a *Asking) Screen(ctx context.Context, slice int) (*Screening, error) {
	return a.run.screen(ctx, a.table(askedTable), a.kind, slice, a.screen)
}

// MakeAtATime is about how many subjects are worth being made whole at a time: each time takes something whatever their number.
const MakeAtATime = 5000

// Weight is about how many grants so many subjects of a slice have, where a slice has 1 in all.
func (a *Asking) Weight(slice, subjects int) float64 {
	part := a.ranges[slice]
	return float64(subjects) / float64(part.last-part.first+1)
}

// Make makes those subjects whole that need looking at in some slices, in order, as a part with a number of its own, to be read
// from what it returns.
func (a *Asking) Make(ctx context.Context, part int, slices []*Screening) (*Screening, error) {
	made := &Screening{run: a.run, kind: a.kind, table: a.table(judgedTable), slice: part, columns: screenedColumns(a.kind, a.screen)}
	for _, s := range slices {
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
