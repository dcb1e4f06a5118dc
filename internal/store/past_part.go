package store

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/lapse-audit/lapse/internal/access"
)

// Wanted are the kinds of subjects to make, and what will be read of each.
type Wanted map[access.SubjectKind]Part

// Part are columns of a kind. Those that are tested are made of all subjects. If some are, the others are made only of the
// subjects that ScreenSubjects gives, and Subjects can't be asked.
type Part struct{ Columns, Tested []string }

// plan is what is done to make some columns of some kinds of subjects: the statements of a run, without those that make what
// none of these columns comes from.
type plan struct {
	wanted   Wanted
	subjects map[access.SubjectKind]string // the SELECT of all subjects of each kind
	chosen   map[access.SubjectKind]string // the SELECT of those that were chosen, where it is another
	steps    map[string]string             // the statements that are needed, by name
	slices   []string                      // those of them that cut kinds into slices
}

// steps are a run's statements in their order, and the table that each fills.
var steps = []struct{ name, table string }{
	{"owners", "work_owners"}, {"numbers", "work_numbers"}, {"groups", "work_groups"}, {"entitlements", "work_entitlements"},
	{"usage", "work_usage"}, {"accounts", "work_accounts"}, {"keys", "work_keys"}, {"directory", "work_directory"}, {"seats", "work_seats"},
	{"edges", "work_edges"}, {"direct", "work_direct"}, {closureStep, "work_closure"}, {"effective", "work_effective"}, {"flags", "work_flags"},
	{"peers", "work_peers"}, {"members", "work_members"},
}

// closureStep is no statement: the pairs that are closed outside, from work_edges.
const closureStep = "closure"

// wide are those steps of which columns can be left out.
var wide = []string{"entitlements", "accounts", "direct"}

// newPlan works back from the wanted columns: a statement is needed if one that is needed names its table, and a column of a
// wide one if one that reads the table has a name like it. So what is read is never what was left out.
func newPlan(wanted Wanted) (*plan, error) {
	p := &plan{wanted: wanted, subjects: map[access.SubjectKind]string{}, chosen: map[access.SubjectKind]string{}, steps: map[string]string{}}
	var needed []string
	for kind, part := range wanted {
		text, err := narrow(subjectQuery(kind), func(c string) bool { return c == "no" || slices.Contains(part.Columns, c) })
		if err != nil {
			return nil, fmt.Errorf("make a part of %s subjects: %w", kind, err)
		}
		needed = append(needed, text)
		if len(part.Tested) > 0 && strings.Contains(text, aRange) {
			p.chosen[kind] = strings.ReplaceAll(text, aRange, "IN (SELECT no FROM "+chosenTable(kind)+" WHERE slice = {slice:UInt32})")
			tested := p.tested(kind)
			if text, err = narrow(subjectQuery(kind), func(c string) bool { return c == "no" || slices.Contains(tested, c) }); err != nil {
				return nil, fmt.Errorf("make the tested part of %s subjects: %w", kind, err)
			}
		}
		p.subjects[kind] = text
	}
	effective := slices.ContainsFunc([]string{"work_effective", "work_peers", "work_members"}, func(table string) bool { return someMention(needed, table) })
	for _, kind := range slices.Sorted(maps.Keys(wanted)) {
		name := "slices_rest"
		if kind == access.SubjectAccount || kind == access.SubjectPerson {
			if name = "slices_" + string(kind); !effective {
				name += "_plain"
			}
		}
		if p.steps[name] == "" {
			p.slices = append(p.slices, name)
			p.steps[name] = sqlFile(name)
			needed = append(needed, p.steps[name])
		}
	}
	for _, s := range slices.Backward(steps) {
		if !someMention(needed, s.table) {
			continue
		}
		text := "work_edges"
		switch {
		case s.name == closureStep:
		case s.name == "flags" && !effective:
			text = sqlFile("flags_direct")
		default:
			text = sqlFile(s.name)
		}
		if slices.Contains(wide, s.name) {
			var err error
			if text, err = narrow(text, func(c string) bool { return someMention(needed, s.table, c) }); err != nil {
				return nil, fmt.Errorf("make a part of %s: %w", s.name, err)
			}
		}
		p.steps[s.name] = text
		needed = append(needed, text)
	}
	return p, nil
}

// someMention reports whether one of the texts has all the names.
func someMention(texts []string, names ...string) bool {
	return slices.ContainsFunc(texts, func(t string) bool {
		return !slices.ContainsFunc(names, func(n string) bool { return !mentions(t, n) })
	})
}

// do runs a step if it is needed.
func (p *plan) do(ctx context.Context, r *Run, name string, more ...driver.NamedValue) error {
	text, ok := p.steps[name]
	if !ok {
		return nil
	}
	return r.run(ctx, name, text, more...)
}

// numberPart is number for the wanted columns.
func (r *Run) numberPart(ctx context.Context, wanted Wanted) (err error) {
	if r.plan, err = newPlan(wanted); err != nil {
		return err
	}
	if err := r.plan.prepare(ctx, r.s); err != nil {
		return err
	}
	return r.plan.number(ctx, r)
}

func (p *plan) number(ctx context.Context, r *Run) error {
	for _, s := range steps {
		if s.name == "direct" {
			break
		}
		if err := p.do(ctx, r, s.name); err != nil {
			return err
		}
	}
	if _, ok := p.steps["direct"]; !ok {
		return nil
	}
	return r.direct(ctx, p.steps["direct"])
}

// plainSlice is how many subjects without grants are made at a time.
const plainSlice = 100_000

// testedWeight is to a slice whose subjects are only tested what sliceWeight is to one with all names and paths.
const testedWeight = 6 * sliceWeight

// close is what follows from the closure.
func (p *plan) close(ctx context.Context, r *Run) error {
	weight := testedWeight
	for kind := range p.wanted {
		if p.chosen[kind] == "" {
			weight = sliceWeight
		}
	}
	cut := []driver.NamedValue{clickhouse.Named("weight", uint64(weight)), clickhouse.Named("base", uint64(accountWeight)), clickhouse.Named("size", uint64(plainSlice))}
	if _, ok := p.steps["effective"]; ok && p.steps["slices_account"] == "" { // its ranges are those of accounts
		if err := r.do(ctx, "slices_account", cut...); err != nil {
			return err
		}
	}
	if err := p.do(ctx, r, "slices_account", cut...); err != nil {
		return err
	}
	if _, ok := p.steps["effective"]; ok {
		ranges, err := r.ranges(ctx, "account")
		if err != nil {
			return err
		}
		for _, part := range ranges {
			for _, name := range []string{"effective", "flags"} {
				if err := p.do(ctx, r, name, part.parameters()...); err != nil {
					return err
				}
			}
		}
	} else if err := p.do(ctx, r, "flags"); err != nil {
		return err
	}
	for _, name := range p.slices {
		if name == "slices_account" {
			continue
		}
		if err := p.do(ctx, r, name, cut...); err != nil {
			return err
		}
	}
	for _, name := range []string{"peers", "members"} {
		if err := p.do(ctx, r, name); err != nil {
			return err
		}
	}
	return nil
}

// The subjects of a plan have tables of their own, which have no other columns than those that are made: a statement that
// asks for another fails.

func partTable(kind access.SubjectKind) string { return "work_subject_" + string(kind) }

// chosenTable has the subjects of each slice that a screen has chosen.
func chosenTable(kind access.SubjectKind) string { return "work_chosen_" + string(kind) }

// aRange is how the statements keep to a slice.
const aRange = "BETWEEN {first:UInt32} AND {last:UInt32}"

// tested are the columns that a screen of a kind asks for.
func (p *plan) tested(kind access.SubjectKind) []string {
	return append(p.wanted[kind].Tested[:len(p.wanted[kind].Tested):len(p.wanted[kind].Tested)], "source_uid")
}

// columns are those of a kind that are made of the chosen subjects, in the schema's order.
func (p *plan) columns(kind access.SubjectKind) []access.Column {
	return among(kind, p.wanted[kind].Columns)
}

// tabled are those that are made of all subjects.
func (p *plan) tabled(kind access.SubjectKind) []access.Column {
	if p.chosen[kind] == "" {
		return p.columns(kind)
	}
	return among(kind, p.tested(kind))
}

func among(kind access.SubjectKind, names []string) []access.Column {
	return slices.DeleteFunc(access.SchemaOf(kind).Columns(), func(c access.Column) bool { return !slices.Contains(names, c.Name) })
}

func named(columns []access.Column) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return strings.Join(names, ", ")
}

func (p *plan) prepare(ctx context.Context, s *Store) error {
	for kind := range p.wanted {
		columns := [][2]string{{"slice", "UInt32"}, {"no", "UInt32"}}
		for _, c := range p.tabled(kind) {
			columns = append(columns, [2]string{c.Name, c.Type})
		}
		err := s.prepareTable(ctx, partTable(kind), columns)
		if err == nil && p.chosen[kind] != "" {
			err = s.prepareTable(ctx, chosenTable(kind), [][2]string{{"slice", "UInt32"}, {"no", "UInt32"}, {"mask", "Array(UInt64)"}, {"sample", "Bool"}})
		}
		if err != nil {
			return fmt.Errorf("make table of parts of %s subjects: %w", kind, err)
		}
	}
	return nil
}

func (p *plan) build(ctx context.Context, r *Run, kind access.SubjectKind, slice int) error {
	ranges, err := r.ranges(ctx, string(kind))
	if err != nil {
		return err
	}
	if slice < 0 || slice >= len(ranges) {
		return fmt.Errorf("there are %d slices", len(ranges))
	}
	if err := r.s.exec(ctx, fmt.Sprintf("ALTER TABLE %s DROP PARTITION %d", partTable(kind), slice)); err != nil {
		return err
	}
	columns := named(p.tabled(kind))
	query := "INSERT INTO " + partTable(kind) + " (slice, no, " + columns + ")\nSELECT {slice:UInt32}, no, " + columns + "\nFROM (\n" + p.subjects[kind] + ")" + buildSettings
	return r.s.exec(ctx, query, r.parameters(ranges[slice].parameters())...)
}

// reader reads rows that hold access.NotBuilt for what is not made.
func (p *plan) reader(kind access.SubjectKind) (func(packed string) (access.Row, error), error) {
	columns := p.columns(kind)
	reader, err := newRowReader(columns)
	if err != nil {
		return nil, err
	}
	all := access.SchemaOf(kind).Columns()
	row, to := make(access.Row, len(all)), make([]int, 0, len(columns))
	for i, c := range all {
		row[i] = access.NotBuilt{}
		if slices.Contains(p.wanted[kind].Columns, c.Name) {
			to = append(to, i)
		}
	}
	return func(packed string) (access.Row, error) {
		some, err := reader.read(packed)
		if err != nil {
			return nil, err
		}
		for i, v := range some {
			row[to[i]] = v
		}
		return row, nil
	}, nil
}

// rows reads the subjects that a query gives: formatRow of the columns, a mask, and whether it is of the sample.
func (p *plan) rows(ctx context.Context, r *Run, kind access.SubjectKind, query string, args []any) iter.Seq2[Screened, error] {
	return func(yield func(Screened, error) bool) {
		read, err := p.reader(kind)
		if err != nil {
			yield(Screened{}, err)
			return
		}
		type packedRow struct {
			text   string
			mask   []uint64
			sample bool
		}
		scan := func(rows driver.Rows, p *packedRow) error { return rows.Scan(&p.text, &p.mask, &p.sample) }
		for packed, err := range stream(ctx, r.s, scan, query, args...) {
			if err != nil {
				yield(Screened{}, err)
				return
			}
			row, err := read(packed.text)
			if err != nil {
				yield(Screened{}, err)
				return
			}
			if !yield(Screened{Row: row, Mask: packed.mask, Sample: packed.sample}, nil) {
				return
			}
		}
	}
}

// all reads all subjects of a slice.
func (p *plan) all(ctx context.Context, r *Run, kind access.SubjectKind, slice int) iter.Seq2[Screened, error] {
	query := "SELECT formatRow('RowBinary', " + named(p.tabled(kind)) + "), CAST([], 'Array(UInt64)'), true FROM " + partTable(kind) +
		" WHERE slice = {slice:UInt32} ORDER BY no SETTINGS max_block_size = 1024"
	return p.rows(ctx, r, kind, query, []any{clickhouse.Named("slice", slice)})
}

// asked is a slice, with those atoms that expressions use.
func (p *plan) asked(kind access.SubjectKind, s Screen, expressions []string) string {
	var columns strings.Builder
	for i, a := range s.Atoms {
		name := fmt.Sprintf("is%d", i+1)
		if slices.ContainsFunc(expressions, func(e string) bool { return names(e, name) }) {
			columns.WriteString(", " + a + " AS " + name)
		}
	}
	return "(SELECT *" + columns.String() + " FROM " + partTable(kind) + " WHERE slice = {slice:UInt32})"
}

func (p *plan) count(ctx context.Context, r *Run, kind access.SubjectKind, slice int, s Screen) ([]VerdictCount, error) {
	source := "''"
	if access.SchemaOf(kind).Root.Lookup("source.uid") != nil {
		source = "ifNull(source_uid, '')"
	}
	query := "SELECT " + source + ", CAST([" + strings.Join(s.Verdicts, ", ") + "], 'Array(UInt16)'), count()\nFROM " + p.asked(kind, s, s.Verdicts) +
		" GROUP BY 1, 2 SETTINGS " + screenSettings
	return list(ctx, r.s, func(rows driver.Rows, c *VerdictCount) error { return rows.Scan(&c.Source, &c.Verdicts, &c.Subjects) }, query, r.screenParameters(slice, s)...)
}

func (p *plan) screen(ctx context.Context, r *Run, kind access.SubjectKind, slice int, s Screen) iter.Seq2[Screened, error] {
	sample, which := "false", ""
	if s.Sample.Every > 0 {
		sample = "sipHash64({seed:UInt64}, no) % {every:UInt64} = 0"
	}
	if s.Sample.LeftOut {
		which = " AND NOT sample"
	}
	words := maskWords(s.Flags)
	some := make([]string, len(words))
	for i := range words {
		some[i] = fmt.Sprintf(" OR mask[%d] != 0", i+1)
	}
	chosen := "FROM (SELECT *, [" + strings.Join(words, ", ") + "] AS mask, CAST(" + sample + ", 'Bool') AS sample FROM " + p.asked(kind, s, s.Flags) + ")" +
		" WHERE (sample" + strings.Join(some, "") + ")" + which
	format := "SELECT formatRow('RowBinary', " + named(p.columns(kind)) + "), mask, sample\n"
	if p.chosen[kind] == "" {
		return p.rows(ctx, r, kind, format+chosen+" ORDER BY no SETTINGS max_block_size = 1024, "+screenSettings, r.screenParameters(slice, s))
	}
	return func(yield func(Screened, error) bool) {
		n, err := p.choose(ctx, r, kind, slice, "SELECT {slice:UInt32}, no, mask, sample "+chosen+" SETTINGS "+screenSettings, r.screenParameters(slice, s))
		if err != nil {
			yield(Screened{}, err)
			return
		}
		if n == 0 {
			return
		}
		query := format + "FROM (\n" + p.chosen[kind] + ") AS made\nINNER JOIN (SELECT no, mask, sample FROM " + chosenTable(kind) +
			" WHERE slice = {slice:UInt32}) AS of ON of.no = made.no ORDER BY made.no SETTINGS max_block_size = 1024"
		p.rows(ctx, r, kind, query, r.parameters([]driver.NamedValue{clickhouse.Named("slice", slice)}))(yield)
	}
}

// choose notes which subjects of a slice a query gives, and says how many.
func (p *plan) choose(ctx context.Context, r *Run, kind access.SubjectKind, slice int, query string, args []any) (n uint64, err error) {
	if err := r.s.exec(ctx, fmt.Sprintf("ALTER TABLE %s DROP PARTITION %d", chosenTable(kind), slice)); err != nil {
		return 0, err
	}
	if err := r.s.exec(ctx, "INSERT INTO "+chosenTable(kind)+" (slice, no, mask, sample)\n"+query, args...); err != nil {
		return 0, err
	}
	err = r.s.row(ctx, []any{&n}, "SELECT count() FROM "+chosenTable(kind)+" WHERE slice = {slice:UInt32}", clickhouse.Named("slice", slice))
	return n, err
}
