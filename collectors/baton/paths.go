package baton

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/access"
)

// edge says that whoever holds from holds to.
type edge struct{ from, to string } // ids of entitlements

// paths are the memberships of entitlements in each other.
type paths struct {
	edges map[edge]*expansion
	// implied are those by which the connector worked grants out. Each should be an edge.
	implied map[edge]bool
	into    map[string]bool // entitlements that can be held through others
}

func newPaths() *paths {
	return &paths{edges: map[edge]*expansion{}, implied: map[edge]bool{}, into: map[string]bool{}}
}

// add notes an edge. Of several grants that make the same one the widest holds.
func (p *paths) add(e edge, x *expansion) {
	p.into[e.to] = true
	was := p.edges[e]
	if was == nil {
		p.edges[e] = &expansion{shallow: x.shallow, kinds: slices.Clone(x.kinds)}
		return
	}
	was.shallow = was.shallow && x.shallow
	if len(was.kinds) == 0 || len(x.kinds) == 0 {
		was.kinds = nil
		return
	}
	was.kinds = append(was.kinds, x.kinds...)
}

func (p *paths) sorted() []edge {
	return slices.SortedFunc(maps.Keys(p.edges), func(a, b edge) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
}

// some are the holders of an entitlement to whom alone it hands something on: those who hold it directly, or whose accounts
// are of certain types.
type some struct{ of, kinds string }

// nest puts the memberships. A plain one hands all on to all. One that is shallow, where the entitlement can be held through
// others, or for some types of user only, goes by way of an entitlement made for the purpose, which only those hold.
func (r *reading) nest(ctx context.Context) error {
	unseen := 0
	for e := range r.paths.implied {
		if r.paths.edges[e] == nil {
			r.paths.add(e, &expansion{})
			unseen++
		}
	}
	if unseen > 0 {
		r.notes = append(r.notes, fmt.Sprintf("%d memberships are known only by the grants that follow from them", unseen))
	}
	var userKinds []string
	for id, t := range r.kinds {
		if slices.Contains(t.traits, "user") {
			userKinds = append(userKinds, id)
		}
	}
	narrow := map[string][]some{} // by entitlement
	lost := 0
	for _, e := range r.paths.sorted() {
		x := r.paths.edges[e]
		kinds, all := "", true
		if len(x.kinds) > 0 {
			var of []string
			for _, k := range userKinds {
				if slices.Contains(x.kinds, k) {
					of = append(of, k)
				}
			}
			if len(of) == 0 { // it hands on to groups, and no further
				continue
			}
			slices.Sort(of)
			if all = len(of) == len(userKinds); !all {
				kinds = strings.Join(of, " ")
			}
		}
		nested := r.paths.into[e.from]
		if all && (!x.shallow || !nested) {
			if err := r.put(ctx, access.Grant{HolderKind: access.HolderEntitlement, HolderID: e.from, EntitlementID: e.to}); err != nil {
				return err
			}
			continue
		}
		if !x.shallow && nested {
			lost++
		}
		s := some{e.from, kinds}
		if !slices.Contains(narrow[e.from], s) {
			narrow[e.from] = append(narrow[e.from], s)
			if err := r.put(ctx, s.entitlement()); err != nil {
				return err
			}
		}
		if err := r.put(ctx, access.Grant{HolderKind: access.HolderEntitlement, HolderID: s.id(), EntitlementID: e.to}); err != nil {
			return err
		}
	}
	if lost > 0 {
		r.notes = append(r.notes, fmt.Sprintf("%d memberships hand on to some types of user only: of those who are in them through others it isn't known", lost))
	}
	if len(narrow) == 0 {
		return nil
	}
	return r.narrow(ctx, narrow)
}

// narrow reads the grants once more for the direct holders.
func (r *reading) narrow(ctx context.Context, narrow map[string][]some) error {
	return r.store.grants(ctx, r.sync, func(place int64, g *grant) error {
		list := narrow[g.entitlement]
		if list == nil || len(g.sources) > 0 && !slices.Contains(g.sources, g.entitlement) {
			return ctx.Err()
		}
		principal := key(g.kind, g.id)
		if !r.users.has(principal) {
			return ctx.Err()
		}
		for _, s := range list {
			if s.kinds != "" && !slices.Contains(strings.Fields(s.kinds), g.kind) {
				continue
			}
			if err := r.put(ctx, access.Grant{HolderKind: access.HolderAccount, HolderID: principal, EntitlementID: s.id()}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s some) id() string {
	if s.kinds != "" {
		return "direct:" + s.of + " (" + s.kinds + ")"
	}
	return "direct:" + s.of
}

func (s some) entitlement() access.Entitlement {
	return access.Entitlement{ID: s.id(), Name: "direct holders of " + s.of, Kind: "group", Attributes: map[string]string{"of": s.of}}
}
