package ldap

import (
	"cmp"
	"hash/maphash"
	"slices"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// members resolves memberships once all entries are read. Groups name their members by something else than the id: a DN,
// a login name, a SID. It keeps about 5 bytes a membership, 23 a name and 17 a holder, whatever their lengths: names are hashes
// with a key, ids are mostly numbers. Nothing in it is a pointer, so that collecting garbage costs no more for it.
type members struct {
	a, b    maphash.Seed
	kinds   []holderKind   // of whoever can hold a grant
	ids     entryIDs       // of the same
	holders *collect.Marks // by name: whose it is, counted from 1; 0 while nobody has it
	pairs   roll
	joins   roll
}

// nameNo is the number of a name that an entry has, or is called by.
type nameNo uint32

// holderKind is an access.HolderKind.
type holderKind uint8

const (
	noHolder holderKind = iota // known to hold no grants: a contact, a printer
	holderAccount
	holderEntitlement
)

var holderKinds = []access.HolderKind{noHolder: "", holderAccount: access.HolderAccount, holderEntitlement: access.HolderEntitlement}

func newMembers() *members {
	return &members{a: maphash.MakeSeed(), b: maphash.MakeSeed(), holders: collect.NewMarks()}
}

// name is a name within a space: "dn" with a canonical DN, "uid" with a folded login name, "sid".
func (m *members) name(space, text string) nameNo {
	var key collect.Mark
	for i, seed := range [...]maphash.Seed{m.a, m.b} {
		var h maphash.Hash
		h.SetSeed(seed)
		h.WriteString(space)
		h.WriteByte(0)
		h.WriteString(text)
		key[i] = h.Sum64()
	}
	return nameNo(m.holders.Number(key))
}

// holder makes one known, by its names, and returns its number.
func (m *members) holder(kind access.HolderKind, id string, names ...nameNo) uint32 {
	no := uint32(len(m.kinds))
	m.kinds = append(m.kinds, holderKind(slices.Index(holderKinds, kind)))
	m.ids.add(id)
	for _, n := range names {
		m.call(n, no)
	}
	return no
}

// call gives one who is known a further name.
func (m *members) call(n nameNo, no uint32) { m.holders.SetNumbered(uint32(n), no+1) }

// find returns the number of the one with a name.
func (m *members) find(n nameNo) (no uint32, ok bool) {
	no = m.holders.Numbered(uint32(n))
	return no - 1, no > 0
}

// kind is what the one with a number is.
func (m *members) kind(no uint32) access.HolderKind { return holderKinds[m.kinds[no]] }

// id is that of the one with a number.
func (m *members) id(no uint32) string { return m.ids.at(int(no)) }

// add says that the one with this name, who may become known later, is a member of a group.
func (m *members) add(group uint32, member nameNo) { m.pairs.add(group, uint32(member)) }

// join says that one who is known is in the group with this name, which may become known later: what a primary group is.
func (m *members) join(member uint32, group nameNo) { m.joins.add(uint32(group), member) }

// roll is who is in which group, in the order in which they come.
type roll struct {
	members long[uint32]
	runs    []run
}

// run is where the members of a group begin. They end where the next run begins.
type run struct {
	group uint32
	from  uint32
}

func (s *roll) add(group, member uint32) {
	if n := len(s.runs); n == 0 || s.runs[n-1].group != group {
		s.runs = append(s.runs, run{group, uint32(s.members.len())})
	}
	s.members.add(member)
}

func (s *roll) len() int { return s.members.len() }

// end is where a run ends.
func (s *roll) end(i int) uint32 {
	if i+1 < len(s.runs) {
		return s.runs[i+1].from
	}
	return uint32(s.members.len())
}

// each calls do with every membership. Those that do adds are not among them.
func (s *roll) each(do func(group, member uint32)) {
	runs, all := len(s.runs), uint32(s.members.len())
	for i := range runs {
		group, at := s.runs[i].group, s.runs[i].from
		for end := min(s.end(i), all); at < end; at++ {
			do(group, *s.members.at(int(at)))
		}
	}
}

// left counts the memberships that made no grant.
type left struct {
	unknown int64 // one of both is not among the entries: it doesn't exist, was not read, or may not be seen
	none    int64 // the member is known to hold no grants
}

// stretch is a run of a group that is known, in a list of holders' numbers counted from base.
type stretch struct {
	group    uint32
	of       *long[uint32]
	base     uint32
	from, to uint32
}

// nobody is the number less one of a holder that is not there.
const nobody = ^uint32(0)

// put passes on the grants, group by group, each once. It is the last that is done with members: names are forgotten, since whoever takes
// the grants needs the memory.
func (m *members) put(out collect.Sink) (left, error) {
	var l left
	stretches := make([]stretch, 0, len(m.pairs.runs)+len(m.joins.runs))
	for i, r := range m.pairs.runs {
		stretches = append(stretches, stretch{r.group, &m.pairs.members, 1, r.from, m.pairs.end(i)})
	}
	for i, r := range m.joins.runs {
		no, ok := m.find(nameNo(r.group))
		if !ok || m.kind(no) != access.HolderEntitlement {
			l.unknown += int64(m.joins.end(i) - r.from)
			continue
		}
		stretches = append(stretches, stretch{no, &m.joins.members, 0, r.from, m.joins.end(i)})
	}
	for _, block := range m.pairs.members.blocks {
		for i, n := range block {
			block[i] = m.holders.Numbered(n)
		}
	}
	m.pairs.runs, m.joins.runs, m.holders = nil, nil, nil
	slices.SortStableFunc(stretches, func(a, b stretch) int { return cmp.Compare(a.group, b.group) })
	last := make([]uint32, len(m.kinds)) // by holder: the group, counted from 1, that it was last found in
	group := ""
	for i, s := range stretches {
		if i == 0 || s.group != stretches[i-1].group {
			group = m.id(s.group)
		}
		for at := s.from; at < s.to; at++ {
			no := *s.of.at(int(at)) - s.base
			switch {
			case no == nobody:
				l.unknown++
				continue
			case m.kinds[no] == noHolder:
				l.none++
				continue
			case last[no] == s.group+1:
				continue
			}
			last[no] = s.group + 1
			if err := out.Put(access.Grant{HolderKind: m.kind(no), HolderID: m.id(no), EntitlementID: group}); err != nil {
				return l, err
			}
		}
	}
	return l, nil
}
