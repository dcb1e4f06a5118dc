package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// benchAccounts are accounts as a directory gives them: names, flags, dates and two attributes.
func benchAccounts(n int) []access.Account {
	all := make([]access.Account, n)
	for i := range all {
		all[i] = access.Account{
			ID: fmt.Sprintf("%08x-7b2c-4d1e-9f00-%012x", i*2654435761%(1<<32), i), Username: fmt.Sprintf("User.%d", i), Email: fmt.Sprintf("User.%d@corp.example", i),
			Name: fmt.Sprintf("Given%d Family%d", i%977, i%4999), EmployeeID: fmt.Sprintf("E%07d", i), Kind: access.KindHuman,
			Enabled: ptr(i%7 != 0), Privileged: ptr(i%50 == 0), MFA: ptr(i%3 == 0), Locked: ptr(false), PasswordNeverExpires: ptr(i%11 == 0), HasSPN: ptr(false),
			CreatedAt: ptr(night.Add(-time.Duration(i) * time.Minute)), LastLoginAt: ptr(night.Add(-time.Duration(i%200) * time.Hour)),
			PasswordChangedAt: ptr(night.Add(-time.Duration(i%90) * 24 * time.Hour)), NeverLoggedIn: ptr(false),
			Attributes: map[string]string{"dn": fmt.Sprintf("CN=User %d,OU=Staff,DC=corp,DC=example", i), "upn": fmt.Sprintf("user.%d@corp.example", i)},
		}
	}
	return all
}

// BenchmarkInsertAccounts compares writing accounts as a collector does, from the first Put until all rows are durable,
// with INSERT SELECT of the same rows, in the same order, from a table in the engine's memory.
func BenchmarkInsertAccounts(b *testing.B) {
	const rows = 300_000
	s := openEmbedded(b)
	// A collector holds no more than the record it is reading: few records with new ids, not all of them, so that the
	// benchmark's own memory isn't collected all the time.
	pool := benchAccounts(10_000)
	ids := make([]string, rows)
	for i := range ids {
		ids[i] = fmt.Sprintf("%08x-7b2c-4d1e-9f00-%012x", i*2654435761%(1<<32), i)
	}
	columns := "source, snapshot, taken, " + strings.Join(written(accountFields()), ", ")
	if err := s.exec(b.Context(), "CREATE TABLE arrived AS accounts ENGINE = Memory"); err != nil {
		b.Fatal(err)
	}
	var writing, selecting time.Duration
	for b.Loop() {
		w := begin(b, s, "bench", night)
		start := time.Now()
		for i, id := range ids {
			a := pool[i%len(pool)]
			a.ID = id
			if err := w.Put(a); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.accounts.close(); err != nil {
			b.Fatal(err)
		}
		writing += time.Since(start)

		for _, statement := range []string{"TRUNCATE TABLE arrived", "INSERT INTO arrived (" + columns + ") SELECT " + columns +
			" FROM accounts WHERE source = {source:String} AND snapshot = {snapshot:UInt64} ORDER BY substring(id, 25)"} {
			if err := s.exec(b.Context(), statement, w.key.args()...); err != nil {
				b.Fatal(err)
			}
		}
		start = time.Now()
		err := s.exec(b.Context(), "INSERT INTO accounts ("+columns+") SELECT "+strings.Replace(columns, "source", "'copy'", 1)+" FROM arrived")
		if err != nil {
			b.Fatal(err)
		}
		selecting += time.Since(start)
	}
	n := float64(rows * b.N)
	b.ReportMetric(n/writing.Seconds(), "rows/s")
	b.ReportMetric(n/selecting.Seconds(), "insert-select-rows/s")
	b.ReportMetric(writing.Seconds()/selecting.Seconds(), "x-insert-select")
}
