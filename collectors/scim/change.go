package scim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// Changer carries out changes in a service: it makes users inactive, and takes groups, roles and entitlements from them. It
// is used from several goroutines. Nothing is asked before the first look or change.
type Changer struct {
	k *Collector // whose credentials are those for writing

	mu     sync.Mutex
	client *client
	caps   capabilities
	member memberFilter
}

// Changer returns what changes the service.
func (k *Collector) Changer() *Changer {
	w := *k
	if k.config.Write != nil {
		w.config.Auth = k.config.Write.Auth
	}
	return &Changer{k: &w}
}

// Abilities are the actions that the service knows.
func (c *Changer) Abilities() (map[access.Action]access.Ability, error) {
	if c.k.config.Write == nil {
		return nil, fmt.Errorf("%w: there is no credential to change anything with: set write.auth", access.ErrCannot)
	}
	out := map[access.Action]access.Ability{
		access.ActionDisable: {Right: "to modify Users", Undo: true, ReadBack: true},
		access.ActionRevoke:  {Right: "to modify Groups, and Users for their roles and entitlements", Undo: true, ReadBack: true},
	}
	if c.k.config.Write.Delete {
		out[access.ActionDelete] = access.Ability{Right: "to delete Users", ReadBack: true}
	}
	return out, nil
}

// open signs in and asks the service what it supports, once.
func (c *Changer) open(ctx context.Context) (*client, capabilities, error) {
	if _, err := c.Abilities(); err != nil {
		return nil, capabilities{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client != nil {
		return c.client, c.caps, nil
	}
	cl, err := c.k.client()
	if err != nil {
		return nil, capabilities{}, err
	}
	if _, err := cl.renew(ctx, ""); err != nil {
		return nil, capabilities{}, err
	}
	r := c.reading(ctx, cl, capabilities{}, &found{})
	caps, err := r.capabilities()
	if err != nil {
		return nil, capabilities{}, err
	}
	c.client, c.caps = cl, caps
	return cl, caps, nil
}

// reading maps resources as a collection does.
func (c *Changer) reading(ctx context.Context, cl *client, caps capabilities, out collect.Sink) *reading {
	return &reading{Collector: c.k, client: cl, caps: caps, ctx: ctx, out: out, values: map[string]bool{}, oddities: map[string]int{}}
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

// found is the sink for one resource.
type found struct {
	account *access.Account
	live    access.Live
}

// Put implements collect.Sink.
func (f *found) Put(r access.Record) error {
	switch r := r.(type) {
	case access.Account:
		f.account = &r
	case access.Entitlement:
		f.live.Entitlements = append(f.live.Entitlements, r)
	case access.Grant:
		f.live.Grants = append(f.live.Grants, r)
	}
	return nil
}

// Reject implements collect.Sink.
func (f *found) Reject(r collect.Rejection) error { return errors.New(r.String()) }

// Look reads one user or group, and what it is a member of.
func (c *Changer) Look(ctx context.Context, o access.Object) (access.Live, error) {
	cl, caps, err := c.open(ctx)
	if err != nil {
		return access.Live{}, err
	}
	at := c.k.now().UTC()
	f := &found{live: access.Live{At: at, Grants: []access.Grant{}, Keep: map[string][]string{}}}
	r := c.reading(ctx, cl, caps, f)
	if o.Kind == access.HolderEntitlement {
		if _, _, ok := valueOf(o.ID); ok {
			return access.Live{}, fmt.Errorf("%s: %w: it is a value of an attribute, and no object", o.ID, access.ErrCannot)
		}
		g, _, err := r.groupByID(o.ID)
		if err != nil {
			return access.Live{}, err
		}
		e := r.entitlement(o.ID, g)
		f.live.Entitlement = &e
	} else {
		raw, err := r.resource("Users", o.ID)
		if err != nil {
			return access.Live{}, err
		}
		if err := r.user(1, text{}, raw); err != nil {
			return access.Live{}, fmt.Errorf("user %s: %w", o.ID, err)
		}
		f.live.Account = f.account
		for attribute, prefix := range valued {
			for _, v := range plurals(raw, attribute) {
				id := prefix + strings.TrimSpace(v.value)
				f.live.Keep[id] = append(f.live.Keep[id], string(v.raw))
			}
		}
	}
	switch c.k.config.Memberships {
	case Off:
	case InUsers:
		if o.Kind == access.HolderEntitlement {
			f.live.Grants = nil // no group says what it is in
		}
	default:
		if err := c.groupsOf(r, o, f); err != nil {
			return access.Live{}, err
		}
	}
	return f.live, nil
}

// The attributes of users that are grants, and what the ids of their values begin with.
var valued = map[string]string{"roles": rolePrefix, "entitlements": entitlementPrefix}

// valueOf parts the id of a role or an entitlement.
func valueOf(id string) (attribute, value string, ok bool) {
	for attribute, prefix := range valued {
		if value, ok := strings.CutPrefix(id, prefix); ok {
			return attribute, value, true
		}
	}
	return "", "", false
}

// resource is one resource, by its id.
func (r *reading) resource(endpoint, id string) (json.RawMessage, error) {
	path, err := pathOf(endpoint, id)
	if err != nil {
		return nil, err
	}
	body, err := r.client.get(r.ctx, path, nil)
	switch {
	case isStatus(err, 404, 410):
		return nil, fmt.Errorf("/%s/%s: %w", endpoint, id, access.ErrGone)
	case err != nil:
		return nil, err
	}
	var m struct {
		message
		ID text `json:"id"`
	}
	if err := parse(body, &m, &m.message); err != nil {
		return nil, fmt.Errorf("GET /%s: %w", path, r.client.hidden(err))
	}
	switch {
	case !utf8.Valid(body):
		return nil, fmt.Errorf("GET /%s: the answer is not valid UTF-8", path)
	case m.ID.s != id:
		return nil, fmt.Errorf("GET /%s: the answer is another resource than the one that was asked for", path)
	}
	return body, nil
}

func (r *reading) groupByID(id string) (*group, json.RawMessage, error) {
	raw, err := r.resource("Groups", id)
	if err != nil {
		return nil, nil, err
	}
	g, f := r.parseGroup(raw)
	if f != nil {
		return nil, nil, fmt.Errorf("/Groups/%s: %s %s", id, f.column, f.reason)
	}
	return g, raw, nil
}

// pathOf is the path of a resource. An id that would lead elsewhere is none that a service gives.
func pathOf(endpoint, id string) (string, error) {
	if id == "" || id == "." || id == ".." {
		return "", fmt.Errorf("%w: %q is no id", access.ErrCannot, id)
	}
	return endpoint + "/" + url.PathEscape(id), nil
}

// multi is one value of a multi-valued attribute, as it came.
type multi struct {
	value string
	raw   json.RawMessage
}

func plurals(raw json.RawMessage, attribute string) []multi {
	var list []json.RawMessage
	e := object(raw)[attribute]
	if len(e) == 0 || e[0] == 'n' {
		return nil
	}
	if json.Unmarshal(e, &list) != nil {
		list = []json.RawMessage{json.RawMessage(e)}
	}
	var out []multi
	for _, v := range list {
		var p plural
		if p.UnmarshalJSON(v) == nil && p.Value.s != "" {
			out = append(out, multi{p.Value.s, v})
		}
	}
	return out
}
