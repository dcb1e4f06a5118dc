package rest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/collect/collecttest"
)

// oktaUser is a user as Okta answers: about 900 bytes.
func oktaUser(b *bytes.Buffer, i int) {
	fmt.Fprintf(b, `{"id":"00u%d","status":"ACTIVE","created":"2020-08-27T18:19:47.000Z","activated":null,"statusChanged":null,"lastLogin":"2026-11-%02dT07:01:02.000Z",`+
		`"lastUpdated":"2020-08-27T18:19:47.000Z","passwordChanged":"2020-08-27T18:19:47.000Z","type":{"id":"otyc04qb2rUDcq2YA4x6"},"profile":{"firstName":"John","lastName":"Doe-%d",`+
		`"mobilePhone":null,"secondEmail":null,"login":"john.doe.%d@example.com","email":"john.doe.%d@example.com","employeeNumber":"%d"},"credentials":{"password":{},"emails":`+
		`[{"value":"john.doe.%d@example.com","status":"VERIFIED","type":"PRIMARY"}],"provider":{"type":"OKTA","name":"OKTA"}},"_links":{"self":{"href":"https://test.okta.com/api/v1/users/00u%d"}}}`,
		i, i%28+1, i, i, i, i, i, i)
}

// bigOkta answers with so many users, 200 a page, after a while.
type bigOkta struct {
	users   int
	latency time.Duration
	pages   int
	peak    uint64 // of the heap in use
}

func (o *bigOkta) RoundTrip(r *http.Request) (*http.Response, error) {
	var b bytes.Buffer
	h := http.Header{"Content-Type": {"application/json"}}
	q := r.URL.Query()
	if r.URL.Path == "/api/v1/users" && !q.Has("filter") {
		from, _ := strconv.Atoi(q.Get("after"))
		b.WriteByte('[')
		to := min(from+200, o.users)
		for i := from; i < to; i++ {
			if i > from {
				b.WriteByte(',')
			}
			oktaUser(&b, i)
		}
		b.WriteByte(']')
		if to < o.users {
			h.Set("Link", fmt.Sprintf(`<https://big.okta.com/api/v1/users?after=%d&limit=200>; rel="next"`, to))
		}
		if o.pages++; o.pages%20 == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			o.peak = max(o.peak, m.HeapInuse)
		}
		time.Sleep(o.latency)
	} else if r.URL.Path == "/api/v1/iam/assignees/users" {
		b.WriteString(`{"value": []}`)
	} else {
		b.WriteString("[]")
	}
	return &http.Response{StatusCode: http.StatusOK, Header: h, Body: io.NopCloser(&b), Request: r}, r.Context().Err()
}

func bigCollector(t testing.TB, o *bigOkta) *Collector {
	t.Helper()
	k, err := New(config(t, "{recipe: okta, url: https://big.okta.com, auth: {token: env:TOKEN}}"), Options{UID: "okta", Secret: secret, Transport: o, Only: []string{"users"}})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

type discard struct{ n int }

func (d *discard) Put(access.Record) error        { d.n++; return nil }
func (d *discard) Reject(collect.Rejection) error { return nil }

// BenchmarkMapping makes accounts of decoded users by Okta's recipe: as it is, and with jq for plain paths too.
func BenchmarkMapping(b *testing.B) {
	for _, mode := range []string{"shipped", "jq for all"} {
		b.Run(mode, func(b *testing.B) {
			recipe, err := Load("okta", "")
			if err != nil {
				b.Fatal(err)
			}
			users := recipe.Requests[1]
			m := users.plan.mappings[0]
			if mode != "shipped" {
				plain := func(e *Expr) { e.path, e.whole, e.fixed = nil, false, nil }
				for i := range m.fields {
					plain(&m.fields[i].Expr)
				}
				for i := range m.attrs {
					plain(&m.attrs[i].Expr)
				}
			}
			var rows []any
			for i := range 1000 {
				var text bytes.Buffer
				oktaUser(&text, i)
				v, err := decode(text.Bytes())
				if err != nil {
					b.Fatal(err)
				}
				rows = append(rows, v)
			}
			vars := []any{map[string]any{"kind": "human"}, nil, nil, nil, map[string]any{}}
			seen := types{}
			n := 0
			for b.Loop() {
				for _, v := range rows {
					vars[varRow] = v
					if _, field, reason := m.record(v, vars, seen, nil); reason != "" {
						b.Fatal(field, reason)
					}
					n++
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkCollect reads LAPSE_BENCH_ACCOUNTS users, 100,000 by default, from answers that are there at once, through the
// runner as a scan does. The app is within the process, too.
func BenchmarkCollect(b *testing.B) {
	users := collecttest.Accounts(b, 100_000)
	most := 0.0
	for b.Loop() {
		most = max(most, collecttest.Grown(func() {
			out := &discard{}
			k := bigCollector(b, &bigOkta{users: users})
			if _, err := collect.Run(b.Context(), k, out, collect.Options{Limits: collect.DefaultLimits(), Now: time.Now()}); err != nil || out.n != users {
				b.Fatal(out.n, err)
			}
		}))
	}
	b.ReportMetric(float64(users*b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(most, "MiB")
}

// BenchmarkLatency reads from an app that takes 50 ms for a page, and compares with the least time that it can take: each
// page says where the next one is, so that they come one after the other.
func BenchmarkLatency(b *testing.B) {
	const latency, pages = 50 * time.Millisecond, 40
	for b.Loop() {
		out := &discard{}
		o := &bigOkta{users: 200 * pages, latency: latency}
		if _, err := bigCollector(b, o).Collect(b.Context(), out); err != nil || o.pages != pages || out.n != o.users {
			b.Fatal(o.pages, out.n, err)
		}
	}
	b.ReportMetric(100*(latency*pages).Seconds()*float64(b.N)/b.Elapsed().Seconds(), "%-of-ideal")
}

// Memory is bounded by pages and not by users.
func TestMemoryIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 20,000 users")
	}
	o := &bigOkta{users: 20_000}
	out := &discard{}
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := bigCollector(t, o).Collect(t.Context(), out); err != nil || out.n != o.users {
		t.Fatal(out.n, err)
	}
	// As text the users are 18 MB, decoded several times that.
	if grown := (int64(o.peak) - int64(before.HeapInuse)) >> 20; grown > 40 {
		t.Errorf("the heap grew by %d MiB", grown)
	}
}

// Reading is bound by the app's latency: the next page is under way while one is made records of.
func TestPagesAreFetchedAhead(t *testing.T) {
	second := make(chan bool)
	o := &bigOkta{users: 400}
	k := bigCollector(t, o)
	k.opt.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.URL.Query().Get("after") == "200" {
			close(second)
		}
		return o.RoundTrip(r)
	})
	out := &waiting{until: second}
	if _, err := k.Collect(t.Context(), out); err != nil || out.n != o.users || out.late {
		t.Errorf("%d users, %v; the second page was asked for late: %v", out.n, err, out.late)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// waiting takes its first record only when something else has happened.
type waiting struct {
	discard
	until chan bool
	late  bool
}

func (w *waiting) Put(r access.Record) error {
	select {
	case <-w.until:
	case <-time.After(time.Minute):
		w.late = true
	}
	return w.discard.Put(r)
}
