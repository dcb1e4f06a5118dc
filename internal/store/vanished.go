package store

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/lapse-audit/lapse/internal/access"
)

// Vanished lists the accounts on which findings of the policies stand since the run before, and whose person no roster knows any
// more, though the account can still be used and nobody has decided whose it is. That a person can't be seen is no sign that they
// gave anything back: rosters forget who has left.
func (r *Run) Vanished(ctx context.Context, policies []string) ([]Judged, error) {
	if len(policies) == 0 || r.Previous == 0 {
		return nil, nil
	}
	out, err := list(ctx, r.s, func(rows driver.Rows, j *Judged) error {
		j.Subject.Kind = access.SubjectAccount
		return rows.Scan(&j.Policy, &j.Subject.Source, &j.Subject.ID)
	}, `WITH lost AS (
			SELECT policy, source, subject, fingerprint, hit_run FROM finding_states
			WHERE run = {previous:UInt64} AND status != 'closed' AND subject_kind = 'account' AND policy IN {policies:Array(String)}
				AND (source, subject) IN (SELECT source, id FROM work_accounts
					WHERE link_status = 'unmatched' AND link_method = 'none' AND ifNull(enabled, true)))
		SELECT DISTINCT policy, source, subject FROM lost
		WHERE (fingerprint, hit_run) IN (SELECT fingerprint, run FROM finding_hits
			WHERE run IN (SELECT hit_run FROM lost) AND fingerprint IN (SELECT fingerprint FROM lost)
				AND person != '' AND person NOT IN (SELECT alias FROM run_aliases WHERE run = {run:UInt64}))`,
		clickhouse.Named("previous", r.Previous), clickhouse.Named("run", r.ID), clickhouse.Named("policies", policies))
	if err != nil {
		return nil, fmt.Errorf("look for people who vanished from the rosters in run %d: %w", r.ID, err)
	}
	return out, nil
}
