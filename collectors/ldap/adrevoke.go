package ldap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/lapse-audit/lapse/internal/access"
)

// ridUsers is Domain Users, which is the primary group of accounts unless somebody says otherwise.
const ridUsers = 513

// revoke removes the object from a group. From its primary group it can't be removed: another of its groups becomes that
// first, whereupon the server makes it a common member of the one that was.
func (a adEditor) revoke(ctx context.Context, s *session, v *view, c access.Change) ([]step, error) {
	group, err := a.find(ctx, s, access.Object{Kind: access.HolderEntitlement, ID: c.Entitlement})
	switch {
	case errors.Is(err, access.ErrGone) && c.Undo:
		return nil, fmt.Errorf("%w: the group is gone", access.ErrRefused)
	case errors.Is(err, access.ErrGone):
		return nil, nil // and with it the membership
	case err != nil:
		return nil, err
	case !group.is("group"):
		return nil, fmt.Errorf("%w: %s is no group", access.ErrCannot, group.entry.DN)
	}
	member, err := a.member(ctx, s, group, v.entry.DN)
	if err != nil {
		return nil, err
	}
	primary := isPrimary(v, group)
	leave, err := a.step(group, modification{ldap.DeleteAttribute, "member", []string{v.entry.DN}})
	if err != nil {
		return nil, err
	}
	if c.Undo {
		return a.rejoin(v, group, c, member || primary)
	}
	switch {
	case primary:
		other, err := a.otherGroup(ctx, s, v, group)
		if err != nil {
			return nil, err
		}
		first, err := a.step(v, swap("primaryGroupID", v.texts("primarygroupid"), []string{strconv.Itoa(other)})...)
		return []step{first, leave}, err
	case member:
		return []step{leave}, nil
	}
	return nil, nil
}

// rejoin makes the object a member again, and the group its primary one if it was.
func (a adEditor) rejoin(v, group *view, c access.Change, in bool) ([]step, error) {
	if done, known := before(c); !known || done {
		return nil, nil
	}
	var steps []step
	if !in {
		join, err := a.step(group, modification{ldap.AddAttribute, "member", []string{v.entry.DN}})
		if err != nil {
			return nil, err
		}
		steps = append(steps, join)
	}
	was, now := c.Before.Keep[keepPrimary], v.texts("primarygroupid")
	if len(was) == 1 && ridOf(adSID(group)) == was[0] && slices.Equal(now, c.Before.Keep[keepOther]) {
		back, err := a.step(v, swap("primaryGroupID", now, was)...)
		if err != nil {
			return nil, err
		}
		steps = append(steps, back)
	}
	return steps, nil
}

// member asks the server whether a group names an entry: the list can be long.
func (a adEditor) member(ctx context.Context, s *session, group *view, dn string) (bool, error) {
	id, err := guidText(group.bytes("objectguid"))
	if err != nil {
		return false, fmt.Errorf("%s: objectGUID: %w", group.entry.DN, err)
	}
	found, err := search1(ctx, s, byGUID(id), ldap.ScopeBaseObject, "(member="+ldap.EscapeFilter(dn)+")", []string{"1.1"})
	return len(found) > 0, err
}

// adSID is the SID of an entry, "" where it can't be read.
func adSID(v *view) string {
	sid, err := sidText(v.bytes("objectsid"))
	if err != nil {
		return ""
	}
	return sid
}

// domainSID is what the SIDs of a domain have in common.
func domainSID(sid string) string {
	if i := strings.LastIndexByte(sid, '-'); i > 0 {
		return sid[:i]
	}
	return ""
}

func isPrimary(v, group *view) bool {
	sid, rid := adSID(group), v.text("primarygroupid")
	return sid != "" && rid != "" && sid == domainSID(adSID(v))+"-"+rid
}

// errOnlyGroup says what keeps an account in its primary group.
var errOnlyGroup = fmt.Errorf("%w: it is the account's primary group, and the account is in no other that could be: make it a member of one first, such as Domain Users", access.ErrRefused)

// otherGroup is the RID of the group that becomes the primary one in the place of another: Domain Users if the account is
// in it, else the oldest global or universal security group that gives no special rights.
func (a adEditor) otherGroup(ctx context.Context, s *session, v, not *view) (int, error) {
	found, err := a.searchAll(ctx, s, "(&(objectCategory=group)(member="+ldap.EscapeFilter(v.entry.DN)+"))", editNames)
	if err != nil {
		return 0, err
	}
	if rid := other(v, found, adSID(not)); rid != 0 {
		return rid, nil
	}
	return 0, errOnlyGroup
}

func other(v *view, groups []*ldap.Entry, not string) int {
	best := 0
	g := newView()
	for _, e := range groups {
		g.of(e)
		sid := adSID(g)
		n, ok := g.number("grouptype")
		rid, err := strconv.Atoi(ridOf(sid))
		bits := uint32(n)
		switch {
		case !ok || err != nil || sid == not || domainSID(sid) != domainSID(adSID(v)):
		case bits&groupSecurity == 0 || bits&(groupGlobal|groupUniversal) == 0 || privilegedSID(sid) || g.text("admincount") == "1":
		case rid == ridUsers:
			return rid
		case best == 0 || rid < best:
			best = rid
		}
	}
	return best
}
