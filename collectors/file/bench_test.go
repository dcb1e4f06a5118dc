package file

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/collect/collecttest"
)

type nothing struct{ n int }

func (d *nothing) Put(access.Record) error        { d.n++; return nil }
func (d *nothing) Reject(collect.Rejection) error { return nil }

// BenchmarkCollect reads LAPSE_BENCH_ACCOUNTS accounts, 200,000 by default, through the runner as a scan does.
func BenchmarkCollect(b *testing.B) {
	rows := collecttest.Accounts(b, 200_000)
	dir := b.TempDir()
	for _, format := range []string{"csv", "jsonl"} {
		b.Run(format, func(b *testing.B) {
			path := filepath.Join(dir, "a."+format)
			f, err := os.Create(path)
			if err != nil {
				b.Fatal(err)
			}
			w := bufio.NewWriter(f)
			if format == "csv" {
				w.WriteString("id,username,email,name,kind,enabled,created_at,last_login_at,dn\n")
			}
			layout := "S-1-5-21-1004336348-%d,user%d,user%d@example.test,\"Name, Given %d\",human,true,2019-03-04T05:06:07Z,2026-10-%02d 08:09:10,\"CN=user%d,OU=Sales,DC=example,DC=test\"\n"
			if format == "jsonl" {
				layout = `{"id":"S-1-5-21-1004336348-%d","username":"user%d","email":"user%d@example.test","name":"Name, Given %d","kind":"human","enabled":true,"created_at":"2019-03-04T05:06:07Z","last_login_at":"2026-10-%02d 08:09:10","dn":"CN=user%d,OU=Sales,DC=example,DC=test"}` + "\n"
			}
			for i := range rows {
				fmt.Fprintf(w, layout, i, i, i, i, i%28+1, i)
			}
			if err := w.Flush(); err != nil {
				b.Fatal(err)
			}
			info, err := f.Stat()
			if err != nil {
				b.Fatal(err)
			}
			f.Close()
			k := build(b, dir, "files: {accounts: {path: a."+format+", attributes: [dn]}}")
			b.SetBytes(info.Size())
			most := 0.0
			for b.Loop() {
				most = max(most, collecttest.Grown(func() {
					out := &nothing{}
					if _, err := collect.Run(b.Context(), k, out, collect.Options{Limits: collect.DefaultLimits(), Now: time.Now()}); err != nil || out.n != rows {
						b.Fatal(out.n, err)
					}
				}))
			}
			b.ReportMetric(most, "MiB")
			b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
