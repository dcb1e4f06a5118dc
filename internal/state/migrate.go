package state

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

//go:embed migrations/*.sql
var migrations embed.FS

type migration struct {
	version int64
	name    string
	text    string
}

// NewerSchemaError means that the database was written by a newer binary.
type NewerSchemaError struct {
	Have, Know int64  // schema of the database, newest schema this binary knows
	WrittenBy  string // version of the binary that made the newer schema
}

func (e *NewerSchemaError) Error() string {
	return fmt.Sprintf("the database has schema %d (made by lapse %s), this lapse knows schemas up to %d: use lapse %s or newer, or restore a backup taken before the upgrade",
		e.Have, e.WrittenBy, e.Know, e.WrittenBy)
}

// migrate brings the schema up to date, all missing steps in one transaction
// under a lock, so several processes can start at once.
func (s *State) migrate(ctx context.Context, binary string) error {
	steps, err := readMigrations(migrations)
	if err != nil {
		return err
	}
	if binary == "" {
		binary = "(unknown)"
	}
	newest := steps[len(steps)-1].version
	// The usual start changes nothing and so needs no lock; a missing table and
	// every other trouble shows again, properly, below.
	if have, by, err := schema(ctx, s.r.QueryRowContext); err == nil && have >= newest {
		return refuseNewer(have, newest, by)
	}

	tx, err := s.w.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := s.dialect.migrationLock(ctx, tx); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS schema_version (
		version BIGINT PRIMARY KEY, name TEXT NOT NULL, binary_version TEXT NOT NULL, applied_at BIGINT NOT NULL)`); err != nil {
		return err
	}
	have, by, err := schema(ctx, tx.QueryRowContext)
	if err != nil {
		return err
	}
	if err := refuseNewer(have, newest, by); err != nil {
		return err
	}
	for _, m := range steps {
		if m.version <= have {
			continue
		}
		if _, err := tx.ExecContext(ctx, m.text); err != nil {
			return fmt.Errorf("migration %s: %w", m.name, err)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO schema_version (version, name, binary_version, applied_at) VALUES ($1, $2, $3, $4)`,
			m.version, m.name, binary, stamp(s.now())); err != nil {
			return fmt.Errorf("migration %s: %w", m.name, err)
		}
	}
	return tx.Commit()
}

// Schema is the version of the database's schema.
func (s *State) Schema(ctx context.Context) (int64, error) {
	have, _, err := schema(ctx, s.r.QueryRowContext)
	if err != nil {
		return 0, fmt.Errorf("read schema version of %s: %w", s.name, s.explain(ctx, err))
	}
	return have, nil
}

// schema reads the newest step taken and the binary that took it; zero when none was.
func schema(ctx context.Context, queryRow func(context.Context, string, ...any) *sql.Row) (have int64, by string, err error) {
	err = queryRow(ctx, "SELECT version, binary_version FROM schema_version ORDER BY version DESC LIMIT 1").Scan(&have, &by)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, "", nil
	}
	return have, by, err
}

func refuseNewer(have, know int64, by string) error {
	if have > know {
		return &NewerSchemaError{Have: have, Know: know, WrittenBy: by}
	}
	return nil
}

func readMigrations(from fs.FS) ([]migration, error) {
	names, err := fs.Glob(from, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	var steps []migration
	for i, name := range names {
		base := strings.TrimSuffix(strings.TrimPrefix(name, "migrations/"), ".sql")
		number, _, _ := strings.Cut(base, "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil || version != int64(i+1) {
			return nil, fmt.Errorf("migration %s: want number %04d", name, i+1)
		}
		text, err := fs.ReadFile(from, name)
		if err != nil {
			return nil, err
		}
		steps = append(steps, migration{version: version, name: base, text: string(text)})
	}
	return steps, nil
}
