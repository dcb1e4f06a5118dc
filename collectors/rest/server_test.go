package rest

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/collect/collecttest"
)

// tiny is a recipe with each way of reading that the faults below disturb.
const tiny = `
language: 1
name: Tiny
auth: [{type: bearer}]
error: .error
requests:
- name: users
  path: /users
  rows: .users
  paging: {type: next, next: .next, total: .total}
  rights: [users.read]
  accounts: {id: .id, username: .name, enabled: .active, last_login_at: .last}
`

// app is a server that answers /users by page, as users says.
func app(t testing.TB, users func(w http.ResponseWriter, r *http.Request, page string)) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+secretText {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		users(w, r, r.URL.Query().Get("page"))
	}))
	t.Cleanup(s.Close)
	return s
}

// of builds a collector of a recipe's text over a server.
func of(t testing.TB, recipe, url, more string) *Collector {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tiny.yaml")
	if err := os.WriteFile(file, []byte(recipe), 0o600); err != nil {
		t.Fatal(err)
	}
	return build(t, config(t, fmt.Sprintf("recipe: %s\nurl: %s\nauth: {token: env:TOKEN}\n%s", file, url, more)), nil)
}

// pagesOf answers with the pages, one after the other.
func pagesOf(pages ...string) func(http.ResponseWriter, *http.Request, string) {
	return func(w http.ResponseWriter, _ *http.Request, page string) {
		n := 0
		fmt.Sscan(page, &n)
		io.WriteString(w, pages[n])
	}
}

func TestBrokenAnswers(t *testing.T) {
	const first = `{"users": [{"id": "1"}, {"id": "2"}], "next": "/users?page=1"}`
	for name, c := range map[string]struct {
		pages []string
		want  string
	}{
		"truncated":             {[]string{first, `{"users": [{"id": "3"}, {"id`}, "page 2: the JSON is cut off after"},
		"truncated after rows":  {[]string{`{"users": [{"id": "3"}]`}, "the JSON is cut off after"},
		"html":                  {[]string{first, "<!DOCTYPE html><title>Sign in</title>"}, "page 2: is an HTML page and no JSON"},
		"empty":                 {[]string{""}, "the JSON is cut off after 0 bytes"},
		"no json":               {[]string{`{"users": [}`}, "is no JSON at byte"},
		"two documents":         {[]string{`{"users": []} {"users": []}`}, "something follows the JSON document"},
		"error inside":          {[]string{first, `{"error": "internal_error"}`}, "page 2: the app answers with an error: internal_error"},
		"secret inside":         {[]string{`{"error": "bad token ` + secretText + `"}`}, "bad token <secret>"},
		"no list":               {[]string{`{"people": []}`}, "there is no list at .users"},
		"list is an object":     {[]string{`{"users": {"id": "1"}}`}, ".users is an object, want a list"},
		"list for an object":    {[]string{`[]`}, "the answer is a list where there should be an object with users"},
		"list twice":            {[]string{`{"users": [], "users": [{"id": "1"}]}`}, "users stands twice"},
		"page repeats":          {[]string{first, `{"users": [{"id": "1"}, {"id": "2"}], "next": "/users?page=2"}`}, "page 2 has the same rows as one before"},
		"round in circles":      {[]string{first, `{"users": [{"id": "3"}], "next": "/users?page=1"}`}, "an address that was there before"},
		"total lies":            {[]string{`{"users": [{"id": "1"}], "total": 1000}`}, "there are 1000 rows, and its pages held 1: some are lost"},
		"next on another host":  {[]string{`{"users": [{"id": "1"}], "next": "https://evil.example/users?page=1"}`}, "the next page is on another host, evil.example: not followed"},
		"next by another road":  {[]string{`{"users": [{"id": "1"}], "next": "/admin/users"}`}, "the next page is at /admin/users, which is not below /users"},
		"next up and away":      {[]string{`{"users": [{"id": "1"}], "next": "/users/../admin"}`}, "not below /users"},
		"next is a number":      {[]string{`{"users": [{"id": "1"}], "next": {"a": 1}}`}, "paging.next is an object"},
		"next with credentials": {[]string{`{"users": [{"id": "1"}], "next": "//a:b@HOST/users?page=1"}`}, "holds credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			var s *httptest.Server
			s = app(t, func(w http.ResponseWriter, r *http.Request, page string) {
				n := 0
				fmt.Sscan(page, &n)
				io.WriteString(w, strings.ReplaceAll(c.pages[n], "HOST", strings.TrimPrefix(s.URL, "http://")))
			})
			var out keeper
			_, err := of(t, tiny, s.URL, "").Collect(t.Context(), &out)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want %q; %d records", err, c.want, len(out.records))
			}
			if !strings.HasPrefix(err.Error(), "Tiny: GET /users, page ") {
				t.Errorf("the error doesn't name its place: %v", err)
			}
		})
	}
}

// A record that can't be read is rejected with its place, and the others are not.
func TestRejections(t *testing.T) {
	s := app(t, pagesOf(
		`{"users": [{"id": "1", "name": "a"}, {"id": null}, {"name": "x"}, {"id": ""}, {"id": 4}, null, 7, {"id": "5", "active": "maybe"},`+
			`{"id": "6", "last": "last week"}, {"id": "7", "last": 1790000000}, {"id": "8", "last": "2026-01-01T08:00:00"}], "next": "/users?page=1"}`,
		`{"users": [{"id": "9", "name": "`+strings.Repeat("x", 10<<20)+`"}, {"id": "10", "name": "`+"\xff"+`"}, {"id": {"a": 1}}, {"id": "11", "name": "b", "active": true}, {"id": "1"}]}`))
	var out keeper
	res, err := collect.Run(t.Context(), of(t, tiny, s.URL, ""), &out, collect.Options{Limits: collect.Limits{MaxRejected: 1}, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range res.Rejections {
		got = append(got, r.String())
	}
	want := []string{
		`GET /users line 2 column "id": accounts: the id is missing, null or empty`,
		`GET /users line 3 column "id": accounts: the id is missing, null or empty`,
		`GET /users line 4 column "id": accounts: the id is missing, null or empty`,
		`GET /users line 5 column "id": accounts: is a number, and was a text in the records before`,
		`GET /users line 6: the record is null`,
		`GET /users line 7 column "id": accounts: expected an object but got a number`,
		`GET /users line 8 column "enabled": accounts: "maybe" is neither true nor false`,
		`GET /users line 9 column "last_login_at": accounts: "last week" is no time such as 2026-01-31T08:00:00Z`,
		`GET /users line 10 column "last_login_at": accounts: is a number, want a time such as 2026-01-31T08:00:00Z: seconds since 1970 become one by todate`,
		`GET /users line 11 column "last_login_at": accounts: has no zone: where it is UTC, append it: . + "Z"`,
		`GET /users line 12: the record is longer than 1048576 bytes: raise max_record if it is right`,
		`GET /users line 13: not valid UTF-8`,
		`GET /users line 14 column "id": accounts: is an object, want a text`,
		`GET /users line 16 column "id": duplicate id: another record than GET /users line 1, which has the same one`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if len(out.records) != 2 {
		t.Errorf("records:\n%s", dump(out.records))
	}
}

// What passes is tried again, and what is asked to wait waits; the records are then those of an undisturbed read.
func TestTroubleThatPasses(t *testing.T) {
	const first, second = `{"users": [{"id": "1"}], "next": "/users?page=1"}`, `{"users": [{"id": "2"}]}`
	// What each asks to wait in all; a date is the same one both times.
	told := map[string]time.Duration{
		"429": 34 * time.Second, "429 with a fraction": 33 * time.Second, "503 that says to wait": 34 * time.Second,
		"429 until a date": 15 * time.Second, "429 until reset": 15 * time.Second,
	}
	for name, trouble := range map[string]func(http.ResponseWriter){
		"429": func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "17")
			w.WriteHeader(http.StatusTooManyRequests)
		},
		"429 until a date": func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", time.Now().Add(17*time.Second).UTC().Format(http.TimeFormat))
			w.WriteHeader(http.StatusTooManyRequests)
		},
		"429 with a fraction": func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "16.7")
			w.WriteHeader(http.StatusTooManyRequests)
		},
		"429 until reset": func(w http.ResponseWriter) {
			w.Header().Set("X-RateLimit-Remaining", "0")
			w.Header().Set("X-RateLimit-Reset", fmt.Sprint(time.Now().Unix()+18))
			w.WriteHeader(http.StatusTooManyRequests)
		},
		"503 that says to wait": func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "17")
			w.WriteHeader(http.StatusServiceUnavailable)
		},
		"500":                  func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) },
		"504":                  func(w http.ResponseWriter) { w.WriteHeader(http.StatusGatewayTimeout) },
		"connection cut off":   func(w http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"answer cut off":       func(w http.ResponseWriter) { w.Header().Set("Content-Length", "1000"); io.WriteString(w, second[:10]) },
		"429 that doesn't say": func(w http.ResponseWriter) { w.WriteHeader(http.StatusTooManyRequests) },
		"429 and a wrong header": func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "soon")
			w.WriteHeader(http.StatusTooManyRequests)
		},
	} {
		t.Run(name, func(t *testing.T) {
			left := 2
			s := app(t, func(w http.ResponseWriter, _ *http.Request, page string) {
				if page == "" {
					io.WriteString(w, first)
					return
				}
				if left--; left >= 0 {
					trouble(w)
					return
				}
				io.WriteString(w, second)
			})
			k := of(t, tiny, s.URL, "")
			c := fake(k)
			var out keeper
			if _, err := k.Collect(t.Context(), &out); err != nil {
				t.Fatal(err)
			}
			if got := dump(out.records); got != "account: id=\"1\"\naccount: id=\"2\"\n" {
				t.Errorf("records:\n%s", got)
			}
			if c.slept() < told[name] {
				t.Errorf("waited %s in all, and was told to wait %s", c.slept(), told[name])
			}
		})
	}
}

// fakeClock passes only by sleeping.
type fakeClock struct {
	mu    sync.Mutex
	start time.Time
	now   time.Time
}

// fake gives a collector a clock of its own.
func fake(k *Collector) *fakeClock {
	c := &fakeClock{start: time.Now(), now: time.Now()}
	k.time = clock{
		now: func() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now },
		sleep: func(ctx context.Context, d time.Duration) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.now = c.now.Add(d)
			return ctx.Err()
		},
	}
	return c
}

func (c *fakeClock) slept() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now.Sub(c.start)
}

// What doesn't pass ends the collection, soon.
func TestTroubleThatStays(t *testing.T) {
	for name, c := range map[string]struct {
		trouble func(http.ResponseWriter)
		calls   int
		want    string
	}{
		"500": {func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) }, 5, "page 2: 500 Internal Server Error (tried 5 times)"},
		"403": {func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, `{"error":{"message":"no such right"}}`)
		}, 1, "403 Forbidden: no such right; the request needs users.read"},
		"401": {func(w http.ResponseWriter) { w.WriteHeader(http.StatusUnauthorized) }, 1, "the credentials are refused"},
		"404": {func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) }, 1, "404 Not Found"},
		"503": {func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) }, 5, "page 2: 503 Service Unavailable (tried 5 times)"},
		"429 for ages": {func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "86400")
			w.WriteHeader(http.StatusTooManyRequests)
		}, 1, "goes beyond timeout"},
		"429 for ever": {func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		}, 101, "still says to wait after 100 times"},
		"echoes secret": {func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"message":"what is `+secretText+`"}`)
		}, 1, "what is <secret>"},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			s := app(t, func(w http.ResponseWriter, _ *http.Request, page string) {
				if page == "" {
					io.WriteString(w, `{"users": [{"id": "1"}], "next": "/users?page=1"}`)
					return
				}
				calls++
				c.trouble(w)
			})
			k := of(t, tiny, s.URL, "")
			fake(k)
			_, err := k.Collect(t.Context(), &keeper{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if calls != c.calls {
				t.Errorf("%d calls, want %d", calls, c.calls)
			}
		})
	}
}

func TestRedirects(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the other host was asked, with Authorization %q", r.Header.Get("Authorization"))
	}))
	defer other.Close()
	s := app(t, func(w http.ResponseWriter, r *http.Request, page string) {
		switch page {
		case "":
			http.Redirect(w, r, "/users?page=moved", http.StatusFound) // the same host
		case "moved":
			io.WriteString(w, `{"users": [{"id": "1"}], "next": "/users?page=away"}`)
		default:
			http.Redirect(w, r, strings.Replace(other.URL, "127.0.0.1", "localhost", 1)+"/users", http.StatusTemporaryRedirect)
		}
	})
	var out keeper
	_, err := of(t, tiny, s.URL, "").Collect(t.Context(), &out)
	if err == nil || !strings.Contains(err.Error(), "redirected to another host, localhost:") {
		t.Errorf("error %v", err)
	}

	// A host that the recipe names is given the credentials.
	calls := 0
	s2 := app(t, func(w http.ResponseWriter, r *http.Request, page string) {
		calls++
		io.WriteString(w, `{"users": [{"id": "1"}]}`)
	})
	s3 := app(t, func(w http.ResponseWriter, r *http.Request, page string) {
		http.Redirect(w, r, strings.Replace(s2.URL, "127.0.0.1", "api.localhost.test", 1)+"/users", http.StatusTemporaryRedirect)
	})
	k := of(t, tiny+"redirects: ['*.localhost.test']\n", s3.URL, "")
	k.opt.Transport = rewrite{"api.localhost.test", "127.0.0.1"}
	if _, err := k.Collect(t.Context(), &out); err != nil || calls != 1 {
		t.Errorf("%v, %d calls", err, calls)
	}
}

// rewrite sends what is meant for one host to another.
type rewrite struct{ from, to string }

func (t rewrite) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Host = strings.Replace(r.URL.Host, t.from, t.to, 1)
	return http.DefaultTransport.RoundTrip(r)
}

// A certificate that nobody vouches for is refused at once, and taken with the authority's file.
func TestTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"users": [{"id": "1"}]}`) }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	k := of(t, tiny, s.URL, "")
	_, err := k.Collect(t.Context(), &keeper{})
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("error %v", err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := of(t, tiny, s.URL, "ca: "+ca).Collect(t.Context(), &keeper{}); err != nil {
		t.Error(err)
	}
}

// A proxy is asked for what is on the other side of it.
func TestProxy(t *testing.T) {
	var asked string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Method + " " + r.Host
		w.WriteHeader(http.StatusForbidden)
	}))
	defer proxy.Close()
	_, err := of(t, tiny, "https://app.example.test", "proxy: "+proxy.URL).Collect(t.Context(), &keeper{})
	if err == nil || asked != "CONNECT app.example.test:443" {
		t.Errorf("the proxy was asked for %q; error %v", asked, err)
	}
}

// A server that counts: no window sees more than the share of its quota, but for the requests that were under way before
// the first answer told of it.
func TestShareOfTheQuota(t *testing.T) {
	const limit, pages, details = 40, 3, 30
	recipe := `
language: 1
name: Tiny
auth: [{type: bearer}]
requests:
- name: users
  path: /users
  rows: .users
  paging: {type: page, param: page}
  accounts: {id: .id}
  each:
  - {name: roles, path: "/users/{.id}/roles", grants: {holder_id: $parent.id, entitlement_id: .id}}
`
	var mu sync.Mutex
	var c *fakeClock
	windows := map[int64]int{}
	s := app(t, func(w http.ResponseWriter, r *http.Request, page string) {
		mu.Lock()
		defer mu.Unlock()
		c.mu.Lock()
		now := c.now
		c.mu.Unlock()
		window := now.Unix() / 60
		windows[window]++
		w.Header().Set("X-RateLimit-Limit", fmt.Sprint(limit))
		w.Header().Set("X-RateLimit-Remaining", fmt.Sprint(limit-windows[window]))
		w.Header().Set("X-RateLimit-Reset", fmt.Sprint((window+1)*60))
		if strings.HasSuffix(r.URL.Path, "/roles") {
			io.WriteString(w, `[{"id": "r"}]`)
			return
		}
		n := 0
		fmt.Sscan(page, &n)
		var users []string
		for i := range details {
			if n <= pages {
				users = append(users, fmt.Sprintf(`{"id": "%d-%d"}`, n, i))
			}
		}
		fmt.Fprintf(w, `{"users": [%s]}`, strings.Join(users, ","))
	})
	k := of(t, recipe, s.URL, "share: 25%\nconcurrency: 4")
	c = fake(k)
	var out keeper
	if _, err := k.Collect(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	if want := 2 * pages * details; len(out.records) != want {
		t.Errorf("%d records, want %d", len(out.records), want)
	}
	total := 0
	for window, n := range windows {
		total += n
		if n > limit/4+4 {
			t.Errorf("window %d saw %d requests; the share is %d of %d", window, n, limit/4, limit)
		}
	}
	if total != pages+1+pages*details {
		t.Errorf("%d requests", total)
	}
}

// The documented quota holds where the answers don't tell.
func TestPerMinute(t *testing.T) {
	s := app(t, pagesOf(`{"users": [{"id": "1"}], "next": "/users?page=1"}`, `{"users": [{"id": "2"}], "next": "/users?page=2"}`, `{"users": [{"id": "3"}]}`))
	k := of(t, tiny+"limits: {per_minute: 20}\n", s.URL, "share: 50%")
	c := fake(k)
	if _, err := k.Collect(t.Context(), &keeper{}); err != nil {
		t.Fatal(err)
	}
	if got := c.slept(); got < 12*time.Second || got > 13*time.Second {
		t.Errorf("3 requests at 10 a minute took %s", got)
	}
}

// Detail calls run at the same time, and their records come in the order of the rows.
func TestOrderOfDetails(t *testing.T) {
	recipe := `
language: 1
name: Tiny
auth: [{type: bearer}]
requests:
- name: users
  path: /users
  accounts: {id: .id}
  each:
  - {name: roles, path: "/users/{.id}/roles", gone: [404], grants: {holder_id: $parent.id, entitlement_id: .id}}
`
	var mu sync.Mutex
	flying, most := 0, 0
	s := app(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		mu.Lock()
		flying++
		most = max(most, flying)
		mu.Unlock()
		defer func() { mu.Lock(); flying--; mu.Unlock() }()
		id := strings.Split(r.URL.Path, "/")
		switch {
		case len(id) == 2:
			var users []string
			for i := range 40 {
				users = append(users, fmt.Sprintf(`{"id": "u%02d"}`, i))
			}
			fmt.Fprintf(w, "[%s]", strings.Join(users, ","))
		case id[2] == "u07": // has gone since
			w.WriteHeader(http.StatusNotFound)
		default:
			if id[2] < "u20" {
				time.Sleep(3 * time.Millisecond)
			}
			fmt.Fprintf(w, `[{"id": "r1"}, {"id": "r2"}]`)
		}
	})
	var out keeper
	prov, err := of(t, recipe, s.URL, "concurrency: 8").Collect(t.Context(), &out)
	if err != nil {
		t.Fatal(err)
	}
	last := ""
	grants := 0
	for _, r := range out.records {
		if g, ok := r.(access.Grant); ok {
			grants++
			if g.HolderID < last {
				t.Fatalf("%s comes after %s", g.HolderID, last)
			}
			last = g.HolderID
		}
	}
	if grants != 78 {
		t.Errorf("%d grants", grants)
	}
	if most < 2 || most > 8 {
		t.Errorf("%d requests were under way at the same time, 8 may be", most)
	}
	if !strings.Contains(strings.Join(prov.Notes, "\n"), "roles: 1 objects had gone") {
		t.Errorf("notes %q", prov.Notes)
	}
}

// What may be refused is unknown, and said to be; what was given before is not let go of halfway.
func TestOptional(t *testing.T) {
	recipe := tiny + `
- name: seats
  path: /seats
  optional: true
  seats: {account_id: .id, sku: '"pro"'}
`
	s := app(t, func(w http.ResponseWriter, r *http.Request, page string) {
		if r.URL.Path == "/seats" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		io.WriteString(w, `{"users": [{"id": "1"}]}`)
	})
	prov, err := of(t, recipe, s.URL, "").Collect(t.Context(), &keeper{})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"accounts"}, prov.Reads); d != "" {
		t.Error(d)
	}
	if len(prov.Notes) != 1 || !strings.HasPrefix(prov.Notes[0], "seats was refused, and what it gives is unknown: GET /seats, page 1: 403 Forbidden") {
		t.Errorf("notes %q", prov.Notes)
	}
}

// A request that was answered once can't be optional any more: its other half is missing.
func TestOptionalHalf(t *testing.T) {
	recipe := `
language: 1
name: Tiny
auth: [{type: bearer}]
requests:
- name: users
  path: /users
  accounts: {id: .id}
  each:
  - {name: roles, path: "/users/{.id}/roles", optional: true, grants: {holder_id: $parent.id, entitlement_id: .id}}
`
	for refused, want := range map[string]string{"1": "", "2": "GET /users/2/roles, page 1: 403 Forbidden"} {
		s := app(t, func(w http.ResponseWriter, r *http.Request, _ string) {
			switch r.URL.Path {
			case "/users":
				io.WriteString(w, `[{"id": "1"}, {"id": "2"}, {"id": "3"}]`)
			case "/users/" + refused + "/roles":
				w.WriteHeader(http.StatusForbidden)
			default:
				io.WriteString(w, `[{"id": "r"}]`)
			}
		})
		prov, err := of(t, recipe, s.URL, "").Collect(t.Context(), &keeper{})
		if want == "" && (err != nil || len(prov.Notes) != 1 || len(prov.Reads) != 1) {
			t.Errorf("refused from the start: %v, notes %q, reads %q", err, prov.Notes, prov.Reads)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("refused midway: error %v, want %q", err, want)
		}
	}
}

// A report is read as it comes: its rows are there before it ends, and one that breaks off is an error and is not asked
// for again, which would give its rows twice.
func TestStream(t *testing.T) {
	recipe := `
language: 1
name: Tiny
auth: [{type: bearer}]
requests:
- {name: report, path: /report, rows: .entries, stream: true, accounts: {id: .id}}
`
	for _, whole := range []bool{true, false} {
		asked := 0
		s := app(t, func(w http.ResponseWriter, r *http.Request, _ string) {
			asked++
			io.WriteString(w, `{"entries": [{"id": 0}`)
			for i := range 3000 {
				fmt.Fprintf(w, `, {"id": %d}`, i+1)
			}
			if !whole {
				panic(http.ErrAbortHandler)
			}
			io.WriteString(w, `]}`)
		})
		var out keeper
		_, err := of(t, recipe, s.URL, "").Collect(t.Context(), &out)
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
		if whole && (err != nil || len(out.records) != 3001) {
			t.Errorf("%d records, %v", len(out.records), err)
		}
		if !whole && (err == nil || !strings.Contains(err.Error(), "GET /report, page 1: ")) {
			t.Errorf("broken off: %v", err)
		}
	}
}

// The suite that every collector passes.
func TestCollector(t *testing.T) {
	good := func(t testing.TB) collect.Collector {
		s := app(t, pagesOf(`{"users": [{"id": "1", "name": "a"}, {"id": "2"}], "next": "/users?page=1"}`, `{"users": [{"id": "3"}]}`))
		return of(t, tiny, s.URL, "")
	}
	broken := func(pages ...string) func(testing.TB) collect.Collector {
		return func(t testing.TB) collect.Collector { return of(t, tiny, app(t, pagesOf(pages...)).URL, "") }
	}
	collecttest.Run(t, collecttest.Spec{
		New: good,
		Rejecting: func(t testing.TB) collect.Collector {
			return of(t, tiny, app(t, pagesOf(`{"users": [{"id": null}, {"id": "2"}]}`)).URL, "")
		},
		Broken: map[string]func(testing.TB) collect.Collector{
			"truncated": broken(`{"users": [{"id": "1"}, {"id`),
			"html":      broken("<html>"),
			"echo":      broken(`{"error": "who is ` + secretText + `?"}`),
			"a page lost": func(t testing.TB) collect.Collector {
				return of(t, tiny, app(t, func(w http.ResponseWriter, _ *http.Request, page string) {
					if page == "" {
						io.WriteString(w, `{"users": [{"id": "1"}], "next": "/users?page=1"}`)
						return
					}
					w.WriteHeader(http.StatusInternalServerError)
				}).URL, "")
			},
			"no such server": func(t testing.TB) collect.Collector {
				s := httptest.NewServer(nil)
				s.Close()
				return of(t, tiny, s.URL, "")
			},
			"refused": func(t testing.TB) collect.Collector {
				s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.WriteHeader(http.StatusUnauthorized)
					fmt.Fprintf(w, `{"error": "invalid token %s"}`, r.Header.Get("Authorization"))
				}))
				t.Cleanup(s.Close)
				return of(t, tiny, s.URL, "")
			},
		},
		Secrets: []string{secretText},
	})
}
