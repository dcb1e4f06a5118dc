package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/access"
)

// Asking asks a screen of a run's subjects before they are made. Of all subjects only those columns are made that the screen
// looks at; the few that it says need looking at are then made whole. What names and paths cost is so paid for these alone.
//
// For each slice: Build → Screen. Then for parts of what needs looking at: Make → Screening.Subjects. Build and Make write, so
// one goroutine at a time calls them. Slices and parts are independent of each other.
type Asking struct {
	run     *Run
	kind    access.SubjectKind
	screen  Screen
	columns []string // that the screen looks at, and those that say which subject it is
	ranges  []span
	build   string
	whole   string // the query of all columns
}

// askedKinds are those of which there are many, and whose queries can be narrowed to some of them.
var askedKinds = []access.SubjectKind{access.SubjectAccount, access.SubjectPerson, access.SubjectEntitlement}

// Asks reports whether Ask serves a kind of subject.
func Asks(kind access.SubjectKind) bool { return slices.Contains(askedKinds, kind) }

func askedTable(kind access.SubjectKind) string  { return "asked_" + string(kind) }
func judgedTable(kind access.SubjectKind) string { return "judged_" + string(kind) }
func pickedTable(kind access.SubjectKind) string { return "picked_" + string(kind) } // the numbers of what becomes whole

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
	q, err := takeApart(kind)
	if err != nil {
		return nil, err
	}
	a := &Asking{run: r, kind: kind, screen: s, whole: subjectQuery(kind)}
	var columns [][2]string
	for _, c := range access.SchemaOf(kind).Columns() {
		looks := func(expression string) bool { return mentions(expression, c.Name) }
		if c.Name == "source_uid" || c.Name == subjectIDs[kind] || slices.ContainsFunc(s.Atoms, looks) ||
			slices.ContainsFunc(s.Flags, looks) || slices.ContainsFunc(s.Facts, looks) {
			columns = append(columns, [2]string{c.Name, c.Type})
			a.columns = append(a.columns, c.Name)
		}
	}
	if a.ranges, err = r.ranges(ctx, string(kind)); err != nil {
		return nil, err
	}
	names := strings.Join(a.columns, ", ")
	a.build = "INSERT INTO " + askedTable(kind) + " (run, slice, no, " + names + ")\nSELECT {run:UInt64}, {slice:UInt32}, no, " + names +
		"\nFROM (\n" + q.only(a.columns) + ")" + buildSettings
	if err := r.s.prepareTable(ctx, askedTable(kind), append(place(), columns...)); err != nil {
		return nil, err
	}
	if err := r.s.prepareTable(ctx, pickedTable(kind), place()); err != nil {
		return nil, err
	}
	return a, r.s.prepareTable(ctx, judgedTable(kind), subjectColumns(kind))
}

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
	return a.run.screen(ctx, askedTable(a.kind), a.kind, slice, a.screen)
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
	made := &Screening{run: a.run, kind: a.kind, table: judgedTable(a.kind), slice: part, columns: screenedColumns(a.kind, a.screen)}
	for _, s := range slices {
		made.found = append(made.found, s.found...)
	}
	return made, a.fault(a.make(ctx, made), "make", part)
}

func (a *Asking) make(ctx context.Context, made *Screening) error {
	for _, table := range []string{pickedTable(a.kind), judgedTable(a.kind)} {
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
	insert := insertSubjects(judgedTable(a.kind), a.kind, ofPicked(a.kind, a.whole))
	return a.run.s.exec(ctx, insert, a.run.parameters(these.parameters())...)
}

// pick writes the numbers into a table. As a parameter they would be part of the statement's text in a dozen places, and of the
// names of all that is computed with them.
func (a *Asking) pick(ctx context.Context, made *Screening) error {
	b, err := a.run.s.conn.PrepareBatch(ctx, "INSERT INTO "+pickedTable(a.kind)+" (run, slice, no)")
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
