package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Child is a program that is run for a step, in a process of its own: a crash of it, or the memory that it takes, is not
// the service's.
type Child struct {
	Path  string
	Args  []string
	Stdin []byte
	// Kill is how long it has from being interrupted until it is killed.
	Kill time.Duration
}

// ExitError means that a child ended other than well.
type ExitError struct {
	Code int    // -1 if it was ended by a signal
	How  string // "exit status 1", "signal: killed"
	Said string // the last line that it wrote to stderr
}

func (e *ExitError) Error() string {
	if e.Said == "" {
		return e.How
	}
	return e.How + ": " + e.Said
}

// Run runs the child to its end, and passes what it writes on to the log, line by line. An exit code other than 0 is an
// [*ExitError]. When ctx ends it is interrupted as by Ctrl-C; when this process dies it is, too, where the system can do that.
func (c Child) Run(ctx context.Context, log *slog.Logger) error {
	// What ends the child with its parent ends it with the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Stdin = bytes.NewReader(c.Stdin)
	out, errs := &relay{log: log, stream: "stdout"}, &relay{log: log, stream: "stderr"}
	cmd.Stdout, cmd.Stderr = out, errs
	cmd.Cancel = func() error { return interrupt(cmd.Process) }
	cmd.WaitDelay = c.Kill
	cmd.SysProcAttr = apart()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", c.Path, err)
	}
	expend(cmd.Process.Pid)
	log.Info("a process begins", "pid", cmd.Process.Pid, "command", strings.Join(c.Args, " "))
	err := cmd.Wait()
	out.close()
	errs.close()
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended):
		return &ExitError{Code: ended.ExitCode(), How: ended.Error(), Said: errs.last}
	case err != nil:
		return fmt.Errorf("wait for %s: %w", strings.Join(c.Args, " "), err)
	}
	return nil
}

// interrupt is what Ctrl-C does. Where there is no such thing the process is ended.
func interrupt(p *os.Process) error {
	if err := p.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return p.Kill()
	}
	return nil
}

// longestLine is as much of a line as the log takes.
const longestLine = 16 << 10

// relay logs what is written to it by lines.
type relay struct {
	log    *slog.Logger
	stream string

	mu   sync.Mutex
	part []byte
	last string
}

// Write implements [io.Writer].
func (r *relay) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.part = append(r.part, p...)
	for {
		i := bytes.IndexByte(r.part, '\n')
		if i < 0 && len(r.part) < longestLine {
			return len(p), nil
		}
		if i < 0 {
			i = len(r.part)
		}
		r.say(r.part[:i])
		r.part = r.part[min(i+1, len(r.part)):]
	}
}

func (r *relay) say(line []byte) {
	text := strings.ToValidUTF8(strings.TrimRight(string(line), "\r"), "\uFFFD")
	if strings.TrimSpace(text) == "" {
		return
	}
	r.last = text
	r.log.Info("output", "stream", r.stream, "line", text)
}

// close logs a last line that has no end.
func (r *relay) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.say(r.part)
	r.part = nil
}
