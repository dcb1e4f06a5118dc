package ldap

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// Keys of Live.Keep beside those that mean the same in every source.
const (
	keepNote      = "note"       // the values of the attribute that takes the note
	keepContainer = "move.id"    // id of the container that the object is in
	keepPrimary   = "primary"    // RID of the primary group
	keepOther     = "primary.to" // RID of the group that takes its place, if it must go
	keepOwns      = "handover."  // and an attribute: the ids of what names the object there
	keepHeld      = "revoke."    // and the id of a group: by which attributes it names the object
	keepLock      = "disable.by" // the attribute that disables, and the value that does
	keepName      = "name"       // the object's name within its container
	keepClass     = "class"      // its classes
	keepOwners    = "owners."    // and the id of what the object owns: all its owners
)

// caught is a sink that keeps of all records those of one object.
type caught struct {
	object access.Object
	live   *access.Live
	groups map[string]access.Entitlement
	held   map[string]bool
	reason string // why an entry made no record
}

// Put implements collect.Sink.
func (c *caught) Put(r access.Record) error {
	switch r := r.(type) {
	case access.Account:
		if r.ID == c.object.ID && c.object.Kind == access.HolderAccount {
			c.live.Account = &r
		}
	case access.Entitlement:
		if r.ID == c.object.ID && c.object.Kind == access.HolderEntitlement {
			c.live.Entitlement = &r
		}
		c.groups[r.ID] = r
	case access.Grant:
		if r.HolderID == c.object.ID && r.HolderKind == c.object.Kind {
			c.live.Grants = append(c.live.Grants, r)
			c.held[r.EntitlementID] = true
		}
	}
	return nil
}

// Reject implements collect.Sink.
func (c *caught) Reject(r collect.Rejection) error {
	c.reason = cmp.Or(c.reason, r.Column+": "+r.Reason)
	return nil
}

// read makes Live of the entries around one object, as the collection makes its records: the object, the groups that it is
// in, and the owners of these.
func (c *Changer) read(ctx context.Context, s *session, o access.Object, entries []*ldap.Entry) (access.Live, error) {
	live := access.Live{At: c.k.opt.Now().UTC()}
	d := c.k.dialect(c.k.config.Dialect, c.given, nil)
	var err error
	if entries, err = c.owners(ctx, s, d, entries); err != nil {
		return live, err
	}
	out := &caught{object: o, live: &live, groups: map[string]access.Entitlement{}, held: map[string]bool{}}
	found, err := d.collect(each(entries, s.url), out)
	if err != nil {
		return live, err
	}
	if live.Account == nil && live.Entitlement == nil {
		if out.reason != "" {
			return live, fmt.Errorf("it can't be read: %s", out.reason)
		}
		return live, fmt.Errorf("%w: the entry is no %s", access.ErrGone, o.Kind)
	}
	// Grants are unknown where the collection would not know them.
	if !slices.Contains(found.reads, string(collect.Grants)) && live.Grants == nil && !c.membersGiven() {
		return live, nil
	}
	live.Grants = slices.Clip(append([]access.Grant{}, live.Grants...))
	live.Entitlements = []access.Entitlement{}
	for _, id := range slices.Sorted(maps.Keys(out.held)) {
		live.Entitlements = append(live.Entitlements, out.groups[id])
	}
	return live, nil
}

func (c *Changer) membersGiven() bool {
	return slices.ContainsFunc(membership, func(a string) bool { return c.given[a] })
}

// owners adds the entries of whom the entries name as their owners, by which the dialect knows them.
func (c *Changer) owners(ctx context.Context, s *session, d dialect, entries []*ldap.Entry) ([]*ldap.Entry, error) {
	attributes := []string{"managedby", "owner", strings.ToLower(c.k.config.Fields["owner_id"])}
	have := map[string]bool{}
	v := newView()
	for _, e := range entries {
		have[fold(e.DN)] = true
	}
	for _, e := range slices.Clone(entries) {
		v.of(e)
		for _, a := range attributes {
			dn := v.text(a)
			if !strings.Contains(dn, "=") || have[fold(dn)] {
				continue
			}
			have[fold(dn)] = true
			owner, err := readEntry(ctx, s, dn, lookNames(d))
			if err != nil {
				return nil, err
			}
			if owner != nil {
				entries = append(entries, owner)
			}
		}
	}
	return entries, nil
}

// sameDN reports whether two DNs name one entry.
func sameDN(a, b string) bool { return fold(a) == fold(b) }

// lookNames are the attributes that a dialect reads, without the members of Active Directory's groups, which can be
// hundreds of thousands.
func lookNames(d dialect) []string {
	names := distinct(d.query().attributes)
	if _, ad := d.(*activeDir); ad {
		names = slices.DeleteFunc(names, func(a string) bool { return strings.EqualFold(a, "member") })
	}
	return names
}

func each(entries []*ldap.Entry, from string) iter.Seq2[located, error] {
	return func(yield func(located, error) bool) {
		for _, e := range entries {
			if !yield(located{Entry: e, File: from}, nil) {
				return
			}
		}
	}
}

// know asks the server once which attributes it gives to this credential at all.
func (c *Changer) know(ctx context.Context, s *session, more ...string) error {
	if c.given != nil {
		return nil
	}
	bases, err := c.k.bases(s.root)
	if err != nil {
		return err
	}
	q := c.k.dialect(c.k.config.Dialect, nil, nil).query()
	given, err := newStream(c.k, s, nil).given(ctx, bases, q.filter, append(slices.Clip(q.telling), more...))
	if err == nil {
		c.given = given
	}
	return err
}

// readEntry reads one entry by its DN, or by what stands for one; nil if there is none that may be seen.
func readEntry(ctx context.Context, s *session, dn string, names []string) (*ldap.Entry, error) {
	found, err := search1(ctx, s, dn, ldap.ScopeBaseObject, "(objectClass=*)", names)
	if len(found) == 0 {
		return nil, err
	}
	return found[0], err
}

// search1 reads all entries of a search, page by page; none below a base that isn't there.
func search1(ctx context.Context, s *session, base string, scope int, filter string, names []string) ([]*ldap.Entry, error) {
	req := ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, 0, 0, false, filter, names, nil)
	paged := scope != ldap.ScopeBaseObject && slices.Contains(s.root.controls, ldap.ControlTypePaging)
	page := ldap.NewControlPaging(500)
	if paged {
		req.Controls = []ldap.Control{page}
	}
	var out []*ldap.Entry
	for {
		var done answer
		for e, err := range s.search(ctx, req, &done) {
			if ldap.IsErrorAnyOf(err, ldap.LDAPResultNoSuchObject, ldap.LDAPResultReferral) {
				return out, nil
			}
			if err != nil {
				return nil, fmt.Errorf("search %s: %w", base, explain(err))
			}
			out = append(out, e)
		}
		answer, _ := ldap.FindControl(done.controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
		if !paged || answer == nil || len(answer.Cookie) == 0 {
			return out, nil
		}
		page.SetCookie(slices.Clone(answer.Cookie))
	}
}

// searchAll searches below every base.
func (c *Changer) searchAll(ctx context.Context, s *session, filter string, names []string) ([]*ldap.Entry, error) {
	bases, err := c.k.bases(s.root)
	if err != nil {
		return nil, err
	}
	var out []*ldap.Entry
	seen := map[string]bool{}
	for _, base := range bases {
		found, err := search1(ctx, s, base, ldap.ScopeWholeSubtree, filter, names)
		if err != nil {
			return nil, err
		}
		for _, e := range found {
			if !seen[e.DN] {
				seen[e.DN] = true
				out = append(out, e)
			}
		}
	}
	return out, nil
}

// rdnOf is the first part of a DN: the name of its entry within its container.
func rdnOf(dn string) string {
	parent := parentDN(dn)
	if parent == "" {
		return dn
	}
	name := strings.TrimRight(dn[:len(dn)-len(parent)], " ")
	return name[:len(name)-1] // the separator
}
