package store

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/lapse-audit/lapse/internal/access"
)

// Asking asks a screen of a run's subjects before they are made: of what it looks at, which is never written down, in one
// statement for several slices. The few that it says need looking at are then made whole. What names and paths cost, and the writing and
// reading of it all, is so paid for these alone.
//
// For each of Stretches: Ask. Then for parts of what is flagged: Make → Judged. Make writes, so one goroutine at a time calls it.
// Stretches and parts are independent of each other.
type Asking struct {
	run       *Run
	kind      access.SubjectKind
	screen    Screen
	looks     string // the query of what the screen looks at
	whole     string // the query of all columns
	stretches []stretch
}

// stretch are neighbouring slices that are asked at once: that takes less memory than making them, and a statement about all
// policies takes the engine longer to read than to answer for one slice.
type stretch struct {
	span
	slices int
}

// slicesAsked is how many slices a stretch has.
const slicesAsked = 4

// askedKinds are those of which there are many, and whose queries can be narrowed to some of them.
var askedKinds = []access.SubjectKind{access.SubjectAccount, access.SubjectPerson, access.SubjectEntitlement}

// Asks reports whether Ask serves a kind of subject.
func Asks(kind access.SubjectKind) bool { return slices.Contains(askedKinds, kind) }

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
	a := &Asking{run: r, kind: kind, screen: s, looks: q.only(s.columns(kind)), whole: subjectQuery(kind)}
	ranges, err := r.ranges(ctx, string(kind))
	if err != nil {
		return nil, err
	}
	for some := range slices.Chunk(ranges, slicesAsked) {
		last := some[len(some)-1]
		a.stretches = append(a.stretches, stretch{span{some[0].slice, some[0].first, last.last}, len(some)})
	}
	if err := r.s.prepareTable(ctx, pickedTable(kind), place()); err != nil {
		return nil, err
	}
	return a, r.s.prepareTable(ctx, judgedTable(kind), subjectColumns(kind))
}

// columns are those that the screen looks at, and those that say which subject it is.
func (s Screen) columns(kind access.SubjectKind) (names []string) {
	for _, name := range columnNames(kind) {
		looks := func(expression string) bool { return mentions(expression, name) }
		if name == "source_uid" || name == subjectIDs[kind] || slices.ContainsFunc(s.Atoms, looks) ||
			slices.ContainsFunc(s.Flags, looks) || slices.ContainsFunc(s.Verdicts, looks) {
			names = append(names, name)
		}
	}
	return names
}

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

// Answer is what a screen says of one subject that needs looking at.
type Answer struct {
	no     uint32
	mask   []uint64
	sample bool
	stands bool
}

// Stretches is the number of stretches that are asked.
func (a *Asking) Stretches() int { return len(a.stretches) }

// Ask counts a stretch's subjects as Run.CountVerdicts does, and says which need looking at, in the order of their numbers.
func (a *Asking) Ask(ctx context.Context, stretch int) ([]VerdictCount, []Answer, error) {
	counts, answers, err := a.ask(ctx, stretch)
	return counts, answers, a.fault(err, "ask", stretch)
}

func (a *Asking) ask(ctx context.Context, stretch int) (counts []VerdictCount, answers []Answer, err error) {
	if stretch < 0 || stretch >= len(a.stretches) {
		return nil, nil, fmt.Errorf("there are %d stretches", len(a.stretches))
	}
	type answered struct {
		VerdictCount
		numbers         []uint32
		samples, stands []bool
		words           [][]uint64 // of the masks: the first ones, the second ones, …
	}
	scan := func(rows driver.Rows, v *answered) error {
		v.words = make([][]uint64, len(maskWords(a.screen.Flags)))
		dest := []any{&v.Source, &v.Verdicts, &v.Subjects, &v.numbers, &v.samples, &v.stands}
		for i := range v.words {
			dest = append(dest, &v.words[i])
		}
		return rows.Scan(dest...)
	}
	args := a.run.parameters(a.stretches[stretch].parameters())
	all, err := list(ctx, a.run.s, scan, a.question(), append(args, a.run.sampleParameters(a.screen)...)...)
	if err != nil {
		return nil, nil, err
	}
	for _, v := range all {
		counts = append(counts, v.VerdictCount)
		for i, no := range v.numbers {
			mask := make([]uint64, len(v.words))
			for w := range v.words {
				mask[w] = v.words[w][i]
			}
			answers = append(answers, Answer{no, mask, v.samples[i], v.stands[i]})
		}
	}
	slices.SortFunc(answers, func(x, y Answer) int { return cmp.Compare(x.no, y.no) })
	return counts, answers, nil
}

// question is the statement of a stretch.
func (a *Asking) question() string {
	atoms, gathered := "", ""
	for i, atom := range a.screen.Atoms {
		atoms += fmt.Sprintf(", %s AS is%d", atom, i+1)
	}
	for i := range maskWords(a.screen.Flags) {
		gathered += fmt.Sprintf(", groupArrayIf(mask[%d], flagged)", i+1)
	}
	verdicts := "CAST([" + strings.Join(a.screen.Verdicts, ", ") + "], 'Array(UInt16)') AS verdicts"
	return "SELECT subject_source, verdicts, count(), groupArrayIf(no, flagged), groupArrayIf(sample, flagged), groupArrayIf(stands, flagged)" + gathered +
		"\nFROM (SELECT *, " + verdicts + ", " + needsLooking(a.screen) + " AS flagged FROM (SELECT *, " + looksOf(a.kind, a.screen) +
		"\nFROM (SELECT *" + atoms + " FROM (\n" + a.looks + "))))\nGROUP BY subject_source, verdicts SETTINGS max_block_size = 8192, " + screenSettings
}

// MakeAtATime is about how many subjects are worth being made whole at a time: each time takes something whatever their number.
const MakeAtATime = 5000

// Weight is about how many grants so many subjects of a stretch have, where a slice has 1 in all.
func (a *Asking) Weight(stretch, subjects int) float64 {
	of := a.stretches[stretch]
	return float64(subjects) / float64(of.last-of.first+1) * float64(of.slices)
}

// Make makes those subjects whole that answers are about, in the order of their numbers, as a part with a number of its own.
func (a *Asking) Make(ctx context.Context, part int, answers []Answer) error {
	return a.fault(a.make(ctx, part, answers), "make", part)
}

func (a *Asking) make(ctx context.Context, part int, answers []Answer) error {
	for _, table := range []string{pickedTable(a.kind), judgedTable(a.kind)} {
		if err := a.run.s.exec(ctx, fmt.Sprintf("ALTER TABLE %s DROP PARTITION %d", table, part)); err != nil {
			return err
		}
	}
	if len(answers) == 0 {
		return nil
	}
	if err := a.pick(ctx, part, answers); err != nil {
		return err
	}
	these := span{uint32(part), answers[0].no, answers[len(answers)-1].no}
	insert := insertSubjects(judgedTable(a.kind), a.kind, ofPicked(a.kind, a.whole))
	return a.run.s.exec(ctx, insert, a.run.parameters(these.parameters())...)
}

// pick writes the numbers into a table. As a parameter they would be part of the statement's text in a dozen places, and of the
// names of all that is computed with them.
func (a *Asking) pick(ctx context.Context, part int, answers []Answer) error {
	b, err := a.run.s.conn.PrepareBatch(ctx, "INSERT INTO "+pickedTable(a.kind)+" (run, slice, no)")
	if err != nil {
		return a.run.s.fault(ctx, err)
	}
	defer b.Close()
	for _, w := range answers {
		if err := b.Append(a.run.ID, uint32(part), w.no); err != nil {
			return err
		}
	}
	return a.run.s.fault(ctx, b.Send())
}

// Judged yields the subjects of a part that Make has made, as Run.ScreenSubjects does.
func (a *Asking) Judged(ctx context.Context, part int, answers []Answer) iter.Seq2[Screened, error] {
	return func(yield func(Screened, error) bool) {
		next := 0
		for row, err := range a.run.subjects(ctx, judgedTable(a.kind), a.kind, part) {
			if err == nil && next == len(answers) {
				err = fmt.Errorf("there are more than the %d that were asked for", len(answers))
			}
			if err != nil {
				yield(Screened{}, a.fault(err, "read", part))
				return
			}
			w := answers[next]
			next++
			if !yield(Screened{row, w.mask, w.sample, w.stands}, nil) {
				return
			}
		}
		if next < len(answers) {
			yield(Screened{}, a.fault(fmt.Errorf("there are %d of the %d that were asked for", next, len(answers)), "read", part))
		}
	}
}
