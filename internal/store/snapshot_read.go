package store

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/lapse-audit/lapse/internal/access"
)

func snapshotFields() []field[Snapshot] {
	return []field[Snapshot]{
		kept("source", func(s *Snapshot) *string { return &s.Source }),
		kept("snapshot", func(s *Snapshot) *uint64 { return &s.ID }),
		kept("taken", func(s *Snapshot) *time.Time { return &s.TakenAt }),
		kept("recorded_at", func(s *Snapshot) *time.Time { return &s.RecordedAt }),
		{name: "as_of", values: func(all []Snapshot) any {
			out := make([]*time.Time, len(all))
			for i := range all {
				if !all[i].AsOf.IsZero() {
					out[i] = storable(&all[i].AsOf)
				}
			}
			return out
		}, dest: func(s *Snapshot) any { return &zeroTime{&s.AsOf} }},
		kept("name", func(s *Snapshot) *string { return &s.Name }),
		kept("type", func(s *Snapshot) *string { return &s.Type }),
		kept("roster", func(s *Snapshot) *bool { return &s.Roster }),
		kept("status", func(s *Snapshot) *string { return (*string)(&s.Status) }),
		kept("reasons", func(s *Snapshot) *[]string { return &s.Reasons }),
		kept("counts", func(s *Snapshot) *map[string]uint64 { return &s.Records }),
		kept("active_people", func(s *Snapshot) *uint64 { return &s.ActivePeople }),
		kept("rejected", func(s *Snapshot) *uint64 { return &s.Rejected }),
		{name: "coverage", values: func(all []Snapshot) any {
			out := make([]map[string]string, len(all))
			for i := range all {
				out[i] = map[string]string{}
				for signal, c := range all[i].Coverage {
					out[i][signal] = string(c)
				}
			}
			return out
		}, dest: func(s *Snapshot) any { return &coverage{&s.Coverage} }},
		kept("reads", func(s *Snapshot) *[]string { return &s.Reads }),
		{name: "provenance", values: func(all []Snapshot) any {
			out := make([]string, len(all))
			for i := range all {
				out[i] = string(all[i].Provenance)
			}
			return out
		}, dest: func(s *Snapshot) any { return &rawJSON{&s.Provenance} }},
		kept("bytes", func(s *Snapshot) *int64 { return &s.Bytes }),
	}
}

type zeroTime struct{ to *time.Time }

func (z *zeroTime) Scan(v any) error {
	*z.to, _ = v.(time.Time)
	return nil
}

type coverage struct{ to *map[string]access.Coverage }

func (c *coverage) Scan(v any) error {
	m, ok := v.(map[string]string)
	if !ok {
		return fmt.Errorf("coverage holds %T", v)
	}
	*c.to = make(map[string]access.Coverage, len(m))
	for signal, how := range m {
		(*c.to)[signal] = access.Coverage(how)
	}
	return nil
}

type rawJSON struct{ to *json.RawMessage }

func (j *rawJSON) Scan(v any) error {
	if s, _ := v.(string); s != "" {
		*j.to = json.RawMessage(s)
	}
	return nil
}

// SnapshotFilter chooses snapshots. The zero value chooses all.
type SnapshotFilter struct {
	Source string         // "": every source
	Status SnapshotStatus // "": every status
	From   time.Time      // taken at or after; zero: no limit
	Until  time.Time      // taken at or before; zero: no limit
	Limit  int            // 0: no limit
}

// Snapshots lists the published snapshots that f chooses, those taken last first.
func (s *Store) Snapshots(ctx context.Context, f SnapshotFilter) ([]Snapshot, error) {
	if f.Until.IsZero() {
		f.Until = lastInstant
	}
	if f.From.IsZero() {
		f.From = firstInstant
	}
	if f.Limit <= 0 {
		f.Limit = 1 << 40
	}
	columns, scan := selection(snapshotFields())
	all, err := list(ctx, s, scan, "SELECT "+columns+` FROM snapshots
		WHERE ({source:String} = '' OR source = {source:String}) AND ({status:String} = '' OR status = {status:String})
			AND taken BETWEEN fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND fromUnixTimestamp64Milli({until:Int64}, 'UTC')
		ORDER BY taken DESC, snapshot DESC LIMIT {limit:UInt64}`,
		clickhouse.Named("source", f.Source), clickhouse.Named("status", string(f.Status)),
		instant("from", f.From), instant("until", f.Until), clickhouse.Named("limit", f.Limit))
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	return all, nil
}

// LatestAccepted is the snapshot of source that a run at that time judges by: the newest accepted one taken at or
// before it, ErrNotFound if there is none.
func (s *Store) LatestAccepted(ctx context.Context, source string, at time.Time) (Snapshot, error) {
	all, err := s.History(ctx, source, at, 1)
	if err != nil {
		return Snapshot{}, err
	}
	if len(all) == 0 {
		return Snapshot{}, fmt.Errorf("accepted snapshot of %s at %s: %w", source, at.UTC().Format(time.RFC3339), ErrNotFound)
	}
	return all[0], nil
}

// History is the last n accepted snapshots of source taken at or before at, newest first: what a new one's counts are
// compared with.
func (s *Store) History(ctx context.Context, source string, at time.Time, n int) ([]Snapshot, error) {
	return s.Snapshots(ctx, SnapshotFilter{Source: source, Status: Accepted, Until: at, Limit: n})
}

// WorkerRecord is a person's record with the forms in which it is matched.
type WorkerRecord struct {
	access.Person
	EmployeeIDKey, UsernameKey, EmailKey string // see fold.Text; empty where the value is
}

// AccountRef is who an account is, and what says whose.
type AccountRef struct {
	ID, Username, Email, EmployeeID, OwnerID       string
	UsernameKey, EmailKey, EmployeeIDKey, OwnerKey string // see fold.Text; empty where the value is
	Kind                                           access.AccountKind
	Enabled                                        *bool
	CreatedAt                                      *time.Time
}

// The iterators below read a published snapshot, ordered by id. They yield at most one error, as the last thing: an
// unpublished or unknown snapshot is ErrNotFound. Breaking off stops the query. The records are held by nobody else.

// People yields the worker records of a roster.
func (s *Store) People(ctx context.Context, source string, snapshot uint64) iter.Seq2[WorkerRecord, error] {
	var fields []field[WorkerRecord]
	for _, f := range personFields() {
		if f.dest != nil {
			fields = append(fields, field[WorkerRecord]{name: f.name, dest: func(w *WorkerRecord) any { return f.dest(&w.Person) }})
		}
	}
	fields = append(fields,
		kept("employee_id_key", func(w *WorkerRecord) *string { return &w.EmployeeIDKey }),
		kept("username_key", func(w *WorkerRecord) *string { return &w.UsernameKey }),
		kept("email_key", func(w *WorkerRecord) *string { return &w.EmailKey }))
	return read(ctx, s, KindPeople, "id, record_id", fields, snapshotKey{source, snapshot})
}

// Workers is People without the forms in which they are matched.
func (s *Store) Workers(ctx context.Context, source string, snapshot uint64) iter.Seq2[access.Person, error] {
	fields := slices.DeleteFunc(personFields(), func(f field[access.Person]) bool { return f.dest == nil })
	return read(ctx, s, KindPeople, "id, record_id", fields, snapshotKey{source, snapshot})
}

// Accounts yields who the accounts are.
func (s *Store) Accounts(ctx context.Context, source string, snapshot uint64) iter.Seq2[AccountRef, error] {
	return read(ctx, s, KindAccounts, "id", []field[AccountRef]{
		kept("id", func(a *AccountRef) *string { return &a.ID }),
		kept("username", func(a *AccountRef) *string { return &a.Username }),
		kept("email", func(a *AccountRef) *string { return &a.Email }),
		kept("employee_id", func(a *AccountRef) *string { return &a.EmployeeID }),
		kept("owner_id", func(a *AccountRef) *string { return &a.OwnerID }),
		kept("username_key", func(a *AccountRef) *string { return &a.UsernameKey }),
		kept("email_key", func(a *AccountRef) *string { return &a.EmailKey }),
		kept("employee_id_key", func(a *AccountRef) *string { return &a.EmployeeIDKey }),
		kept("owner_key", func(a *AccountRef) *string { return &a.OwnerKey }),
		kept("kind", func(a *AccountRef) *string { return (*string)(&a.Kind) }),
		kept("enabled", func(a *AccountRef) **bool { return &a.Enabled }),
		kept("created_at", func(a *AccountRef) **time.Time { return &a.CreatedAt }),
	}, snapshotKey{source, snapshot})
}

// AccountsToLink yields of the accounts what says whose they are: ID, Kind, CreatedAt and the keys but the owner's.
func (s *Store) AccountsToLink(ctx context.Context, source string, snapshot uint64) iter.Seq2[AccountRef, error] {
	return read(ctx, s, KindAccounts, "id", []field[AccountRef]{
		kept("id", func(a *AccountRef) *string { return &a.ID }),
		kept("username_key", func(a *AccountRef) *string { return &a.UsernameKey }),
		kept("email_key", func(a *AccountRef) *string { return &a.EmailKey }),
		kept("employee_id_key", func(a *AccountRef) *string { return &a.EmployeeIDKey }),
		kept("kind", func(a *AccountRef) *string { return (*string)(&a.Kind) }),
		kept("created_at", func(a *AccountRef) **time.Time { return &a.CreatedAt }),
	}, snapshotKey{source, snapshot})
}

// FullAccounts yields the accounts with everything but their keys, which are in AccountKeys.
func (s *Store) FullAccounts(ctx context.Context, source string, snapshot uint64) iter.Seq2[access.Account, error] {
	return read(ctx, s, KindAccounts, "id", accountFields(), snapshotKey{source, snapshot})
}

// AccountKeys yields account ids with one of the account's keys each.
func (s *Store) AccountKeys(ctx context.Context, source string, snapshot uint64) iter.Seq2[AccountKey, error] {
	return read(ctx, s, tableKeys, "account_id, id", accountKeyFields(), snapshotKey{source, snapshot})
}

// Entitlements yields the entitlements.
func (s *Store) Entitlements(ctx context.Context, source string, snapshot uint64) iter.Seq2[access.Entitlement, error] {
	return read(ctx, s, KindEntitlements, "id", entitlementFields(), snapshotKey{source, snapshot})
}

// Grants yields the direct grants.
func (s *Store) Grants(ctx context.Context, source string, snapshot uint64) iter.Seq2[access.Grant, error] {
	return read(ctx, s, KindGrants, "holder_kind, holder_id, entitlement_id", grantFields(), snapshotKey{source, snapshot})
}

// Licenses yields the licenses.
func (s *Store) Licenses(ctx context.Context, source string, snapshot uint64) iter.Seq2[access.License, error] {
	return read(ctx, s, KindLicenses, "sku", licenseFields(), snapshotKey{source, snapshot})
}

// Seats yields the seats.
func (s *Store) Seats(ctx context.Context, source string, snapshot uint64) iter.Seq2[access.Seat, error] {
	return read(ctx, s, KindSeats, "account_id, sku", seatFields(), snapshotKey{source, snapshot})
}

// Usage yields the last uses.
func (s *Store) Usage(ctx context.Context, source string, snapshot uint64) iter.Seq2[access.Usage, error] {
	return read(ctx, s, KindUsage, "account_id, sku, entitlement_id", usageFields(), snapshotKey{source, snapshot})
}

// Rejections yields the rows that could not be read, in the order in which they came.
func (s *Store) Rejections(ctx context.Context, source string, snapshot uint64) iter.Seq2[Rejection, error] {
	return func(yield func(Rejection, error) bool) {
		for r, err := range read(ctx, s, tableRejections, "n", rejectionFields(), snapshotKey{source, snapshot}) {
			if !yield(r.Rejection, err) {
				return
			}
		}
	}
}

func read[R any](ctx context.Context, s *Store, table, order string, fields []field[R], key snapshotKey) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		columns, scan := selection(fields)
		var zero R
		if err := s.published(ctx, key); err != nil {
			yield(zero, fmt.Errorf("read %s of snapshot %d of %s: %w", table, key.snapshot, key.source, err))
			return
		}
		for r, err := range stream(ctx, s, scan, "SELECT "+columns+" FROM "+table+
			" WHERE source = {source:String} AND snapshot = {snapshot:UInt64} ORDER BY "+order, key.args()...) {
			if err != nil {
				err = fmt.Errorf("read %s of snapshot %d of %s: %w", table, key.snapshot, key.source, err)
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

func (s *Store) published(ctx context.Context, key snapshotKey) error {
	var one uint8
	return s.row(ctx, []any{&one}, "SELECT 1 FROM snapshots WHERE source = {source:String} AND snapshot = {snapshot:UInt64} LIMIT 1", key.args()...)
}
