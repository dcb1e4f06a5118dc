package ldap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/lapse-audit/lapse/internal/access"
)

// namedBy are the values by which a group names an entry, by attribute, as they are spelt there.
func namedBy(group, v *view) map[string][]string {
	out := map[string][]string{}
	for _, attribute := range membership {
		for _, value := range group.texts(attribute) {
			var same bool
			switch attribute {
			case "memberuid":
				same = slices.ContainsFunc(v.texts("uid"), func(uid string) bool { return foldValue(uid) == foldValue(value) })
			case "uniquemember":
				same = sameDN(withoutUID(value), v.entry.DN)
			default:
				same = sameDN(value, v.entry.DN)
			}
			if same {
				out[attribute] = append(out[attribute], value)
			}
		}
	}
	return out
}

// needing are the classes of groups that can't be without a member, and the attribute that they need.
var needing = map[string]string{"groupofnames": "member", "groupofuniquenames": "uniquemember"}

func (r rfcEditor) revoke(ctx context.Context, s *session, v *view, c access.Change) ([]step, error) {
	group, err := r.find(ctx, s, access.Object{Kind: access.HolderEntitlement, ID: c.Entitlement})
	switch {
	case errors.Is(err, access.ErrGone) && c.Undo:
		return nil, fmt.Errorf("%w: the group is gone", access.ErrRefused)
	case errors.Is(err, access.ErrGone):
		return nil, nil // and with it the membership
	case err != nil:
		return nil, err
	}
	named := namedBy(group, v)
	if c.Undo {
		return r.rejoin(s, v, group, named, c)
	}
	if v.is("posixaccount") && group.is("posixgroup") && v.text("gidnumber") == group.text("gidnumber") {
		return nil, fmt.Errorf("%w: it is in %s by its own gidNumber: give it another primary group first", access.ErrCannot, group.entry.DN)
	}
	if len(named) == 0 && group.has("memberurl") {
		return nil, fmt.Errorf("%w: whoever memberURL of %s finds is its member: change what it asks, or what it finds in the account", access.ErrCannot, group.entry.DN)
	}
	var mods []modification
	for _, attribute := range membership {
		if len(named[attribute]) > 0 {
			mods = append(mods, modification{ldap.DeleteAttribute, attribute, named[attribute]})
		}
	}
	for class, attribute := range needing {
		if n := len(named[attribute]); n > 0 && group.is(class) && len(group.texts(attribute)) == n {
			return nil, fmt.Errorf("%w: it is the last member of %s, and a group of class %s can't be without: give the group another member, or delete it", access.ErrRefused, group.entry.DN, class)
		}
	}
	if len(named["memberuid"]) > 0 {
		if err := r.alone(ctx, s, v); err != nil {
			return nil, err
		}
	}
	return r.one(s, group, mods, isEntry(v))
}

// alone refuses to take a login name from a group where another account has it, too.
func (r rfcEditor) alone(ctx context.Context, s *session, v *view) error {
	for _, uid := range v.texts("uid") {
		found, err := r.searchAll(ctx, s, "(&(objectClass=posixAccount)(uid="+ldap.EscapeFilter(uid)+"))", []string{"1.1"})
		if err != nil {
			return err
		}
		if len(found) > 1 {
			return fmt.Errorf("%w: %d accounts have the login name %s, and all would be taken out of the group", access.ErrRefused, len(found), uid)
		}
	}
	return nil
}

// rejoin names the object in the group again as it was named before.
func (r rfcEditor) rejoin(s *session, v, group *view, named map[string][]string, c access.Change) ([]step, error) {
	if done, known := before(c); !known || done {
		return nil, nil
	}
	was, known := c.Before.Keep[keepHeld+c.Entitlement]
	if !known {
		return nil, fmt.Errorf("how %s named it before is not known", group.entry.DN)
	}
	var mods []modification
	for _, held := range was {
		attribute, value, _ := strings.Cut(held, "=")
		if attribute != "memberuid" { // it may have another DN by now
			value = v.entry.DN + value[len(withoutUID(value)):]
		}
		if len(named[attribute]) == 0 {
			mods = append(mods, modification{ldap.AddAttribute, attribute, []string{value}})
		}
	}
	return r.one(s, group, mods, isEntry(v))
}

// owning are the attributes by which an entry names who answers for it, in lower case.
var owning = []string{"owner", "manager"}

func (r rfcEditor) handover(ctx context.Context, s *session, v *view, c access.Change) ([]step, error) {
	from := v.entry.DN
	var heirs []string
	switch to, err := r.find(ctx, s, access.Object{Kind: access.HolderAccount, ID: c.To}); {
	case err == nil && sameDN(to.entry.DN, from):
		return nil, fmt.Errorf("%w: it would be handed over to itself", access.ErrRefused)
	case err == nil:
		heirs = []string{to.entry.DN}
	case errors.Is(err, access.ErrGone), errors.Is(err, access.ErrCannot):
		return nil, fmt.Errorf("%w: there is no account %q to hand over to", access.ErrRefused, c.To)
	default:
		return nil, err
	}
	heir := func(id string, managers []string) []string {
		if id != c.To {
			return heirs
		}
		return slices.DeleteFunc(slices.Clone(managers), func(m string) bool { return sameDN(m, heirs[0]) }) // nobody is their own manager
	}
	var steps []step
	add := func(owned *view, attribute string, old, new []string) error {
		st, err := r.step(s, owned, swap(attribute, old, new))
		steps = append(steps, st)
		return err
	}
	for _, attribute := range owning {
		if c.Undo {
			for _, id := range c.Before.Keep[keepOwns+attribute] {
				o, err := r.find(ctx, s, access.Object{ID: id})
				if errors.Is(err, access.ErrGone) {
					continue
				}
				if err != nil {
					return nil, err
				}
				now, was := o.texts(attribute), c.Before.Keep[keepOwners+attribute+"."+id]
				gave := without(heir(id, c.Before.Keep[string(access.ActionClearManager)]), was)
				if slices.ContainsFunc(now, func(dn string) bool { return sameDN(dn, from) }) || len(without(gave, now)) > 0 {
					continue // somebody else has changed it since
				}
				if err := add(o, attribute, with(gave, now), []string{from}); err != nil {
					return nil, err
				}
			}
			continue
		}
		owned, err := r.owned(ctx, s, attribute, from)
		if err != nil {
			return nil, err
		}
		for _, o := range owned {
			_, id := idOf(o)
			now := o.texts(attribute)
			if err := add(o, attribute, with([]string{from}, now), without(heir(id, v.texts("manager")), now)); err != nil {
				return nil, err
			}
		}
	}
	return steps, nil
}

// without are the DNs of a list that another doesn't hold; with are those of the other that the list names, as they are spelt
// there.
func without(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(a string) bool {
		return slices.ContainsFunc(other, func(b string) bool { return sameDN(a, b) })
	})
}

func with(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(other), func(a string) bool {
		return !slices.ContainsFunc(list, func(b string) bool { return sameDN(a, b) })
	})
}

func (r rfcEditor) owned(ctx context.Context, s *session, attribute, dn string) ([]*view, error) {
	found, err := r.searchAll(ctx, s, "("+attribute+"="+ldap.EscapeFilter(dn)+")", r.names(s))
	var out []*view
	for _, e := range found {
		v := newView()
		v.of(e)
		out = append(out, v)
	}
	return out, err
}

// look reads an object and every group that can name it: by DN, by login name or by group number, by a search, or as it says
// itself in memberOf.
func (r rfcEditor) look(ctx context.Context, s *session, v *view, o access.Object) (access.Live, error) {
	if err := r.know(ctx, s, "manager", "owner"); err != nil {
		return access.Live{}, err
	}
	d := r.k.dialect(RFC2307, r.given, nil)
	names := distinct(append(lookNames(d), r.names(s)...))
	self, err := readEntry(ctx, s, v.entry.DN, names)
	switch {
	case err != nil:
		return access.Live{}, err
	case self == nil:
		return access.Live{}, access.ErrGone
	}
	v.of(self)
	groups, err := r.searchAll(ctx, s, groupFilter(v, r.k.config.Filter), names)
	if err != nil {
		return access.Live{}, err
	}
	if err := r.findTagged(ctx, s); err != nil {
		return access.Live{}, err
	}
	for _, dn := range append(slices.Clip(v.texts("memberof")), r.tagged...) {
		if slices.ContainsFunc(groups, func(g *ldap.Entry) bool { return sameDN(g.DN, dn) }) {
			continue
		}
		told, err := readEntry(ctx, s, dn, names)
		if err != nil {
			return access.Live{}, err
		}
		if told != nil {
			groups = append(groups, told)
		}
	}
	groups = slices.DeleteFunc(groups, func(g *ldap.Entry) bool { return sameDN(g.DN, self.DN) })
	live, err := r.read(ctx, s, o, append([]*ldap.Entry{self}, groups...))
	if err != nil {
		return live, err
	}
	live.Keep, err = r.keep(ctx, s, v, groups)
	return live, err
}

// findTagged looks once for groups of which a uniqueMember has a bit string after its DN: no filter finds these by the DN.
func (r rfcEditor) findTagged(ctx context.Context, s *session) error {
	if r.tagged != nil || !r.given["uniquemember"] {
		return nil
	}
	found, err := r.searchAll(ctx, s, "(uniqueMember=*)", []string{"uniqueMember"})
	if err != nil {
		return err
	}
	tagged := []string{}
	for _, e := range found {
		if slices.ContainsFunc(e.Attributes, func(a *ldap.EntryAttribute) bool {
			return slices.ContainsFunc(a.Values, func(m string) bool { return withoutUID(m) != m })
		}) {
			tagged = append(tagged, e.DN)
		}
	}
	r.tagged = tagged
	return nil
}

// groupFilter finds the groups that may name an entry. Login names are compared whatever their case, as the collection does.
func groupFilter(v *view, more string) string {
	dn := ldap.EscapeFilter(v.entry.DN)
	filter := "(|(member=" + dn + ")(uniqueMember=" + dn + ")(roleOccupant=" + dn + ")(memberURL=*)"
	for _, uid := range v.texts("uid") {
		uid = ldap.EscapeFilter(uid)
		filter += "(memberUid=" + uid + ")(memberUid:caseIgnoreIA5Match:=" + uid + ")"
	}
	if gid := v.text("gidnumber"); gid != "" && v.is("posixaccount") {
		filter += "(&(objectClass=posixGroup)(gidNumber=" + ldap.EscapeFilter(gid) + "))"
	}
	filter += ")"
	if more != "" {
		filter = "(&" + filter + enclosed(more) + ")"
	}
	return filter
}

// keep is what undoing needs beside the records.
func (r rfcEditor) keep(ctx context.Context, s *session, v *view, groups []*ldap.Entry) (map[string][]string, error) {
	list := func(values []string) []string { return append([]string{}, values...) }
	keep := map[string][]string{}
	parent := parentDN(v.entry.DN)
	keep[string(access.ActionMove)] = []string{parent}
	container, err := readEntry(ctx, s, parent, []string{"entryUUID", "nsUniqueId"})
	if err != nil {
		return nil, err
	}
	g := newView()
	if container != nil {
		g.of(container)
		if _, id := idOf(g); id != "" {
			keep[keepContainer] = []string{id}
		}
	}
	for _, e := range groups {
		g.of(e)
		_, id := idOf(g)
		var held []string
		for attribute, values := range namedBy(g, v) {
			for _, value := range values {
				held = append(held, attribute+"="+value)
			}
		}
		if slices.Sort(held); id != "" && len(held) > 0 {
			keep[keepHeld+id] = held
		}
	}
	if attribute, value, err := r.lock(s); err == nil {
		keep[string(access.ActionDisable)] = list(v.texts(strings.ToLower(attribute)))
		keep[keepLock] = []string{attribute, value}
	}
	keep[keepName] = []string{rdnOf(v.entry.DN)}
	keep[keepClass] = list(v.texts("objectclass"))
	for _, attribute := range expiries {
		keep["expire."+attribute] = list(v.texts(attribute))
	}
	if note := r.noteAttribute(); note != "" {
		keep[keepNote] = list(v.texts(strings.ToLower(note)))
	}
	if v.has("manager") || r.given["manager"] {
		keep[string(access.ActionClearManager)] = list(v.texts("manager"))
	}
	return keep, r.keepOwned(ctx, s, v, keep)
}

func (r rfcEditor) keepOwned(ctx context.Context, s *session, v *view, keep map[string][]string) error {
	all := []string{}
	known := r.given["manager"] || r.given["owner"]
	for _, attribute := range owning {
		owned, err := r.owned(ctx, s, attribute, v.entry.DN)
		if err != nil {
			return err
		}
		known = known || len(owned) > 0
		ids := []string{}
		for _, o := range owned {
			_, id := idOf(o)
			if id == "" {
				id = "dn:" + fold(o.entry.DN) // stays in the list, and is no more than that
			} else {
				keep[keepOwners+attribute+"."+id] = o.texts(attribute)
			}
			ids = append(ids, id)
		}
		slices.Sort(ids)
		keep[keepOwns+attribute] = ids
		all = append(all, ids...)
	}
	if known {
		slices.Sort(all)
		keep[string(access.ActionHandover)] = slices.Compact(all)
	}
	return nil
}
