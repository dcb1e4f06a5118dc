package baton

import (
	"cmp"
	"context"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// licenses are the products that users have seats of, and the seats that were put.
type licenses struct {
	known   int
	by      map[string]access.License // by the entitlement whose holders have a seat
	seats   *keys
	costing bool // some product has a price
}

// license puts a product: what a LicenseProfileTrait says. A price has no period and is not taken.
func (r *reading) license(ctx context.Context, res resource) error {
	l := access.License{SKU: key(res.kind, res.id)}
	var of []string
	name := ""
	err := each(res.license, func(n protowire.Number, v value) error {
		switch n {
		case 1:
			name = v.text()
		case 2:
			if seats := int64(v.num); seats > 0 { // 0 is unknown
				l.Purchased = &seats
			}
		case 4:
			r.licenses.costing = r.licenses.costing || v.num > 0
		case 6:
			of = append(of, string(v.bytes))
		}
		return nil
	})
	if err != nil {
		return err
	}
	l.Product = cmp.Or(name, res.name, res.id)
	r.licenses.known++
	for _, id := range of {
		r.licenses.by[id] = l
	}
	return r.put(ctx, l)
}

// seat puts the seat that goes with an entitlement, once for an account and product.
func (r *reading) seat(ctx context.Context, account, entitlement string) error {
	l, ok := r.licenses.by[entitlement]
	if !ok {
		return nil
	}
	id := account + "\x00" + l.SKU
	if r.licenses.seats.has(id) {
		return nil
	}
	r.licenses.seats.add(id)
	return r.put(ctx, access.Seat{AccountID: account, SKU: l.SKU, Product: l.Product})
}

// reads are the kinds of record that the file gives.
func (r *reading) reads() []string {
	out := []string{string(collect.Accounts), string(collect.Entitlements), string(collect.Grants)}
	if r.licenses.known > 0 {
		out = append(out, string(collect.Licenses), string(collect.Seats))
	}
	return out
}

// credentialKinds by number: SecretTrait.CredentialType.
var credentialKinds = []string{"", "token", "key", "certificate"}

// secret reads a SecretTrait: a credential, and whose it is.
func secret(res resource) (owner string, k access.Key, err error) {
	k = access.Key{ID: key(res.kind, res.id), CreatedAt: res.createdAt}
	err = each(res.secret, func(n protowire.Number, v value) (err error) {
		switch n {
		case 2:
			if k.CreatedAt == nil {
				k.CreatedAt, err = instant(v.bytes)
			}
		case 4:
			k.LastUsedAt, err = instant(v.bytes)
		case 6:
			kind, id, err := pair(v.bytes)
			if id != "" {
				owner = key(kind, id)
			}
			return err
		case 7:
			if v.num < uint64(len(credentialKinds)) {
				k.Kind = credentialKinds[v.num]
			}
		}
		return err
	})
	return owner, k, err
}

// secrets reads the credentials, if the connector lists any: accounts are put with theirs. Of an account without any nobody
// knows that there are none.
func (r *reading) secrets(ctx context.Context) error {
	some := false
	for _, t := range r.kinds {
		some = some || t.trait() == "secret"
	}
	if !some {
		return nil
	}
	return r.store.resources(ctx, r.sync, func(_ int64, res resource) error {
		if res.secret == nil {
			return ctx.Err()
		}
		owner, k, err := secret(res)
		if err == nil && owner != "" {
			r.keys[owner] = append(r.keys[owner], k)
		}
		return err
	})
}
