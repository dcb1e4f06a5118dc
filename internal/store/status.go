package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Status is what there is to know of a store.
type Status struct {
	Address  string
	Database string
	Holder   Holder
	Engine   string // version of ClickHouse
	Schema   int64
	Tables   []TableStatus // with rows, largest first
	Bytes    uint64        // of all tables, on disk
	Free     uint64        // bytes left on the fullest disk of the engine

	Snapshots      uint64
	Oldest, Newest time.Time // taken; zero where there is no snapshot
	Unpublished    uint64    // being written, or left by a killed writer
}

// TableStatus is the size of one table.
type TableStatus struct {
	Name  string
	Rows  uint64
	Bytes uint64 // on disk
	Parts uint64
}

// Status says how large the store is and what it holds.
func (s *Store) Status(ctx context.Context) (Status, error) {
	st := Status{Address: s.where.String(), Database: s.where.database, Engine: s.version}
	s.mu.Lock() // the holder changes when the process that was it ends
	st.Holder = s.holder
	s.mu.Unlock()
	if err := s.readStatus(ctx, &st); err != nil {
		return Status{}, fmt.Errorf("status of store %s: %w", s.where, err)
	}
	return st, nil
}

func (s *Store) readStatus(ctx context.Context, st *Status) (err error) {
	if st.Schema, err = s.schemaVersion(ctx); err != nil {
		return err
	}
	st.Tables, err = list(ctx, s, func(r driver.Rows, t *TableStatus) error { return r.Scan(&t.Name, &t.Rows, &t.Bytes, &t.Parts) }, `
		SELECT table, sum(rows) AS n, sum(bytes_on_disk) AS bytes, count() FROM system.parts
		WHERE database = currentDatabase() AND active GROUP BY table HAVING n > 0 ORDER BY bytes DESC, table`)
	if err != nil {
		return err
	}
	for _, t := range st.Tables {
		st.Bytes += t.Bytes
	}
	if err := s.row(ctx, []any{&st.Free}, "SELECT min(unreserved_space) FROM system.disks"); err != nil {
		return err
	}
	var oldest, newest time.Time
	if err := s.row(ctx, []any{&st.Snapshots, &oldest, &newest}, "SELECT count(), min(taken), max(taken) FROM snapshots"); err != nil {
		return err
	}
	if st.Snapshots > 0 {
		st.Oldest, st.Newest = oldest, newest
	}
	return s.row(ctx, []any{&st.Unpublished},
		"SELECT count() FROM snapshot_writes WHERE (source, snapshot) NOT IN (SELECT source, snapshot FROM snapshots)")
}

// ErrNotEmpty says that a store that was to be restored holds facts.
var ErrNotEmpty = errors.New("store is not empty")

// errServer refuses what a server's own tools do better: its files are not where this program is.
var errServer = errors.New("the store is a server: use BACKUP and RESTORE there, on its own disks")

// Backup copies the store to the new folder dir, which may be on another disk. Its caller holds the lease: what is
// published meanwhile could be there in part. It is for embedded stores.
func (s *Store) Backup(ctx context.Context, dir string) error {
	if err := s.backup(ctx, "BACKUP DATABASE "+s.where.database+" TO File({dir:String})", dir); err != nil {
		return fmt.Errorf("back up store %s to %s: %w", s.where, dir, err)
	}
	return nil
}

func (s *Store) backup(ctx context.Context, statement, dir string) error {
	if s.where.scheme != "embedded" {
		return errServer
	}
	path, err := newFolder(dir)
	if err != nil {
		return err
	}
	return s.exec(ctx, statement, clickhouse.Named("dir", path))
}

// Restore brings back what Backup copied to dir, into a store without snapshots and runs (else ErrNotEmpty). A backup of
// an older schema is brought up to date; one of a newer schema is a *NewerSchemaError. After an error the store is as it
// was. Its caller holds the lease, and nobody else uses the store.
func (s *Store) Restore(ctx context.Context, dir string) error {
	if err := s.restore(ctx, dir); err != nil {
		return fmt.Errorf("restore store %s from %s: %w", s.where, dir, err)
	}
	return nil
}

func (s *Store) restore(ctx context.Context, dir string) (err error) {
	if s.where.scheme != "embedded" {
		return errServer
	}
	path, err := existingFolder(dir)
	if err != nil {
		return err
	}
	var facts uint64
	if err := s.row(ctx, []any{&facts}, "SELECT (SELECT count() FROM snapshots) + (SELECT count() FROM runs)"); err != nil {
		return err
	}
	if facts > 0 {
		return fmt.Errorf("%w: restore into a new folder", ErrNotEmpty)
	}
	at := *s.client
	at.Auth.Database = bootstrapDatabase
	conn, err := clickhouse.Open(&at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()

	name := s.where.database
	incoming, replaced := name+"_restoring", name+"_replaced"
	do := func(statement string, args ...any) error { return s.fault(ctx, conn.Exec(ctx, statement, args...)) }
	for _, leftover := range []string{incoming, replaced} {
		if err := do("DROP DATABASE IF EXISTS " + leftover + " SYNC"); err != nil {
			return err
		}
	}
	if err := do("RESTORE DATABASE "+name+" AS "+incoming+" FROM File({dir:String})", clickhouse.Named("dir", path)); err != nil {
		return errors.Join(err, do("DROP DATABASE IF EXISTS "+incoming+" SYNC"))
	}
	var have int64
	if err := s.row(ctx, []any{&have}, "SELECT max(version_id) FROM "+incoming+"."+schemaTable+" WHERE is_applied = 1"); err != nil {
		return err
	}
	if have > SchemaVersion() {
		return errors.Join(&NewerSchemaError{Store: dir, Have: have, Program: SchemaVersion()}, do("DROP DATABASE "+incoming+" SYNC"))
	}
	if err := do("RENAME DATABASE " + name + " TO " + replaced); err != nil {
		return err
	}
	if err := do("RENAME DATABASE " + incoming + " TO " + name); err != nil {
		return errors.Join(err, do("RENAME DATABASE "+replaced+" TO "+name))
	}
	if err := do("DROP DATABASE " + replaced + " SYNC"); err != nil {
		return err
	}
	return s.migrate(ctx, nil)
}
