package policy

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// Sandbox tries policies in a process of their own, which can be ended whatever a policy does to it.
type Sandbox struct {
	// Command makes the command that runs ServeTrial on its standard input and output.
	Command func(context.Context) *exec.Cmd
	Memory  int64         // bytes that the process may take; 0: 1 GiB
	Time    time.Duration // that all of a policy's subjects may take; 0: one minute
}

// SandboxError says that there is no process to try policies in.
type SandboxError struct{ Err error }

func (e *SandboxError) Error() string {
	return "try policies in a process of their own: " + e.Err.Error()
}

// Unwrap is the cause.
func (e *SandboxError) Unwrap() error { return e.Err }

const (
	trialMemory = 1 << 30
	trialTime   = time.Minute
	startTime   = time.Minute // until the process begins
	rssTick     = 10 * time.Millisecond
)

// trial is what ServeTrial is asked.
type trial struct {
	Files     []trialFile                              `json:"files"`
	Overrides map[string]Override                      `json:"overrides"`
	Policies  []string                                 `json:"policies"`
	Time      time.Time                                `json:"time"`
	RunID     int64                                    `json:"run"`
	Budget    time.Duration                            `json:"budget"`
	Memory    int64                                    `json:"memory"`
	Rows      map[access.SubjectKind][]json.RawMessage `json:"rows"`
}

type trialFile struct {
	Name    string `json:"name"`
	Text    string `json:"text"`
	BuiltIn bool   `json:"built_in"`
}

// trialEvent is what ServeTrial answers, a line each: that it begins with a policy, and how that ended.
type trialEvent struct {
	Begin string `json:"begin,omitempty"`
	End   string `json:"end,omitempty"`
	Error string `json:"error,omitempty"`
}

// Trial evaluates policies over rows in a process of their own, and says which failed and why, by id: with what an Engine
// would say, or that the process had to be ended. An error is one of the process itself, or of ctx.
func (s *Sandbox) Trial(ctx context.Context, pack *Pack, ids []string, rows map[access.SubjectKind][]access.Row, options EngineOptions) (map[string]error, error) {
	t := trial{Overrides: pack.options.Overrides, Time: options.Time, RunID: options.RunID, Budget: options.Budget, Memory: options.Memory, Rows: map[access.SubjectKind][]json.RawMessage{}}
	for _, f := range pack.sources {
		if !f.test() {
			t.Files = append(t.Files, trialFile{f.name, f.text, f.builtIn})
		}
	}
	for kind, list := range rows {
		for _, row := range list {
			data, err := access.MarshalRow(row)
			if err != nil {
				return nil, fmt.Errorf("try policies: %w", err)
			}
			t.Rows[kind] = append(t.Rows[kind], data)
		}
	}
	failed := map[string]error{}
	for left := slices.Clone(ids); len(left) > 0; {
		t.Policies = left
		ended, died, err := s.run(ctx, t)
		if err != nil {
			return nil, &SandboxError{err}
		}
		for _, e := range ended {
			if e.Error != "" {
				failed[e.End] = errors.New(e.Error)
			}
		}
		if died.policy == "" {
			break
		}
		p, _ := pack.Policy(died.policy)
		failed[died.policy] = fmt.Errorf("%s (%s:%d): its process was ended: %s", p.ID, p.File, p.Line, died.why)
		left = left[slices.Index(left, died.policy)+1:] // the process judges them in order
	}
	return failed, nil
}

// death says on which policy a process ended before its time, and why.
type death struct{ policy, why string }

// run tries policies in one process, up to its end.
func (s *Sandbox) run(ctx context.Context, t trial) (ended []trialEvent, died death, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	input, err := json.Marshal(t)
	if err != nil {
		return nil, death{}, err
	}
	cmd := s.Command(ctx)
	var complaint tail
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &complaint
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, death{}, err
	}
	if err := cmd.Start(); err != nil {
		return nil, death{}, err
	}
	guard := NewGuard(cmd, cmp.Or(s.Memory, trialMemory), startTime)
	defer guard.Stop()
	lines := bufio.NewReader(out)
	began := ""
	for {
		line, readErr := lines.ReadBytes('\n')
		var e trialEvent
		if json.Unmarshal(line, &e) == nil {
			guard.Within(cmp.Or(s.Time, trialTime))
			if e.Begin != "" {
				began = e.Begin
			}
			if e.End != "" {
				began = ""
				ended = append(ended, e)
			}
		}
		if readErr != nil {
			break
		}
	}
	waitErr := cmd.Wait()
	why := guard.Stop()
	switch {
	case ctx.Err() != nil:
		return nil, death{}, ctx.Err()
	case began != "":
		if why == "" {
			why = fmt.Sprintf("%v %s", waitErr, complaint.first())
		}
		return ended, death{began, strings.TrimSpace(why)}, nil
	case waitErr != nil || why != "":
		return nil, death{}, fmt.Errorf("the process did not begin: %w", errors.Join(waitErr, errors.New(strings.TrimSpace(why+" "+complaint.first()))))
	}
	return ended, death{}, nil
}

// tail keeps the beginning of what a process complains of.
type tail struct{ text []byte }

func (t *tail) Write(p []byte) (int, error) {
	if room := 4096 - len(t.text); room > 0 {
		t.text = append(t.text, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

func (t *tail) first() string {
	line, _, _ := strings.Cut(string(t.text), "\n")
	return line
}

// Guard ends a process that takes too much memory, or too long.
type Guard struct {
	cmd    *exec.Cmd
	memory int64
	until  atomic.Int64 // when the time is up; 0: never
	limit  atomic.Int64
	why    atomic.Pointer[string]
	end    chan struct{}
	done   chan struct{}
	ended  atomic.Bool
}

// NewGuard watches a process that was started. memory is in bytes, as the system counts what it has in main memory; where
// the system does not say, only the time is watched. A time of 0 is any.
func NewGuard(cmd *exec.Cmd, memory int64, limit time.Duration) *Guard {
	g := &Guard{cmd: cmd, memory: memory, end: make(chan struct{}), done: make(chan struct{})}
	g.Within(limit)
	go g.watch()
	return g
}

// Within gives the process so much time from now on; 0 is any.
func (g *Guard) Within(limit time.Duration) {
	g.limit.Store(int64(limit))
	until := int64(0)
	if limit > 0 {
		until = time.Now().Add(limit).UnixNano()
	}
	g.until.Store(until)
}

func (g *Guard) watch() {
	defer close(g.done)
	tick := time.NewTicker(rssTick)
	defer tick.Stop()
	for {
		select {
		case <-g.end:
			return
		case <-tick.C:
		}
		why := ""
		if rss := residentBytes(g.cmd.Process.Pid); rss > g.memory {
			why = fmt.Sprintf("it took more than %d MiB of memory", g.memory>>20)
		} else if until := g.until.Load(); until > 0 && time.Now().UnixNano() > until {
			why = fmt.Sprintf("it took longer than %v", time.Duration(g.limit.Load()))
		}
		if why != "" {
			g.why.Store(&why)
			_ = g.cmd.Process.Kill() // it may have ended by itself
			return
		}
	}
}

// Stop ends the watch. It says why the process was ended, "" if it was not.
func (g *Guard) Stop() string {
	if !g.ended.Swap(true) {
		close(g.end)
	}
	<-g.done
	if why := g.why.Load(); why != nil {
		return *why
	}
	return ""
}

// ServeTrial evaluates the policies that it is asked for, one after the other, and says of each that it begins and how it
// ended.
func ServeTrial(ctx context.Context, in io.Reader, out io.Writer) error {
	var t trial
	if err := json.NewDecoder(in).Decode(&t); err != nil {
		return fmt.Errorf("read what to try: %w", err)
	}
	files := make([]file, len(t.Files))
	for i, f := range t.Files {
		files[i] = file{f.Name, f.Text, f.BuiltIn}
	}
	pack, err := loadFiles(Options{Overrides: t.Overrides}, files)
	if err != nil {
		return err
	}
	rows := map[access.SubjectKind][]access.Row{}
	for kind, list := range t.Rows {
		for _, data := range list {
			row, err := access.UnmarshalRow(kind, data)
			if err != nil {
				return err
			}
			rows[kind] = append(rows[kind], row)
		}
	}
	t.Rows = nil
	enc := json.NewEncoder(out)
	for _, id := range t.Policies {
		if err := enc.Encode(trialEvent{Begin: id}); err != nil {
			return err
		}
		end := trialEvent{End: id}
		failure, err := tryOne(ctx, pack, id, rows, EngineOptions{Time: t.Time, RunID: t.RunID, Budget: t.Budget, Memory: t.Memory, Only: []string{id}})
		if err != nil {
			return err
		}
		if failure != nil {
			end.Error = failure.Error()
		}
		if err := enc.Encode(end); err != nil {
			return err
		}
	}
	return nil
}

func tryOne(ctx context.Context, pack *Pack, id string, rows map[access.SubjectKind][]access.Row, options EngineOptions) (failure, err error) {
	e, err := NewEngine(ctx, pack, options)
	if err != nil {
		return nil, err
	}
	defer e.Close(context.WithoutCancel(ctx))
	ev := e.NewEvaluator()
	for _, kind := range e.Kinds() {
		for _, row := range rows[kind] {
			if err := ev.Eval(ctx, kind, row, func(Result) error { return nil }); err != nil {
				return nil, err
			}
			if f := e.Failures()[id]; f != nil {
				return f, nil
			}
		}
	}
	return nil, nil
}
