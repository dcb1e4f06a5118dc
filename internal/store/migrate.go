package store

import (
	"context"
	"crypto/tls"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

const schemaTable = "schema_versions"

func defaultTLS() *tls.Config { return &tls.Config{MinVersion: tls.VersionTLS12} }

// SchemaVersion is the version of the schema that this program writes.
func SchemaVersion() int64 {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil || len(names) == 0 {
		panic("store: no migrations embedded")
	}
	last, err := goose.NumericComponent(names[len(names)-1])
	if err != nil {
		panic("store: " + err.Error())
	}
	return last
}

// migrate brings the schema up to date. The usual start, with nothing to do, costs one query. Every migration can be
// run again from its start: a program that was killed in the middle of one leaves it to the next.
func (s *Store) migrate(ctx context.Context, lock func(context.Context) (func(), error)) error {
	have, err := s.schemaVersion(ctx)
	if err != nil || have == SchemaVersion() {
		return err
	}
	if have > SchemaVersion() {
		return &NewerSchemaError{Store: s.where.String(), Have: have, Program: SchemaVersion()}
	}
	if lock != nil {
		unlock, err := lock(ctx)
		if err != nil {
			return fmt.Errorf("lock the schema: %w", err)
		}
		defer unlock()
		if have, err = s.schemaVersion(ctx); err != nil {
			return err
		}
		if have > SchemaVersion() {
			return &NewerSchemaError{Store: s.where.String(), Have: have, Program: SchemaVersion()}
		}
	}
	s.logger.Info("store schema is brought up to date", "store", s.where.String(), "from", have, "to", SchemaVersion())
	return applyMigrations(ctx, s.client)
}

func applyMigrations(ctx context.Context, at *clickhouse.Options) (err error) {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return err
	}
	db := clickhouse.OpenDB(at)
	defer func() { err = errors.Join(err, db.Close()) }()
	provider, err := goose.NewProvider(database.DialectClickHouse, db, files,
		goose.WithTableName(schemaTable), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	_, err = provider.Up(ctx)
	return err
}

// schemaVersion is 0 for a new database.
func (s *Store) schemaVersion(ctx context.Context) (int64, error) {
	var version int64
	err := s.row(ctx, []any{&version}, "SELECT max(version_id) FROM "+schemaTable+" WHERE is_applied = 1")
	if exception(err, codeUnknownTable) {
		return 0, nil
	}
	return version, err
}
