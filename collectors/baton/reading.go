package baton

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// reading is one collection.
type reading struct {
	*Collector
	store store
	sync  syncRun
	out   collect.Sink

	kinds    map[string]resourceType
	wanted   map[string]bool       // keys of profiles
	profiles map[string]int        // users by key of the profile, of those that are wanted
	users    *keys                 // of accounts
	names    map[string]string     // of all other resources, by key
	held     map[string]*heldThing // entitlements by id
	members  map[string]*heldThing // by resource: the entitlement that inherit: names
	paths    *paths
	licenses licenses
	keys     map[string][]access.Key // by account
	silent   map[string]bool         // resources that hold something, and nobody says who is behind them

	rows     map[string]int64 // by where they are
	human    bool             // of some account the connector says so
	implied  int64
	orphaned int64 // grants that follow from an entitlement that isn't there
	notes    []string
}

// heldThing is an entitlement that was put, and whose it is.
type heldThing struct{ id, resource string }

func newReading(k *Collector, s store, run syncRun, out collect.Sink) *reading {
	r := &reading{
		Collector: k, store: s, sync: run, out: out,
		kinds: map[string]resourceType{}, wanted: map[string]bool{}, profiles: map[string]int{},
		users: newKeys(), names: map[string]string{}, held: map[string]*heldThing{}, members: map[string]*heldThing{},
		paths: newPaths(), licenses: licenses{by: map[string]access.License{}, seats: newKeys()}, keys: map[string][]access.Key{},
		silent: map[string]bool{}, rows: map[string]int64{},
	}
	for _, name := range k.config.Fields {
		r.wanted[name] = true
	}
	for _, name := range k.config.Attributes {
		r.wanted[name] = true
	}
	return r
}

// The places of rejections.
const (
	inResources    = "resources"
	inEntitlements = "entitlements"
	inGrants       = "grants"
)

func (r *reading) run(ctx context.Context) error {
	err := r.store.types(ctx, r.sync, func(t resourceType) error {
		r.kinds[t.id] = t
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	if err := r.secrets(ctx); err != nil {
		return err
	}
	err = r.store.resources(ctx, r.sync, func(place int64, res resource) error { return r.resource(ctx, place, res) })
	if err != nil {
		return err
	}
	err = r.store.entitlements(ctx, r.sync, func(place int64, e entitlement) error { return r.entitlement(ctx, place, e) })
	if err != nil {
		return err
	}
	err = r.store.grants(ctx, r.sync, func(place int64, g *grant) error { return r.grant(ctx, place, g) })
	if err != nil {
		return err
	}
	if err := r.complete(); err != nil {
		return err
	}
	return r.nest(ctx)
}

// complete compares what was read with what the connector counted. A database that lost its end doesn't know it.
func (r *reading) complete() error {
	c := r.sync.counts
	if c == nil {
		return nil
	}
	for _, part := range []struct {
		in   string
		want int64
	}{{inResources, c.Resources}, {inEntitlements, c.Entitlements}, {inGrants, c.Grants}} {
		if n := r.rows[part.in]; n < part.want {
			return damaged(fmt.Errorf("it holds %d %s of the %d that the connector counted", n, part.in, part.want))
		}
	}
	return nil
}

func (r *reading) put(ctx context.Context, rec access.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.out.Put(rec); err != nil {
		return &sinkError{err}
	}
	return nil
}

func (r *reading) reject(in string, place int64, column, format string, args ...any) error {
	rej := collect.Rejection{File: r.config.Path + ": " + in, Line: place, Column: column, Reason: fmt.Sprintf(format, args...)}
	if err := r.out.Reject(rej); err != nil {
		return &sinkError{err}
	}
	return nil
}

// at tells the sink where the next record comes from, if it wants to know, and counts the row.
func (r *reading) at(in string, place int64) {
	r.rows[in]++
	if l, ok := r.out.(collect.Locator); ok {
		l.Locate(r.config.Path+": "+in, place)
	}
}

func (r *reading) resource(ctx context.Context, place int64, res resource) error {
	r.at(inResources, place)
	if r.watch != nil {
		r.watch.resources[res.kind]++
	}
	if res.kind == "" || res.id == "" {
		return r.reject(inResources, place, "id", "is empty")
	}
	if !res.hasUser && !slices.Contains(r.kinds[res.kind].traits, "user") {
		r.names[key(res.kind, res.id)] = cmp.Or(res.name, res.id)
		if res.license != nil {
			return r.license(ctx, res)
		}
		return ctx.Err()
	}
	a, err := r.account(res, r.wanted, r.profiles)
	if err != nil {
		return err
	}
	if res.parentID != "" {
		a.Attributes["parent"] = key(res.parentKind, res.parentID)
	}
	r.human = r.human || a.Attributes["account_type"] == "human"
	a.Keys = r.keys[a.ID]
	r.users.add(a.ID)
	return r.put(ctx, a)
}

func (r *reading) entitlement(ctx context.Context, place int64, e entitlement) error {
	r.at(inEntitlements, place)
	if e.id == "" {
		return r.reject(inEntitlements, place, "id", "is empty")
	}
	of := key(e.resourceKind, e.resourceID)
	if r.held[e.id] == nil {
		r.held[e.id] = &heldThing{e.id, of}
		if e.slug != "" && e.slug == r.config.Inherit[e.resourceKind] {
			r.members[of] = r.held[e.id]
		}
	}
	rec := access.Entitlement{ID: e.id, Name: cmp.Or(e.name, e.slug, e.id), Kind: r.kind(e), Resource: cmp.Or(r.names[of], of), Privileged: r.privileged(e.id), Attributes: map[string]string{}}
	for name, value := range map[string]string{"slug": e.slug, "purpose": e.purpose, "resource_type": e.resourceKind, "description": e.description} {
		if value != "" {
			rec.Attributes[name] = value
		}
	}
	return r.put(ctx, rec)
}

// kind of an entitlement: to be in a group or to have an app or a role is that thing; to administer it is a permission.
func (r *reading) kind(e entitlement) string {
	trait := r.kinds[e.resourceKind].trait()
	switch {
	case e.purpose == "ownership":
		return e.purpose
	case trait == "role":
		return trait
	case e.purpose == "permission" || trait == "" || trait == "user":
		return "permission"
	}
	return trait
}

// privileged is true for what the configuration names, and else unknown: a connector doesn't say.
func (r *reading) privileged(id string) *bool {
	for _, p := range r.config.Privileged {
		if ok, err := path.Match(p, id); err == nil && ok {
			return &ok
		}
	}
	return nil
}

func (r *reading) grant(ctx context.Context, place int64, g *grant) error {
	r.at(inGrants, place)
	what := r.held[g.entitlement]
	if r.watch != nil {
		r.watch.grants[g.kind]++
	}
	principal := key(g.kind, g.id)
	name, other := r.names[principal]
	user := !other && r.users.has(principal)
	switch {
	case what == nil:
		return r.reject(inGrants, place, "entitlement", "%q is not in the file", g.entitlement)
	case g.id == "":
		return r.reject(inGrants, place, "principal", "its id is empty: nobody can tell who holds %s", what.id)
	case !user && !other:
		return r.reject(inGrants, place, "principal", "%q, who holds %s, is not in the file", principal, what.id)
	}
	if user {
		if err := r.seat(ctx, principal, what.id); err != nil {
			return err
		}
	}
	// A grant that was given besides has itself among its sources.
	if all := r.behind(g.sources, what); len(g.sources) > 0 && !slices.Contains(g.sources, what.id) {
		if all || !user {
			r.implied++
			return ctx.Err()
		}
		r.orphaned++ // better seen without its path than not at all
	}
	if user {
		if err := r.put(ctx, access.Grant{HolderKind: access.HolderAccount, HolderID: principal, EntitlementID: what.id}); err != nil {
			return err
		}
	}
	return r.passOn(ctx, place, g, what, principal, name, user)
}

// behind notes from which entitlements a grant was worked out, and reports whether they are all there.
func (r *reading) behind(sources []string, what *heldThing) bool {
	all := true
	for _, id := range sources {
		if s := r.held[id]; s == what {
			continue
		} else if s != nil {
			r.paths.implied[edge{s.id, what.id}] = true
		} else {
			all = false
		}
	}
	return all
}

// passOn notes whose holders hold what a resource holds: those of the entitlements that the grant names; else those that the
// configuration names; else nobody knows.
func (r *reading) passOn(ctx context.Context, place int64, g *grant, what *heldThing, principal, name string, user bool) error {
	if g.expansion != nil {
		for _, id := range g.expansion.entitlements {
			s := r.held[id]
			switch {
			case s == nil:
				if err := r.reject(inGrants, place, "expansion", "%q, whose holders hold %s by it, is not in the file", id, what.id); err != nil {
					return err
				}
			case s.resource != principal:
				if err := r.reject(inGrants, place, "expansion", "%q, whose holders hold %s by it, is of %s, and the grant is of %s", id, what.id, s.resource, principal); err != nil {
					return err
				}
			default:
				r.paths.add(edge{s.id, what.id}, g.expansion)
			}
		}
		return ctx.Err()
	}
	if user {
		return nil
	}
	if slug := r.config.Inherit[g.kind]; slug != "" {
		if s := r.members[principal]; s != nil {
			r.paths.add(edge{s.id, what.id}, &expansion{})
			return ctx.Err()
		}
	}
	id := "resource:" + principal
	if !r.silent[id] {
		r.silent[id] = true
		kind := cmp.Or(r.kinds[g.kind].trait(), g.kind)
		e := access.Entitlement{ID: id, Name: name, Kind: kind, Resource: name, Attributes: map[string]string{"resource_type": g.kind}}
		if err := r.put(ctx, e); err != nil {
			return err
		}
	}
	return r.put(ctx, access.Grant{HolderKind: access.HolderEntitlement, HolderID: id, EntitlementID: what.id})
}

// coverage lowers what can't be known of this file.
func (r *reading) coverage(c map[string]access.Coverage) {
	if len(r.silent) > 0 {
		c[string(collect.Grants)] = access.CoveragePartial
	}
}

// summary are the notes.
func (r *reading) summary() []string {
	out := r.notes
	note := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if r.implied > 0 {
		note("%d grants that follow from others were left out, and are worked out anew", r.implied)
	}
	if r.orphaned > 0 {
		note("%d grants follow from an entitlement that is not in the file: they stand as direct", r.orphaned)
	}
	if n := len(r.silent); n > 0 {
		note("%d resources that are no users hold something, and the connector doesn't say who is behind them, as %s: name under inherit: the entitlement whose holders have what its resource has",
			n, slices.Sorted(maps.Keys(r.silent))[0])
	}
	if r.licenses.costing {
		note("prices of licenses are not taken: the connector doesn't say for how long they are")
	}
	if r.human {
		note("connectors write human and enabled of users of whom they don't know better: set kinds: where service accounts are among them")
	}
	return out
}
