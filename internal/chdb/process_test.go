//go:build (linux || darwin) && (amd64 || arm64) && !noembedded

package chdb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// children are the parts that the test binary plays as another process: what it is given, its folder first.
var children = map[string]func(args []string) error{
	"serve": func(args []string) error { // owns the folder and serves until interrupted
		return busy(args[0], func(ctx context.Context, e *Engine) error { return e.Serve(ctx, "") })
	},
	"sleep": func(args []string) error { // handles no signal at all
		return busy(args[0], func(context.Context, *Engine) error { select {} })
	},
	"panic": func(args []string) error {
		return busy(args[0], func(context.Context, *Engine) error {
			var p *struct{ n int }
			p.n = 1
			return nil
		})
	},
	"recover": func(args []string) error {
		return busy(args[0], func(context.Context, *Engine) (err error) {
			defer func() {
				if recover() == nil {
					err = errors.New("nothing to recover from")
				}
			}()
			var p *struct{ n int }
			p.n = 1
			return nil
		})
	},
	"visit": func(args []string) error { // finds the folder taken, and works in it through its owner
		_, err := Open(context.Background(), Options{Dir: args[0], Library: os.Getenv("LAPSE_LIBCHDB")})
		var locked *LockedError
		if !errors.As(err, &locked) {
			return fmt.Errorf("open: %w, want a LockedError", err)
		}
		if locked.PID != os.Getppid() {
			return fmt.Errorf("owner is %d, want %d", locked.PID, os.Getppid())
		}
		c, err := clickhouse.Open(SocketOptions(locked.Socket))
		if err != nil {
			return err
		}
		defer c.Close()
		b, err := c.PrepareBatch(context.Background(), "INSERT INTO d.visits (n)")
		if err != nil {
			return err
		}
		if err := b.Column(0).Append([]uint64{1, 2, 3}); err != nil {
			return err
		}
		return b.Send()
	},
}

// busy opens the folder, keeps a query running, says so, and does f. SIGINT and SIGTERM are handled only by serve.
func busy(dir string, f func(context.Context, *Engine) error) error {
	ctx := context.Background()
	if os.Getenv(childVariable) == "serve" {
		var stop func()
		ctx, stop = signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
	}
	e, err := Open(ctx, Options{Dir: dir, Library: os.Getenv("LAPSE_LIBCHDB")})
	if err != nil {
		return err
	}
	c, err := clickhouse.Open(e.ClientOptions())
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- c.Exec(ctx, forEver) }()
	time.Sleep(50 * time.Millisecond)
	fmt.Println("ready")
	if err := f(ctx, e); err != nil {
		return err
	}
	if err := e.Close(); err != nil {
		return err
	}
	if err := <-failed; !errors.Is(err, ErrClosed) && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("the running query ended with %w", err)
	}
	fmt.Println("closed")
	return nil
}

type child struct {
	*exec.Cmd
	out    *bufio.Reader
	stderr strings.Builder
}

// start runs the test binary as a child and returns once it is ready.
func start(t *testing.T, name, dir string) *child {
	t.Helper()
	c := command(t, name, dir)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.out = bufio.NewReader(out)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	if line, err := c.out.ReadString('\n'); err != nil || line != "ready\n" {
		_ = c.Wait()
		t.Fatalf("child %s: %q, %v\n%s", name, line, err, c.stderr.String())
	}
	return c
}

func command(t *testing.T, name, dir string) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{Cmd: exec.Command(exe, dir)}
	c.Env = append(os.Environ(), childVariable+"="+name, "LAPSE_LIBCHDB="+libraryPath(t), "GORACE=atexit_sleep_ms=0")
	c.Stderr = &c.stderr
	return c
}

// end waits for the child, which must come to its end by itself, and returns what else it printed.
func (c *child) end(t *testing.T) (out string, state *os.ProcessState) {
	t.Helper()
	late := time.AfterFunc(time.Minute, func() { _ = c.Process.Kill() })
	b, err := io.ReadAll(c.out)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	if !late.Stop() {
		t.Fatalf("child did not end\n%s", c.stderr.String())
	}
	return string(b), c.ProcessState
}

// With the engine loaded and at work, signals and faults do what they do in any Go program.
func TestSignalsAndPanics(t *testing.T) {
	for _, test := range []struct {
		name, child string
		signal      syscall.Signal
		by          syscall.Signal // the signal that must have ended it
		code        int            // or its exit code
		stdout      string
		stderr      []string
	}{
		{name: "Ctrl-C", child: "sleep", signal: syscall.SIGINT, by: syscall.SIGINT},
		{name: "terminate", child: "sleep", signal: syscall.SIGTERM, by: syscall.SIGTERM},
		{name: "Ctrl-C handled", child: "serve", signal: syscall.SIGINT, stdout: "closed\n"},
		{name: "terminate handled", child: "serve", signal: syscall.SIGTERM, stdout: "closed\n"},
		{name: "quit", child: "sleep", signal: syscall.SIGQUIT, code: 2, stderr: []string{"SIGQUIT: quit", "goroutine"}},
		{name: "nil dereference", child: "panic", code: 2, stderr: []string{"nil pointer dereference", "process_test.go"}},
		{name: "nil dereference recovered", child: "recover", stdout: "closed\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := start(t, test.child, filepath.Join(t.TempDir(), "data"))
			if test.signal != 0 {
				if err := c.Process.Signal(test.signal); err != nil {
					t.Fatal(err)
				}
			}
			out, state := c.end(t)
			status := state.Sys().(syscall.WaitStatus)
			if test.by != 0 && (!status.Signaled() || status.Signal() != test.by) {
				t.Errorf("ended with %v, want %v", state, test.by)
			}
			if test.by == 0 && status.ExitStatus() != test.code {
				t.Errorf("ended with %v, want code %d", state, test.code)
			}
			if out != test.stdout {
				t.Errorf("printed %q, want %q", out, test.stdout)
			}
			for _, want := range test.stderr {
				if !strings.Contains(c.stderr.String(), want) {
					t.Errorf("standard error lacks %q", want)
				}
			}
			if test.code == 0 && c.stderr.Len() > 0 || t.Failed() {
				t.Errorf("standard error: %s", c.stderr.String())
			}
		})
	}
}

func TestSecondProcess(t *testing.T) {
	e := openEngine(t, Options{})
	c := inDatabase(t, e.ClientOptions())
	run(t, c, "CREATE TABLE visits (n UInt64) ENGINE = MergeTree ORDER BY n")
	serveAt(t, e, "")
	for range 3 {
		visit := command(t, "visit", e.Dir())
		if err := visit.Run(); err != nil {
			t.Fatalf("%v\n%s", err, visit.stderr.String())
		}
	}
	if n := scalar[uint64](t, c, "SELECT sum(n) FROM visits"); n != 18 {
		t.Errorf("sum %d, want 18", n)
	}
}

// When the owner is killed, its clients get an error, never a short result, and the next process can take over.
func TestOwnerIsKilled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	for range 3 {
		owner := start(t, "serve", dir)
		socket := ""
		eventually(t, "the owner serves", func() bool {
			var locked *LockedError
			_, err := Open(t.Context(), Options{Dir: dir})
			if !errors.As(err, &locked) || locked.PID != owner.Process.Pid {
				t.Fatalf("error %v, want the owner %d", err, owner.Process.Pid)
			}
			socket = locked.Socket
			return socket != ""
		})
		c := connect(t, SocketOptions(socket))
		rows, err := c.Query(t.Context(), "SELECT number, toString(number) FROM numbers(100000000)")
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for rows.Next() {
			if n++; n == 300_000 {
				if err := owner.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if n == 100_000_000 || rows.Err() == nil {
			t.Errorf("%d rows, error %v", n, rows.Err())
		}
		if err := c.Exec(t.Context(), "SELECT 1"); err == nil {
			t.Error("a statement succeeded without an owner")
		}
		_ = owner.Wait()
	}
	e := openEngine(t, Options{Dir: dir})
	serveAt(t, e, "") // over the socket that the dead owner left
}
