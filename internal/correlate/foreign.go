package correlate

import (
	"fmt"
	"iter"
	"slices"

	"github.com/lapse-audit/lapse/internal/access"
)

// SIDBearer is an account that has a security identifier, such as S-1-5-21-1004336348-1177238915-682003330-1105.
type SIDBearer struct {
	Source, ID, Username, SID string
	// Foreign says that the account is a foreign security principal: it only stands for the one with this SID elsewhere.
	Foreign bool
}

// Foreign links foreign security principals. What one of them holds in its directory is the access of whoever the
// account with the same SID in another source belongs to, so it is linked after that: as surely, to the same person, and
// no surer. One goroutine uses it.
type Foreign struct {
	linker     *Linker
	principals []SIDBearer
	own        map[accountKey]access.Link // of the principals, by their own evidence
	owners     map[string][]SIDBearer     // by SID
	links      map[accountKey]access.Link // of the owners
}

// NewForeign takes the foreign security principals and the accounts that have their SIDs. Others only cost memory.
func (l *Linker) NewForeign(bearers []SIDBearer) *Foreign {
	f := &Foreign{linker: l, own: map[accountKey]access.Link{}, owners: map[string][]SIDBearer{}, links: map[accountKey]access.Link{}}
	for _, b := range bearers {
		key := accountKey{b.Source, b.ID}
		if b.Foreign {
			f.principals = append(f.principals, b)
			f.own[key] = access.Link{}
			continue
		}
		f.owners[b.SID] = append(f.owners[b.SID], b)
		f.links[key] = access.Link{}
	}
	return f
}

// Take looks at the link of each account of the run and reports whether it is a foreign security principal's. Links gives
// that one in its place.
func (f *Foreign) Take(link access.Link) bool {
	key := accountKey{link.Source, link.AccountID}
	if _, ok := f.own[key]; ok {
		f.own[key] = link
		return true
	}
	if _, ok := f.links[key]; ok {
		f.links[key] = link
	}
	return false
}

// Links gives the links of the foreign security principals, once Take has seen those of all accounts.
func (f *Foreign) Links() iter.Seq[access.Link] {
	return func(yield func(access.Link) bool) {
		for _, p := range f.principals {
			if !yield(f.link(p)) {
				return
			}
		}
	}
}

// link resolves one principal. Evidence of its own stands, as that of any account: it can be linked by hand.
func (f *Foreign) link(p SIDBearer) access.Link {
	link := f.own[accountKey{p.Source, p.ID}]
	if link.Status != access.LinkUnmatched {
		return link
	}
	owners := f.owners[p.SID]
	switch len(owners) {
	case 0:
		link.Reason = "no account of another source has its SID"
		return link
	case 1:
	default:
		link.Reason = fmt.Sprintf("several accounts have its SID, among them %s and %s", owners[0].name(), owners[1].name())
		return link
	}
	through := f.links[accountKey{owners[0].Source, owners[0].ID}]
	denied := f.linker.manual[accountKey{p.Source, p.ID}].denied
	people := append(slices.Clone(through.Candidates), through.Person)
	people = slices.DeleteFunc(people, func(person string) bool { return person == "" || slices.Contains(denied, person) })
	reason := fmt.Sprintf("it stands for %s, which has its SID: %s", owners[0].name(), through.Reason)
	switch {
	case through.Status == access.LinkUnmatched:
		link.Reason = reason
	case len(people) == 0:
		link.Reason = fmt.Sprintf("nobody is left beside those denied by hand, though it stands for %s, which has its SID", owners[0].name())
	case through.Status == access.LinkLinked:
		link.Status, link.Method, link.Person, link.Reason = through.Status, through.Method, through.Person, reason
	default:
		link.Status, link.Method, link.Candidates, link.Reason = through.Status, through.Method, people, reason
	}
	return link
}

// name says which account it is as people know it.
func (b SIDBearer) name() string {
	name := b.Username
	if name == "" {
		name = b.ID
	}
	return name + " in " + b.Source
}
