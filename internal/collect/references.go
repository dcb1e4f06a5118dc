package collect

import (
	"cmp"
	"slices"

	"github.com/lapse-audit/lapse/internal/access"
)

// references remembers the ids that records name, to find those that the snapshot doesn't hold. It keeps only ids that
// were not there yet when they were named: few where accounts and entitlements come before grants.
type references struct {
	open map[reference]map[string]int64 // to rows by id
}

type reference struct {
	kind    Kind
	field   string
	missing Kind
}

func newReferences() *references { return &references{open: map[reference]map[string]int64{}} }

func (x *references) add(r access.Record, index *Index) {
	name := func(kind Kind, field string, missing Kind, id string) {
		if id == "" || index.Has(space(missing), id) {
			return
		}
		ref := reference{kind, field, missing}
		if x.open[ref] == nil {
			x.open[ref] = map[string]int64{}
		}
		x.open[ref][id]++
	}
	switch r := r.(type) {
	case access.Person:
		name(People, "manager_id", People, r.ManagerID)
	case access.Grant:
		holder := Accounts
		if r.HolderKind == access.HolderEntitlement {
			holder = Entitlements
		}
		name(Grants, "holder_id", holder, r.HolderID)
		name(Grants, "entitlement_id", Entitlements, r.EntitlementID)
	case access.Seat:
		name(Seats, "account_id", Accounts, r.AccountID)
	case access.Usage:
		name(Usages, "account_id", Accounts, r.AccountID)
	}
}

// space is the name space of the ids by which others name a record. People are unique by their record id and named by
// their id.
func space(k Kind) string {
	if k == People {
		return "person"
	}
	return string(k)
}

func (x *references) gaps(index *Index) []Gap {
	var out []Gap
	for ref, ids := range x.open {
		g := Gap{Kind: ref.kind, Field: ref.field, Missing: ref.missing}
		for id, rows := range ids {
			if index.Has(space(ref.missing), id) {
				continue
			}
			g.Rows += rows
			g.IDs++
			g.Examples = append(g.Examples, id)
		}
		if g.IDs == 0 {
			continue
		}
		slices.Sort(g.Examples)
		g.Examples = slices.Clone(g.Examples[:min(10, len(g.Examples))])
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b Gap) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Missing, b.Missing))
	})
	return out
}
