package hook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// Options are what a Changer needs beside its configuration.
type Options struct {
	// Base is the folder of lapse.yaml: relative paths start there, and the command runs in it.
	Base string
	// Secret resolves a reference to a secret.
	Secret func(context.Context, collect.Secret) (string, error)
}

// Changer carries out changes by a command. It is used from several goroutines.
type Changer struct {
	config Config
	opt    Options
	under  chan struct{}

	mu   sync.Mutex
	env  []string
	hide []string // what must be in no message
}

// New returns a changer, or all faults of its configuration. It starts nothing.
func New(c Config, o Options) (*Changer, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.defaults()
	return &Changer{config: c, opt: o, under: make(chan struct{}, c.Concurrency)}, nil
}

// Abilities are those that the configuration names.
func (c *Changer) Abilities() (map[access.Action]access.Ability, error) {
	out := map[access.Action]access.Ability{}
	for action, a := range c.config.Actions {
		out[action] = access.Ability{Right: a.Right, Undo: a.Undo, ReadBack: a.ReadBack}
	}
	return out, nil
}

// Close has nothing to close.
func (c *Changer) Close() error { return nil }

// Look reads one object now.
func (c *Changer) Look(ctx context.Context, o access.Object) (access.Live, error) {
	a, err := c.ask(ctx, question{Op: "look", Object: &o})
	if err != nil {
		return access.Live{}, err
	}
	if a.Live == nil {
		return access.Live{}, c.fault("look", "the answer has no live")
	}
	live, err := a.Live.access(o)
	if err != nil {
		return access.Live{}, c.fault("look", err.Error())
	}
	live.At = time.Now().UTC()
	return live, nil
}

// May asks the command, if it knows.
func (c *Changer) May(ctx context.Context, ch access.Change) error {
	if err := c.can(ch); err != nil {
		return err
	}
	_, err := c.ask(ctx, question{Op: "may", Change: changeOf(ch)})
	if errors.Is(err, errUnsupported) {
		return nil
	}
	return err
}

// Apply makes a change, or undoes it.
func (c *Changer) Apply(ctx context.Context, ch access.Change) error {
	if err := c.can(ch); err != nil {
		return err
	}
	_, err := c.ask(ctx, question{Op: "apply", Change: changeOf(ch)})
	return err
}

// Native asks the command, or else says how to give it the change by hand.
func (c *Changer) Native(ch access.Change) []string {
	if c.can(ch) != nil {
		return nil
	}
	if a, err := c.ask(context.Background(), question{Op: "native", Change: changeOf(ch)}); err == nil && len(a.Commands) > 0 {
		return a.Commands
	}
	text, err := json.Marshal(question{Version: version, Op: "apply", Change: changeOf(ch)})
	if err != nil {
		return nil
	}
	line := "printf %s " + shell(string(text)) + " | " + shell(c.path())
	for _, word := range c.config.Exec[1:] {
		line += " " + shell(word)
	}
	return []string{line}
}

// shell quotes a word for a POSIX shell.
func shell(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func (c *Changer) can(ch access.Change) error {
	a, ok := c.config.Actions[ch.Action]
	switch {
	case !ok:
		return fmt.Errorf("%w: write.actions has no %s", access.ErrCannot, ch.Action)
	case ch.Undo && (!a.Undo || ch.Before == nil):
		return fmt.Errorf("%w: %s can't be undone", access.ErrCannot, ch.Action)
	}
	return nil
}

func (c *Changer) path() string {
	if filepath.IsAbs(c.config.Exec[0]) {
		return c.config.Exec[0]
	}
	return filepath.Join(c.opt.Base, c.config.Exec[0])
}

// environment is resolved once.
func (c *Changer) environment(ctx context.Context) ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.env != nil {
		return c.env, nil
	}
	env := []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"}
	var hide []string
	for name, ref := range c.config.Env {
		if c.opt.Secret == nil {
			return nil, errors.New("write.env: nothing here resolves secrets")
		}
		value, err := c.opt.Secret(ctx, ref)
		switch {
		case err != nil:
			return nil, fmt.Errorf("write.env.%s: %w", name, err)
		case strings.ContainsRune(value, 0):
			return nil, fmt.Errorf("write.env.%s: holds a NUL character", name)
		}
		env = append(env, name+"="+value)
		if len(value) >= 4 {
			hide = append(hide, value)
		}
	}
	slices.Sort(env)
	c.env, c.hide = env, hide
	return env, nil
}

// How much of the command's output is read.
const (
	maxAnswer  = 1 << 20
	maxMessage = 2 << 10
)

// kinds are the errors that a command can name, and the statuses that mean the same. These are none with which a tool ends
// that a script calls: else its failure would pass for an answer.
var kinds = map[string]struct {
	status int
	err    error
}{
	"gone": {200, access.ErrGone}, "refused": {201, access.ErrRefused}, "cannot": {202, access.ErrCannot}, "unsure": {203, access.ErrUnsure},
	"failed": {204, errFailed}, "unsupported": {205, errUnsupported},
}

var (
	errFailed      = errors.New("it failed, and nothing was changed")
	errUnsupported = fmt.Errorf("the command doesn't know how: %w", access.ErrCannot)
)

// ask starts the command and returns its answer.
func (c *Changer) ask(ctx context.Context, q question) (answer, error) {
	q.Version = version
	text, err := json.Marshal(q)
	if err != nil {
		return answer{}, err
	}
	env, err := c.environment(ctx)
	if err != nil {
		return answer{}, err
	}
	select {
	case c.under <- struct{}{}:
		defer func() { <-c.under }()
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.path(), c.config.Exec[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdin = c.opt.Base, env, bytes.NewReader(append(text, '\n'))
	stdout, stderr := &bounded{most: maxAnswer}, &bounded{most: maxMessage}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.WaitDelay = time.Second // children that hold its output are not waited for
	apart(cmd)
	if err := cmd.Start(); err != nil {
		return answer{}, fmt.Errorf("%s: %w", c.config.Exec[0], err)
	}
	err = cmd.Wait()
	said := c.hidden(strings.Join(strings.Fields(strings.ToValidUTF8(stderr.String(), "?")), " "))
	// Whatever isn't an answer leaves open what was done.
	lost := func(what string) error {
		if said != "" {
			what += ": " + said
		}
		if q.Op == "apply" {
			return fmt.Errorf("%w: %w", access.ErrUnsure, c.fault(q.Op, what))
		}
		return c.fault(q.Op, what)
	}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return answer{}, lost(fmt.Sprintf("no answer within %s", c.config.Timeout))
	case err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay):
		return answer{}, lost(err.Error())
	case stdout.cut:
		return answer{}, lost(fmt.Sprintf("the answer has more than %d bytes", maxAnswer))
	}
	a, fault := parse(stdout.Bytes())
	switch {
	case fault == nil && a.Error != "":
		k, ok := kinds[a.Error]
		if !ok {
			return answer{}, lost(fmt.Sprintf("error %q is none of gone, refused, cannot, unsure, failed, unsupported", c.hidden(a.Error)))
		}
		return answer{}, fmt.Errorf("%w: %s", k.err, c.hidden(first(a.Message, said, "the command doesn't say why")))
	case exit != nil:
		for _, k := range kinds {
			if k.status == exit.ExitCode() {
				return answer{}, fmt.Errorf("%w: %s", k.err, first(said, "the command doesn't say why"))
			}
		}
		return answer{}, lost(exit.String())
	case fault != nil:
		return answer{}, lost(c.hidden(fault.Error()))
	}
	return a, nil
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

func (c *Changer) fault(op, what string) error {
	return fmt.Errorf("%s %s: %s", c.config.Exec[0], op, what)
}

func (c *Changer) hidden(text string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.hide {
		text = strings.ReplaceAll(text, s, "<secret>")
	}
	return text
}

// bounded keeps the beginning of what is written, and takes all of it: a command that writes on is not stopped by that.
type bounded struct {
	bytes.Buffer
	most int
	cut  bool
}

func (b *bounded) Write(p []byte) (int, error) {
	n := len(p)
	if left := b.most - b.Len(); len(p) > left {
		p, b.cut = p[:left], true
	}
	b.Buffer.Write(p)
	return n, nil
}

// ReadFrom hides that of the buffer, which would keep everything.
func (b *bounded) ReadFrom(r io.Reader) (int64, error) { return io.Copy(struct{ io.Writer }{b}, r) }
