package ldap

import (
	"hash/maphash"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// members resolves memberships once all entries are read. Groups name their members by something else than the id: a DN,
// a login name, a SID. It keeps 24 bytes a membership and 40 a name, whatever their lengths: names are 128 bits of a
// keyed hash.
type members struct {
	a, b    maphash.Seed
	holders []holder
	byName  map[nameKey]uint32
	pairs   []pair
	joins   []join
}

// nameKey is a hashed name.
type nameKey [2]uint64

// holder is whoever can hold a grant.
type holder struct {
	kind access.HolderKind // "" is known to be no holder of grants: a contact, a printer
	id   string
}

// pair says that the one with a name is a member of a group.
type pair struct {
	member nameKey
	group  uint32
}

// join says that a member is in the group with a name: what a primary group is.
type join struct {
	group  nameKey
	member uint32
}

func newMembers() *members {
	return &members{a: maphash.MakeSeed(), b: maphash.MakeSeed(), byName: map[nameKey]uint32{}}
}

// name is the key of a name within a space: "dn" with a canonical DN, "uid" with a folded login name, "sid".
func (m *members) name(space, text string) nameKey {
	var key nameKey
	for i, seed := range [...]maphash.Seed{m.a, m.b} {
		var h maphash.Hash
		h.SetSeed(seed)
		h.WriteString(space)
		h.WriteByte(0)
		h.WriteString(text)
		key[i] = h.Sum64()
	}
	return key
}

// holder makes one known, by its names, and returns its number.
func (m *members) holder(kind access.HolderKind, id string, names ...nameKey) uint32 {
	no := uint32(len(m.holders))
	m.holders = append(m.holders, holder{kind, id})
	for _, n := range names {
		m.byName[n] = no
	}
	return no
}

// add says that the one with this name, who may become known later, is a member of a group.
func (m *members) add(group uint32, member nameKey) {
	m.pairs = append(m.pairs, pair{member, group})
}

// join says that one who is known is in the group with this name, which may become known later.
func (m *members) join(member uint32, group nameKey) {
	m.joins = append(m.joins, join{group, member})
}

// left counts the memberships that made no grant.
type left struct {
	unknown int64 // one of both is not among the entries: it doesn't exist, was not read, or may not be seen
	none    int64 // the member is known to hold no grants
}

// put passes on the grants, each once.
func (m *members) put(out collect.Sink) (left, error) {
	var l left
	seen := make(map[[2]uint32]struct{}, len(m.pairs)+len(m.joins))
	grant := func(member, group uint32) error {
		if m.holders[member].kind == "" {
			l.none++
			return nil
		}
		if _, twice := seen[[2]uint32{member, group}]; twice {
			return nil
		}
		seen[[2]uint32{member, group}] = struct{}{}
		return out.Put(access.Grant{HolderKind: m.holders[member].kind, HolderID: m.holders[member].id, EntitlementID: m.holders[group].id})
	}
	for _, p := range m.pairs {
		no, ok := m.byName[p.member]
		if !ok {
			l.unknown++
			continue
		}
		if err := grant(no, p.group); err != nil {
			return l, err
		}
	}
	for _, j := range m.joins {
		no, ok := m.byName[j.group]
		if !ok || m.holders[no].kind != access.HolderEntitlement {
			l.unknown++
			continue
		}
		if err := grant(j.member, no); err != nil {
			return l, err
		}
	}
	return l, nil
}
