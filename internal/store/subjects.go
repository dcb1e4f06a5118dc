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

// The tables of subjects are made from the schemas, so they are no migrations: one whose columns differ from its schema
// is made anew. They hold one run's subjects at most.

func subjectTable(kind access.SubjectKind) string { return "subject_" + string(kind) }

// placed are name and type of a table's columns: where a row belongs, and some of its subject's.
func placed(columns []access.Column) [][2]string {
	out := [][2]string{{"run", "UInt64"}, {"slice", "UInt32"}, {"no", "UInt32"}}
	for _, c := range columns {
		out = append(out, [2]string{c.Name, c.Type})
	}
	return out
}

func (s *Store) prepareSubjects(ctx context.Context) error {
	for _, kind := range access.SubjectKinds() {
		if err := s.prepareSubject(ctx, kind); err != nil {
			return fmt.Errorf("make table of %s subjects: %w", kind, err)
		}
	}
	return nil
}

func (s *Store) prepareSubject(ctx context.Context, kind access.SubjectKind) error {
	return s.prepareTable(ctx, subjectTable(kind), placed(access.SchemaOf(kind).Columns()))
}

// prepareTable empties a table of subjects, or makes it anew if it has other columns.
func (s *Store) prepareTable(ctx context.Context, table string, want [][2]string) error {
	have, err := list(ctx, s, func(rows driver.Rows, c *[2]string) error { return rows.Scan(&c[0], &c[1]) },
		"SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {table:String} ORDER BY position",
		clickhouse.Named("table", table))
	if err != nil {
		return err
	}
	if slices.Equal(have, want) {
		return s.exec(ctx, "TRUNCATE TABLE "+table)
	}
	if err := s.exec(ctx, "DROP TABLE IF EXISTS "+table); err != nil {
		return err
	}
	definitions := make([]string, len(want))
	for i, c := range want {
		definitions[i] = c[0] + " " + c[1]
	}
	// A part of many columns in files of their own takes a buffer a column while it is written: compact parts don't.
	return s.exec(ctx, fmt.Sprintf(`CREATE TABLE %s (%s) ENGINE = MergeTree PARTITION BY slice ORDER BY no
		SETTINGS min_bytes_for_wide_part = 1000000000000, min_rows_for_wide_part = 1000000000000,
			max_bytes_to_merge_at_max_space_in_pool = 1, max_bytes_to_merge_at_min_space_in_pool = 1`, table, strings.Join(definitions, ", ")))
}

// Slices is the number of slices that a kind of subject is built in; 0: there are no such subjects. It is known after
// WriteClosure.
func (r *Run) Slices(ctx context.Context, kind access.SubjectKind) (int, error) {
	ranges, err := r.ranges(ctx, string(kind))
	if err != nil {
		return 0, fmt.Errorf("read slices of %s subjects: %w", kind, err)
	}
	return len(ranges), nil
}

// BuildSubjects fills one slice of a subject's table. Slices are independent of each other; each may be built again. While
// one is built, others may be read.
func (r *Run) BuildSubjects(ctx context.Context, kind access.SubjectKind, slice int) error {
	if err := r.buildSubjects(ctx, kind, slice); err != nil {
		return fmt.Errorf("build %s subjects, slice %d of run %d: %w", kind, slice, r.ID, err)
	}
	return nil
}

// buildSettings keep blocks small: 8,192 accounts with their grants' names and paths take about 30 MB. Blocks are written
// as they come; the merging of parts would cost more than it gives, for rows that are read once.
const buildSettings = `
SETTINGS max_block_size = 8192, min_insert_block_size_rows = 65536, min_insert_block_size_bytes = 33554432,
    max_insert_threads = 1`

func (r *Run) buildSubjects(ctx context.Context, kind access.SubjectKind, slice int) error {
	return r.buildColumns(ctx, subjectTable(kind), kind, access.SchemaOf(kind).Columns(), slice)
}

// buildColumns fills one slice of a table that has these columns.
func (r *Run) buildColumns(ctx context.Context, table string, kind access.SubjectKind, columns []access.Column, slice int) error {
	ranges, err := r.ranges(ctx, string(kind))
	if err != nil {
		return err
	}
	if slice < 0 || slice >= len(ranges) {
		return fmt.Errorf("there are %d slices", len(ranges))
	}
	insert, err := insertColumns(table, kind, columns)
	if err != nil {
		return err
	}
	if err := r.s.exec(ctx, fmt.Sprintf("ALTER TABLE %s DROP PARTITION %d", table, slice)); err != nil {
		return err
	}
	return r.s.exec(ctx, insert, r.parameters(ranges[slice].parameters())...)
}

// insertColumns makes some columns of the subjects from {first} to {last}, as a {slice} of a table.
func insertColumns(table string, kind access.SubjectKind, columns []access.Column) (string, error) {
	named := listed(columns)
	query, err := narrow(subjectQuery(kind), func(c string) bool {
		return c == "no" || slices.ContainsFunc(columns, func(wanted access.Column) bool { return wanted.Name == c })
	})
	if err != nil {
		return "", fmt.Errorf("a part of %s subjects: %w", kind, err)
	}
	return "INSERT INTO " + table + " (run, slice, no" + named + ")\nSELECT {run:UInt64}, {slice:UInt32}, no" + named + "\nFROM (\n" + query + ")" + buildSettings, nil
}

// listed are the names of columns, each after a comma.
func listed(columns []access.Column) string {
	var b strings.Builder
	for _, c := range columns {
		b.WriteString(", " + c.Name)
	}
	return b.String()
}

// subjectQuery is the SELECT that yields a kind's columns and no, for the numbers from {first} to {last}.
func subjectQuery(kind access.SubjectKind) string {
	return sqlFile(subjectTable(kind))
}

func columnNames(kind access.SubjectKind) []string {
	columns := access.SchemaOf(kind).Columns()
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return names
}

// Subjects yields the subjects of a slice that was built, in the order of their numbers. The row, and all it points to
// but the texts, is the reader's own and overwritten by the next step: what is kept must be copied. A text may be kept;
// it keeps the whole row's texts in memory. Breaking off stops the query.
func (r *Run) Subjects(ctx context.Context, kind access.SubjectKind, slice int) iter.Seq2[access.Row, error] {
	return r.readColumns(ctx, subjectTable(kind), kind, access.SchemaOf(kind).Columns(), slice)
}

// readColumns is Subjects of a table that has these columns.
func (r *Run) readColumns(ctx context.Context, table string, kind access.SubjectKind, columns []access.Column, slice int) iter.Seq2[access.Row, error] {
	return func(yield func(access.Row, error) bool) {
		fail := func(err error) {
			yield(nil, fmt.Errorf("read %s subjects, slice %d of run %d: %w", kind, slice, r.ID, err))
		}
		reader, err := newPartReader(kind, columns)
		if err != nil {
			fail(err)
			return
		}
		scan := func(rows driver.Rows, packed *string) error { return rows.Scan(packed) }
		query := "SELECT formatRow('RowBinary'" + listed(columns) + ") FROM " + table +
			" WHERE run = {run:UInt64} AND slice = {slice:UInt32} ORDER BY no SETTINGS max_block_size = 1024"
		for packed, err := range stream(ctx, r.s, scan, query, clickhouse.Named("run", r.ID), clickhouse.Named("slice", slice)) {
			if err != nil {
				fail(err)
				return
			}
			row, err := reader.read(packed)
			if err != nil {
				fail(err)
				return
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// partReader reads rows that have some of a kind's columns.
type partReader struct {
	*rowReader
	row access.Row
	at  []int // by column read, where it is in row
}

func newPartReader(kind access.SubjectKind, columns []access.Column) (*partReader, error) {
	inner, err := newRowReader(columns)
	if err != nil {
		return nil, err
	}
	all := access.SchemaOf(kind).Columns()
	p := &partReader{rowReader: inner, row: make(access.Row, len(all))}
	for i, c := range all {
		p.row[i] = access.Unread{}
		if len(p.at) < len(columns) && columns[len(p.at)].Name == c.Name {
			p.at = append(p.at, i)
		}
	}
	if len(p.at) != len(columns) {
		return nil, fmt.Errorf("the columns of a part are not in the schema's order: %v", columns)
	}
	return p, nil
}

// read yields a row with access.Unread in all other columns.
func (p *partReader) read(packed string) (access.Row, error) {
	part, err := p.rowReader.read(packed)
	if err != nil {
		return nil, err
	}
	for i, v := range part {
		p.row[p.at[i]] = v
	}
	return p.row, nil
}
