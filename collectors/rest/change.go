package rest

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// Changer carries out changes in an app, as its recipe says. It is used from several goroutines. Nothing is asked before the
// first look or change.
type Changer struct {
	k    *Collector // whose credentials are those for writing
	pace *pacer
	hide *secrets

	mu     sync.Mutex
	client *client
}

// checkWrite finds what the credentials for writing lack.
func (k *Collector) checkWrite(r *Parsed, w *Write) error {
	if r.Changes == nil {
		return fmt.Errorf("write: the recipe of %s says nothing of how to change it", r.Name)
	}
	a, err := choose(&r.Recipe, w.Auth)
	if err == nil {
		err = checkCredentials(a, w.Auth)
	}
	if err != nil {
		return within("write", err)
	}
	return nil
}

// Changer returns what changes the app.
func (k *Collector) Changer() (*Changer, error) {
	w := *k
	if k.config.Write != nil {
		a, err := choose(&k.recipe.Recipe, k.config.Write.Auth)
		if err != nil {
			return nil, within("write", err)
		}
		other := *a
		if len(a.WriteScopes) > 0 {
			other.Scopes = a.WriteScopes
		}
		w.auth, w.config.Auth = &other, k.config.Write.Auth
	}
	return &Changer{k: &w, hide: new(secrets), pace: newPacer(&k.recipe.Limits, k.recipe.Limits.PerMinute, float64(k.config.Share), k.time)}, nil
}

// Abilities are the actions that the recipe knows.
func (c *Changer) Abilities() (map[access.Action]access.Ability, error) {
	changes := c.k.recipe.Changes
	switch {
	case changes == nil:
		return nil, fmt.Errorf("%w: the recipe of %s only reads", access.ErrCannot, c.k.recipe.Name)
	case c.k.config.Write == nil:
		return nil, fmt.Errorf("%w: there is no credential to change anything with: set write.auth", access.ErrCannot)
	}
	out := map[access.Action]access.Ability{}
	for _, action := range access.Actions() {
		list := changes.of(action)
		if len(list) == 0 || action == access.ActionDelete && !c.k.config.Write.Delete {
			continue
		}
		able := access.Ability{Undo: true, ReadBack: true}
		var rights []string
		for _, a := range list {
			able.Undo = able.Undo && len(a.Undo) > 0
			able.ReadBack = able.ReadBack && !a.Unseen
			text := strings.Join(a.Rights, ", ")
			if a.About != "" {
				text = strings.TrimPrefix(text+" ("+a.About+")", " ")
			}
			if text != "" && !slices.Contains(rights, text) {
				rights = append(rights, text)
			}
		}
		able.Right = strings.Join(rights, "; ")
		out[action] = able
	}
	return out, nil
}

// open signs in, once.
func (c *Changer) open(ctx context.Context) (*client, error) {
	if _, err := c.Abilities(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client == nil {
		// Tokens are fetched long after this call has ended.
		cl, err := c.k.client(context.WithoutCancel(ctx), c.hide)
		if err != nil {
			return nil, err
		}
		c.client = cl
	}
	return c.client, nil
}

// Close ends the connections.
func (c *Changer) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client != nil {
		c.client.http.CloseIdleConnections()
	}
	return nil
}

// changeTime is how long one look or change may take where its context sets no limit, waiting for the quota included.
const changeTime = 5 * time.Minute

func limited(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, changeTime)
}

// hidden prints another text than the error it stands for.
type hiddenError struct {
	text string
	of   error
}

func (e *hiddenError) Error() string { return e.text }
func (e *hiddenError) Unwrap() error { return e.of }

// told names the app in an error, and hides the secrets in it.
func (c *Changer) told(err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s: %w", c.k.recipe.Name, err)
	if text := c.hide.hide(err.Error()); text != err.Error() {
		return &hiddenError{text, err}
	}
	return err
}

// Look reads one account or entitlement now.
func (c *Changer) Look(ctx context.Context, o access.Object) (access.Live, error) {
	ctx, cancel := limited(ctx)
	defer cancel()
	live, err := c.look(ctx, o)
	return live, c.told(err)
}

func (c *Changer) look(ctx context.Context, o access.Object) (access.Live, error) {
	cl, err := c.open(ctx)
	if err != nil {
		return access.Live{}, err
	}
	changes := c.k.recipe.Changes
	if !slices.ContainsFunc(changes.Look, func(q *Request) bool { return q.of() == o.Kind }) {
		return access.Live{}, fmt.Errorf("%w: the recipe doesn't look at an %s by itself", access.ErrCannot, o.Kind)
	}
	f := &found{o: o, live: access.Live{At: time.Now().UTC(), Partial: true, Keep: map[string][]string{}}}
	r := c.reading(cl, f)
	defer r.wait.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // what is under way ends before the wait for it
	if err := c.lookups(ctx, r, changes, o); err != nil {
		return access.Live{}, err
	}
	r.lookups = append(slices.Clip(r.lookups), o.ID, map[string]any{"kind": string(o.Kind)}, nil, nil)
	for _, q := range changes.Look {
		if q.of() != o.Kind || q.Lookup != nil {
			continue
		}
		if q.When.IsSet() {
			switch yes, err := q.When.truth(nil, r.vars(scope{}, nil)); {
			case err != nil:
				return access.Live{}, fmt.Errorf("%s: when: %w", q.Name, err)
			case !yes:
				continue
			}
		}
		if _, err := r.gather(ctx, q); err != nil {
			return access.Live{}, err
		}
		if r.gone[q] > 0 && !f.there() {
			return access.Live{}, fmt.Errorf("%s: %w", o.ID, access.ErrGone)
		}
		var walk func(q *Request, refused bool)
		walk = func(q *Request, refused bool) {
			refused = refused || r.refused[q] != nil
			for _, m := range q.plan.mappings {
				f.read(m.kind, !refused)
			}
			for _, child := range q.Each {
				walk(child, refused)
			}
		}
		walk(q, false)
	}
	if !f.there() {
		return access.Live{}, fmt.Errorf("%s: %w", o.ID, access.ErrGone)
	}
	for name, list := range r.kept {
		f.live.Keep[name] = list
	}
	return f.result(), ctx.Err()
}

// reading maps answers as a collection does.
func (c *Changer) reading(cl *client, out collect.Sink) *reading {
	r := &reading{
		k: c.k, c: cl, out: out, base: c.k.base, params: c.k.params, clock: c.k.clock, seed: maphash.MakeSeed(), pacers: map[*Request]*pacer{},
		types: types{}, things: collect.NewIndex(), rows: map[*Request]int64{}, refused: map[*Request]error{}, once: map[*Request]bool{}, gone: map[*Request]int64{},
		kept: map[string][]string{},
	}
	all := func(q *Request) { r.pacers[q] = c.pace }
	walkRequests(c.k.recipe.Requests, all)
	walkRequests(c.k.recipe.Changes.Look, all)
	return r
}

// lookups reads what the mappings look up: by look's own requests where it has some, else by the recipe's.
func (c *Changer) lookups(ctx context.Context, r *reading, changes *Changes, o access.Object) error {
	for _, q := range c.k.recipe.Requests {
		if q.Lookup == nil {
			continue
		}
		own := slices.IndexFunc(changes.Look, func(l *Request) bool { return l.Name == q.Name })
		if own < 0 {
			if err := r.request(ctx, q); err != nil {
				return err
			}
			continue
		}
		// Its expressions see $id, which comes after all lookups.
		sofar := r.lookups
		r.lookups = slices.Clone(sofar)
		for range c.k.recipe.countLookups() - len(sofar) {
			r.lookups = append(r.lookups, nil)
		}
		r.lookups = append(r.lookups, o.ID, map[string]any{"kind": string(o.Kind)}, nil, nil)
		v, err := r.gather(ctx, changes.Look[own])
		if err != nil {
			return err
		}
		if r.refused[changes.Look[own]] != nil {
			v = nil
		}
		r.lookups = append(slices.Clip(sofar), v)
	}
	return nil
}

func (r *Recipe) countLookups() int {
	n := 0
	for _, q := range r.Requests {
		if q.Lookup != nil {
			n++
		}
	}
	return n
}

// keepRaw keeps what look names beside the records.
func (r *reading) keepRaw(q *Request, v any, vars []any) error {
	for name, e := range q.Keep {
		out, err := e.one(v, vars)
		if err != nil {
			return fmt.Errorf("%s: keep.%s: %w", q.Name, name, err)
		}
		list, many := out.([]any)
		if !many && out != nil {
			list = []any{out}
		}
		if r.kept[name] == nil {
			r.kept[name] = []string{}
		}
		for _, one := range list {
			text, ok := asText(one)
			if !ok {
				return fmt.Errorf("%s: keep.%s is %s, want texts", q.Name, name, describe(one))
			}
			r.kept[name] = append(r.kept[name], text)
		}
	}
	return nil
}

// found is the sink for one object.
type found struct {
	o      access.Object
	live   access.Live
	unread map[collect.Kind]bool
	tried  map[collect.Kind]bool
}

func (f *found) read(kind collect.Kind, answered bool) {
	if f.tried == nil {
		f.tried, f.unread = map[collect.Kind]bool{}, map[collect.Kind]bool{}
	}
	f.tried[kind] = true
	f.unread[kind] = f.unread[kind] || !answered
}

func (f *found) there() bool { return f.live.Account != nil || f.live.Entitlement != nil }

// result has lists for what was read, and nil for what was not, or not all of it.
func (f *found) result() access.Live {
	if whole := f.tried[collect.Grants] && !f.unread[collect.Grants]; !whole {
		f.live.Grants = nil
	} else if f.live.Grants == nil {
		f.live.Grants = []access.Grant{}
	}
	if whole := f.tried[collect.Seats] && !f.unread[collect.Seats]; !whole {
		f.live.Seats = nil
	} else if f.live.Seats == nil {
		f.live.Seats = []access.Seat{}
	}
	return f.live
}

// Put implements collect.Sink. What another holds is left out.
func (f *found) Put(rec access.Record) error {
	switch r := rec.(type) {
	case access.Account:
		if f.o.Kind == access.HolderEntitlement {
			return nil
		}
		if r.ID != f.o.ID {
			return fmt.Errorf("the answer is another account than %s", f.o.ID)
		}
		f.live.Account = &r
	case access.Entitlement:
		if f.o.Kind == access.HolderEntitlement && r.ID == f.o.ID {
			f.live.Entitlement = &r
			return nil
		}
		if !slices.ContainsFunc(f.live.Entitlements, func(e access.Entitlement) bool { return e.ID == r.ID }) {
			f.live.Entitlements = append(f.live.Entitlements, r)
		}
	case access.Grant:
		same := func(g access.Grant) bool { return g.EntitlementID == r.EntitlementID }
		if r.HolderKind == f.o.Kind && r.HolderID == f.o.ID && !slices.ContainsFunc(f.live.Grants, same) {
			f.live.Grants = append(f.live.Grants, r)
		}
	case access.Seat:
		if r.AccountID == f.o.ID && f.o.Kind != access.HolderEntitlement {
			f.live.Seats = append(f.live.Seats, r)
		}
	}
	return nil
}

// Reject implements collect.Sink.
func (f *found) Reject(r collect.Rejection) error { return errors.New(r.String()) }

// May looks at the object with the credentials for writing. What they may change the apps don't say.
func (c *Changer) May(ctx context.Context, ch access.Change) error {
	if err := c.can(ch); err != nil {
		return c.told(err)
	}
	ctx, cancel := limited(ctx)
	defer cancel()
	live, err := c.look(ctx, ch.Object)
	var status *statusError
	if errors.As(err, &status) && (status.status == http.StatusForbidden || status.status == http.StatusUnauthorized) {
		return c.told(fmt.Errorf("%w: %w", access.ErrRefused, err))
	}
	if err == nil {
		_, err = c.way(ch, live)
	}
	return c.told(err)
}

// can refuses what the recipe doesn't know.
func (c *Changer) can(ch access.Change) error {
	able, err := c.Abilities()
	if err != nil {
		return err
	}
	switch _, ok := able[ch.Action]; {
	case !ok && ch.Action == access.ActionDelete && len(c.k.recipe.Changes.Delete) > 0:
		return fmt.Errorf("%w: to delete accounts set write.delete: true", access.ErrCannot)
	case !ok:
		return fmt.Errorf("%w: the recipe has no way to %s", access.ErrCannot, ch.Action)
	case ch.Undo && ch.Before == nil:
		return fmt.Errorf("%w: what it was before is unknown", access.ErrCannot)
	}
	return nil
}

// way is the one of the recipe's ways that is for a change.
func (c *Changer) way(ch access.Change, live access.Live) (*Action, error) {
	vars := c.vars(ch, &live)
	for _, a := range c.k.recipe.Changes.of(ch.Action) {
		if a.When.IsSet() {
			switch yes, err := a.When.truth(nil, vars); {
			case err != nil:
				return nil, fmt.Errorf("changes.%s.when: %w", ch.Action, err)
			case !yes:
				continue
			}
		}
		if ch.Undo && len(a.Undo) == 0 {
			return nil, fmt.Errorf("%w: it can't be undone", access.ErrCannot)
		}
		return a, nil
	}
	return nil, fmt.Errorf("%w: the recipe has no way to %s this", access.ErrCannot, ch.Action)
}

// vars are the variables of an action.
func (c *Changer) vars(ch access.Change, live *access.Live) []any {
	out := make([]any, fixedVars, fixedVars+len(changeVars))
	out[varParams] = c.k.params
	for range c.k.recipe.countLookups() {
		out = append(out, nil)
	}
	change := map[string]any{"action": string(ch.Action), "kind": string(ch.Object.Kind), "note": ch.Note}
	for name, text := range map[string]string{"entitlement": ch.Entitlement, "sku": ch.SKU, "key": ch.Key, "to": ch.To} {
		if text != "" {
			change[name] = text
		}
	}
	if ch.Until != nil {
		change["until"] = ch.Until.UTC().Format(time.RFC3339)
	}
	return append(out, ch.Object.ID, change, liveValue(live), liveValue(ch.Before))
}

// liveValue is what was read, for expressions.
func liveValue(l *access.Live) any {
	if l == nil {
		return nil
	}
	keep := map[string]any{}
	for name, list := range l.Keep {
		values := make([]any, len(list))
		for i, text := range list {
			values[i] = text
		}
		keep[name] = values
	}
	out := map[string]any{"keep": keep}
	if a := l.Account; a != nil {
		attributes := map[string]any{}
		for name, text := range a.Attributes {
			attributes[name] = text
		}
		out["username"], out["email"], out["attributes"] = a.Username, a.Email, attributes
		if a.Enabled != nil {
			out["enabled"] = *a.Enabled
		}
	}
	if l.Grants != nil {
		list := []any{}
		for _, g := range l.Grants {
			list = append(list, g.EntitlementID)
		}
		out["grants"] = list
	}
	if l.Seats != nil {
		list := []any{}
		for _, s := range l.Seats {
			list = append(list, s.SKU)
		}
		out["seats"] = list
	}
	return out
}
