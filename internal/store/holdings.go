package store

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/fold"
)

// Links yields whose the accounts of a kept run are, ordered by source and account.
func (s *Store) Links(ctx context.Context, run uint64, source string) iter.Seq2[access.Link, error] {
	return func(yield func(access.Link, error) bool) {
		for l, err := range stream(ctx, s, scanLink, "SELECT "+linkColumns+` FROM run_links
			WHERE run = {run:UInt64} AND ({source:String} = '' OR source = {source:String}) ORDER BY source, account`,
			clickhouse.Named("run", run), clickhouse.Named("source", source)) {
			if err != nil {
				err = fmt.Errorf("read the links of run %d: %w", run, err)
			}
			if !yield(l, err) {
				return
			}
		}
	}
}

// LinksOf lists the accounts that a kept run links to a person.
func (s *Store) LinksOf(ctx context.Context, run uint64, person string) ([]access.Link, error) {
	all, err := list(ctx, s, scanLink, "SELECT "+linkColumns+" FROM run_links WHERE run = {run:UInt64} AND person = {person:String} ORDER BY source, account",
		clickhouse.Named("run", run), clickhouse.Named("person", person))
	if err != nil {
		return nil, fmt.Errorf("read the accounts of %s in run %d: %w", person, run, err)
	}
	return all, nil
}

const linkColumns = "source, account, person, method, status, candidates, reason"

func scanLink(rows driver.Rows, l *access.Link) error {
	return rows.Scan(&l.Source, &l.AccountID, &l.Person, (*string)(&l.Method), (*string)(&l.Status), &l.Candidates, &l.Reason)
}

// idsAtOnce is how many ids go into one query.
const idsAtOnce = 5000

// AccountsByID reads accounts of a published snapshot without their keys, in no order. Those that are not there are left out.
func (s *Store) AccountsByID(ctx context.Context, source string, snapshot uint64, ids []string) ([]access.Account, error) {
	return byID(ctx, s, KindAccounts, accountFields(), "id", source, snapshot, ids)
}

// AccountLinks reads whose some accounts of a kept run are, in no order.
func (s *Store) AccountLinks(ctx context.Context, run uint64, source string, ids []string) ([]access.Link, error) {
	var out []access.Link
	for part := range slices.Chunk(ids, idsAtOnce) {
		all, err := list(ctx, s, scanLink, "SELECT "+linkColumns+" FROM run_links WHERE run = {run:UInt64} AND source = {source:String} AND account IN {ids:Array(String)}",
			clickhouse.Named("run", run), clickhouse.Named("source", source), clickhouse.Named("ids", part))
		if err != nil {
			return nil, fmt.Errorf("read the links of run %d: %w", run, err)
		}
		out = append(out, all...)
	}
	return out, nil
}

// GrantsOf reads the direct grants of some accounts, ordered by nothing.
func (s *Store) GrantsOf(ctx context.Context, source string, snapshot uint64, accounts []string) ([]access.Grant, error) {
	return byID(ctx, s, KindGrants, grantFields(), "holder_kind = 'account' AND holder_id", source, snapshot, accounts)
}

// SeatsOf reads the seats of some accounts.
func (s *Store) SeatsOf(ctx context.Context, source string, snapshot uint64, accounts []string) ([]access.Seat, error) {
	return byID(ctx, s, KindSeats, seatFields(), "account_id", source, snapshot, accounts)
}

// KeysOf reads the keys of some accounts.
func (s *Store) KeysOf(ctx context.Context, source string, snapshot uint64, accounts []string) ([]AccountKey, error) {
	return byID(ctx, s, tableKeys, accountKeyFields(), "account_id", source, snapshot, accounts)
}

// Nested reads the grants of a published snapshot that entitlements hold.
func (s *Store) Nested(ctx context.Context, source string, snapshot uint64) ([]access.Grant, error) {
	columns, scan := selection(grantFields())
	all, err := list(ctx, s, scan, "SELECT "+columns+` FROM grants
		WHERE source = {source:String} AND snapshot = {snapshot:UInt64} AND holder_kind = 'entitlement'`, snapshotKey{source, snapshot}.args()...)
	if err != nil {
		return nil, fmt.Errorf("read the nesting in snapshot %d of %s: %w", snapshot, source, err)
	}
	return all, nil
}

// OwnedBy reads the accounts and the entitlements of a published snapshot whose owner is named in one of the given ways,
// without regard to case.
func (s *Store) OwnedBy(ctx context.Context, source string, snapshot uint64, forms []string) ([]access.Account, []access.Entitlement, error) {
	var folded []string
	for _, f := range forms {
		if f != "" {
			folded = append(folded, fold.Text(f))
		}
	}
	accounts, err := byID(ctx, s, KindAccounts, accountFields(), "owner_key", source, snapshot, folded)
	if err != nil {
		return nil, nil, err
	}
	entitlements, err := byID(ctx, s, KindEntitlements, entitlementFields(), "owner_key", source, snapshot, folded)
	return accounts, entitlements, err
}

func byID[R any](ctx context.Context, s *Store, table string, fields []field[R], where, source string, snapshot uint64, ids []string) ([]R, error) {
	columns, scan := selection(fields)
	var out []R
	for part := range slices.Chunk(ids, idsAtOnce) {
		all, err := list(ctx, s, scan, "SELECT "+columns+" FROM "+table+
			" WHERE source = {source:String} AND snapshot = {snapshot:UInt64} AND "+where+" IN {ids:Array(String)}",
			append(snapshotKey{source, snapshot}.args(), clickhouse.Named("ids", part))...)
		if err != nil {
			return nil, fmt.Errorf("read %s of snapshot %d of %s: %w", table, snapshot, source, err)
		}
		out = append(out, all...)
	}
	return out, nil
}
