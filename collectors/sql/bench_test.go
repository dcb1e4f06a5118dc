//go:build unix

package sql

import (
	"fmt"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/collect/collecttest"
)

type nothing struct{ n int }

func (d *nothing) Put(access.Record) error        { d.n++; return nil }
func (d *nothing) Reject(collect.Rejection) error { return nil }

// BenchmarkCollect reads LAPSE_BENCH_ACCOUNTS accounts, 100,000 by default, from PostgreSQL, through the runner as a scan
// does.
func BenchmarkCollect(b *testing.B) {
	rows := collecttest.Accounts(b, 100_000)
	s := startPostgres(b)
	k := s.build(b, fmt.Sprintf("queries:\n  accounts: >-\n    SELECT 'S-1-5-21-1004336348-' || i AS id, 'user' || i AS username, 'user' || i || '@example.test' AS email, 'Name ' || i AS name,"+
		" 'human' AS kind, true AS enabled, timestamptz '2019-03-04' AS created_at, timestamptz '2026-10-01' AS last_login_at FROM generate_series(1, %d) AS i", rows))
	most := 0.0
	for b.Loop() {
		most = max(most, collecttest.Grown(func() {
			out := &nothing{}
			if _, err := collect.Run(b.Context(), k, out, collect.Options{Limits: collect.DefaultLimits(), Now: time.Now()}); err != nil || out.n != rows {
				b.Fatal(out.n, err)
			}
		}))
	}
	b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(most, "MiB")
}
