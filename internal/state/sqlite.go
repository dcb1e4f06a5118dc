package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// writerWait is how long a writer waits for another process before it gives up.
const writerWait = 15 * time.Second

type sqliteDialect struct {
	w    *sql.DB
	path string
}

func (s *State) openSQLite(ctx context.Context, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if err := makeFile(path); err != nil {
		return err
	}
	open := func(extra ...string) (*sql.DB, error) {
		q := url.Values{
			"_busy_timeout": {fmt.Sprint(writerWait.Milliseconds())},
			"_synchronous":  {"FULL"},
			"_foreign_keys": {"on"},
			"_dqs":          {"0"},
			"_defensive":    {"1"},
		}
		for i := 0; i < len(extra); i += 2 {
			q.Add(extra[i], extra[i+1])
		}
		slashed := filepath.ToSlash(path)
		if !strings.HasPrefix(slashed, "/") {
			slashed = "/" + slashed // C:/… would read as a host
		}
		u := url.URL{Scheme: "file", Path: slashed, RawQuery: q.Encode()}
		return sql.Open("sqlite", u.String())
	}
	w, err := open("_txlock", "immediate", "_journal_mode", "WAL", "_pragma", "secure_delete(on)")
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	// One writing connection makes this process's writers queue in order rather
	// than poll for the file's lock against each other.
	w.SetMaxOpenConns(1)
	r, err := open("_query_only", "on")
	if err != nil {
		w.Close()
		return fmt.Errorf("%s: %w", path, err)
	}
	r.SetMaxOpenConns(4)
	s.w, s.r, s.l, s.name = w, r, w, path
	s.dialect = &sqliteDialect{w: w, path: path}
	if err := firstConnection(ctx, w); err != nil {
		s.Close()
		return fmt.Errorf("%s: %w", path, s.explain(ctx, err))
	}
	return nil
}

// firstConnection opens w's connection, which turns a new file's journal to WAL.
// SQLite refuses that at once, whatever the busy timeout, while another process
// has the file open for the same: a lock taken for reading is being upgraded,
// and two that wait for each other would never end. So the waiting is done here.
func firstConnection(ctx context.Context, w *sql.DB) error {
	for end := time.Now().Add(writerWait); ; {
		err := w.PingContext(ctx)
		if !isBusy(err) || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func isBusy(err error) bool {
	var se *sqlite.Error
	return errors.As(err, &se) && se.Code()&0xff == sqlite3.SQLITE_BUSY
}

// makeFile creates the file private before SQLite would create it readable. The
// files SQLite puts beside it take over its mode.
func makeFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return f.Close()
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file", path)
	}
	// Never open an existing file here: closing it would drop the locks that
	// SQLite holds on it for this process.
	if info.Mode().Perm()&0o077 != 0 {
		return os.Chmod(path, 0o600)
	}
	return nil
}

// migrationLock does nothing: the transaction began IMMEDIATE.
func (d *sqliteDialect) migrationLock(context.Context, *sql.Tx) error { return nil }

func (d *sqliteDialect) sharedTime(context.Context, *sql.Tx) (time.Time, error) {
	return micros(time.Now()), nil
}

func (d *sqliteDialect) snapshot() sql.IsolationLevel { return sql.LevelDefault }

func (d *sqliteDialect) forget(ctx context.Context) error {
	_, err := d.w.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return err
}

func (d *sqliteDialect) explain(err error) error {
	var se *sqlite.Error
	if !errors.As(err, &se) {
		return nil
	}
	switch se.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("the disk is full: free space on the file system of %s and try again: %w", filepath.Dir(d.path), err)
	case sqlite3.SQLITE_BUSY:
		return fmt.Errorf("another process has kept the database locked for %s: try again when it is done: %w", writerWait, err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		return fmt.Errorf("this user can't write the file or its folder: %w", err)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("the file is damaged or no state database: restore it from a backup: %w", err)
	case sqlite3.SQLITE_IOERR:
		return fmt.Errorf("reading or writing the disk went wrong: %w", err)
	}
	return nil
}
