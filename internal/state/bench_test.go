package state

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func BenchmarkSQLite(b *testing.B) {
	o := Options{Path: filepath.Join(b.TempDir(), "state.db"), Clock: func() time.Time { return night }}
	s, err := Open(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			s, err := Open(b.Context(), o)
			if err != nil {
				b.Fatal(err)
			}
			s.Close()
		}
	})
	b.Run("decide", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Record(b.Context(), alice, "bench.made", map[string]int{"n": 1}); err != nil {
				b.Fatal(err)
			}
		}
	})
	const n = 20_000
	b.Run(fmt.Sprint("import", n), func(b *testing.B) {
		var file strings.Builder
		file.WriteString("exceptions:\n")
		for i := range n {
			fmt.Fprintf(&file, "  - {policy: DOR-01, subject: {kind: account, source: corp-ad, id: g%d}, reason: bench, expires: 2027-01-01}\n", i)
		}
		for b.Loop() {
			if _, err := s.ImportExceptions(b.Context(), alice, bytes.NewReader([]byte(file.String())), ImportOptions{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run(fmt.Sprint("review", n), func(b *testing.B) {
		items := make([]ReviewItem, n)
		for i := range items {
			items[i] = ReviewItem{Source: "crm", Account: fmt.Sprint("u", i), Entitlement: "e", Holders: n, Reviewer: "hr:1", Body: []byte(`{"person_name":"Ann Ash","evidence":["it was used 3 days ago"]}`)}
		}
		i := 0
		for b.Loop() {
			i++
			if _, err := s.StartReview(b.Context(), alice, Review{ID: fmt.Sprint("q", i), Scope: "all"}, items); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			v, err := s.VerifyLedger(b.Context(), nil)
			if err != nil || !v.OK() {
				b.Fatal(v, err)
			}
			b.ReportMetric(float64(v.Entries), "entries")
		}
	})
}
