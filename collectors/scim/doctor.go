package scim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/collect"
)

// watch notices, while a service is read, which attributes came back.
type watch struct {
	reading *reading
	answers map[string]error // of what a service says of itself, by endpoint
	users   int
	have    map[string]int // users by attribute
}

// expected are the attributes that give a field, and what is unknown without them. Without the first a service can't be
// judged by much.
var expected = []struct{ attribute, gives string }{
	{"active", "enabled"},
	{"emails", "email, and links to people by it"},
	{"displayName", "name"},
	{"meta.created", "created"},
	{"externalId", "the id in the system that provisions"},
	{enterpriseURN + ":employeeNumber", "employee_id, and links to people by it"},
	{enterpriseURN + ":department", "department"},
	{enterpriseURN + ":manager", "manager"},
	{"roles", "roles and who has them"},
	{"entitlements", "entitlements and who has them"},
}

func (w *watch) asked(endpoint string, err error) {
	if w != nil {
		w.answers[endpoint] = err
	}
}

// see counts what a user has.
func (w *watch) see(raw json.RawMessage) {
	if w == nil {
		return
	}
	w.users++
	o := object(raw)
	for _, a := range w.attributes() {
		if v := o.find(a); len(v) > 0 && string(v) != "null" && string(v) != "[]" && string(v) != `""` {
			w.have[a]++
		}
	}
}

// attributes are those that are expected and those that the configuration names.
func (w *watch) attributes() []string {
	var out []string
	for _, e := range expected {
		out = append(out, e.attribute)
	}
	return append(out, w.named()...)
}

func (w *watch) named() []string {
	c := w.reading.config
	names := slices.Concat(slices.Collect(maps.Values(c.Fields)), slices.Collect(maps.Values(c.Attributes)))
	slices.Sort(names)
	return slices.Compact(names)
}

// Examine implements collect.Examiner.
func (k *Collector) Examine(ctx context.Context, out collect.Sink) (collect.Provenance, []collect.Advice, error) {
	w := &watch{answers: map[string]error{}, have: map[string]int{}}
	prov, err := k.read(ctx, out, w)
	if w.reading == nil { // it could not begin
		return prov, nil, err
	}
	return prov, w.advice(), err
}

func (w *watch) advice() []collect.Advice {
	r := w.reading
	var out []collect.Advice
	note := func(what string, missing bool, format string, args ...any) {
		out = append(out, collect.Advice{What: what, Missing: missing, Detail: fmt.Sprintf(format, args...)})
	}
	for _, endpoint := range slices.Sorted(maps.Keys(w.answers)) {
		switch err := w.answers[endpoint]; {
		case err == nil && endpoint == "ServiceProviderConfig" && r.caps.maxResults > 0:
			note(endpoint, false, "says that a page has at most %d resources", r.caps.maxResults)
		case err == nil:
			note(endpoint, false, "can be read")
		case isStatus(err, 401):
			note(endpoint, true, "%v: the token is refused: is it still valid, and for this service?", r.client.hidden(err))
		case isStatus(err, 403):
			note(endpoint, false, "may not be read by this token: what the service supports is unknown")
		default:
			note(endpoint, false, "%v: what the service supports is unknown", r.client.hidden(err))
		}
	}
	w.schemas(note)
	if r.users != nil && w.users == 0 {
		note("users", true, "none came back: the token may not list users, or filter: fits nobody")
		return out
	}
	for _, e := range expected {
		if n := w.have[e.attribute]; n > 0 {
			note(e.attribute, false, "came back of %d of %d users", n, w.users)
			continue
		}
		missing := e.attribute == "active" && r.config.Fields["enabled"] == ""
		note(e.attribute, missing, "came back of none of %d users: the token may not see it, or the service has none; unknown is %s", w.users, e.gives)
	}
	for _, a := range w.named() {
		if n := w.have[a]; n > 0 {
			note(a, false, "came back of %d of %d users", n, w.users)
		} else {
			note(a, true, "is named in fields: or attributes: and came back of none of %d users", w.users)
		}
	}
	if r.groups != nil && !r.withMembers && r.groups.seen.Len() > 0 && r.config.Memberships != InUsers {
		note("members", true, "no group came back with its members: set memberships: each_group or users, or let the token see them")
	}
	return out
}

// schemas compares what is named with what the service says that its users have (RFC 7643, 7).
func (w *watch) schemas(note func(what string, missing bool, format string, args ...any)) {
	r := w.reading
	var answered *answerError
	first, asked := w.answers["ServiceProviderConfig"]
	if r.ctx.Err() != nil || !asked || first != nil && !errors.As(first, &answered) || isStatus(first, 401) {
		return // nobody is there, or nobody answers this token
	}
	body, err := r.client.get(r.ctx, "Schemas", nil)
	var p page
	if err == nil {
		p, err = parsePage(body)
	}
	if err != nil {
		note("Schemas", false, "can't be read, so nobody says which attributes there are: %v", r.client.hidden(err))
		return
	}
	known := map[string]bool{}
	for _, raw := range p.items {
		var s struct {
			ID         string `json:"id"`
			Attributes []struct {
				Name string `json:"name"`
			} `json:"attributes"`
		}
		if json.Unmarshal(raw, &s) != nil {
			continue
		}
		for _, a := range s.Attributes {
			known[strings.ToLower(s.ID+":"+a.Name)] = true
		}
	}
	note("Schemas", false, "names %d attributes in %d schemas", len(known), len(p.items))
	for _, a := range w.named() {
		urn, name := userURN, a
		if i := strings.LastIndexByte(a, ':'); i > 0 {
			urn, name = a[:i], a[i+1:]
		}
		top, _, _ := strings.Cut(name, ".")
		common := slices.Contains([]string{"id", "externalid", "meta", "schemas"}, strings.ToLower(top)) // of every resource (RFC 7643, 3.1)
		if !common && len(known) > 0 && !known[strings.ToLower(urn+":"+top)] {
			note(a, true, "is named in fields: or attributes:, and the service's schemas have none of that name")
		}
	}
}
