package file

import (
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// accountKeys is the table of the keys of accounts. Keys are part of the account's record, so this one is read first and
// kept in memory: even where every account has some, they are short.
const accountKeys collect.Kind = "keys"

// keyRow is a key and whose it is.
type keyRow struct {
	access.Key
	account string
}

func keys() kind[keyRow] {
	type R = keyRow
	return kind[R]{
		kind: accountKeys,
		fields: []field[R]{
			text("account_id", func(r *R) *string { return &r.account }),
			text("id", func(r *R) *string { return &r.ID }),
			text("kind", func(r *R) *string { return &r.Kind }),
			flag("active", func(r *R) **bool { return &r.Active }),
			when("created_at", func(r *R) **time.Time { return &r.CreatedAt }),
			when("last_used_at", func(r *R) **time.Time { return &r.LastUsedAt }),
		},
		required: []string{"account_id", "id"},
		key:      []string{"account_id", "id"},
		record:   func(r *R) access.Record { return access.Account{ID: r.account, Keys: []access.Key{r.Key}} },
	}
}

// keyring gathers the rows of keys. What can't be read is refused like any other row.
type keyring struct {
	collect.Sink
	of      map[string][]access.Key
	refused bool
}

// Put implements collect.Sink.
func (k *keyring) Put(r access.Record) error {
	if a, ok := r.(access.Account); ok {
		k.of[a.ID] = append(k.of[a.ID], a.Keys...)
	}
	return nil
}

// Reject implements collect.Sink.
func (k *keyring) Reject(r collect.Rejection) error {
	k.refused = true
	return k.Sink.Reject(r)
}

// owners adds to each account its keys. One without any has none, which is not the same as not to know: that holds only
// where every row of keys could be read.
type owners struct {
	collect.Sink
	ring *keyring
}

// Put implements collect.Sink.
func (o owners) Put(r access.Record) error {
	if a, ok := r.(access.Account); ok {
		if a.Keys = o.ring.of[a.ID]; a.Keys == nil && !o.ring.refused {
			a.Keys = []access.Key{}
		}
		r = a
	}
	return o.Sink.Put(r)
}

// Locate implements collect.Locator.
func (o owners) Locate(file string, line int64) { locate(o.Sink, file, line) }
