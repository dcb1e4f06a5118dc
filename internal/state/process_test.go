package state

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

func testConcurrentDecisions(t *testing.T, o Options) {
	const replicas, writers, each = 3, 4, 8
	var wg sync.WaitGroup
	for r := range replicas {
		s, _ := open(t, o)
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					n := r*1000 + w*100 + i
					if _, err := s.AddException(context.Background(), alice, accepted(accountScope("DOR-01", n), 30)); err != nil {
						t.Errorf("writer %d.%d: %v", r, w, err)
					}
					// All contend for this one; a single writer may win.
					_, err := s.AddException(context.Background(), bob, accepted(accountScope("DOR-02", i), 30))
					if err != nil && !errors.Is(err, ErrExists) {
						t.Errorf("contended: %v", err)
					}
				}
			})
		}
	}
	wg.Wait()
	s, _ := open(t, o)
	if n := whole(t, s); n != replicas*writers*each+each {
		t.Errorf("%d entries, want %d", n, replicas*writers*each+each)
	}
	contended, err := s.Exceptions(t.Context(), night, ExceptionFilter{Policy: "DOR-02"})
	if err != nil || len(contended) != each {
		t.Errorf("%d of the contended exceptions, %v; want %d", len(contended), err, each)
	}
}

// TestMain lets a test run this binary as a process that decides.
func TestMain(m *testing.M) {
	if os.Getenv("STATE_TEST_CHILD") != "" {
		if err := decider(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

type task struct {
	Options struct{ Path, URL string }
	Name    string
	Count   int // 0: until killed
}

// decider makes decisions and prints the id of each once it is recorded.
func decider() error {
	var t task
	if err := json.NewDecoder(os.Stdin).Decode(&t); err != nil {
		return err
	}
	s, err := Open(context.Background(), Options{Path: t.Options.Path, URL: t.Options.URL, Clock: func() time.Time { return night }})
	if err != nil {
		return err
	}
	defer s.Close()
	for i := 0; t.Count == 0 || i < t.Count; i++ {
		scope := Scope{Policy: "DOR-01", SubjectKind: "account", Source: t.Name, SubjectID: fmt.Sprint(i)}
		e, err := s.AddException(context.Background(), alice, accepted(scope, 30))
		if err != nil {
			return err
		}
		fmt.Println(e.ID)
	}
	return nil
}

func startDecider(t *testing.T, o Options, name string, count int) (*exec.Cmd, *bufio.Scanner, *bytes.Buffer) {
	t.Helper()
	job := task{Name: name, Count: count}
	job.Options.Path, job.Options.URL = o.Path, o.URL
	in, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "STATE_TEST_CHILD=1")
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	return cmd, bufio.NewScanner(out), &stderr
}

func testConcurrentProcesses(t *testing.T, o Options) {
	const processes, each = 4, 25 // on an empty database: they race to migrate it as well
	var wg sync.WaitGroup
	for p := range processes {
		cmd, lines, stderr := startDecider(t, o, fmt.Sprint("p", p), each)
		wg.Go(func() {
			n := 0
			for lines.Scan() {
				n++
			}
			if err := cmd.Wait(); err != nil || n != each {
				t.Errorf("process %d: %d decisions, %v: %s", p, n, err, stderr)
			}
		})
	}
	wg.Wait()
	s, _ := open(t, o)
	if n := whole(t, s); n != processes*each {
		t.Errorf("%d entries, want %d", n, processes*each)
	}
}

// A process that is killed at any moment leaves no half decision, and what it
// said it recorded is recorded.
func testKilled(t *testing.T, o Options) {
	s, _ := open(t, o)
	said := map[string]bool{}
	const rounds = 20
	for round := range rounds {
		cmd, lines, stderr := startDecider(t, o, fmt.Sprint("round", round), 0)
		if !lines.Scan() {
			cmd.Wait()
			t.Fatalf("round %d: no decision: %s", round, stderr)
		}
		said[lines.Text()] = true
		// The moments sweep over some decisions, at random within each step.
		time.AfterFunc(time.Duration(round)*time.Millisecond+time.Duration(rand.IntN(1000))*time.Microsecond, func() { cmd.Process.Kill() })
		for lines.Scan() {
			said[lines.Text()] = true
		}
		cmd.Wait()
		if stderr.Len() > 0 {
			t.Fatalf("round %d: %s", round, stderr)
		}
	}
	// A server may still be committing what the last process asked for.
	entries := whole(t, s)
	for before := int64(-1); entries != before; entries = whole(t, s) {
		before = entries
		time.Sleep(300 * time.Millisecond)
	}
	told := map[string]int{}
	for e, err := range s.Ledger(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		var x Exception
		if err := json.Unmarshal(e.Payload, &x); err != nil {
			t.Fatal(err)
		}
		told[x.ID]++
	}
	list, err := s.Exceptions(t.Context(), night, ExceptionFilter{})
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(list)) != entries || len(told) != len(list) {
		t.Errorf("%d exceptions, %d entries about %d of them", len(list), entries, len(told))
	}
	for _, e := range list {
		if told[e.ID] != 1 {
			t.Errorf("exception %s has %d entries", e.ID, told[e.ID])
		}
	}
	for id := range maps.Keys(said) {
		if told[id] != 1 {
			t.Errorf("exception %s was said to be recorded, but isn't", id)
		}
	}
	t.Logf("%d rounds, %d decisions said, %d recorded", rounds, len(said), len(list))
}

func testConcurrentOpen(t *testing.T, o Options) {
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			s, err := Open(context.Background(), o)
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if v, err := s.Schema(context.Background()); err != nil || v != newestSchema(t) {
				t.Errorf("schema %d, %v", v, err)
			}
		})
	}
	wg.Wait()
}
