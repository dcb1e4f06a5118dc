// Package chdb runs ClickHouse inside the process: libchdb, loaded at run time without cgo, behind an
// http.RoundTripper that clickhouse-go takes for a server.
//
//	engine, err := chdb.Open(ctx, chdb.Options{Dir: "lapse-data"})
//	conn, err := clickhouse.Open(engine.ClientOptions())
//
// Every request is a session of its own, as on a server without session ids: settings, USE and temporary tables end
// with it. A cancelled context kills its statement in the engine. A server's error arrives as *clickhouse.Exception,
// also when it comes in the middle of a result. The driver's rows.Close reads a result to its end: cancel the
// context first to stop early.
//
// One process owns a folder. Others reach it through the socket on which the owner serves (see LockedError).
package chdb

import (
	"errors"
	"fmt"
)

// Options says which folder to open and how much the engine may take.
type Options struct {
	Dir         string // where the data is; made absolute, created with mode 0700
	Library     string // path of libchdb; empty: the places that Find looks in
	MaxMemory   int64  // bytes the engine may use in all, without Go's heap; 0: 90% of the machine's
	Threads     int    // threads a statement may use; 0: one a core
	Config      string // path of a configuration file of ClickHouse's own, as one that has users; empty: none
	Connections int    // statements at a time, further ones wait; 0: 16
}

const defaultConnections = 16

// ErrLocked is the case of LockedError, for errors.Is.
var ErrLocked = errors.New("folder is in use")

// LockedError says that another engine owns the folder.
type LockedError struct {
	Dir    string
	PID    int    // the owner's process; 0: unknown
	Socket string // where the owner serves, for SocketOptions; empty: nowhere (yet)
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("%s is in use by another process", e.Dir)
	}
	return fmt.Sprintf("%s is in use by process %d", e.Dir, e.PID)
}

func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// ErrClosed is returned for a statement that a closing engine refuses or stops.
var ErrClosed = errors.New("the embedded engine is closed")
