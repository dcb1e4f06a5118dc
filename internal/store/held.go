package store

import (
	"context"
	"fmt"
	"iter"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Held is one effective grant of an account with what the run knew of both, as its policies saw them. What isn't known is nil
// or "".
type Held struct {
	Source, SourceName                                      string
	Account, Username, AccountName, Kind, AccountOwner      string
	Enabled, NeverSignedIn                                  *bool
	SignInDays, SignInLag                                   *int64
	Person, PersonName, PersonStatus, Department, Manager   string
	EndDays                                                 *int64
	Entitlement, EntitlementName, EntitlementKind, Resource string
	Privileged, HighRisk                                    *bool
	Direct                                                  bool
	Path                                                    []string
	KnownDays, GrantedDays, UsedDays, ReviewDays            *int64
	Approved                                                *bool
	PeerShare                                               *float64
	Peers                                                   *int64
}

// HasSubjects says whether the account subjects of a run are there to be read: only one run's are.
func (s *Store) HasSubjects(ctx context.Context, run uint64) (bool, error) {
	var n uint64
	err := s.row(ctx, []any{&n}, "SELECT count() FROM (SELECT 1 FROM subject_account WHERE run = {run:UInt64} LIMIT 1)", clickhouse.Named("run", run))
	if exception(err, codeUnknownTable) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for the subjects of run %d: %w", run, err)
	}
	return n > 0, nil
}

// HeldFilter narrows who holds what; empty fields match everything.
type HeldFilter struct{ Sources, Accounts []string }

// Held yields who holds what in a run whose subjects are there, in the order of accounts and entitlements.
func (s *Store) Held(ctx context.Context, run uint64, f HeldFilter) iter.Seq2[Held, error] {
	query := heldQuery
	args := []any{clickhouse.Named("run", run)}
	if len(f.Sources) > 0 {
		query += " AND source_uid IN {sources:Array(String)}"
		args = append(args, clickhouse.Named("sources", f.Sources))
	}
	if len(f.Accounts) > 0 {
		query += " AND account_id IN {accounts:Array(String)}"
		args = append(args, clickhouse.Named("accounts", f.Accounts))
	}
	return func(yield func(Held, error) bool) {
		for h, err := range stream(ctx, s, scanHeld, query+" ORDER BY no, entitlement SETTINGS max_block_size = 4096", args...) {
			if err != nil {
				err = fmt.Errorf("read who holds what in run %d: %w", run, err)
			}
			if !yield(h, err) || err != nil {
				return
			}
		}
	}
}

const heldQuery = `WITH (x) -> ifNull(x, '') AS text
SELECT text(source_uid), text(source_name), text(account_id), text(account_username), text(account_name), text(account_kind),
    text(account_owner_id), account_enabled, account_never_logged_in, account_days_since_login, account_login_lag_days,
    text(person_id), text(person_name), text(person_status), text(person_department), text(person_manager_id), person_days_since_end,
    entitlement, text(name), text(kind), text(resource), privileged, high_risk, direct, path, known, granted, used, review, approved,
    share, peers
FROM subject_account
ARRAY JOIN grants_entitlement_id AS entitlement, grants_entitlement_name AS name, grants_entitlement_kind AS kind,
    grants_entitlement_resource AS resource, grants_entitlement_privileged AS privileged, grants_entitlement_high_risk AS high_risk,
    grants_direct AS direct, grants_path AS path, grants_days_known AS known, grants_days_since_granted AS granted,
    grants_days_since_used AS used, grants_days_since_review AS review, grants_approved AS approved, grants_peer_share AS share,
    grants_peer_count AS peers
WHERE run = {run:UInt64}`

func scanHeld(rows driver.Rows, h *Held) error {
	return rows.Scan(&h.Source, &h.SourceName, &h.Account, &h.Username, &h.AccountName, &h.Kind, &h.AccountOwner, &h.Enabled, &h.NeverSignedIn,
		&h.SignInDays, &h.SignInLag, &h.Person, &h.PersonName, &h.PersonStatus, &h.Department, &h.Manager, &h.EndDays, &h.Entitlement, &h.EntitlementName,
		&h.EntitlementKind, &h.Resource, &h.Privileged, &h.HighRisk, &h.Direct, &h.Path, &h.KnownDays, &h.GrantedDays, &h.UsedDays, &h.ReviewDays,
		&h.Approved, &h.PeerShare, &h.Peers)
}
