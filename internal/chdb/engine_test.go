//go:build (linux || darwin) && (amd64 || arm64) && !noembedded

package chdb

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// serveAt serves until the test ends, and returns the socket that a second process would find.
func serveAt(t *testing.T, e *Engine, path string) (socket string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	go func() { served <- e.Serve(ctx, path) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	eventually(t, "the owner serves", func() bool {
		select {
		case err := <-served:
			t.Fatalf("serving ended: %v", err)
		default:
		}
		var locked *LockedError
		_, err := Open(t.Context(), Options{Dir: e.Dir()})
		if !errors.As(err, &locked) || !errors.Is(err, ErrLocked) || locked.PID != os.Getpid() {
			t.Fatalf("error %v, want that process %d has it", err, os.Getpid())
		}
		socket = locked.Socket
		return socket != ""
	})
	return socket
}

func TestReopen(t *testing.T) {
	a, b := filepath.Join(t.TempDir(), "a", "deep"), filepath.Join(t.TempDir(), "b")
	lib := libraryPath(t)
	for i, dir := range []string{a, a, b, a, b} {
		e, err := Open(t.Context(), Options{Dir: dir, Library: lib})
		if err != nil {
			t.Fatal(err)
		}
		c := connect(t, e.ClientOptions())
		run(t, c, "CREATE DATABASE IF NOT EXISTS d ENGINE = Atomic")
		run(t, c, "CREATE TABLE IF NOT EXISTS d.t (n UInt64) ENGINE = MergeTree ORDER BY n")
		run(t, c, "INSERT INTO d.t VALUES (1)")
		if n, want := scalar[uint64](t, c, "SELECT count() FROM d.t"), []uint64{1, 2, 1, 3, 2}[i]; n != want {
			t.Errorf("opening %d: %d rows, want %d", i, n, want)
		}
		other, err := Open(t.Context(), Options{Dir: filepath.Join(t.TempDir(), "c"), Library: lib})
		if err == nil {
			other.Close()
			t.Fatal("two folders are open at a time")
		}
		if !strings.Contains(err.Error(), dir) || errors.Is(err, ErrLocked) {
			t.Errorf("second folder: %v", err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if err := e.Close(); err != nil {
			t.Errorf("closing twice: %v", err)
		}
		if err := c.Exec(t.Context(), "SELECT 1"); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v, want %v", err, ErrClosed)
		}
		if err := e.Serve(t.Context(), ""); !errors.Is(err, ErrClosed) {
			t.Errorf("serving after Close: %v, want %v", err, ErrClosed)
		}
	}
}

func TestFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	e := openEngine(t, Options{Dir: "relative"})
	if want, err := filepath.EvalSymlinks(filepath.Join(os.Getenv("PWD"), "relative")); err != nil || e.Dir() != want {
		t.Errorf("folder %s, want %s (%v)", e.Dir(), want, err)
	}
	socket := serveAt(t, e, "")
	if socket != filepath.Join(e.Dir(), SocketName) && len(e.Dir()) < maxSocketPath-len(SocketName) {
		t.Errorf("socket %s", socket)
	}
	for path, want := range map[string]fs.FileMode{e.Dir(): 0o700, filepath.Join(e.Dir(), "lock"): 0o600, socket: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, want %v (%v)", path, info.Mode(), want, err)
		}
	}
}

func TestSocketPath(t *testing.T) {
	e := openEngine(t, Options{Dir: filepath.Join(t.TempDir(), strings.Repeat("long", 30))})
	t.Run("too long", func(t *testing.T) {
		socket := serveAt(t, e, "")
		if len(socket) > maxSocketPath {
			t.Errorf("%s is %d long", socket, len(socket))
		}
		if err := connect(t, SocketOptions(socket)).Ping(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("taken", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := e.Serve(t.Context(), path); err == nil || !strings.Contains(err.Error(), "not a socket") {
			t.Errorf("error %v", err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != "precious" {
			t.Errorf("the file is %q, %v", b, err)
		}
	})
}

// Close ends what is running, here and in other processes, and does not wait for slow readers.
func TestCloseWhileBusy(t *testing.T) {
	e := openEngine(t, Options{})
	socket := serveAt(t, e, "")
	remote := connect(t, SocketOptions(socket))
	local := connect(t, e.ClientOptions())
	ctx := context.WithoutCancel(t.Context())
	failed := make(chan error, 2)
	go func() { failed <- local.Exec(ctx, forEver) }()
	go func() { failed <- remote.Exec(ctx, forEver) }()
	paused, err := local.Query(ctx, "SELECT number FROM numbers(100000000)")
	if err != nil {
		t.Fatal(err)
	}
	far, err := remote.Query(ctx, "SELECT number FROM numbers(100000000)")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "all run", func() bool { return len(e.slots) == 4 })

	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket outlives its engine and could be taken for the next one's: %v", err)
	}
	for range 2 {
		if err := <-failed; err == nil {
			t.Error("a statement succeeded that could not end")
		}
	}
	for paused.Next() {
	}
	if err := paused.Err(); !errors.Is(err, ErrClosed) {
		t.Errorf("local rows: %v, want %v", err, ErrClosed)
	}
	for far.Next() {
	}
	if far.Err() == nil {
		t.Error("remote rows ended without an error")
	}
}

func TestLimits(t *testing.T) {
	onAllRoads(t, Options{MaxMemory: 700 << 20, Threads: 1, Connections: 2}, func(t *testing.T, e *Engine, client *clickhouse.Options) {
		c := connect(t, client)
		for range 3 {
			wantCode(t, c.Exec(t.Context(), "SELECT groupArray(number) FROM numbers(1000000000)"), 241)
			if n := scalar[uint8](t, c, "SELECT 1"); n != 1 {
				t.Errorf("got %d", n)
			}
		}
		if n := scalar[uint64](t, c, "SELECT toUInt64(getSetting('max_threads'))"); n != 1 {
			t.Errorf("%d threads", n)
		}
	})
}

// A third statement waits for one of the two connections, and stops waiting with its context.
func TestConnections(t *testing.T) {
	e := openEngine(t, Options{Connections: 2})
	o := e.ClientOptions()
	o.MaxOpenConns = 5
	c := connect(t, o)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for range 2 {
		if _, err := c.Query(ctx, "SELECT number FROM numbers(100000000000)"); err != nil {
			t.Fatal(err)
		}
	}
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := c.Exec(short, "SELECT 1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want %v", err, context.DeadlineExceeded)
	}
	done := make(chan error, 1)
	go func() { done <- c.Exec(t.Context(), "SELECT 1") }()
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
