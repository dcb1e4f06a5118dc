//go:build (linux || darwin) && (amd64 || arm64) && !noembedded

package chdb

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// childVariable makes the test binary play another process; see children.
const childVariable = "LAPSE_CHDB_TEST_CHILD"

func TestMain(m *testing.M) {
	if name := os.Getenv(childVariable); name != "" {
		play, ok := children[name]
		if !ok {
			fmt.Fprintln(os.Stderr, "no child", name)
			os.Exit(2)
		}
		if err := play(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// libraryPath returns the engine's path. Without an engine the test fails in CI and skips elsewhere.
func libraryPath(t testing.TB) string {
	t.Helper()
	path, err := Find(os.Getenv("LAPSE_LIBCHDB"))
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%v", err)
		}
		t.Skip("no libchdb: run `make build` and set LAPSE_LIBCHDB=$PWD/bin/libchdb.so")
	}
	return path
}

func openEngine(t testing.TB, o Options) *Engine {
	t.Helper()
	o.Library = libraryPath(t)
	if o.Dir == "" {
		o.Dir = filepath.Join(t.TempDir(), "data")
	}
	e, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func connect(t testing.TB, o *clickhouse.Options) driver.Conn {
	t.Helper()
	c, err := clickhouse.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// inDatabase makes database d and connects to it.
func inDatabase(t testing.TB, o *clickhouse.Options) driver.Conn {
	t.Helper()
	run(t, connect(t, o), "CREATE DATABASE IF NOT EXISTS d ENGINE = Atomic")
	in := *o
	in.Auth.Database = "d"
	return connect(t, &in)
}

func run(t testing.TB, c driver.Conn, sql string, args ...any) {
	t.Helper()
	if err := c.Exec(context.WithoutCancel(t.Context()), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func scalar[T any](t testing.TB, c driver.Conn, sql string, args ...any) T {
	t.Helper()
	var v T
	if err := c.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func wantCode(t testing.TB, err error, code int32) {
	t.Helper()
	var e *clickhouse.Exception
	if !errors.As(err, &e) {
		t.Fatalf("%v (%T): want a *clickhouse.Exception of code %d", err, err, code)
	}
	if e.Code != code {
		t.Fatalf("%v: want code %d", err, code)
	}
}

// eventually waits for a condition that another goroutine or process brings about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// roads are the ways to the engine. What a test says of one holds for all.
var roads = []struct {
	name    string
	options func(*testing.T, *Engine) *clickhouse.Options
}{
	{"direct", func(_ *testing.T, e *Engine) *clickhouse.Options { return e.ClientOptions() }},
	{"socket", func(t *testing.T, e *Engine) *clickhouse.Options {
		return SocketOptions(serveAt(t, e, ""))
	}},
	{"http", func(t *testing.T, e *Engine) *clickhouse.Options {
		srv := httptest.NewServer(e.Handler())
		t.Cleanup(srv.Close)
		o := ClientOptions(nil)
		o.TransportFunc = nil
		o.Addr = []string{srv.Listener.Addr().String()}
		return o
	}},
}

// onAllRoads runs a test over each way, each with an engine of its own.
func onAllRoads(t *testing.T, o Options, f func(t *testing.T, e *Engine, client *clickhouse.Options)) {
	for _, road := range roads {
		t.Run(road.name, func(t *testing.T) {
			e := openEngine(t, o)
			f(t, e, road.options(t, e))
		})
	}
}
