package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/state"
)

// TestMain lets a test run this binary as a replica of the service, or as the program that a step runs.
func TestMain(m *testing.M) {
	if text := os.Getenv("SERVE_TEST_REPLICA"); text != "" {
		if err := replicate(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "hang": // until it is interrupted, or its parent ends
			interrupted := make(chan os.Signal, 1)
			signal.Notify(interrupted, os.Interrupt)
			fmt.Println("it hangs")
			<-interrupted
			fmt.Fprintln(os.Stderr, "lapse: interrupted")
			os.Exit(1)
		case "say":
			in, _ := io.ReadAll(os.Stdin)
			fmt.Printf("%s\n", in)
			fmt.Fprint(os.Stderr, "a line without an end")
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// replica is what a process of its own serves: one job, whose step writes a line for each time it is run.
type replica struct {
	Name       string
	Path, URL  string // of the state
	Clock      string // a file that holds the time
	Runs       string // a file to which a line is added for each run
	Hold       string // file; while it is there, steps don't end
	TTL, Grace time.Duration
}

func replicate(text string) error {
	var r replica
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := state.Open(ctx, state.Options{Path: r.Path, URL: r.URL})
	if err != nil {
		return err
	}
	defer s.Close()
	schedule, err := ParseSchedule("0 2 * * *", time.UTC)
	if err != nil {
		return err
	}
	step := Step{Name: "scan", Run: func(ctx context.Context, a Attempt) (Result, error) {
		if err := addLine(r.Runs, fmt.Sprintf("%s %s %d", a.Slot.Format(time.DateOnly), r.Name, a.Number)); err != nil {
			return Result{}, err
		}
		for {
			if _, err := os.Stat(r.Hold); errors.Is(err, fs.ErrNotExist) {
				return Result{}, nil
			}
			if ctx.Err() != nil {
				return Result{}, ctx.Err()
			}
			time.Sleep(5 * time.Millisecond)
		}
	}}
	return Run(ctx, Options{State: s, Clock: fileClock(r.Clock), Log: slog.New(slog.NewJSONHandler(os.Stderr, nil)), Holder: r.Name, TTL: r.TTL,
		Load: func(context.Context) (*Setup, error) {
			return &Setup{Address: "127.0.0.1:0", Grace: r.Grace, Facts: func(context.Context) (Facts, error) { return Facts{}, nil },
				Jobs: []Job{{Name: "nightly", Schedule: schedule, Steps: []Step{step}, Attempts: 3, Backoff: time.Minute}}}, nil
		},
		Ready: func(net.Addr) { fmt.Println("ready") }})
}

func addLine(path, line string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line + "\n")
	f.Close()
	return err
}

// fileClock is a clock that several processes go by: the time stands in a file.
type fileClock string

func (c fileClock) Now() time.Time {
	text, err := os.ReadFile(string(c))
	if err != nil {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, string(text))
	if err != nil {
		return time.Time{}
	}
	return t
}

func (c fileClock) Wait(ctx context.Context, until time.Time) {
	for ctx.Err() == nil && c.Now().Before(until) {
		sleep(ctx, 5*time.Millisecond)
	}
}

func (c fileClock) set(t *testing.T, now time.Time) {
	t.Helper()
	next := string(c) + ".next"
	if err := os.WriteFile(next, []byte(now.Format(time.RFC3339)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, string(c)); err != nil {
		t.Fatal(err)
	}
}

// manualClock stands still until a test moves it.
type manualClock struct {
	mu    sync.Mutex
	t     time.Time
	moved chan struct{}
}

func newManualClock(t time.Time) *manualClock { return &manualClock{t: t, moved: make(chan struct{})} }

func (c *manualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *manualClock) Wait(ctx context.Context, until time.Time) {
	for {
		c.mu.Lock()
		now, moved := c.t, c.moved
		c.mu.Unlock()
		if !now.Before(until) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-moved:
		}
	}
}

func (c *manualClock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = t
	close(c.moved)
	c.moved = make(chan struct{})
}

// evening is when the tests begin.
var evening = time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)

// night is two o'clock in the nth night.
func night(n int) time.Time { return time.Date(2026, 11, 22+n, 2, 0, 0, 0, time.UTC) }

// openState opens a state in a file of its own.
func openState(t *testing.T, o state.Options) *state.State {
	t.Helper()
	if o.URL == "" && o.Path == "" {
		o.Path = filepath.Join(t.TempDir(), "state.db")
	}
	s, err := state.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// patience is how long anything may take that is waited for.
const patience = 2 * time.Minute

// await waits until what it is given is true.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// slotIs waits until the newest slot of the nightly job stands as given.
func slotIs(t *testing.T, s *state.State, at time.Time, status state.SlotStatus) state.Slot {
	t.Helper()
	var slot state.Slot
	await(t, fmt.Sprintf("the slot of %s to be %s", at, status), func() bool {
		var err error
		slot, err = s.Slot(t.Context(), "nightly")
		return err == nil && slot.At.Equal(at) && slot.Status == status
	})
	return slot
}

func mustSchedule(t *testing.T, text string, zone *time.Location) Schedule {
	t.Helper()
	s, err := ParseSchedule(text, zone)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
