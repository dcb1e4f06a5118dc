package baton

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// counter keeps nothing but how much it was given, and how large the heap was meanwhile.
type counter struct {
	grants int
	heap   uint64
}

func (c *counter) Put(r access.Record) error {
	if _, ok := r.(access.Grant); ok {
		if c.grants++; c.grants%100_000 == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			c.heap = max(c.heap, m.HeapInuse)
		}
	}
	return nil
}

func (c *counter) Reject(r collect.Rejection) error { return fmt.Errorf("rejected: %s", r) }

// BenchmarkGrants reads a file of as many grants as LAPSE_BENCH_ACCOUNTS says, of 10 an account, and compares the time with
// that of a bare scan of the rows of the database within.
func BenchmarkGrants(b *testing.B) {
	n := 100_000
	if text := os.Getenv("LAPSE_BENCH_ACCOUNTS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	dir := b.TempDir()
	database := large(b, filepath.Join(dir, "large.db"), n)
	if err := os.WriteFile(filepath.Join(dir, "app.c1z"), append([]byte(magicV1), compress(b, database)...), 0o600); err != nil {
		b.Fatal(err)
	}
	k, err := New(Config{Path: "app.c1z"}, Options{Base: dir, Private: filepath.Join(dir, "private")})
	if err != nil {
		b.Fatal(err)
	}
	var scanned, read time.Duration
	var heap uint64
	for b.Loop() {
		start := time.Now()
		bare(b, filepath.Join(dir, "large.db"), n)
		scanned += time.Since(start)
		start = time.Now()
		var c counter
		if _, err := k.Collect(b.Context(), &c); err != nil {
			b.Fatal(err)
		}
		if c.grants != n {
			b.Fatalf("%d grants of %d", c.grants, n)
		}
		read += time.Since(start)
		heap = max(heap, c.heap)
	}
	b.ReportMetric(float64(read)/float64(scanned), "x_of_a_scan")
	b.ReportMetric(float64(n)*float64(b.N)/read.Seconds(), "grants/s")
	b.ReportMetric(float64(heap)/(1<<20), "heap_MB")
}

// large makes a database of n grants, as wide as those of real connectors.
func large(b *testing.B, path string, n int) []byte {
	b.Helper()
	m := company()
	m.grants, m.resources, m.entitlements = nil, nil, nil
	if err := os.WriteFile(path, m.database(b, "pragma page_size = 4096", "vacuum"), 0o600); err != nil {
		b.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		b.Fatal(err)
	}
	tx, err := db.Begin()
	if err != nil {
		b.Fatal(err)
	}
	insert := func(query string, args ...any) {
		if _, err := tx.Exec(query, args...); err != nil {
			b.Fatal(err)
		}
	}
	const groups = 1000
	for i := range groups {
		id := fmt.Sprintf("group-%04d", i)
		insert("insert into v1_resources (resource_type_id, external_id, data, sync_id, discovered_at) values ('group', ?, ?, ?, '')",
			"group:"+id, join(sub(1, join(str(1, "group"), str(2, id))), str(3, id)), finished)
		insert("insert into v1_entitlements (resource_type_id, resource_id, external_id, data, sync_id, discovered_at) values ('group', ?, ?, ?, ?, '')",
			id, "group:"+id+":member", join(str(3, id), num(7, 1), str(8, "member")), finished)
	}
	for i := range n / 10 {
		id := fmt.Sprintf("2IC0WoaHVvl2GIQppX%07d", i)
		trait := join(sub(1, join(str(1, id+"@example.com"), num(2, 1))), sub(2, num(1, 1)), num(5, 1))
		insert("insert into v1_resources (resource_type_id, external_id, data, sync_id, discovered_at) values ('user', ?, ?, ?, '')",
			"user:"+id, join(sub(1, join(str(1, "user"), str(2, id))), str(3, id), sub(4, annotated("UserTrait", trait))), finished)
	}
	for i := range n {
		user, group := fmt.Sprintf("2IC0WoaHVvl2GIQppX%07d", i/10), fmt.Sprintf("group-%04d", (i/10*7+i%10)%groups)
		ent := "group:" + group + ":member"
		of := join(sub(1, join(str(1, "group"), str(2, group))), str(3, group), sub(4, annotated("GroupTrait", nil)))
		data := join(sub(1, join(sub(1, of), str(2, ent))), sub(2, sub(1, join(str(1, "user"), str(2, user)))), str(3, ent+":user:"+user))
		insert("insert into v1_grants (resource_type_id, resource_id, entitlement_id, principal_resource_type_id, principal_resource_id, external_id, data, sync_id, discovered_at) values ('group', ?, ?, 'user', ?, ?, ?, ?, '2026-11-23 06:46:26.4')",
			group, ent, user, ent+":user:"+user, data, finished)
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	out, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// bare scans the rows of grants.
func bare(b *testing.B, path string, want int) {
	b.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query("select * from v1_grants")
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		b.Fatal(err)
	}
	row, into := make([]sql.RawBytes, len(names)), make([]any, len(names))
	for i := range row {
		into[i] = &row[i]
	}
	n := 0
	for ; rows.Next(); n++ {
		if err := rows.Scan(into...); err != nil {
			b.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil || n != want {
		b.Fatalf("%d rows of %d, %v", n, want, err)
	}
}
