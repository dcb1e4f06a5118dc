package ldap

import (
	"strings"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// owners names those who answer for an account or a group. A directory names them by DN, a roster by what it knows people
// by, and an owner may come after what he owns.
type owners struct {
	members *members
	named   bool          // somebody may be named: all but an export without such an attribute
	known   collect.Texts // by what a roster knows an account, "" for other holders
	count   uint32        // of known
	waiting []owned
}

// owned is a record that waits for its owner to be known.
type owned struct {
	at    located
	rec   access.Record
	owner nameNo
}

// newOwners is for entries of which the attribute names who answers for one, beside the one that is configured.
func newOwners(r reading, attribute string, m *members) *owners {
	configured, _, _ := strings.Cut(strings.ToLower(r.config.Fields["owner_id"]), ";")
	return &owners{members: m, named: r.config.files() == nil || r.given(attribute) || configured != "" && r.given(configured)}
}

// know says by what a roster knows an account. Accounts come in the order of their numbers.
func (o *owners) know(no uint32, by string) {
	if !o.named {
		return
	}
	for ; o.count < no; o.count++ {
		o.known.Add("")
	}
	o.known.Add(by)
	o.count++
}

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

// settle passes on the records that waited, when all entries were read, and forgets what that needs.
func (o *owners) settle(out collect.Sink) error {
	for _, w := range o.waiting {
		owner := ""
		if no, ok := o.members.find(w.owner); ok {
			owner, _ = o.known.At(int(no))
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
	o.known, o.waiting = collect.Texts{}, nil
	return nil
}
