package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// Apply makes a change, or undoes it. What is so already is found by looking, and nothing is sent then.
func (c *Changer) Apply(ctx context.Context, ch access.Change) error {
	ctx, cancel := limited(ctx)
	defer cancel()
	return c.told(c.apply(ctx, ch))
}

func (c *Changer) apply(ctx context.Context, ch access.Change) error {
	if err := c.can(ch); err != nil {
		return err
	}
	live, err := c.look(ctx, ch.Object)
	switch {
	case errors.Is(err, access.ErrGone) && ch.Action == access.ActionDelete && !ch.Undo:
		return nil
	case err != nil:
		return err
	}
	able, err := c.Abilities()
	if err != nil {
		return err
	}
	if able[ch.Action].ReadBack {
		if ch.Undo {
			made := ch
			made.Undo = false
			if _, known := made.Shows(*ch.Before); !known {
				return fmt.Errorf("%w: what it was before is unknown", access.ErrCannot)
			}
		}
		if done, known := ch.Shows(live); done && known {
			return nil
		}
	}
	way, err := c.way(ch, live)
	if err != nil {
		return err
	}
	steps := way.Do
	if ch.Undo {
		steps = way.Undo
	}
	cl, err := c.open(ctx)
	if err != nil {
		return err
	}
	d := &doing{c: c, cl: cl, r: c.reading(cl, &found{}), rights: way.Rights, vars: c.vars(ch, &live)}
	for _, s := range steps {
		if err := d.step(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// doing is one change under way.
type doing struct {
	c      *Changer
	cl     *client
	r      *reading
	rights []string
	vars   []any // grows with the answers that have a name
	sent   int   // requests that changed something
}

func (d *doing) step(ctx context.Context, s *Step) error {
	if s.When.IsSet() {
		yes, err := s.When.truth(nil, d.vars)
		if err != nil {
			return d.failed(fmt.Errorf("%s: when: %w", s.request.plan.where, err))
		}
		if !yes {
			if s.Name != "" {
				d.vars = append(slices.Clip(d.vars), nil)
			}
			return nil
		}
	}
	items := []any{nil}
	if s.Over.IsSet() {
		items = nil
		if err := s.Over.all(ctx, nil, d.vars, func(v any) error { items = append(items, v); return nil }); err != nil {
			return d.failed(fmt.Errorf("%s: over: %w", s.request.plan.where, err))
		}
	}
	for _, item := range items {
		answer, err := d.one(ctx, s, item)
		if err != nil {
			return d.failed(fmt.Errorf("%s: %w", s.request.plan.where, err))
		}
		if s.Name != "" {
			d.vars = append(slices.Clip(d.vars), answer)
		}
	}
	return nil
}

// failed is an error after which nobody can say that nothing was changed, if something was.
func (d *doing) failed(err error) error {
	if d.sent == 0 || errors.Is(err, access.ErrUnsure) {
		return err
	}
	return fmt.Errorf("%w: %d requests of the change were carried out, then: %s", access.ErrUnsure, d.sent, err.Error()) // which may be that it was refused
}

// How long and how often something is asked that takes its time.
const (
	untilTime  = time.Minute
	untilPause = 2 * time.Second
)

// one sends a request of a change, and returns its answer.
func (d *doing) one(ctx context.Context, s *Step, item any) (any, error) {
	vars := slices.Clone(d.vars)
	vars[varItem] = item
	k, err := d.r.call(s.request, nil, vars)
	if err != nil {
		return nil, err
	}
	k.pace, k.rights = d.c.pace, d.rights
	if s.Body.set {
		if k.body, err = s.Body.fill(nil, vars, nil); err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
	}
	if !s.Reads {
		a, err := d.change(ctx, s, k)
		if err != nil {
			return nil, err
		}
		d.sent++
		v, err := d.value(s, a, vars)
		var no *toldError
		if errors.As(err, &no) {
			d.sent--
			return nil, fmt.Errorf("%w: %w", access.ErrRefused, err)
		}
		return v, err
	}
	for end := d.c.k.time.now().Add(untilTime); ; {
		a, err := d.cl.send(ctx, k)
		if err != nil {
			return nil, err
		}
		v, err := d.value(s, a, vars)
		if err != nil || !s.Until.IsSet() {
			return v, err
		}
		switch done, err := s.Until.truth(v, vars); {
		case err != nil:
			return nil, fmt.Errorf("until: %w", err)
		case done:
			return v, nil
		case d.c.k.time.now().After(end):
			return nil, fmt.Errorf("%w: the app is still at it after %s", access.ErrUnsure, untilTime)
		}
		if err := d.c.k.time.sleep(ctx, untilPause); err != nil {
			return nil, err
		}
	}
}

// value is the document of an answer, nil where it has none.
func (d *doing) value(s *Step, a *answer, vars []any) (any, error) {
	if a == nil || len(bytes.TrimSpace(a.body)) == 0 {
		return nil, nil
	}
	if html(a.header, a.body) {
		return nil, fmt.Errorf("%w: the answer is an HTML page and no JSON: a sign-in page, or a proxy's?", access.ErrUnsure)
	}
	in := json.NewDecoder(bytes.NewReader(a.body))
	in.UseNumber()
	var v any
	if err := in.Decode(&v); err != nil {
		if s.Name == "" && !s.Error.IsSet() && !s.Until.IsSet() {
			return nil, nil // a text such as OK
		}
		return nil, fmt.Errorf("%w: the answer is no JSON", access.ErrUnsure)
	}
	return v, d.r.insideError(s.request, v, vars)
}

// change sends what changes something: once, and again only if the app says that it has done nothing.
func (d *doing) change(ctx context.Context, s *Step, k call) (*answer, error) {
	renewed := false
	for waits := 1; ; {
		var wrote atomic.Bool
		traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { wrote.Store(true) }})
		a, token, err := d.cl.once(traced, k)
		var status *statusError
		var limited *limitError
		switch {
		case err == nil:
			return a, nil
		case errors.As(err, &limited):
			if waits++; waits > maxWaits {
				return nil, fmt.Errorf("%w: the app still says to wait after %d times: %w", access.ErrRefused, maxWaits, limited.statusError)
			}
			wait := limited.wait
			if wait == 0 {
				wait = backoff(waits)
			}
			k.pace.hold(wait + time.Duration(rand.Int64N(int64(wait)/10+1)))
			continue
		case errors.As(err, &status) && slices.Contains(s.Already, status.status):
			return nil, nil
		case errors.As(err, &status) && status.status == http.StatusUnauthorized && token != "" && !renewed:
			renewed = true
			d.cl.signer.renew(token)
			continue
		case errors.As(err, &status) && (status.status >= 500 || status.status == http.StatusRequestTimeout):
			return nil, fmt.Errorf("%w: %w", access.ErrUnsure, err)
		case errors.As(err, &status):
			return nil, fmt.Errorf("%w: %w", access.ErrRefused, err)
		case wrote.Load():
			return nil, fmt.Errorf("%w: %w", access.ErrUnsure, err)
		}
		return nil, err
	}
}

// Native are calls of curl. $TOKEN stands for the credentials, and what is in braces for what has to be looked up first.
func (c *Changer) Native(ch access.Change) []string {
	if c.k.recipe.Changes == nil || ch.Undo && ch.Before == nil {
		return nil
	}
	live := access.Live{}
	if ch.Before != nil {
		live = *ch.Before
	}
	way, err := c.way(ch, live)
	if err != nil {
		return nil
	}
	steps := way.Do
	if ch.Undo {
		steps = way.Undo
	}
	vars := c.vars(ch, &live)
	var out []string
	for _, s := range steps {
		if s.When.IsSet() && !c.made(s, vars) {
			if s.Name != "" {
				vars = append(slices.Clip(vars), nil)
			}
			continue
		}
		items := []any{nil}
		if s.Over.IsSet() {
			items = nil
			if err := s.Over.all(context.Background(), nil, vars, func(v any) error { items = append(items, v); return nil }); err != nil || len(items) == 0 {
				items = []any{nil}
			}
		}
		for _, item := range items {
			with := slices.Clone(vars)
			with[varItem] = item
			out = append(out, c.curl(s, with))
		}
		if s.Name != "" {
			vars = append(slices.Clip(vars), nil)
		}
	}
	return out
}

// made reports whether a step is made, as far as that is known.
func (c *Changer) made(s *Step, vars []any) bool {
	yes, err := s.When.truth(nil, vars)
	return err != nil || yes
}

func (c *Changer) curl(s *Step, vars []any) string {
	base := c.k.base.String()
	if s.URL.IsSet() {
		base = s.URL.shown(vars, hostPart)
	}
	var query []string
	for _, name := range sortedKeys(s.Query) {
		t := s.Query[name]
		query = append(query, name+"="+t.shown(vars, escaped))
	}
	at := base + s.Path.shown(vars, segment)
	if len(query) > 0 {
		at += "?" + strings.Join(query, "&")
	}
	line := "curl -X " + s.Method + " " + c.credentials(base)
	headers := map[string]string{}
	for _, list := range []map[string]Template{c.k.recipe.Headers, s.Headers} {
		for name, t := range list {
			headers[http.CanonicalHeaderKey(name)] = t.shown(vars, plain)
		}
	}
	if _, ok := headers["Content-Type"]; s.Body.set && !ok {
		headers["Content-Type"] = "application/json"
	}
	for _, name := range sortedKeys(headers) {
		line += " -H " + shell(name+": "+headers[name])
	}
	if s.Body.set {
		line += " --data-raw " + shell(s.Body.shown(vars))
	}
	return line + " " + shell(at)
}

// credentials are options of curl that name a variable of the shell for the secret.
func (c *Changer) credentials(base string) string {
	a := c.k.auth
	switch a.Type {
	case "ssws":
		return `-H "Authorization: SSWS $TOKEN"`
	case "basic":
		if a.Password != "" {
			return `-u "$TOKEN:` + a.Password + `"`
		}
		return "-u " + shell(c.k.config.Auth.Username) // curl asks for the password
	case "api_key":
		if a.Header != "" {
			return `-H "` + a.Header + ": " + a.Prefix + `$TOKEN"`
		}
		return `-G -d "` + a.Query + `=$TOKEN"`
	case "aws":
		host := strings.Split(strings.TrimPrefix(base, "https://"), ".")
		if len(host) < 3 {
			return ""
		}
		return fmt.Sprintf(`--aws-sigv4 aws:amz:%s:%s -u "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"`, host[1], host[0])
	}
	return `-H "Authorization: Bearer $TOKEN"`
}

// shell quotes a word for a POSIX shell.
func shell(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
