package ldap

import (
	"hash/maphash"
	"slices"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// members resolves memberships once all entries are read. Groups name their members by something else than the id: a DN,
// a login name, a SID. It keeps 24 bytes a membership and 22 a name, whatever their lengths: names are hashes with a key.
type members struct {
	a, b   maphash.Seed
	kinds  []holderKind  // of whoever can hold a grant
	ids    collect.Texts // of the same
	byName *collect.Marks
	pairs  []pair
	joins  []join
}

// nameKey is a hashed name.
type nameKey = collect.Mark

// holderKind is an access.HolderKind.
type holderKind uint8

const (
	noHolder holderKind = iota // known to hold no grants: a contact, a printer
	holderAccount
	holderEntitlement
)

var holderKinds = []access.HolderKind{noHolder: "", holderAccount: access.HolderAccount, holderEntitlement: access.HolderEntitlement}

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
	return &members{a: maphash.MakeSeed(), b: maphash.MakeSeed(), byName: collect.NewMarks()}
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
	no := uint32(len(m.kinds))
	m.kinds = append(m.kinds, holderKind(slices.Index(holderKinds, kind)))
	m.ids.Add(id)
	for _, n := range names {
		m.call(n, no)
	}
	return no
}

// call gives one who is known a further name.
func (m *members) call(name nameKey, no uint32) { m.byName.Set(name, no+1) }

// find returns the number of the one with a name.
func (m *members) find(name nameKey) (no uint32, ok bool) {
	n := m.byName.Get(name)
	return n - 1, n > 0
}

// kind is what the one with a number is.
func (m *members) kind(no uint32) access.HolderKind { return holderKinds[m.kinds[no]] }

// id is that of the one with a number.
func (m *members) id(no uint32) string {
	id, _ := m.ids.At(int(no))
	return id
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
		if m.kind(member) == "" {
			l.none++
			return nil
		}
		if _, twice := seen[[2]uint32{member, group}]; twice {
			return nil
		}
		seen[[2]uint32{member, group}] = struct{}{}
		return out.Put(access.Grant{HolderKind: m.kind(member), HolderID: m.id(member), EntitlementID: m.id(group)})
	}
	for _, p := range m.pairs {
		no, ok := m.find(p.member)
		if !ok {
			l.unknown++
			continue
		}
		if err := grant(no, p.group); err != nil {
			return l, err
		}
	}
	for _, j := range m.joins {
		no, ok := m.find(j.group)
		if !ok || m.kind(no) != access.HolderEntitlement {
			l.unknown++
			continue
		}
		if err := grant(j.member, no); err != nil {
			return l, err
		}
	}
	return l, nil
}
