// Package store keeps the facts of an audit in ClickHouse: snapshots of sources, runs over them, and what changed. It is
// the only package that runs ClickHouse SQL.
//
// What is written becomes visible by one row that publishes it, and never before: a reader sees a snapshot or a run
// whole or not at all, whenever the writer was killed. Nothing that is published is changed afterwards.
//
// Errors that a caller can act on are typed: ErrNotFound, *UnavailableError, *MemoryError, *DiskFullError,
// *NewerSchemaError, *OldServerError, *DuplicateError. A call that ended because its context did returns an error that
// is the context's for errors.Is, and its statement no longer runs.
package store

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/lapse-audit/lapse/internal/chdb"
)

// Options says where the facts are and what reading them may take.
type Options struct {
	// URL is embedded:DIR (ClickHouse inside the process, its files below DIR), clickhouse://host:9000/database (native
	// protocol) or http(s)://host:8123/database. clickhouse:// takes the parameter secure=true; both take
	// dial_timeout and read_timeout, as Go durations.
	URL      string
	Library  string // path of libchdb, embedded only; empty: see chdb.Find
	Username string
	Password string      // never part of an error or a log line
	TLS      *tls.Config // for secure connections; nil: the system's roots

	MaxMemory   int64 // bytes: of the embedded engine in all, of each statement on a server; 0: the engine's own limit
	Threads     int   // of each statement; 0: the engine's own choice
	Connections int   // statements at a time; 0: 16

	// Own is how long to wait for another process to give an embedded store up, before being served by it. A long job
	// waits, so that it isn't served by a short one.
	Own time.Duration

	// Lock is held while the schema is created or changed, so that two programs don't do it at once. Nil: nobody else
	// does.
	Lock func(context.Context) (unlock func(), err error)

	Logger *slog.Logger     // nil: nothing is logged
	Now    func() time.Time // when something was recorded; nil: time.Now
}

// Store is an open store. It is safe for concurrent use.
type Store struct {
	conn    driver.Conn
	client  *clickhouse.Options // of conn
	where   location
	holder  Holder
	version string // of the engine
	logger  *slog.Logger
	now     func() time.Time
	id      string // of this opening; makes deduplication tokens its own

	engine *chdb.Engine  // set where this process holds the embedded store
	served chan struct{} // closed when the socket is no longer served
	stop   context.CancelFunc

	closed  sync.Once
	closing error // what Close returned

	revisits atomic.Int64 // of published runs; makes deduplication tokens their own

	mu   sync.Mutex
	live map[snapshotKey]time.Time // when those snapshots are taken that this Store is writing
	last uint64                    // the highest snapshot id given out
}

// snapshotKey names one snapshot of one source.
type snapshotKey struct {
	source   string
	snapshot uint64
}

// Holder says who runs the engine.
type Holder string

// Who runs the engine: this process, another one whose unix socket is used, or a server.
const (
	HolderSelf   Holder = "this process"
	HolderOther  Holder = "another process"
	HolderServer Holder = "server"
)

func newStore(o Options, where location) *Store {
	s := &Store{where: where, logger: o.Logger, now: o.Now, id: rand.Text(), live: map[snapshotKey]time.Time{}}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	return s
}

// Close waits for what is running and gives an embedded store up. Other processes that read it through this one are cut
// off. Further calls do nothing.
func (s *Store) Close() error {
	s.closed.Do(func() { s.closing = s.close() })
	return s.closing
}

func (s *Store) close() error {
	var errs []error
	if s.conn != nil {
		errs = append(errs, s.conn.Close())
	}
	s.mu.Lock()
	engine, stop, served := s.engine, s.stop, s.served
	s.mu.Unlock()
	if engine != nil {
		stop()
		<-served
		errs = append(errs, engine.Close())
	}
	return errors.Join(errs...)
}

// Describe says where the store is, who runs its engine, and which version that is.
func (s *Store) Describe() string {
	return fmt.Sprintf("%s, ClickHouse %s, held by %s", s.where, s.version, s.holder)
}
