package scim

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// reading is one collection.
type reading struct {
	*Collector
	client *client
	ctx    context.Context
	out    collect.Sink
	caps   capabilities

	users, groups *listing
	values        map[string]bool // ids of roles, entitlements and groups that were put already
	pending       []membership    // whose member is neither a user nor known to be a group yet
	withMembers   bool            // some group came with its members
	oddities      map[string]int
	notes         []string
	watch         *watch // nil where nobody watches
}

// membership is a member of a group that may be a group itself.
type membership struct{ group, member string }

func (r *reading) run() (reads []string, coverage map[string]access.Coverage, err error) {
	if r.caps, err = r.capabilities(); err != nil {
		return nil, nil, err
	}
	reads = []string{string(collect.Accounts), string(collect.Entitlements)}
	// What RFC 7643 has no attribute for.
	coverage = map[string]access.Coverage{}
	for signal, field := range map[string]string{"last_login": "last_login_at", "password": "password_changed_at", "mfa": "mfa", "privileged": "privileged"} {
		if r.config.Fields[field] == "" {
			coverage[signal] = access.CoverageNone
		}
	}
	query := url.Values{}
	if r.config.Filter != "" {
		query.Set("filter", r.config.Filter)
	}
	r.users = r.listing("Users", query, r.user)
	if err := r.users.read(r.ctx); err != nil {
		return reads, coverage, err
	}
	if r.config.Memberships != Off {
		r.groups = r.listing("Groups", nil, r.group)
		switch err := r.groups.read(r.ctx); {
		case missing(err) && r.caps.noGroups:
			r.groups = nil
			r.note("the server has no groups")
		case missing(err):
			return reads, coverage, fmt.Errorf("%w; if the server has no groups, set memberships: off", err)
		case err != nil:
			return reads, coverage, err
		}
	}
	if err := r.resolve(); err != nil {
		return reads, coverage, err
	}
	known := r.groups == nil || r.config.Memberships == InUsers || r.withMembers || r.groups.seen.Len() == 0
	some := known
	for id := range r.values {
		some = some || strings.HasPrefix(id, rolePrefix) || strings.HasPrefix(id, entitlementPrefix)
	}
	switch {
	case known:
		reads = append(reads, string(collect.Grants))
	case some:
		reads = append(reads, string(collect.Grants))
		coverage["grants"] = access.CoveragePartial
		fallthrough
	default:
		r.note("no group in the list has members: nobody knows who is in which; if there should be some, set memberships: each_group or users")
	}
	if r.config.Memberships == Off {
		r.note("groups are not read (memberships: off)")
	}
	return reads, coverage, r.ctx.Err()
}

// missing reports whether a server says that it doesn't have an endpoint.
func missing(err error) bool { return isStatus(err, 404, 405, 501) }

func (r *reading) listing(endpoint string, query url.Values, do func(int64, text, json.RawMessage) error) *listing {
	size := r.config.PageSize
	if r.caps.maxResults > 0 {
		size = min(size, r.caps.maxResults)
	}
	return &listing{client: r.client, endpoint: endpoint, query: query, size: size, ahead: r.config.Concurrency, seen: collect.NewMarks(), do: func(line int64, id text, raw json.RawMessage) error {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		if l, ok := r.out.(collect.Locator); ok {
			l.Locate("/"+endpoint, line)
		}
		if id.odd != "" {
			return r.reject(endpoint, line, fault{"id", "is " + id.odd})
		}
		return do(line, id, raw)
	}}
}

func (r *reading) reject(endpoint string, line int64, f fault) error {
	return r.out.Reject(collect.Rejection{File: "/" + endpoint, Line: line, Column: f.column, Reason: f.reason})
}

func (r *reading) put(rec access.Record) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	return r.out.Put(rec)
}

func (r *reading) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

func (r *reading) user(line int64, _ text, raw json.RawMessage) error {
	a, u, f := r.account(raw)
	if f != nil {
		return r.reject("Users", line, *f)
	}
	r.watch.see(raw)
	if err := r.put(a); err != nil {
		return err
	}
	held := map[string]bool{}
	grant := func(id string) error {
		if held[id] {
			return nil
		}
		held[id] = true
		return r.put(access.Grant{HolderKind: access.HolderAccount, HolderID: a.ID, EntitlementID: id})
	}
	for _, list := range []struct {
		kind, prefix string
		values       some[plural]
	}{{"role", rolePrefix, u.Roles}, {"entitlement", entitlementPrefix, u.Entitlements}} {
		if list.values.odd != "" {
			r.odd(list.kind+"s", list.values.odd)
		}
		for _, p := range list.values.list {
			value := r.get(list.kind+"s.value", p.Value)
			if value == "" {
				continue
			}
			id := list.prefix + value
			if !r.values[id] {
				r.values[id] = true
				e := access.Entitlement{ID: id, Name: value, Kind: list.kind, Privileged: r.privileged(value, p.Display.s)}
				if display := r.get(list.kind+"s.display", p.Display); display != "" {
					e.Name = display
				}
				if err := r.put(e); err != nil {
					return err
				}
			}
			if err := grant(id); err != nil {
				return err
			}
		}
	}
	if r.config.Memberships != InUsers {
		return nil
	}
	for _, p := range u.Groups.list {
		if id := p.Value.s; id != "" && !strings.EqualFold(p.Type.s, "indirect") {
			if err := grant(id); err != nil {
				return err
			}
		}
	}
	return nil
}

// Ids of groups are the server's own; roles and entitlements have none but their value.
const (
	rolePrefix        = "role:"
	entitlementPrefix = "entitlement:"
)

// privileged is true for what the configuration names, and else unknown: SCIM doesn't say.
func (r *reading) privileged(names ...string) *bool {
	for _, name := range names {
		if name != "" && slices.ContainsFunc(r.config.Privileged, func(p string) bool { return strings.EqualFold(p, name) }) {
			yes := true
			return &yes
		}
	}
	return nil
}

func (r *reading) group(line int64, id text, raw json.RawMessage) error {
	g, f := r.parseGroup(raw)
	if f != nil {
		return r.reject("Groups", line, *f)
	}
	if err := r.put(r.entitlement(id.s, g)); err != nil {
		return err
	}
	switch r.config.Memberships {
	case InUsers:
		return nil
	case InEachGroup:
		if len(g.Members) > 0 {
			break
		}
		body, err := r.client.get(r.ctx, "Groups/"+url.PathEscape(id.s), nil)
		switch {
		case isStatus(err, 404):
			return r.reject("Groups", line, fault{"members", "the group was deleted while it was read"})
		case err != nil:
			return err
		}
		var m message
		if err := parse(body, &m, &m); err != nil {
			return fmt.Errorf("GET /Groups/%s: %w", id.s, r.client.hidden(err))
		}
		if g, f = r.parseGroup(body); f == nil && g.ID.s != id.s {
			f = &fault{"id", "is another than the one that was asked for"}
		}
		if f != nil {
			return r.reject("Groups", line, *f)
		}
		r.withMembers = true // asked for one by one: a group without has none
	}
	return r.members(line, id.s, g)
}

func (r *reading) entitlement(id string, g *group) access.Entitlement {
	name := strings.TrimSpace(g.DisplayName.s)
	e := access.Entitlement{ID: id, Name: name, Kind: "group", Privileged: r.privileged(id, name)}
	if x := r.get("externalId", g.ExternalID); x != "" {
		e.Attributes = map[string]string{"external_id": x}
	}
	return e
}

func (r *reading) parseGroup(raw json.RawMessage) (*group, *fault) {
	if !utf8.Valid(raw) {
		return nil, &fault{"id", "is unknown: the resource is not valid UTF-8"}
	}
	var g group
	if json.Unmarshal(raw, &g) != nil {
		return nil, &fault{"", "is no object"}
	}
	if f := need("displayName", g.DisplayName); f != nil {
		return nil, f
	}
	return &g, nil
}

// members puts who is in a group. A member that is no user of the snapshot waits until all groups are known.
func (r *reading) members(line int64, id string, g *group) error {
	held := map[string]bool{}
	r.withMembers = r.withMembers || len(g.Members) > 0 && g.Members[0] != 'n'
	nameless := 0
	err := g.members(func(p plural) error {
		member := p.Value.s
		switch {
		case member == "":
			nameless++
			return nil
		case held[member]:
			return nil
		}
		held[member] = true
		isGroup := strings.EqualFold(p.Type.s, "Group") || p.Type.s == "" && strings.Contains(p.Ref.s, "/Groups/")
		switch isUser := r.users.has(member); {
		case isUser && !isGroup:
			return r.put(access.Grant{HolderKind: access.HolderAccount, HolderID: member, EntitlementID: id})
		case isGroup && !isUser:
			return r.put(access.Grant{HolderKind: access.HolderEntitlement, HolderID: member, EntitlementID: id})
		}
		r.pending = append(r.pending, membership{id, member})
		return nil
	})
	if err == errMembers {
		return r.reject("Groups", line, fault{"members", err.Error()})
	}
	if err == nil && nameless > 0 {
		return r.reject("Groups", line, fault{"members", fmt.Sprintf("%d have no value: nobody can tell who they are", nameless)})
	}
	return err
}

// resolve puts the members of whom the server doesn't say, or says wrongly, what they are. One that is neither a user nor a
// group is put as an account that the snapshot doesn't hold, which whoever takes the records reports.
func (r *reading) resolve() error {
	both := 0
	for _, m := range r.pending {
		kind := access.HolderAccount
		isUser, isGroup := r.users.has(m.member), r.groups.has(m.member)
		switch {
		case isUser && isGroup:
			both++
			continue
		case isGroup:
			kind = access.HolderEntitlement
		}
		if err := r.put(access.Grant{HolderKind: kind, HolderID: m.member, EntitlementID: m.group}); err != nil {
			return err
		}
	}
	if both > 0 {
		return fmt.Errorf("/Groups: %d members name both a user and a group, and the server doesn't say which", both)
	}
	return nil
}

// summary are the notes, with what was odd.
func (r *reading) summary() []string {
	out := slices.Clone(r.notes)
	for _, what := range slices.Sorted(maps.Keys(r.oddities)) {
		out = append(out, fmt.Sprintf("%s, of %d resources: it stays unknown", what, r.oddities[what]))
	}
	for _, l := range []*listing{r.users, r.groups} {
		if l != nil && l.passes > 1 {
			out = append(out, fmt.Sprintf("/%s changed while it was read, and was read %d times", l.endpoint, l.passes))
		}
	}
	return out
}
