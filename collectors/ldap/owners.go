package ldap

import (
	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// owners names those who answer for an account or a group. A directory names them by DN, a roster by what it knows people
// by, and an owner may come after what he owns.
type owners struct {
	members *members
	known   map[uint32]string // by what a roster knows an account
	waiting []owned
}

// owned is a record that waits for its owner to be known.
type owned struct {
	at    located
	rec   access.Record
	owner nameKey
}

func newOwners(m *members) *owners { return &owners{members: m, known: map[uint32]string{}} }

// put passes a record on, or keeps it until its owner is known.
func (o *owners) put(out collect.Sink, e located, v *view, rec access.Record, ownerDN string) error {
	if ownerDN != "" {
		if dn, err := canonicalDN(ownerDN); err == nil {
			o.waiting = append(o.waiting, owned{located{File: e.File, Line: e.Line}, rec, o.members.name("dn", dn)})
			return nil
		}
		v.unreadable["owner"]++
	}
	e.locate(out)
	return out.Put(rec)
}

// settle passes on the records that waited, when all entries were read.
func (o *owners) settle(out collect.Sink) error {
	for _, w := range o.waiting {
		owner := ""
		if no, ok := o.members.find(w.owner); ok {
			owner = o.known[no]
		}
		rec := w.rec
		switch r := rec.(type) {
		case access.Account:
			r.OwnerID = owner
			rec = r
		case access.Entitlement:
			r.OwnerID = owner
			rec = r
		}
		w.at.locate(out)
		if err := out.Put(rec); err != nil {
			return err
		}
	}
	return nil
}
