package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/lapse-audit/lapse/internal/chdb"
)

// ErrNotFound says that what was asked for is not in the store, or not published.
var ErrNotFound = errors.New("not found")

// NewerSchemaError says that a later version of Lapse wrote the store.
type NewerSchemaError struct {
	Store   string
	Have    int64 // version of the schema in the store
	Program int64 // version that this program knows
}

func (e *NewerSchemaError) Error() string {
	return fmt.Sprintf("store %s has schema version %d, and this program knows only up to %d: run the lapse version that wrote it or a newer one, or restore a backup made before the upgrade",
		e.Store, e.Have, e.Program)
}

// OldServerError says that the server lacks what the schema needs.
type OldServerError struct {
	Store  string
	Have   string
	Needed string
}

func (e *OldServerError) Error() string {
	return fmt.Sprintf("store %s is ClickHouse %s, and Lapse needs %s or newer: upgrade the server, or use the embedded store (embedded:./lapse-data)",
		e.Store, e.Have, e.Needed)
}

// UnavailableError says that the engine can't be reached, or went away during a statement. Whether a statement that
// writes took effect is then unknown; nothing of it is visible, because nothing published it.
type UnavailableError struct {
	Store string
	Err   error
}

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("store %s can't be reached: %v", e.Store, e.Err)
}

func (e *UnavailableError) Unwrap() error { return e.Err }

// MemoryError says that a statement needed more memory than it may use.
type MemoryError struct{ Err error }

func (e *MemoryError) Error() string {
	return fmt.Sprintf("store ran into its memory limit: raise store.max_memory, or lower store.threads: %v", e.Err)
}

func (e *MemoryError) Unwrap() error { return e.Err }

// DiskFullError says that the store's disk is full. Nothing that was published is lost.
type DiskFullError struct {
	Store string
	Err   error
}

func (e *DiskFullError) Error() string {
	return fmt.Sprintf("disk of store %s is full: free space or run `lapse store prune`, then run again: %v", e.Store, e.Err)
}

func (e *DiskFullError) Unwrap() error { return e.Err }

// Codes of ClickHouse's src/Common/ErrorCodes.cpp.
const (
	codeUnknownColumn  = 47
	codeUnknownTable   = 60
	codeNetwork        = 210
	codeMemoryLimit    = 241
	codeNotEnoughSpace = 243
)

// fault gives a driver's error its type. Each exported function wraps the result once with what it was doing.
func (s *Store) fault(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, ErrNotFound) {
		return err
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause // the statement was killed, whatever it died of
	}
	if d, ok := ctx.Deadline(); ok && errors.Is(err, os.ErrDeadlineExceeded) && !time.Now().Before(d) {
		return context.DeadlineExceeded // the connection has the same deadline, and can be first to notice
	}
	var ex *clickhouse.Exception
	if errors.As(err, &ex) {
		switch {
		case strings.Contains(ex.Message, "No space left on device"), ex.Code == codeNotEnoughSpace:
			return &DiskFullError{s.where.String(), err}
		case ex.Code == codeMemoryLimit:
			return &MemoryError{err}
		case ex.Code == codeNetwork:
			return &UnavailableError{s.where.String(), err}
		}
		return err
	}
	if unreachable(err) {
		return &UnavailableError{s.where.String(), err}
	}
	return err
}

func unreachable(err error) bool {
	var op net.Error
	return errors.As(err, &op) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, chdb.ErrClosed) ||
		// net/http has a connection that its server closed unused as an error of its own, which it doesn't export.
		strings.Contains(err.Error(), "server closed idle connection")
}

// exception reports whether err is the server's error of that code.
func exception(err error, code int32) bool {
	var ex *clickhouse.Exception
	return errors.As(err, &ex) && ex.Code == code
}
