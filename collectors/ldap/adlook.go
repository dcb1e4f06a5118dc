package ldap

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/lapse-audit/lapse/internal/access"
)

// look reads an object, the groups that name it and its primary group. Which groups those are is asked of the groups, as the
// collection does: memberOf is often hidden.
func (a adEditor) look(ctx context.Context, s *session, v *view, o access.Object) (access.Live, error) {
	if err := a.know(ctx, s, "manager", "managedby"); err != nil {
		return access.Live{}, err
	}
	d := a.k.dialect(ActiveDirectory, a.given, nil)
	names := append(lookNames(d), editNames...)
	if note := a.noteAttribute(); note != "" {
		names = append(names, note)
	}
	names = distinct(names)
	self, err := readEntry(ctx, s, byGUID(o.ID), names)
	switch {
	case err != nil:
		return access.Live{}, err
	case self == nil:
		return access.Live{}, access.ErrGone
	}
	v.of(self)
	filter := "(objectCategory=group)(member=" + ldap.EscapeFilter(self.DN) + ")"
	if f := a.k.config.Filter; f != "" {
		filter += enclosed(f)
	}
	groups, err := a.searchAll(ctx, s, "(&"+filter+")", names)
	if err != nil {
		return access.Live{}, err
	}
	for _, g := range groups { // of all its members, it is this one that matters
		g.Attributes = append(g.Attributes, &ldap.EntryAttribute{Name: "member", Values: []string{self.DN}})
	}
	entries := append([]*ldap.Entry{self}, groups...)
	if rid, domain := v.text("primarygroupid"), domainSID(adSID(v)); rid != "" && domain != "" {
		primary, err := readEntry(ctx, s, "<SID="+domain+"-"+rid+">", names)
		if err != nil {
			return access.Live{}, err
		}
		if primary != nil && a.covered(s, primary.DN) {
			entries = append(entries, primary)
		}
	}
	live, err := a.read(ctx, s, o, entries)
	if err != nil {
		return live, err
	}
	live.Keep, err = a.keep(ctx, s, v, groups)
	return live, err
}

// covered reports whether an entry lies where the collection reads.
func (c *Changer) covered(s *session, dn string) bool {
	bases, err := c.k.bases(s.root)
	return err == nil && slices.ContainsFunc(bases, func(b string) bool { return underDN(fold(dn), fold(b)) })
}

// keep is what undoing needs beside the records.
func (a adEditor) keep(ctx context.Context, s *session, v *view, groups []*ldap.Entry) (map[string][]string, error) {
	keep := map[string][]string{}
	parent := parentDN(v.entry.DN)
	keep[string(access.ActionMove)] = []string{parent}
	container, err := readEntry(ctx, s, parent, []string{"objectGUID"})
	if err != nil {
		return nil, err
	}
	if container != nil {
		c := newView()
		c.of(container)
		if id, err := guidText(c.bytes("objectguid")); err == nil {
			keep[keepContainer] = []string{id}
		}
	}
	if !v.has("samaccountname") || v.is("group") {
		return keep, nil
	}
	if v.has("accountexpires") {
		keep[string(access.ActionExpire)] = v.texts("accountexpires")
	}
	if note := a.noteAttribute(); note != "" {
		keep[keepNote] = append([]string{}, v.texts(strings.ToLower(note))...)
	}
	if v.has("manager") || a.given["manager"] {
		keep[string(access.ActionClearManager)] = append([]string{}, v.texts("manager")...)
	}
	if rid := v.text("primarygroupid"); rid != "" {
		keep[keepPrimary] = []string{rid}
		if to := other(v, groups, domainSID(adSID(v))+"-"+rid); to != 0 {
			keep[keepOther] = []string{strconv.Itoa(to)}
		}
	}
	return keep, a.keepOwned(ctx, s, v, keep)
}

// keepOwned lists what names the object as its manager or as whoever answers for it. Where no entry at all shows such a
// name, nothing is known.
func (a adEditor) keepOwned(ctx context.Context, s *session, v *view, keep map[string][]string) error {
	all := []string{}
	known := a.given["manager"] || a.given["managedby"]
	for _, attribute := range ownership {
		owned, err := a.owned(ctx, s, attribute, v.entry.DN)
		if err != nil {
			return err
		}
		known = known || len(owned) > 0
		ids := []string{}
		for _, o := range owned {
			id, err := guidText(o.bytes("objectguid"))
			if err != nil {
				return fmt.Errorf("%s: objectGUID: %w", o.entry.DN, err)
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
