package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/lapse-audit/lapse/internal/access"
)

// Screen is asked of the subjects of a slice before they are read. Atoms are expressions over the columns of the subject's
// table, called is1, is2, … in Flags and Facts, which are expressions over both. None is ever NULL: an atom and a flag is a
// Bool, a fact a UInt16. They hold no value of a user but by parameters. Without Flags no subject is looked at: all are counted.
type Screen struct {
	Atoms      []string
	Flags      []string
	Facts      []string
	Parameters []Parameter
	Sample     Sample
	// Stands tells whether a finding of a flag's policy stands on a subject since the run before. Such subjects need looking at,
	// too; nil: they don't.
	Stands func(flag int, source, subject string) bool
	// Columns are by flag those that must be known of a subject which the flag holds for, or of whose policy a finding stands
	// on it, and Always those of any. The others of a row are access.Unread or empty. Of the sample whatever some flag needs is
	// read. Without Columns rows are whole.
	Columns [][]string
	Always  []string
}

// Parameter is {Name:Type} in the text of a Screen. Value is a string, int64 or float64, or a slice of one of these.
type Parameter struct {
	Name  string
	Value any
}

// Sample is chosen by the subjects' numbers: about one in Every, the same ones for a Seed. Every 0 chooses none. Left out, the
// subjects of the sample are not read at all.
type Sample struct {
	Seed    uint64
	Every   uint64
	LeftOut bool
}

// Screening is what a screen says of a slice: how many subjects have which facts, and which of them need looking at.
type Screening struct {
	Counts []FactCount

	run     *Run
	kind    access.SubjectKind
	table   string  // that the subjects are in
	slice   int     // of it
	found   []found // by number
	columns []screenedColumn
}

// FactCount is how many subjects of a source have these facts.
type FactCount struct {
	Source   string
	Facts    []uint16
	Subjects uint64
}

// found is a subject that needs looking at.
type found struct {
	no     uint32
	mask   []uint64
	needs  []uint64 // the mask, and what stands
	sample bool
	stands bool
}

// Screened is a subject that some flag holds for, that belongs to the sample, or, if Stands is given, on which a finding
// stands since the run before: whether that is fixed must be known, not only not found. Bit i of Mask[0] is Flags[i]. The row is to be used as one of
// Subjects.
type Screened struct {
	Row    access.Row
	Mask   []uint64
	Sample bool
	Stands bool
}

// SubjectCount is about how many subjects there are of a kind. It is known after WriteClosure.
func (r *Run) SubjectCount(ctx context.Context, kind access.SubjectKind) (n uint64, err error) {
	ranges, err := r.ranges(ctx, string(kind))
	if err != nil {
		return 0, fmt.Errorf("count %s subjects: %w", kind, err)
	}
	for _, s := range ranges {
		n += uint64(s.last-s.first) + 1
	}
	return n, nil
}

// Screen asks all subjects of a slice that was built. It reads none of the columns that the screen says nothing about.
func (r *Run) Screen(ctx context.Context, kind access.SubjectKind, slice int, s Screen) (*Screening, error) {
	sc := &Screening{run: r, kind: kind, table: subjectTable(kind), slice: slice, columns: screenedColumns(kind, s)}
	query := screenQuery(sc.table+" WHERE run = {run:UInt64} AND slice = {slice:UInt32}", kind, s) + screenSettings
	args := append(s.parameters(), clickhouse.Named("run", r.ID), clickhouse.Named("slice", slice), clickhouse.Named("previous", r.Previous))
	if err := sc.ask(ctx, s, query, args); err != nil {
		return nil, fmt.Errorf("screen %s subjects, slice %d of run %d: %w", kind, slice, r.ID, err)
	}
	return sc, nil
}

// ask takes what a screen's query says.
func (sc *Screening) ask(ctx context.Context, s Screen, query string, args []any) error {
	type group struct {
		FactCount
		found [][]uint64
		ids   []string
	}
	scan := func(rows driver.Rows, g *group) error {
		return rows.Scan(&g.Source, &g.Facts, &g.Subjects, &g.found, &g.ids)
	}
	for g, err := range stream(ctx, sc.run.s, scan, query, args...) {
		if err != nil {
			return err
		}
		sc.Counts = append(sc.Counts, g.FactCount)
		for i, f := range g.found {
			subject := found{no: uint32(f[0]), mask: f[2:], needs: f[2:], sample: f[1]&isSample != 0, stands: f[1]&isStanding != 0}
			if subject.stands {
				subject.needs = s.standing(subject.mask, g.Source, g.ids[i])
			}
			sc.found = append(sc.found, subject)
		}
	}
	slices.SortFunc(sc.found, func(a, b found) int { return cmp.Compare(a.no, b.no) })
	return nil
}

// standing adds to a mask the flags of whose policies findings stand.
func (s Screen) standing(mask []uint64, source, subject string) []uint64 {
	needs := slices.Clone(mask)
	for flag := range s.Flags {
		if s.Stands(flag, source, subject) {
			needs[flag/64] |= 1 << (flag % 64)
		}
	}
	return needs
}

const (
	isSample   = 1
	isStanding = 2
)

// screenSettings: a slice is over before compiling its expressions has paid.
const screenSettings = "compile_expressions = 0"

// screenQuery counts the subjects by their facts and gathers those that need looking at, each as its number, whether it is in
// the sample and stands, and the mask. It takes ClickHouse longer to analyse than to answer: what it says counts, not
// what it computes. Its settings are to follow.
func screenQuery(from string, kind access.SubjectKind, s Screen) string {
	source := "''"
	if access.SchemaOf(kind).Root.Lookup("source.uid") != nil {
		source = "ifNull(source_uid, '')"
	}
	with, found, ids := append(atoms(s), source+" AS of_source"), "CAST([], 'Array(Array(UInt64))')", "CAST([], 'Array(String)')"
	if len(s.Flags) > 0 {
		sample, unless, flagged := "false", "", ""
		if s.Sample.Every > 0 {
			sample = "sipHash64({seed:UInt64}, no) % {every:UInt64} = 0"
		}
		if s.Sample.LeftOut {
			unless = " AND NOT in_sample"
		}
		standing := "false"
		if s.Stands != nil {
			standing = fmt.Sprintf("(of_source, %s) IN (SELECT source, subject FROM finding_states "+
				"WHERE run = {previous:UInt64} AND status != 'closed' AND subject_kind = '%s')", subjectIDs[kind], kind)
		}
		with = append(with, sample+" AS in_sample", standing+" AS standing")
		element := fmt.Sprintf("toUInt64(no), in_sample * %d + standing * %d", isSample, isStanding)
		for i, word := range maskWords(s.Flags) {
			name := fmt.Sprintf("mask%d", i+1)
			with = append(with, word+" AS "+name)
			element += ", " + name
			flagged += " OR " + name + " != 0"
		}
		with = append(with, "(in_sample OR standing"+flagged+")"+unless+" AS looked_at")
		found = "groupArrayIf([" + element + "], looked_at)"
		if s.Stands != nil {
			ids = "groupArrayIf(if(standing, ifNull(" + subjectIDs[kind] + ", ''), ''), looked_at)"
		}
	}
	return "WITH " + strings.Join(with, ", ") + "\nSELECT of_source, CAST([" + strings.Join(s.Facts, ", ") + "], 'Array(UInt16)') AS facts, count(), " + found +
		" AS found, " + ids + " AS ids\nFROM " + from + " GROUP BY of_source, facts SETTINGS "
}

// atoms are those that facts and flags use, with their names.
func atoms(s Screen) []string {
	used := strings.Join(s.Facts, " ") + " " + strings.Join(s.Flags, " ")
	var out []string
	for i, a := range s.Atoms {
		if name := fmt.Sprintf("is%d", i+1); names(used, name) {
			out = append(out, a+" AS "+name)
		}
	}
	return out
}

// names reports whether an expression calls something by a name.
func names(expression, name string) bool {
	for {
		_, after, found := strings.Cut(expression, name)
		if !found {
			return false
		}
		if after == "" || after[0] < '0' || after[0] > '9' {
			return true
		}
		expression = after
	}
}

// maskWords packs flags, 64 to a word: each flag times its bit, added up.
func maskWords(flags []string) []string {
	var words []string
	for word := range slices.Chunk(flags, 64) {
		bits := make([]string, len(word))
		for i := range word {
			bits[i] = fmt.Sprint(uint64(1) << i)
		}
		words = append(words, "arrayDotProduct(CAST(["+strings.Join(word, ", ")+"], 'Array(UInt8)'), CAST(["+strings.Join(bits, ", ")+"], 'Array(UInt64)'))")
	}
	return words
}

func (s Screen) parameters() []any {
	args := []any{clickhouse.Named("seed", s.Sample.Seed), clickhouse.Named("every", s.Sample.Every)}
	for _, p := range s.Parameters {
		args = append(args, clickhouse.Named(p.Name, p.Value))
	}
	return args
}

// PutSubjects fills a slice with the rows given in place of BuildSubjects: made-up subjects, to be judged as real ones are.
// Their numbers count from 1 in each slice.
func (r *Run) PutSubjects(ctx context.Context, kind access.SubjectKind, slice int, rows []access.Row) error {
	if err := r.putSubjects(ctx, kind, slice, rows); err != nil {
		return fmt.Errorf("put %s subjects, slice %d of run %d: %w", kind, slice, r.ID, err)
	}
	return nil
}

func (r *Run) putSubjects(ctx context.Context, kind access.SubjectKind, slice int, rows []access.Row) error {
	if err := r.s.exec(ctx, fmt.Sprintf("ALTER TABLE %s DROP PARTITION %d", subjectTable(kind), slice)); err != nil {
		return err
	}
	b, err := r.s.conn.PrepareBatch(ctx, "INSERT INTO "+subjectTable(kind)+" (run, slice, no, "+strings.Join(columnNames(kind), ", ")+")")
	if err != nil {
		return r.s.fault(ctx, err)
	}
	defer b.Close()
	for i, row := range rows {
		if err := b.Append(append([]any{r.ID, uint32(slice), uint32(i + 1)}, row...)...); err != nil {
			return fmt.Errorf("row %d: %w", i, err)
		}
	}
	return r.s.fault(ctx, b.Send())
}
