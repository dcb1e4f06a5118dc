package store

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/lapse-audit/lapse/internal/access"
)

// Screen is asked of the subjects of a slice before they are read. Atoms are expressions over the columns of the subject's
// table, called is1, is2, … in Flags and Verdicts, which are expressions over both. None is ever NULL: an atom and a flag is a
// Bool, a verdict a UInt16. They hold no value of a user but by parameters.
type Screen struct {
	Atoms      []string
	Flags      []string
	Verdicts   []string
	Parameters []Parameter
	Sample     Sample
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

// Screened is a subject that some flag holds for, that belongs to the sample, or on which a finding stands since the run
// before: whether that is fixed must be known, not only not found. Bit i of Mask[0] is Flags[i]. The row is to be used as one of
// Subjects.
type Screened struct {
	Row    access.Row
	Mask   []uint64
	Sample bool
	Stands bool
}

// VerdictCount is how many subjects of a source have these verdicts.
type VerdictCount struct {
	Source   string
	Verdicts []uint16
	Subjects uint64
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

// CountVerdicts counts all subjects of a slice that was built.
func (r *Run) CountVerdicts(ctx context.Context, kind access.SubjectKind, slice int, s Screen) ([]VerdictCount, error) {
	source := "''"
	if access.SchemaOf(kind).Root.Lookup("source.uid") != nil {
		source = "ifNull(source_uid, '')"
	}
	query := "SELECT " + source + ", CAST([" + strings.Join(s.Verdicts, ", ") + "], 'Array(UInt16)'), count()\nFROM " + asked(subjectTable(kind), s, s.Verdicts) +
		" GROUP BY 1, 2 SETTINGS " + screenSettings
	out, err := list(ctx, r.s, func(rows driver.Rows, c *VerdictCount) error { return rows.Scan(&c.Source, &c.Verdicts, &c.Subjects) },
		query, r.screenParameters(slice, s)...)
	if err != nil {
		return nil, fmt.Errorf("count verdicts on %s subjects, slice %d of run %d: %w", kind, slice, r.ID, err)
	}
	return out, nil
}

// ScreenSubjects yields the subjects of a slice that need looking at, as Subjects does.
func (r *Run) ScreenSubjects(ctx context.Context, kind access.SubjectKind, slice int, s Screen) iter.Seq2[Screened, error] {
	return func(yield func(Screened, error) bool) {
		fail := func(err error) {
			yield(Screened{}, fmt.Errorf("screen %s subjects, slice %d of run %d: %w", kind, slice, r.ID, err))
		}
		reader, err := newRowReader(access.SchemaOf(kind).Columns())
		if err != nil {
			fail(err)
			return
		}
		type packedRow struct {
			text   string
			mask   []uint64
			sample bool
			stands bool
		}
		scan := func(rows driver.Rows, p *packedRow) error { return rows.Scan(&p.text, &p.mask, &p.sample, &p.stands) }
		for p, err := range stream(ctx, r.s, scan, screenQuery(kind, s), r.screenParameters(slice, s)...) {
			if err != nil {
				fail(err)
				return
			}
			row, err := reader.read(p.text)
			if err != nil {
				fail(err)
				return
			}
			if !yield(Screened{row, p.mask, p.sample, p.stands}, nil) {
				return
			}
		}
	}
}

// screenSettings: a slice is over before compiling its expressions has paid.
const screenSettings = "compile_expressions = 0"

func screenQuery(kind access.SubjectKind, s Screen) string {
	return "SELECT formatRow('RowBinary', " + strings.Join(columnNames(kind), ", ") + "), mask, sample, stands\n" +
		screened(subjectTable(kind), kind, s) + " ORDER BY no SETTINGS max_block_size = 1024, " + screenSettings
}

// screened are the rows of a table that need looking at, with why.
func screened(table string, kind access.SubjectKind, s Screen) string {
	return "FROM (SELECT *, " + looksOf(kind, s) + " FROM " + asked(table, s, s.Flags) + ") WHERE " + needsLooking(s)
}

// looksOf says of subjects whose they are and why they may need looking at.
func looksOf(kind access.SubjectKind, s Screen) string {
	source := "''"
	if access.SchemaOf(kind).Root.Lookup("source.uid") != nil {
		source = "ifNull(source_uid, '')"
	}
	sample := "false"
	if s.Sample.Every > 0 {
		sample = "sipHash64({seed:UInt64}, no) % {every:UInt64} = 0"
	}
	return fmt.Sprintf(`%s AS subject_source, [%s] AS mask, CAST(%s, 'Bool') AS sample, CAST((subject_source, %s) IN (
		SELECT source, subject FROM finding_states WHERE run = {previous:UInt64} AND status != 'closed' AND subject_kind = '%s'), 'Bool') AS stands`,
		source, strings.Join(maskWords(s.Flags), ", "), sample, subjectIDs[kind], kind)
}

// needsLooking is a condition on what looksOf says.
func needsLooking(s Screen) string {
	condition := "(sample OR stands"
	for i := range maskWords(s.Flags) {
		condition += fmt.Sprintf(" OR mask[%d] != 0", i+1)
	}
	condition += ")"
	if s.Sample.LeftOut {
		condition += " AND NOT sample"
	}
	return condition
}

// asked is a slice of a table of subjects, with those atoms that expressions use.
func asked(table string, s Screen, expressions []string) string {
	var columns strings.Builder
	for i, a := range s.Atoms {
		name := fmt.Sprintf("is%d", i+1)
		if slices.ContainsFunc(expressions, func(e string) bool { return names(e, name) }) {
			columns.WriteString(", " + a + " AS " + name)
		}
	}
	return "(SELECT *" + columns.String() + " FROM " + table + " WHERE run = {run:UInt64} AND slice = {slice:UInt32})"
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

// maskWords packs flags, 64 to a word.
func maskWords(flags []string) []string {
	var words []string
	for word := range slices.Chunk(flags, 64) {
		bits := make([]string, len(word))
		for i, f := range word {
			bits[i] = fmt.Sprintf("if(%s, toUInt64(%d), 0)", f, uint64(1)<<i)
		}
		words = append(words, "arraySum(["+strings.Join(bits, ", ")+"])")
	}
	return words
}

func (r *Run) screenParameters(slice int, s Screen) []any {
	return append(r.sampleParameters(s), clickhouse.Named("run", r.ID), clickhouse.Named("slice", slice), clickhouse.Named("previous", r.Previous))
}

func (r *Run) sampleParameters(s Screen) []any {
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
