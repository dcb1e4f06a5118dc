package store

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"golang.org/x/sync/errgroup"
)

// CleanUnpublished takes out the rows of snapshots whose writer was killed, and says of how many; staged ones go too. Only a holder of the
// lease under which snapshots are written may call it: it can't tell a killed writer from one that lives in another
// process.
func (s *Store) CleanUnpublished(ctx context.Context) (int, error) {
	n, err := s.cleanUnpublished(ctx)
	if err != nil {
		return n, fmt.Errorf("clean unpublished snapshots: %w", err)
	}
	return n, nil
}

type begun struct {
	snapshotKey
	taken     time.Time
	published bool
}

func (s *Store) cleanUnpublished(ctx context.Context) (cleaned int, err error) {
	staged, err := s.Snapshots(ctx, SnapshotFilter{Status: Staged})
	if err != nil {
		return 0, err
	}
	for _, left := range staged {
		if err := s.Unstage(ctx, left); err != nil {
			return 0, err
		}
	}
	all, err := list(ctx, s, func(r driver.Rows, b *begun) error {
		return r.Scan(&b.source, &b.snapshot, &b.taken, &b.published)
	}, `SELECT source, snapshot, taken, (source, snapshot) IN (SELECT source, snapshot FROM snapshots) AS published
		FROM snapshot_writes ORDER BY source, snapshot`)
	if err != nil {
		return 0, err
	}
	done := 0
	for _, b := range all {
		s.mu.Lock()
		_, live := s.live[b.snapshotKey]
		s.mu.Unlock()
		switch {
		case live:
			continue
		case b.published:
			done++
		default:
			if err := s.dropSnapshot(ctx, b.snapshotKey, b.taken); err != nil {
				return cleaned, err
			}
			cleaned++
			s.logger.Info("unpublished snapshot removed", "source", b.source, "snapshot", b.snapshot)
		}
	}
	if done == 0 {
		return cleaned, nil
	}
	return cleaned, s.exec(ctx, "DELETE FROM snapshot_writes WHERE (source, snapshot) IN (SELECT source, snapshot FROM snapshots)")
}

// dropSnapshot takes out the rows of a snapshot that is not published, and then its registration.
func (s *Store) dropSnapshot(ctx context.Context, key snapshotKey, taken time.Time) error {
	g, deleting := errgroup.WithContext(ctx) // each table waits for its own background work
	for _, t := range identity {
		g.Go(func() error { return s.deleteRows(deleting, t.table, key, "IN PARTITION "+partition(taken)) })
	}
	g.Go(func() error { return s.deleteRows(deleting, "first_seen", key, "") })
	if err := g.Wait(); err != nil {
		return err
	}
	return s.deleteRows(ctx, "snapshot_writes", key, "")
}

// deleteRows rewrites the parts that hold rows of key without them: their space is free at once. Looking first keeps
// tables without such rows, the usual case, from being touched.
func (s *Store) deleteRows(ctx context.Context, table string, key snapshotKey, where string) error {
	var rows uint64
	if err := s.row(ctx, []any{&rows}, "SELECT count() FROM "+table+" WHERE source = {source:String} AND snapshot = {snapshot:UInt64}", key.args()...); err != nil {
		return fmt.Errorf("count %s: %w", table, err)
	}
	if rows == 0 {
		return nil
	}
	if err := s.exec(ctx, "ALTER TABLE "+table+" DELETE "+where+" WHERE source = {source:String} AND snapshot = {snapshot:UInt64}", key.args()...); err != nil {
		return fmt.Errorf("delete from %s: %w", table, err)
	}
	return nil
}

// partition is the day's partition, as the tables name it.
func partition(taken time.Time) string { return taken.UTC().Format("20060102") }
