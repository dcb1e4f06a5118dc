package ldap

import (
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// Whatever an id looks like, it comes out as it went in.
func TestEntryIDs(t *testing.T) {
	list := []string{
		"6f9619ff-8b86-d011-b42d-00c04fc964ff", "6F9619FF-8B86-D011-B42D-00C04FC964FF", "6f9619ff8b86d011b42d00c04fc964ff", "6f9619ff-8b86-d011-b42d-00c04fc964f-",
		"6f9619ff-8b86-d011-b42d+00c04fc964ff", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
		"6a0c4f80-1dd211b2-80f3a8d1-5b8e0000", "6a0c4f80-1dd211b2-80f3a8d1-5b8e000g", "dn:uid=ann,dc=example", "", "ü", strings.Repeat("-", 36), strings.Repeat("0", 36),
	}
	var x entryIDs
	const rounds = longBlock/4 + 1 // beyond a block
	for range rounds {
		for _, id := range list {
			x.add(id)
		}
	}
	for i := range rounds * len(list) {
		if got, want := x.at(i), list[i%len(list)]; got != want {
			t.Fatalf("%d: %q, want %q", i, got, want)
		}
	}
}

// granted keeps grants as text.
type granted struct{ list []string }

func (g *granted) Put(r access.Record) error {
	n := r.(access.Grant)
	g.list = append(g.list, string(n.HolderKind)+" "+n.HolderID+" > "+n.EntitlementID)
	return nil
}
func (g *granted) Reject(collect.Rejection) error { return nil }

// A membership that is told twice is one grant, whether the group, another of its names or the member tells it; it may be told
// before its member or its group is known, and counts as unknown if neither ever is.
func TestMembers(t *testing.T) {
	m := newMembers()
	staff := m.holder(access.HolderEntitlement, "staff", m.name("dn", "cn=staff"), m.name("sid", "S-1"))
	m.add(staff, m.name("dn", "cn=ann"))
	m.add(staff, m.name("dn", "cn=nobody"))
	admins := m.holder(access.HolderEntitlement, "admins", m.name("dn", "cn=admins"))
	m.add(admins, m.name("dn", "cn=staff"))
	m.add(admins, m.name("uid", "ann"))
	m.add(admins, m.name("dn", "cn=printer"))
	m.add(admins, m.name("uid", "cn=ann")) // a name of another space
	ann := m.holder(access.HolderAccount, "ann", m.name("dn", "cn=ann"), m.name("uid", "ann"))
	bob := m.holder(access.HolderAccount, "bob", m.name("dn", "cn=bob"))
	m.holder("", "", m.name("dn", "cn=printer"))
	m.join(ann, m.name("sid", "S-1"))
	m.join(bob, m.name("sid", "S-2"))
	m.join(bob, m.name("sid", "S-3"))
	m.join(bob, m.name("dn", "cn=ann")) // no group
	m.add(admins, m.name("dn", "cn=ann"))
	m.holder(access.HolderEntitlement, "late", m.name("sid", "S-2"))
	var out granted
	l, err := m.put(&out)
	if err != nil {
		t.Fatal(err)
	}
	if want := (left{unknown: 4, none: 1}); l != want {
		t.Errorf("left %+v, want %+v", l, want)
	}
	if got, want := strings.Join(out.list, "; "), "account ann > staff; entitlement staff > admins; account ann > admins; account bob > late"; got != want {
		t.Errorf("grants %s, want %s", got, want)
	}
}
