package scim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/lapse-audit/lapse/internal/access"
)

// memberFilter says whether the service can be asked for the groups of one member. RFC 7644 has a filter for it, which some
// services refuse and others answer with nothing: it is believed only after it found a membership that is known.
type memberFilter struct {
	tried, works bool
}

func byMember(id string) url.Values {
	return url.Values{"filter": {"members.value eq " + quoted(id)}}
}

// quoted is a text in a filter, which writes it as JSON does (RFC 7644, 3.4.2.2).
func quoted(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil { // it is a text
		panic(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// errEnough ends a listing of which nothing more is needed.
var errEnough = errors.New("enough was read")

// groupsOf puts the groups that an object is a direct member of. Where the service can't be asked for those, all groups are
// read, as a collection reads them.
func (c *Changer) groupsOf(r *reading, o access.Object, f *found) error {
	works, err := c.filterWorks(r)
	if err != nil {
		return err
	}
	if works {
		err := c.memberships(r, o, f, byMember(o.ID))
		if !isStatus(err, 400, 500, 501) {
			return err
		}
		c.mu.Lock() // some services choke on it once a group is empty
		c.member.works = false
		c.mu.Unlock()
	}
	return c.memberships(r, o, f, nil)
}

// memberships puts the groups of a list that have the object as a member.
func (c *Changer) memberships(r *reading, o access.Object, f *found, query url.Values) error {
	var bare []string // groups of which the list doesn't tell the members
	some := false
	l := r.listing("Groups", query, func(_ int64, id text, raw json.RawMessage) error {
		g, fault := r.parseGroup(raw)
		if fault != nil {
			return fmt.Errorf("/Groups/%s: %s %s", id.s, fault.column, fault.reason)
		}
		if len(g.Members) == 0 {
			bare = append(bare, id.s)
			return nil
		}
		some = true
		return f.membership(r, o, id.s, g)
	})
	switch err := l.read(r.ctx); {
	case missing(err) && r.caps.noGroups:
		return nil
	case err != nil:
		return err
	}
	// A list in which some groups have members leaves out the empty ones. If none has, or each is to be asked, they are asked.
	if some && query == nil && c.k.config.Memberships != InEachGroup {
		return nil
	}
	for _, id := range bare {
		g, _, err := r.groupByID(id)
		switch {
		case errors.Is(err, access.ErrGone):
			continue
		case err != nil:
			return err
		}
		if err := f.membership(r, o, id, g); err != nil {
			return err
		}
	}
	return nil
}

// membership puts a group if the object is a member of it.
func (f *found) membership(r *reading, o access.Object, id string, g *group) error {
	m, err := memberOf(g, o)
	if err != nil || m == nil {
		return err
	}
	f.live.Keep[id] = []string{string(m)}
	f.live.Entitlements = append(f.live.Entitlements, r.entitlement(id, g))
	f.live.Grants = append(f.live.Grants, access.Grant{HolderKind: o.Kind, HolderID: o.ID, EntitlementID: id})
	return nil
}

// memberOf is the member of a group that an object is, as it came; nil if it is none.
func memberOf(g *group, o access.Object) (json.RawMessage, error) {
	var found json.RawMessage
	err := g.eachMember(func(raw json.RawMessage, p plural) {
		isGroup := strings.EqualFold(p.Type.s, "Group") || p.Type.s == "" && strings.Contains(p.Ref.s, "/Groups/")
		isUser := strings.EqualFold(p.Type.s, "User")
		if p.Value.s == o.ID && (o.Kind == access.HolderEntitlement && !isUser || o.Kind != access.HolderEntitlement && !isGroup) {
			found = raw
		}
	})
	return found, err
}

// eachMember calls do with each member, as it came and as it is read.
func (g *group) eachMember(do func(json.RawMessage, plural)) error {
	if len(g.Members) == 0 || g.Members[0] == 'n' {
		return nil
	}
	var list []json.RawMessage
	if json.Unmarshal(g.Members, &list) != nil {
		return errMembers
	}
	for _, raw := range list {
		var p plural
		if p.UnmarshalJSON(raw) != nil {
			return errMembers
		}
		do(raw, p)
	}
	return nil
}

// filterWorks finds out, once, by a membership that the list of groups shows.
func (c *Changer) filterWorks(r *reading) (bool, error) {
	c.mu.Lock()
	m := c.member
	c.mu.Unlock()
	if m.tried || r.caps.filter != nil && !*r.caps.filter {
		return m.works, nil
	}
	var id, member string
	l := r.listing("Groups", nil, func(_ int64, group text, raw json.RawMessage) error {
		g, fault := r.parseGroup(raw)
		if fault != nil {
			return nil
		}
		err := g.eachMember(func(_ json.RawMessage, p plural) { id, member = group.s, p.Value.s })
		if err == nil && member != "" {
			return errEnough
		}
		member = ""
		return nil
	})
	l.ahead = 1
	switch err := l.read(r.ctx); {
	case errors.Is(err, errEnough):
	case missing(err), err == nil: // nothing to try it with yet
		return false, nil
	default:
		return false, err
	}
	found := false
	l = r.listing("Groups", byMember(member), func(_ int64, group text, _ json.RawMessage) error {
		found = found || group.s == id
		return nil
	})
	if err := l.read(r.ctx); r.ctx.Err() != nil {
		return false, err
	} else if err != nil {
		found = false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.member = memberFilter{tried: true, works: found}
	return found, nil
}
