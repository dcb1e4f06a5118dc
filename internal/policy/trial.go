package policy

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
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
	Time    time.Duration // that a policy may take over a thousand subjects; 0: one minute

	batch int // subjects that go to the process at a time; 0: a thousand
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
	trialBatch  = 1000
	trialBytes  = 16 << 20 // of subjects at a time: a thousand of the largest would be the process's end, and the policy's fault
)

// trial is what ServeTrial is told first: the policies.
type trial struct {
	Files     []trialFile         `json:"files"`
	Overrides map[string]Override `json:"overrides"`
	Time      time.Time           `json:"time"`
	RunID     int64               `json:"run"`
	Budget    time.Duration       `json:"budget"`
	Memory    int64               `json:"memory"`
}

// trialStep is what it is asked then, as often as there is more to judge: some of the policies over some subjects.
type trialStep struct {
	Policies []string           `json:"policies"`
	Kind     access.SubjectKind `json:"kind"`
	Rows     []json.RawMessage  `json:"rows"`
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

// Trial evaluates policies over all subjects of their kind in a process of their own, and says which failed and why, by id:
// with what an Engine would say, or that the process had to be ended. What a failed one would have said of the subjects that
// are left is not asked. subjects gives a kind's; it may use a row again for the next. An error is one of subjects, of the
// process itself, or of ctx.
func (s *Sandbox) Trial(ctx context.Context, pack *Pack, ids []string, subjects func(access.SubjectKind) iter.Seq2[access.Row, error], options EngineOptions) (map[string]error, error) {
	t := trial{Overrides: pack.options.Overrides, Time: options.Time, RunID: options.RunID, Budget: options.Budget, Memory: options.Memory}
	for _, f := range pack.sources {
		if !f.test() {
			t.Files = append(t.Files, trialFile{f.name, f.text, f.builtIn})
		}
	}
	tr := trying{sandbox: s, trial: t, pack: pack, failed: map[string]error{}}
	defer func() { _ = tr.end() }() // where it is not ended well below
	for _, kind := range access.SubjectKinds() {
		step := trialStep{Kind: kind}
		for _, id := range ids {
			if p, _ := pack.Policy(id); p.Subject == kind {
				step.Policies = append(step.Policies, id)
			}
		}
		if len(step.Policies) == 0 {
			continue
		}
		judged, size := false, 0
		for row, err := range subjects(kind) {
			if err != nil {
				return nil, err
			}
			data, err := access.MarshalRow(row)
			if err != nil {
				return nil, fmt.Errorf("try policies: %w", err)
			}
			step.Rows = append(step.Rows, data)
			if size += len(data); len(step.Rows) < cmp.Or(s.batch, trialBatch) && size < trialBytes {
				continue
			}
			size = 0
			if err := tr.judge(ctx, &step); err != nil {
				return nil, err
			}
			if judged = true; len(step.Policies) == 0 {
				break
			}
		}
		if len(step.Rows) > 0 || !judged { // without a subject it must still begin
			if err := tr.judge(ctx, &step); err != nil {
				return nil, err
			}
		}
	}
	return tr.failed, tr.end()
}

// trying is a trial in which no, one, or one process after the other has been started.
type trying struct {
	sandbox *Sandbox
	trial   trial
	pack    *Pack
	failed  map[string]error
	process *trialProcess
}

// judge has all policies of a step evaluated, in as many processes as they end. It takes those that fail out of the step,
// and its rows.
func (t *trying) judge(ctx context.Context, step *trialStep) error {
	for left := slices.Clone(step.Policies); len(left) > 0; {
		if t.process == nil {
			p, err := t.sandbox.start(ctx, t.trial)
			if err != nil {
				return &SandboxError{err}
			}
			t.process = p
		}
		ended, died, err := t.process.judge(ctx, trialStep{left, step.Kind, step.Rows})
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return &SandboxError{err}
		}
		for _, e := range ended {
			if e.Error != "" {
				t.failed[e.End] = errors.New(e.Error)
			}
		}
		left = left[len(ended):] // the process judges them in order
		if died.policy != "" {
			p, _ := t.pack.Policy(died.policy)
			t.failed[died.policy] = fmt.Errorf("%s (%s:%d): its process was ended: %s", p.ID, p.File, p.Line, died.why)
			t.process, left = nil, left[1:]
		}
	}
	step.Policies = slices.DeleteFunc(step.Policies, func(id string) bool { return t.failed[id] != nil })
	step.Rows = step.Rows[:0]
	return nil
}

// end ends the process that is left.
func (t *trying) end() error {
	if t.process == nil {
		return nil
	}
	err := t.process.end()
	t.process = nil
	if err != nil {
		return &SandboxError{err}
	}
	return nil
}

// trialProcess is a process that runs ServeTrial.
type trialProcess struct {
	cmd       *exec.Cmd
	cancel    context.CancelFunc
	in        io.WriteCloser
	steps     *json.Encoder
	out       *bufio.Reader
	complaint tail
	guard     *Guard
	limit     time.Duration
	begun     bool
}

func (s *Sandbox) start(ctx context.Context, t trial) (*trialProcess, error) {
	ctx, cancel := context.WithCancel(ctx)
	p := &trialProcess{cmd: s.Command(ctx), cancel: cancel, limit: cmp.Or(s.Time, trialTime)}
	p.cmd.Stderr = &p.complaint
	in, err := p.cmd.StdinPipe()
	if err != nil {
		cancel()
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		cancel()
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	p.in, p.steps, p.out = in, json.NewEncoder(in), bufio.NewReader(out)
	p.guard = NewGuard(p.cmd, cmp.Or(s.Memory, trialMemory), startTime)
	_ = p.steps.Encode(t) // a process that reads no more has ended, which judge finds out
	return p, nil
}

// death says on which policy a process ended before its time, and why.
type death struct{ policy, why string }

// judge asks for one step and gives what ended before the process did, if it did.
func (p *trialProcess) judge(ctx context.Context, step trialStep) (ended []trialEvent, died death, err error) {
	if p.begun {
		p.guard.Within(p.limit)
	}
	_ = p.steps.Encode(step)
	began := ""
	for len(ended) < len(step.Policies) {
		line, err := p.out.ReadBytes('\n')
		var e trialEvent
		if json.Unmarshal(line, &e) == nil {
			p.begun = true
			p.guard.Within(p.limit)
			if e.Begin != "" {
				began = e.Begin
			}
			if e.End != "" {
				began = ""
				ended = append(ended, e)
			}
		}
		if err == nil {
			continue
		}
		why, waitErr := p.wait()
		switch {
		case ctx.Err() != nil:
			return nil, death{}, ctx.Err()
		case began == "":
			return nil, death{}, fmt.Errorf("the process did not begin: %w", errors.Join(waitErr, errors.New(strings.TrimSpace(why+" "+p.complaint.first()))))
		case why == "":
			why = fmt.Sprintf("%v %s", waitErr, p.complaint.first())
		}
		return ended, death{began, strings.TrimSpace(why)}, nil
	}
	p.guard.Within(0) // until it is asked again
	return ended, death{}, nil
}

// wait waits for the process to end, and says why it was ended if it was.
func (p *trialProcess) wait() (why string, err error) {
	err = p.cmd.Wait()
	p.cancel()
	return p.guard.Stop(), err
}

// end tells the process that there is nothing more to judge.
func (p *trialProcess) end() error {
	p.guard.Within(p.limit)
	_ = p.in.Close() // it has ended, if this fails
	why, err := p.wait()
	if err == nil {
		return nil
	}
	return fmt.Errorf("the process did not end well: %w", errors.Join(err, errors.New(strings.TrimSpace(why+" "+p.complaint.first()))))
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

// ServeTrial evaluates the policies that it is asked for, one after the other over some subjects, as often as it is asked,
// and says of each that it begins and how it ended.
func ServeTrial(ctx context.Context, in io.Reader, out io.Writer) error {
	from, to := json.NewDecoder(in), json.NewEncoder(out)
	var t trial
	if err := from.Decode(&t); err != nil {
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
	engines := map[string]*Engine{}
	defer func() {
		for _, e := range engines {
			e.Close(context.WithoutCancel(ctx))
		}
	}()
	for {
		var step trialStep
		if err := from.Decode(&step); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read what to try: %w", err)
		}
		rows := make([]access.Row, len(step.Rows))
		for i, data := range step.Rows {
			if rows[i], err = access.UnmarshalRow(step.Kind, data); err != nil {
				return err
			}
		}
		for _, id := range step.Policies {
			if err := to.Encode(trialEvent{Begin: id}); err != nil {
				return err
			}
			if engines[id] == nil {
				engines[id], err = NewEngine(ctx, pack, EngineOptions{Time: t.Time, RunID: t.RunID, Budget: t.Budget, Memory: t.Memory, Only: []string{id}})
				if err != nil {
					return err
				}
			}
			end := trialEvent{End: id}
			failure, err := tryOne(ctx, engines[id], id, step.Kind, rows)
			if err != nil {
				return err
			}
			if failure != nil {
				end.Error = failure.Error()
			}
			if err := to.Encode(end); err != nil {
				return err
			}
		}
	}
}

func tryOne(ctx context.Context, e *Engine, id string, kind access.SubjectKind, rows []access.Row) (failure, err error) {
	ev := e.NewEvaluator()
	for _, row := range rows {
		if err := ev.Eval(ctx, kind, row, func(Result) error { return nil }); err != nil {
			return nil, err
		}
		if f := e.Failures()[id]; f != nil {
			return f, nil
		}
	}
	return nil, nil
}
