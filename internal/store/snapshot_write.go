package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/lapse-audit/lapse/internal/access"
)

// SnapshotWriter takes the records of one source and publishes them as one snapshot. It is used by one goroutine;
// several writers work side by side. It ends with Publish or Abandon; the rows of one that did neither, because its
// process was killed, are never visible and go with the next CleanUnpublished.
type SnapshotWriter struct {
	s    *Store
	ctx  context.Context
	info SnapshotInfo
	key  snapshotKey

	people       *batch[person]
	accounts     *batch[account]
	keys         *batch[AccountKey]
	entitlements *batch[entitlement]
	grants       *batch[grant]
	licenses     *batch[license]
	seats        *batch[seat]
	usage        *batch[usage]
	rejections   *batch[numbered]

	counts     *Counts // set by Finish
	duplicates []Duplicate
}

// NewSnapshot begins a snapshot. ctx is that of the whole writing: when it ends, so does Put.
func (s *Store) NewSnapshot(ctx context.Context, info SnapshotInfo) (*SnapshotWriter, error) {
	info.TakenAt = info.TakenAt.UTC().Truncate(time.Millisecond)
	w := &SnapshotWriter{s: s, ctx: ctx, info: info}
	if err := s.beginSnapshot(ctx, w); err != nil {
		return nil, fmt.Errorf("begin snapshot of %s: %w", info.Source, err)
	}
	token := fmt.Sprintf("%s/%s/%d", s.id, info.Source, w.key.snapshot)
	w.people = newBatch(ctx, s, KindPeople, token, within(w, personFields()))
	w.accounts = newBatch(ctx, s, KindAccounts, token, within(w, accountFields()))
	w.keys = newBatch(ctx, s, tableKeys, token, within(w, accountKeyFields()))
	w.entitlements = newBatch(ctx, s, KindEntitlements, token, within(w, entitlementFields()))
	w.grants = newBatch(ctx, s, KindGrants, token, within(w, grantFields()))
	w.licenses = newBatch(ctx, s, KindLicenses, token, within(w, licenseFields()))
	w.seats = newBatch(ctx, s, KindSeats, token, within(w, seatFields()))
	w.usage = newBatch(ctx, s, KindUsage, token, within(w, usageFields()))
	w.rejections = newBatch(ctx, s, tableRejections, token, within(w, rejectionFields()))
	return w, nil
}

// within puts the columns that are the same for all rows of a snapshot before fields.
func within[R any](w *SnapshotWriter, fields []field[R]) []field[R] {
	return append([]field[R]{
		column("source", func(*R) string { return w.info.Source }),
		column("snapshot", func(*R) uint64 { return w.key.snapshot }),
		column("taken", func(*R) time.Time { return w.info.TakenAt }),
	}, fields...)
}

// beginSnapshot gives w its number and registers it, so that its rows are found should this process be killed.
func (s *Store) beginSnapshot(ctx context.Context, w *SnapshotWriter) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var last uint64
	if err := s.row(ctx, []any{&last}, "SELECT greatest((SELECT max(snapshot) FROM snapshots), (SELECT max(snapshot) FROM snapshot_writes))"); err != nil {
		return err
	}
	w.key = snapshotKey{w.info.Source, max(last, s.last) + 1}
	err := s.exec(ctx, `INSERT INTO snapshot_writes (source, snapshot, taken, begun_at)
		SELECT {source:String}, {snapshot:UInt64}, fromUnixTimestamp64Milli({taken:Int64}, 'UTC'), fromUnixTimestamp64Milli({now:Int64}, 'UTC')`,
		append(w.args(), instant("now", s.now()))...)
	if err != nil {
		return err
	}
	s.last = w.key.snapshot
	s.live[w.key] = w.info.TakenAt
	return nil
}

func (w *SnapshotWriter) args() []any {
	return append(w.key.args(), instant("taken", w.info.TakenAt))
}

func (k snapshotKey) args() []any {
	return []any{clickhouse.Named("source", k.source), clickhouse.Named("snapshot", k.snapshot)}
}

// ID is the snapshot's number.
func (w *SnapshotWriter) ID() uint64 { return w.key.snapshot }

// Put adds a record, which must not be changed afterwards. Records may come in any order. An error is final.
func (w *SnapshotWriter) Put(r access.Record) error {
	if w.counts != nil {
		return fmt.Errorf("snapshot %d of %s is finished", w.key.snapshot, w.key.source)
	}
	switch r := r.(type) {
	case access.Person:
		return w.people.put(r)
	case access.Account:
		for _, k := range r.Keys {
			if err := w.keys.put(AccountKey{r.ID, k}); err != nil {
				return err
			}
		}
		return w.accounts.put(r)
	case access.Entitlement:
		return w.entitlements.put(r)
	case access.Grant:
		return w.grants.put(r)
	case access.License:
		return w.licenses.put(r)
	case access.Seat:
		return w.seats.put(r)
	case access.Usage:
		return w.usage.put(r)
	default:
		return fmt.Errorf("snapshot of %s: no table for a %T", w.key.source, r)
	}
}

// Reject adds a row that could not be read.
func (w *SnapshotWriter) Reject(r Rejection) error {
	if w.counts != nil {
		return fmt.Errorf("snapshot %d of %s is finished", w.key.snapshot, w.key.source)
	}
	return w.rejections.put(numbered{w.rejections.rows + 1, r})
}

// writing is a batch, whatever it holds.
type writing interface {
	close() error
	written() (table string, rows uint64)
}

func (w *SnapshotWriter) writings() []writing {
	return []writing{w.people, w.accounts, w.keys, w.entitlements, w.grants, w.licenses, w.seats, w.usage, w.rejections}
}

// Finish writes what is still held, makes sure that every row is in the store once, and says what the snapshot holds
// and which ids several records share (the first few of each kind): what to judge it by before Publish. Nothing can be
// put afterwards. Nothing is visible yet.
func (w *SnapshotWriter) Finish(ctx context.Context) (Counts, []Duplicate, error) {
	if w.counts == nil {
		if err := w.finish(ctx); err != nil {
			return Counts{}, nil, fmt.Errorf("write snapshot %d of %s: %w", w.key.snapshot, w.key.source, err)
		}
	}
	return *w.counts, w.duplicates, nil
}

func (w *SnapshotWriter) finish(ctx context.Context) error {
	var errs []error
	for _, b := range w.writings() {
		errs = append(errs, b.close())
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	counts := Counts{Records: map[string]uint64{}}
	for _, b := range w.writings() {
		table, rows := b.written()
		if rows == 0 {
			continue
		}
		var stored uint64
		if err := w.s.row(ctx, []any{&stored}, "SELECT count() FROM "+table+" WHERE source = {source:String} AND snapshot = {snapshot:UInt64}", w.key.args()...); err != nil {
			return err
		}
		if stored != rows {
			return fmt.Errorf("%d rows were written to %s and %d are there", rows, table, stored)
		}
		switch table {
		case tableRejections:
			counts.Rejected = rows
		case tableKeys:
		default:
			counts.Records[table] = rows
		}
	}
	var err error
	if counts.ActivePeople, err = w.activePeople(ctx); err != nil {
		return err
	}
	if w.duplicates, err = w.findDuplicates(ctx); err != nil {
		return err
	}
	w.counts = &counts
	return nil
}

// activePeople counts the people with a record that has begun and has not ended. Dates decide; the roster's word does
// where there is no date.
func (w *SnapshotWriter) activePeople(ctx context.Context) (n uint64, err error) {
	if w.people.rows == 0 {
		return 0, nil
	}
	err = w.s.row(ctx, []any{&n}, `SELECT uniqExact(id) FROM people
		WHERE source = {source:String} AND snapshot = {snapshot:UInt64}
			AND if(isNull(end_at), status != 'ended', end_at > taken)
			AND if(isNull(start_at), status != 'future', start_at <= taken)`, w.key.args()...)
	return n, err
}

const duplicatesShown = 5

func (w *SnapshotWriter) findDuplicates(ctx context.Context) (all []Duplicate, err error) {
	rows := map[string]uint64{}
	for _, b := range w.writings() {
		table, n := b.written()
		rows[table] = n
	}
	for _, t := range identity {
		if t.columns == "" || rows[t.table] < 2 {
			continue
		}
		found, err := list(ctx, w.s, func(r driver.Rows, d *Duplicate) error {
			d.Kind = t.table
			return r.Scan(&d.ID, &d.Records)
		}, "SELECT ["+t.columns+"], count() AS n FROM "+t.table+
			" WHERE source = {source:String} AND snapshot = {snapshot:UInt64} GROUP BY "+t.columns+" HAVING n > 1 ORDER BY "+t.columns+
			" LIMIT {limit:UInt64} SETTINGS optimize_aggregation_in_order = 1", append(w.key.args(), clickhouse.Named("limit", duplicatesShown))...)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// Publish makes the snapshot visible, by one row. An accepted snapshot in which ids are not unique is refused with a
// *DuplicateError. After an error nothing is visible, and Publish may be tried again; after an *UnavailableError the
// row may have come through.
func (w *SnapshotWriter) Publish(ctx context.Context, meta SnapshotMeta) (Snapshot, error) {
	out, err := w.publish(ctx, meta)
	if err != nil {
		return Snapshot{}, fmt.Errorf("publish snapshot %d of %s: %w", w.key.snapshot, w.key.source, err)
	}
	return out, nil
}

func (w *SnapshotWriter) publish(ctx context.Context, meta SnapshotMeta) (Snapshot, error) {
	if meta.Status != Accepted && meta.Status != Quarantined && meta.Status != Staged {
		return Snapshot{}, fmt.Errorf("unknown status %q", meta.Status)
	}
	if w.counts == nil {
		if err := w.finish(ctx); err != nil {
			return Snapshot{}, err
		}
	}
	if meta.Status == Accepted {
		if len(w.duplicates) > 0 {
			return Snapshot{}, &DuplicateError{w.key.source, w.duplicates}
		}
		if err := w.rememberFirstSeen(ctx); err != nil {
			return Snapshot{}, err
		}
	}
	out := Snapshot{SnapshotInfo: w.info, SnapshotMeta: meta, Counts: *w.counts, ID: w.key.snapshot,
		RecordedAt: w.s.now().UTC().Truncate(time.Millisecond)}
	row := newBatch(ctx, w.s, "snapshots", fmt.Sprintf("%s/%s/%d", w.s.id, w.key.source, w.key.snapshot), snapshotFields())
	if err := errors.Join(row.put(out), row.close()); err != nil {
		return Snapshot{}, err
	}
	w.release()
	return out, nil
}

// Abandon takes the snapshot's rows out of the store. It does nothing after Publish. Its context is usually not that of
// the writing, which may have ended.
func (w *SnapshotWriter) Abandon(ctx context.Context) error {
	w.s.mu.Lock()
	_, live := w.s.live[w.key]
	w.s.mu.Unlock()
	if !live {
		return nil
	}
	for _, b := range w.writings() {
		_ = b.close() // waits for the batch under way; its rows are about to go
	}
	if err := w.s.dropSnapshot(ctx, w.key, w.info.TakenAt); err != nil {
		return fmt.Errorf("abandon snapshot %d of %s: %w", w.key.snapshot, w.key.source, err)
	}
	w.release()
	return nil
}

func (w *SnapshotWriter) release() {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	delete(w.s.live, w.key)
}
