package baton

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/encoding/protowire"
)

// pebbleStore is a file of v3. Its keys begin with the version of their layout and the kind of record
// (pkg/dotc1z/engine/pebble/internal/rawdb/keyspace.go of baton-sdk); its values are messages of c1.storage.v3. It holds
// one sync.
type pebbleStore struct {
	db     *pebble.DB
	dir    string
	counts map[string]*counts // by sync
}

const (
	keyVersion      = 0x03
	keyResourceType = 0x01
	keyResource     = 0x02
	keyEntitlement  = 0x03
	keyGrant        = 0x04
	keySyncRun      = 0x06
	keyMeta         = 0xff

	keyspaceVersion = 2
)

// quiet is Pebble's log. What it can't go on from ends the reading, where Pebble's own would end the process.
type quiet struct{}

type fatal struct{ error }

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fatal{fmt.Errorf(format, args...)})
}

// guard turns a panic over a damaged database into an error. One of whoever takes the records goes on.
func guard(err *error, taking *bool) {
	p := recover()
	if p != nil && *taking {
		panic(p)
	}
	switch p := p.(type) {
	case nil:
	case error:
		*err = damaged(p)
	default:
		*err = damaged(fmt.Errorf("%v", p))
	}
}

func openPebble(dir string, c map[string]*counts) (s store, err error) {
	defer guard(&err, new(bool))
	cache := pebble.NewCache(32 << 20)
	defer cache.Unref()
	db, err := pebble.Open(dir, &pebble.Options{ReadOnly: true, ErrorIfNotExists: true, Logger: quiet{}, Cache: cache})
	if err != nil {
		return nil, fmt.Errorf("its database can't be opened: it is damaged, or newer than what is known here; %s: %w", mend, err)
	}
	p := &pebbleStore{db: db, dir: dir, counts: c}
	version, closer, err := db.Get(append([]byte{keyVersion, keyMeta}, "keyspace_version"...))
	known := err == nil && len(version) == 4 && binary.BigEndian.Uint32(version) == keyspaceVersion
	if err == nil {
		closer.Close()
	}
	if !known {
		db.Close()
		return nil, fmt.Errorf("its database has another layout than what is known here: %s", mend)
	}
	return p, nil
}

func (p *pebbleStore) close() {
	p.db.Close()
	os.RemoveAll(p.dir)
}

// each calls do with every record of a kind. The value is valid until it returns.
func (p *pebbleStore) each(ctx context.Context, kind byte, do func(place int64, b []byte) error) (err error) {
	taking := false
	defer guard(&err, &taking)
	it, err := p.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: []byte{keyVersion, kind}, UpperBound: []byte{keyVersion, kind + 1}})
	if err != nil {
		return damaged(err)
	}
	defer it.Close()
	place := int64(0)
	for ok := it.First(); ok; ok = it.Next() {
		b, err := it.ValueAndErr()
		if err != nil {
			return damaged(err)
		}
		place++
		taking = true
		if err := do(place, b); err != nil {
			taking = false
			return err
		}
		taking = false
	}
	if err := it.Error(); err != nil {
		return damaged(err)
	}
	return nil
}

// syncKinds by number: SyncType.
var syncKinds = []string{"", "full", "partial", "resources_only", "partial_upserts", "partial_deletions"}

func (p *pebbleStore) syncs(ctx context.Context) ([]syncRun, error) {
	var out []syncRun
	err := p.each(ctx, keySyncRun, func(_ int64, b []byte) error {
		s := syncRun{kind: "full"} // SYNC_TYPE_UNSPECIFIED isn't written
		err := each(b, func(n protowire.Number, v value) error {
			switch n {
			case 1:
				s.id = string(v.bytes)
			case 2:
				if v.num < uint64(len(syncKinds)) {
					s.kind = syncKinds[v.num]
				}
			case 4, 5:
				at, err := instant(v.bytes)
				if err != nil || at == nil {
					return err
				}
				if n == 4 {
					s.started = *at
				} else {
					s.ended, s.finished = *at, true
				}
			}
			return nil
		})
		s.counts = p.counts[s.id]
		out = append(out, s)
		return err
	})
	if err == nil && len(out) > 1 {
		return nil, damaged(errors.New("it holds several syncs, and a file of its format holds one"))
	}
	return out, err
}

func (p *pebbleStore) types(ctx context.Context, _ syncRun, do func(resourceType) error) error {
	return p.each(ctx, keyResourceType, func(_ int64, b []byte) error {
		t, err := resourceTypeV3(b)
		if err != nil {
			return err
		}
		return do(t)
	})
}

func (p *pebbleStore) resources(ctx context.Context, _ syncRun, do func(int64, resource) error) error {
	return p.each(ctx, keyResource, func(place int64, b []byte) error {
		r, err := resourceV3.read(b)
		if err != nil {
			return err
		}
		return do(place, r)
	})
}

func (p *pebbleStore) entitlements(ctx context.Context, _ syncRun, do func(int64, entitlement) error) error {
	return p.each(ctx, keyEntitlement, func(place int64, b []byte) error {
		e, err := entitlementV3(b)
		if err != nil {
			return err
		}
		return do(place, e)
	})
}

func (p *pebbleStore) grants(ctx context.Context, _ syncRun, do func(int64, *grant) error) error {
	var g grant
	return p.each(ctx, keyGrant, func(place int64, b []byte) error {
		g = grant{sources: g.sources[:0]}
		if err := g.readV3(b); err != nil {
			return err
		}
		return do(place, &g)
	})
}
