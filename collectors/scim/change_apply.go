package scim

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/lapse-audit/lapse/internal/access"
)

const patchURN = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

// operation is one of a PATCH (RFC 7644, 3.5.2).
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

func patch(ops ...operation) []byte {
	return encode(map[string]any{"schemas": []string{patchURN}, "Operations": ops})
}

func encode(v any) []byte {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil { // what was read as JSON can be written
		panic(err)
	}
	return []byte(strings.TrimSuffix(b.String(), "\n"))
}

// May asks for what would be changed. What a credential may change SCIM doesn't say.
func (c *Changer) May(ctx context.Context, ch access.Change) error {
	able, err := c.Abilities()
	if err != nil {
		return err
	}
	if _, ok := able[ch.Action]; !ok {
		return fmt.Errorf("%w: %s", access.ErrCannot, ch.Action)
	}
	cl, caps, err := c.open(ctx)
	if err != nil {
		return refused(err)
	}
	r := c.reading(ctx, cl, caps, &found{})
	if ch.Object.Kind == access.HolderEntitlement {
		_, _, err = r.groupByID(ch.Object.ID)
	} else {
		_, err = r.resource("Users", ch.Object.ID)
	}
	return refused(err)
}

func refused(err error) error {
	if isStatus(err, 401, 403) {
		return fmt.Errorf("%w: %w", access.ErrRefused, err)
	}
	return err
}

// Apply makes a change, or undoes it.
func (c *Changer) Apply(ctx context.Context, ch access.Change) error {
	able, err := c.Abilities()
	if err != nil {
		return err
	}
	ability, ok := able[ch.Action]
	switch {
	case !ok && ch.Action == access.ActionDelete:
		return fmt.Errorf("%w: to delete users set write.delete: true", access.ErrCannot)
	case !ok:
		return fmt.Errorf("%w: SCIM has no way to %s", access.ErrCannot, ch.Action)
	case ch.Undo && (!ability.Undo || ch.Before == nil):
		return fmt.Errorf("%w: %s can't be undone", access.ErrCannot, ch.Action)
	}
	cl, caps, err := c.open(ctx)
	if err != nil {
		return err
	}
	r := c.reading(ctx, cl, caps, &found{})
	switch ch.Action {
	case access.ActionDisable:
		return c.activate(r, ch)
	case access.ActionDelete:
		return c.remove(r, ch)
	}
	if attribute, value, ok := valueOf(ch.Entitlement); ok {
		return c.revokeValue(r, ch, attribute, value)
	}
	return c.revokeMember(r, ch)
}

// activate sets the attribute active, or what the configuration reads in its place.
func (c *Changer) activate(r *reading, ch access.Change) error {
	if ch.Object.Kind == access.HolderEntitlement {
		return fmt.Errorf("%w: a group can't be disabled", access.ErrCannot)
	}
	raw, err := r.resource("Users", ch.Object.ID)
	if err != nil {
		return err
	}
	a, _, fault := r.account(raw)
	if fault != nil {
		return fmt.Errorf("user %s: %s %s", ch.Object.ID, fault.column, fault.reason)
	}
	want := false
	if ch.Undo {
		if ch.Before.Account == nil || ch.Before.Account.Enabled == nil {
			return fmt.Errorf("%w: what it was before is unknown", access.ErrCannot)
		}
		want = *ch.Before.Account.Enabled
	}
	if a.Enabled != nil && *a.Enabled == want {
		return nil
	}
	attribute := cmp.Or(c.k.config.Fields["enabled"], "active")
	if r.patches() {
		return r.send(http.MethodPatch, "Users", ch.Object.ID, patch(operation{"replace", attribute, want}), nil)
	}
	if strings.ContainsAny(attribute, ".:") {
		return fmt.Errorf("%w: the service has no PATCH, and %s is no attribute of its own", access.ErrCannot, attribute)
	}
	return r.send(http.MethodPut, "Users", ch.Object.ID, with(raw, attribute, want), raw)
}

// patches reports whether the service takes a PATCH. One that doesn't say is asked.
func (r *reading) patches() bool { return r.caps.patch == nil || *r.caps.patch }

// with is a resource with one attribute set; all others stay as they came.
func with(raw json.RawMessage, attribute string, value any) []byte {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil { // it was read already
		panic("scim: a resource is no object")
	}
	key := attribute
	for k := range m {
		if strings.EqualFold(k, attribute) {
			key = k
		}
	}
	m[key] = encode(value)
	return encode(m)
}

// remove deletes a user.
func (c *Changer) remove(r *reading, ch access.Change) error {
	if ch.Object.Kind == access.HolderEntitlement {
		return fmt.Errorf("%w: groups are not deleted", access.ErrCannot)
	}
	err := r.send(http.MethodDelete, "Users", ch.Object.ID, nil, nil)
	if errors.Is(err, access.ErrGone) {
		return nil
	}
	return err
}

// revokeMember takes an object out of a group, or puts it back.
func (c *Changer) revokeMember(r *reading, ch access.Change) error {
	g, raw, err := r.groupByID(ch.Entitlement)
	switch {
	case errors.Is(err, access.ErrGone) && !ch.Undo:
		return nil // nobody is in it
	case err != nil:
		return err
	}
	is, err := memberOf(g, ch.Object)
	silent := c.k.config.Memberships == InUsers && len(g.Members) == 0 // groups don't tell who is in them
	switch {
	case err != nil:
		return fmt.Errorf("/Groups/%s: %w", ch.Entitlement, err)
	case silent && !r.patches():
		return fmt.Errorf("%w: the service has no PATCH, and its groups don't tell their members", access.ErrCannot)
	case !silent && (is != nil) == ch.Undo:
		return nil
	}
	var member json.RawMessage
	if ch.Undo {
		if member, err = memberBefore(ch); err != nil || member == nil { // it was none
			return err
		}
	}
	switch {
	case r.patches() && ch.Undo:
		return r.send(http.MethodPatch, "Groups", ch.Entitlement, patch(operation{"add", "members", []json.RawMessage{member}}), nil)
	case r.patches():
		err := r.send(http.MethodPatch, "Groups", ch.Entitlement, patch(operation{Op: "remove", Path: "members[value eq " + quoted(ch.Object.ID) + "]"}), nil)
		if errors.Is(err, access.ErrGone) { // the group, or the member: whoever was quicker made it so
			return r.settle(ch, err)
		}
		return err
	}
	members := []json.RawMessage{}
	if err := g.eachMember(func(one json.RawMessage, p plural) {
		if p.Value.s != ch.Object.ID || string(one) != string(is) {
			members = append(members, one)
		}
	}); err != nil {
		return fmt.Errorf("/Groups/%s: %w", ch.Entitlement, err)
	}
	if ch.Undo {
		members = append(members, member)
	}
	return r.send(http.MethodPut, "Groups", ch.Entitlement, with(raw, "members", members), raw)
}

// settle looks whether what couldn't be found is what should go.
func (r *reading) settle(ch access.Change, refusal error) error {
	g, _, err := r.groupByID(ch.Entitlement)
	if err == nil {
		var is json.RawMessage
		if is, err = memberOf(g, ch.Object); err == nil && is != nil {
			return fmt.Errorf("%w: %s", access.ErrRefused, refusal.Error()) // which is that something is gone
		}
	}
	if errors.Is(err, access.ErrGone) {
		return nil
	}
	return err
}

// memberBefore is what an object was as a member, without what the service makes itself; nil if it was none.
func memberBefore(ch access.Change) (json.RawMessage, error) {
	if held, err := heldBefore(ch); err != nil || !held {
		return nil, err
	}
	member := map[string]string{"value": ch.Object.ID}
	for _, raw := range ch.Before.Keep[ch.Entitlement] {
		var p plural
		if err := json.Unmarshal([]byte(raw), &p); err != nil {
			return nil, fmt.Errorf("what it was before can't be read: %w", err)
		}
		if p.Type.s != "" {
			member["type"] = p.Type.s
		}
	}
	return encode(member), nil
}

// heldBefore reports whether an object had what is given back.
func heldBefore(ch access.Change) (bool, error) {
	if ch.Before == nil || ch.Before.Grants == nil {
		return false, fmt.Errorf("%w: what it had before is unknown", access.ErrCannot)
	}
	return slices.ContainsFunc(ch.Before.Grants, func(g access.Grant) bool { return g.EntitlementID == ch.Entitlement }), nil
}

// valueBefore are the values of a role or an entitlement that a user had, as they came.
func valueBefore(ch access.Change, value string) ([]json.RawMessage, error) {
	held, err := heldBefore(ch)
	if err != nil || !held {
		return nil, err
	}
	var back []json.RawMessage
	for _, one := range ch.Before.Keep[ch.Entitlement] {
		back = append(back, json.RawMessage(one))
	}
	if back == nil {
		back = []json.RawMessage{encode(map[string]string{"value": value})}
	}
	return back, nil
}

// revokeValue takes a role or an entitlement from a user, or puts it back as it was.
func (c *Changer) revokeValue(r *reading, ch access.Change, attribute, value string) error {
	if ch.Object.Kind == access.HolderEntitlement {
		return fmt.Errorf("%w: a group has no %s", access.ErrCannot, attribute)
	}
	raw, err := r.resource("Users", ch.Object.ID)
	if err != nil {
		return err
	}
	var rest, held []json.RawMessage
	var names []string // as they are written, blanks included
	for _, v := range plurals(raw, attribute) {
		if strings.TrimSpace(v.value) == value {
			held = append(held, v.raw)
			names = append(names, v.value)
		} else {
			rest = append(rest, v.raw)
		}
	}
	if ch.Undo {
		back, err := valueBefore(ch, value)
		switch {
		case err != nil:
			return err
		case len(held) > 0 || len(back) == 0:
			return nil
		case r.patches():
			return r.send(http.MethodPatch, "Users", ch.Object.ID, patch(operation{"add", attribute, back}), nil)
		}
		return r.send(http.MethodPut, "Users", ch.Object.ID, with(raw, attribute, append(rest, back...)), raw)
	}
	switch {
	case len(held) == 0:
		return nil
	case r.patches():
		var ops []operation
		for _, name := range slices.Compact(names) {
			ops = append(ops, operation{Op: "remove", Path: attribute + "[value eq " + quoted(name) + "]"})
		}
		err := r.send(http.MethodPatch, "Users", ch.Object.ID, patch(ops...), nil)
		if !errors.Is(err, access.ErrRefused) || !isStatus(err, 400, 501) {
			return err
		}
		// The service takes no filter in a path, and has changed nothing: it is given what is to stay.
		op := operation{"replace", attribute, rest}
		if len(rest) == 0 {
			op = operation{Op: "remove", Path: attribute}
		}
		return r.send(http.MethodPatch, "Users", ch.Object.ID, patch(op), raw)
	}
	return r.send(http.MethodPut, "Users", ch.Object.ID, with(raw, attribute, append([]json.RawMessage{}, rest...)), raw)
}

// send changes a resource, and says what came of it. It is sent again only if the service says that it did nothing: that
// it was asked too often, or that the token has expired. was is the resource as it was read, where all of it or of a list is
// replaced: if the service knows versions, one that changed since is not overwritten.
func (r *reading) send(method, endpoint, id string, body []byte, was json.RawMessage) error {
	path, err := pathOf(endpoint, id)
	if err != nil {
		return err
	}
	out := outgoing{method: method, path: path, body: body}
	if r.caps.etag != nil && *r.caps.etag && was != nil {
		out.match = object(was).find("meta.version").text().s
	}
	err = r.outcome(out)
	if err == nil {
		return nil
	}
	what := fmt.Sprintf("%s /%s", method, path)
	if errors.Is(err, access.ErrRefused) && isStatus(err, 404, 410) {
		return fmt.Errorf("%s: %w", what, access.ErrGone)
	}
	return fmt.Errorf("%s: %w", what, r.client.hidden(err))
}

func (r *reading) outcome(out outgoing) error {
	c := r.client
	deadline := c.now().Add(c.retryFor)
	renewed := false
	for attempt := 0; ; attempt++ {
		if err := c.wait(r.ctx); err != nil {
			return err
		}
		var sent atomic.Bool
		ctx := httptrace.WithClientTrace(r.ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
		used := c.authorizationNow()
		body, header, err := c.exchange(ctx, out, used)
		body = bytes.TrimSpace(body)
		var answer *answerError
		var redirect *redirectError
		switch {
		case err == nil:
			var m message
			if len(body) > 0 && body[0] == '{' && parse(body, &m, &m) == nil || len(body) == 0 {
				return nil
			}
			if m.isError() {
				return fmt.Errorf("%w: the answer is an error in spite of its status: %s", access.ErrUnsure, m.text())
			}
			return fmt.Errorf("%w: the answer is no SCIM", access.ErrUnsure)
		case errors.As(err, &redirect):
			return fmt.Errorf("%w: %w", access.ErrRefused, err)
		case !errors.As(err, &answer):
			if !sent.Load() {
				return err
			}
			return fmt.Errorf("%w: %w", access.ErrUnsure, err)
		case answer.status == http.StatusUnauthorized && !renewed:
			renewed = true
			switch changed, failed := c.renew(r.ctx, used); {
			case failed != nil:
				return failed
			case !changed:
				return &changeError{access.ErrRefused, answer}
			}
			continue
		case answer.status == http.StatusTooManyRequests:
		case answer.status >= 500 || answer.status == http.StatusRequestTimeout:
			return &changeError{access.ErrUnsure, answer}
		default:
			return &changeError{access.ErrRefused, answer}
		}
		pause := c.pause(header, attempt)
		if c.now().Add(pause).After(deadline) {
			return &changeError{access.ErrRefused, answer}
		}
		c.hold(pause)
	}
}

// changeError is an answer to a change.
type changeError struct {
	kind   error
	answer *answerError
}

func (e *changeError) Error() string {
	s := fmt.Sprintf("%v: %d %s", e.kind, e.answer.status, http.StatusText(e.answer.status))
	if e.answer.detail != "" {
		s += ": " + e.answer.detail
	}
	switch e.answer.status {
	case http.StatusPreconditionFailed:
		s += ": somebody changed it at the same time"
	case http.StatusUnauthorized, http.StatusForbidden:
		s += ": see write.auth and its rights"
	}
	return s
}

func (e *changeError) Unwrap() []error { return []error{e.kind, e.answer} }

// Native are calls of curl. $SCIM_TOKEN stands for the token.
func (c *Changer) Native(ch access.Change) []string {
	var method, endpoint, id = http.MethodPatch, "Users", ch.Object.ID
	var body []byte
	attribute, value, valued := valueOf(ch.Entitlement)
	switch {
	case ch.Action == access.ActionDisable:
		want := ch.Undo
		if ch.Undo && ch.Before != nil && ch.Before.Account != nil && ch.Before.Account.Enabled != nil {
			want = *ch.Before.Account.Enabled
		}
		body = patch(operation{"replace", cmp.Or(c.k.config.Fields["enabled"], "active"), want})
	case ch.Action == access.ActionDelete && !ch.Undo:
		method = http.MethodDelete
	case ch.Action != access.ActionRevoke:
		return nil
	case valued && ch.Undo:
		back, err := valueBefore(ch, value)
		if err != nil || back == nil {
			return nil
		}
		body = patch(operation{"add", attribute, back})
	case valued:
		body = patch(operation{Op: "remove", Path: attribute + "[value eq " + quoted(value) + "]"})
	case ch.Undo:
		member, err := memberBefore(ch)
		if err != nil || member == nil {
			return nil
		}
		endpoint, id = "Groups", ch.Entitlement
		body = patch(operation{"add", "members", []json.RawMessage{member}})
	default:
		endpoint, id = "Groups", ch.Entitlement
		body = patch(operation{Op: "remove", Path: "members[value eq " + quoted(ch.Object.ID) + "]"})
	}
	who := `-H "Authorization: Bearer $SCIM_TOKEN"`
	if w := c.k.config.Write; w != nil && w.Auth.User != "" {
		who = "-u " + shell(w.Auth.User) // curl asks for the password
	}
	line := fmt.Sprintf("curl -X %s %s -H 'Content-Type: application/scim+json'", method, who)
	if body != nil {
		line += " --data-raw " + shell(string(body))
	}
	return []string{line + " " + shell(strings.TrimRight(c.k.config.URL, "/")+"/"+endpoint+"/"+url.PathEscape(id))}
}

// shell quotes a word for a POSIX shell.
func shell(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
