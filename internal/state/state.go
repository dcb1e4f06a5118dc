// Package state keeps the decisions people make about access, as opposed to the
// facts collected about it: exceptions, manual links, people joined across
// rosters, accepted shrinks, the ledger that records each of them, and the
// leases that let one writer at a time work. The schedule of the service is kept
// beside them, as replicas have to agree on it.
//
// Decisions live in a transactional database: SQLite in a file, or PostgreSQL
// where several replicas serve. Both run the same SQL. A decision and its ledger
// entry commit in one transaction, so neither exists without the other.
package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// DefaultMaxException is how far ahead an exception may expire unless
// [Options.MaxException] says otherwise.
const DefaultMaxException = 366 * 24 * time.Hour

// Options say where decisions are kept. Exactly one of Path and URL is set.
type Options struct {
	// Path is the SQLite file. It is created with mode 0600, its folder with 0700.
	Path string
	// URL is postgres://USER:PASSWORD@HOST:PORT/DATABASE?…, credentials resolved.
	// It never appears in an error. What it leaves out is taken from libpq's PG*
	// variables; a host that is not this machine is verified by certificate
	// unless the URL names an sslmode.
	URL string
	// Clock gives the time of recording, never a run's time. Leases don't use it:
	// they live in real time. Default time.Now.
	Clock func() time.Time
	// MaxException bounds how far ahead an exception may expire when it is recorded.
	// Default [DefaultMaxException].
	MaxException time.Duration
	// Version is this binary's version, stored with the schema so that an older
	// binary can name the one it needs.
	Version string
}

// State is an open decision database. It is safe for concurrent use, also by
// several processes at once.
type State struct {
	w, r         *sql.DB // on SQLite one writing connection; otherwise a pool each
	l            *sql.DB // for leases: one of them, where decisions don't hold renewals up
	dialect      dialect
	name         string // what errors call the database; never holds a secret
	clock        func() time.Time
	maxException time.Duration
}

// dialect is what SQLite and PostgreSQL do differently beyond the shared SQL.
type dialect interface {
	// migrationLock serialises migrating processes until tx ends.
	migrationLock(ctx context.Context, tx *sql.Tx) error
	// sharedTime is the one clock that all contenders for a lease see.
	sharedTime(ctx context.Context, tx *sql.Tx) (time.Time, error)
	// snapshot is the isolation at which all reads of a transaction see one state.
	snapshot() sql.IsolationLevel
	// forget overwrites deleted rows where the database would keep them around.
	forget(ctx context.Context) error
	// explain turns a driver's error into what happened and what to do, or nil.
	explain(err error) error
}

// Open opens the database, creates it where it is missing, and brings its schema
// up to date. A schema newer than this binary is a [*NewerSchemaError].
func Open(ctx context.Context, o Options) (*State, error) {
	s := &State{clock: o.Clock, maxException: o.MaxException}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.maxException <= 0 {
		s.maxException = DefaultMaxException
	}
	var err error
	switch {
	case (o.Path == "") == (o.URL == ""):
		return nil, errors.New("open state: set either a path or a PostgreSQL URL")
	case o.Path != "":
		err = s.openSQLite(ctx, o.Path)
	default:
		err = s.openPostgres(o.URL)
	}
	if err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	if err := s.migrate(ctx, o.Version); err != nil {
		s.Close()
		return nil, fmt.Errorf("open state %s: %w", s.name, s.explain(ctx, err))
	}
	return s, nil
}

// Close releases the connections. Leases still held run out by themselves.
func (s *State) Close() error {
	return errors.Join(s.r.Close(), s.w.Close())
}

// Name is the file or the PostgreSQL server and database, without credentials.
func (s *State) Name() string { return s.name }

// now is the time of recording, in the precision the database keeps.
func (s *State) now() time.Time { return micros(s.clock()) }

// query runs fn over each row of one statement, outside any decision.
func query[T any](ctx context.Context, s *State, scan func(*sql.Rows) (T, error), text string, args ...any) ([]T, error) {
	rows, err := s.r.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, s.explain(ctx, err)
	}
	out, err := collect(rows, scan)
	if err != nil {
		return nil, s.explain(ctx, err)
	}
	return out, nil
}

func collect[T any](rows *sql.Rows, scan func(*sql.Rows) (T, error)) ([]T, error) {
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// explain says what a database error means to the operator and keeps the cause.
// Any other error it returns as it is.
func (s *State) explain(ctx context.Context, err error) error {
	better, _ := s.translate(ctx, err)
	return better
}

func (s *State) translate(ctx context.Context, err error) (better error, fromDatabase bool) {
	if err == nil {
		return nil, false
	}
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(err, cause) {
			return err, true
		}
		// A driver reports an ended context as an interrupt or a broken connection.
		return fmt.Errorf("%w (%w)", cause, err), true
	}
	if better := s.dialect.explain(err); better != nil {
		return better, true
	}
	return err, false
}

func micros(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func stamp(t time.Time) int64 { return t.UnixMicro() }

func timeOf(us int64) time.Time { return time.UnixMicro(us).UTC() }

func timeOrZero(us sql.NullInt64) time.Time {
	if !us.Valid {
		return time.Time{}
	}
	return timeOf(us.Int64)
}
