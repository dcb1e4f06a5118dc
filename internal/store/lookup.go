package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
)

// SnapshotByID is a published snapshot of source; ErrNotFound otherwise.
func (s *Store) SnapshotByID(ctx context.Context, source string, snapshot uint64) (Snapshot, error) {
	columns, scan := selection(snapshotFields())
	all, err := list(ctx, s, scan, "SELECT "+columns+" FROM snapshots WHERE source = {source:String} AND snapshot = {snapshot:UInt64} LIMIT 1",
		clickhouse.Named("source", source), clickhouse.Named("snapshot", snapshot))
	if err == nil && len(all) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Snapshot{}, fmt.Errorf("snapshot %d of %s: %w", snapshot, source, err)
	}
	return all[0], nil
}

// Kept reports whether a published run still has its people, links and open findings: Prune takes them from the others.
func (s *Store) Kept(ctx context.Context, run uint64) (kept bool, err error) {
	err = s.row(ctx, []any{&kept}, `SELECT (SELECT people + accounts FROM runs WHERE run = {run:UInt64}) = 0
		OR (SELECT count() FROM run_people WHERE run = {run:UInt64}) + (SELECT count() FROM run_links WHERE run = {run:UInt64}) > 0`,
		clickhouse.Named("run", run))
	if err != nil {
		return false, fmt.Errorf("is run %d kept: %w", run, err)
	}
	return kept, nil
}

// subjectIDs are the columns that say which subject a row is.
var subjectIDs = map[access.SubjectKind]string{
	access.SubjectAccount: "account_id", access.SubjectPerson: "person_id", access.SubjectEntitlement: "entitlement_id",
	access.SubjectLicense: "license_sku", access.SubjectSource: "source_uid",
}

// Subject is one subject as the policies of a run saw it. Only subjects of the last run are kept, and of those that the
// prefilter has asked only the ones that policies have judged: of others it is ErrNotFound.
func (s *Store) Subject(ctx context.Context, run uint64, subject finding.Subject) (access.Row, error) {
	row, err := s.subject(ctx, subjectTable(subject.Kind), run, subject)
	if errors.Is(err, ErrNotFound) {
		row, err = s.subject(ctx, judgedTable(subject.Kind), run, subject)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s in run %d: %w", subject.Kind, subject.ID, run, err)
	}
	return row, nil
}

func (s *Store) subject(ctx context.Context, table string, run uint64, subject finding.Subject) (access.Row, error) {
	id, ok := subjectIDs[subject.Kind]
	if !ok {
		return nil, fmt.Errorf("unknown kind of subject")
	}
	reader, err := newRowReader(access.SchemaOf(subject.Kind).Columns())
	if err != nil {
		return nil, err
	}
	names := columnNames(subject.Kind)
	query := "SELECT formatRow('RowBinary', " + strings.Join(names, ", ") + ") FROM " + table +
		" WHERE run = {run:UInt64} AND " + id + " = {id:String}"
	if slices.Contains(names, "source_uid") {
		query += " AND source_uid = {source:String}"
	}
	scan := func(rows driver.Rows, packed *string) error { return rows.Scan(packed) }
	all, err := list(ctx, s, scan, query+" LIMIT 1", clickhouse.Named("run", run), clickhouse.Named("id", subject.ID), clickhouse.Named("source", subject.Source))
	switch {
	case exception(err, codeUnknownColumn), exception(err, codeUnknownTable): // a version made them that knew other fields
		return nil, ErrNotFound
	case err != nil:
		return nil, err
	case len(all) == 0:
		return nil, ErrNotFound
	}
	return reader.read(all[0])
}
