package store

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/lapse-audit/lapse/internal/access"
)

// Staged is a snapshot in which some objects were put that were read for themselves. It is there to be judged by once, and
// is nobody's last snapshot.
const Staged SnapshotStatus = "staged"

// Stage makes a staged snapshot of a source out of a published one: the objects in live as they are now, and all else as
// it was. What of an object was not read stays as it was, too. Gone are accounts that are not there any more. Whoever
// stages holds the lease, and takes the snapshot away by Unstage; those of killed holders go with CleanUnpublished.
func (s *Store) Stage(ctx context.Context, base Snapshot, live []access.Live, gone []string, at time.Time) (Snapshot, error) {
	out, err := s.stage(ctx, base, live, gone, at)
	if err != nil {
		return Snapshot{}, fmt.Errorf("stage a snapshot of %s: %w", base.Source, err)
	}
	return out, nil
}

func (s *Store) stage(ctx context.Context, base Snapshot, live []access.Live, gone []string, at time.Time) (Snapshot, error) {
	info := base.SnapshotInfo
	info.TakenAt = at
	w, err := s.NewSnapshot(ctx, info)
	if err != nil {
		return Snapshot{}, err
	}
	if err := s.fillStage(ctx, w, base, live, gone); err != nil {
		_ = w.Abandon(context.WithoutCancel(ctx)) // what is left goes with CleanUnpublished
		return Snapshot{}, err
	}
	meta := base.SnapshotMeta
	meta.Status = Staged
	return w.Publish(ctx, meta)
}

func (s *Store) fillStage(ctx context.Context, w *SnapshotWriter, base Snapshot, live []access.Live, gone []string) error {
	live, err := s.complete(ctx, base, live)
	if err != nil {
		return err
	}
	replaced := staging{accounts: slices.Clone(gone), keys: slices.Clone(gone), seats: slices.Clone(gone), holders: slices.Clone(gone)}
	for _, l := range live {
		if l.Account == nil {
			if l.Entitlement != nil && l.Grants != nil {
				replaced.groups = append(replaced.groups, l.Entitlement.ID)
			}
			continue
		}
		replaced.accounts = append(replaced.accounts, l.Account.ID)
		if l.Account.Keys != nil {
			replaced.keys = append(replaced.keys, l.Account.ID)
		}
		if l.Seats != nil {
			replaced.seats = append(replaced.seats, l.Account.ID)
		}
		if l.Grants != nil {
			replaced.holders = append(replaced.holders, l.Account.ID)
		}
	}
	if err := s.copyStage(ctx, w, base, replaced); err != nil {
		return err
	}
	return s.putStage(ctx, w, base, live)
}

// complete fills accounts of which a part was read with what the base says of the rest.
func (s *Store) complete(ctx context.Context, base Snapshot, live []access.Live) ([]access.Live, error) {
	live = slices.Clone(live)
	at := map[string]int{}
	for i, l := range live {
		if l.Partial && l.Account != nil {
			at[l.Account.ID] = i
		}
	}
	were, err := s.AccountsByID(ctx, base.Source, base.ID, slices.Collect(maps.Keys(at)))
	if err != nil {
		return nil, err
	}
	for _, was := range were {
		l := &live[at[was.ID]]
		was.Keys = nil // what was not read of them is copied
		now := over(*l.Account, was)
		l.Account = &now
	}
	return live, nil
}

// over is an account as it was, with what was read of it since laid over it.
func over(read, was access.Account) access.Account {
	attributes := maps.Clone(was.Attributes)
	if attributes == nil {
		attributes = read.Attributes
	} else {
		maps.Copy(attributes, read.Attributes)
	}
	from, to := reflect.ValueOf(read), reflect.ValueOf(&was).Elem()
	for i := range from.NumField() {
		if !from.Field(i).IsZero() {
			to.Field(i).Set(from.Field(i))
		}
	}
	was.Attributes = attributes
	return was
}

// staging names what is not copied into a staged snapshot: ids of accounts, by what of them was read anew, and of groups
// whose own grants were.
type staging struct{ accounts, keys, seats, holders, groups []string }

func (s *Store) copyStage(ctx context.Context, w *SnapshotWriter, base Snapshot, replaced staging) error {
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(smallBlocks()))
	for _, t := range []struct {
		table, but string
		ids        []string
	}{
		{KindPeople, "1", nil},
		{KindAccounts, "id NOT IN {ids:Array(String)}", replaced.accounts},
		{tableKeys, "account_id NOT IN {ids:Array(String)}", replaced.keys},
		{KindEntitlements, "1", nil},
		{KindGrants, "NOT (holder_kind = 'account' AND holder_id IN {ids:Array(String)}) AND NOT (holder_kind = 'entitlement' AND holder_id IN {groups:Array(String)})", replaced.holders},
		{KindLicenses, "1", nil},
		{KindSeats, "account_id NOT IN {ids:Array(String)}", replaced.seats},
		{KindUsage, "account_id NOT IN {ids:Array(String)}", nil},
	} {
		err := s.exec(ctx, "INSERT INTO "+t.table+" SELECT * REPLACE ({to:UInt64} AS snapshot, fromUnixTimestamp64Milli({taken:Int64}, 'UTC') AS taken) FROM "+t.table+
			" WHERE source = {source:String} AND snapshot = {from:UInt64} AND "+t.but,
			clickhouse.Named("source", base.Source), clickhouse.Named("from", base.ID), clickhouse.Named("to", w.ID()), instant("taken", w.info.TakenAt),
			clickhouse.Named("ids", some(t.ids)), clickhouse.Named("groups", some(replaced.groups)))
		if err != nil {
			return fmt.Errorf("%s: %w", t.table, err)
		}
	}
	return nil
}

// some is a list that the driver takes for one of texts.
func some(ids []string) []string {
	if ids == nil {
		return []string{}
	}
	return ids
}

// putStage writes what was read anew. An entitlement that the night's snapshot has stays as it is there: it says more.
func (s *Store) putStage(ctx context.Context, w *SnapshotWriter, base Snapshot, live []access.Live) error {
	var named []string
	for _, l := range live {
		for _, e := range l.Entitlements {
			named = append(named, e.ID)
		}
	}
	have := map[string]bool{}
	ids, err := list(ctx, s, scanText, "SELECT id FROM entitlements WHERE source = {source:String} AND snapshot = {snapshot:UInt64} AND id IN {ids:Array(String)}",
		append(snapshotKey{base.Source, base.ID}.args(), clickhouse.Named("ids", some(named)))...)
	if err != nil {
		return err
	}
	for _, id := range ids {
		have[id] = true
	}
	for _, l := range live {
		var records []access.Record
		if l.Account != nil {
			records = append(records, *l.Account)
		}
		for _, e := range l.Entitlements {
			if !have[e.ID] {
				have[e.ID] = true
				records = append(records, e)
			}
		}
		for _, g := range l.Grants {
			records = append(records, g)
		}
		for _, seat := range l.Seats {
			records = append(records, seat)
		}
		for _, r := range records {
			if err := w.Put(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// Unstage takes a staged snapshot away.
func (s *Store) Unstage(ctx context.Context, staged Snapshot) error {
	if staged.Status != Staged {
		return fmt.Errorf("snapshot %d of %s is %s, and not staged", staged.ID, staged.Source, staged.Status)
	}
	key := snapshotKey{staged.Source, staged.ID}
	// What is registered as being written and not published is debris, whoever is killed from here on.
	if err := s.exec(ctx, `INSERT INTO snapshot_writes (source, snapshot, taken, begun_at)
		SELECT {source:String}, {snapshot:UInt64}, fromUnixTimestamp64Milli({taken:Int64}, 'UTC'), fromUnixTimestamp64Milli({now:Int64}, 'UTC')`,
		append(key.args(), instant("taken", staged.TakenAt), instant("now", s.now()))...); err != nil {
		return fmt.Errorf("unstage snapshot %d of %s: %w", staged.ID, staged.Source, err)
	}
	if err := s.deleteRows(ctx, "snapshots", key, ""); err != nil {
		return fmt.Errorf("unstage snapshot %d of %s: %w", staged.ID, staged.Source, err)
	}
	return s.dropSnapshot(ctx, key, staged.TakenAt)
}
