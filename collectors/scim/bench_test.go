package scim

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/collect/collecttest"
)

// large is a service with so many users, made up page by page.
type large struct {
	users   int
	latency time.Duration
}

func (l large) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	time.Sleep(l.latency)
	if !strings.HasSuffix(r.URL.Path, "/Users") {
		if strings.HasSuffix(r.URL.Path, "/Groups") {
			fmt.Fprint(w, `{"totalResults":0}`)
			return
		}
		w.WriteHeader(http.StatusNotFound)
		return
	}
	from := start(r)
	count, err := strconv.Atoi(r.URL.Query().Get("count"))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var page []byte
	for i := from; i < from+count && i <= l.users; i++ {
		if i > from {
			page = append(page, ',')
		}
		page = fmt.Appendf(page, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"2819c223-7f76-453a-919d-%012d","userName":"user%d@example.test","externalId":"%d","displayName":"User %d","active":true,"emails":[{"value":"user%d@example.test","type":"work","primary":true}],"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"%d","department":"Sales"},"meta":{"resourceType":"User","created":"2019-03-04T05:06:07Z"}}`, i, i, i, i, i, i)
	}
	fmt.Fprintf(w, `{"Resources":[%s],"totalResults":%d}`, page, l.users)
}

// probe looks at the memory in use while records go by.
type probe struct {
	n, every int
	least    uint64 // after the first every records
	most     uint64
}

func (p *probe) Put(access.Record) error {
	if p.n++; p.n%p.every == 0 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		if p.least == 0 {
			p.least = m.HeapAlloc
		}
		p.most = max(p.most, m.HeapAlloc)
	}
	return nil
}

func (p *probe) Reject(collect.Rejection) error { return nil }

// What is kept of an account is one hash: memory doesn't grow with the directory.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 40,000 accounts")
	}
	const users = 40_000
	s := httptest.NewServer(large{users: users})
	defer s.Close()
	p := probe{every: users / 8}
	if _, err := build(t, s.URL+"/v2", "page_size: 200\nconcurrency: 2").Collect(t.Context(), &p); err != nil || p.n != users {
		t.Fatalf("%d accounts, error %v", p.n, err)
	}
	if grown := int64(p.most) - int64(p.least); grown > users*100 {
		t.Errorf("%d bytes more are in use after %d accounts than after %d", grown, users, p.every)
	}
}

// BenchmarkCollect reads LAPSE_BENCH_ACCOUNTS users, 100,000 by default, through the runner as a scan does. The server is
// within the process, too.
func BenchmarkCollect(b *testing.B) {
	users := collecttest.Accounts(b, 100_000)
	s := httptest.NewServer(large{users: users})
	defer s.Close()
	most := 0.0
	for b.Loop() {
		most = max(most, collecttest.Grown(func() {
			p := probe{every: 1 << 30}
			k := build(b, s.URL+"/v2", "page_size: 1000\nconcurrency: 2")
			if _, err := collect.Run(b.Context(), k, &p, collect.Options{Limits: collect.DefaultLimits(), Now: time.Now()}); err != nil || p.n != users {
				b.Fatalf("%d accounts, error %v", p.n, err)
			}
		}))
	}
	b.ReportMetric(float64(users*b.N)/b.Elapsed().Seconds(), "accounts/s")
	b.ReportMetric(most, "MiB")
}

// BenchmarkLatency reads from a server that takes 50 ms for a page, and compares with the least time that it can take: of
// 60 pages with 4 at a time, and five requests one after the other.
func BenchmarkLatency(b *testing.B) {
	const latency, pages, ahead = 50 * time.Millisecond, 60, 4
	s := httptest.NewServer(large{users: pages * 100, latency: latency})
	defer s.Close()
	for b.Loop() {
		if _, err := build(b, s.URL+"/v2", fmt.Sprintf("concurrency: %d", ahead)).Collect(b.Context(), &probe{every: 1 << 30}); err != nil {
			b.Fatal(err)
		}
	}
	ideal := latency*pages/ahead + 4*latency // two of capabilities, the first, groups; beside the pages is the one behind the end
	b.ReportMetric(100*ideal.Seconds()*float64(b.N)/b.Elapsed().Seconds(), "%-of-ideal")
}
