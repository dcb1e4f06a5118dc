package rest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// book is an app of pages of users, each with a role to ask for, that counts what it is asked.
type book struct {
	pages, size int

	mu    sync.Mutex
	asked map[string]int
	fail  func(asked int) int // the status of an answer, 0 for a good one
	total int
}

func (b *book) start(t testing.TB) *httptest.Server {
	b.asked = map[string]int{}
	return app(t, func(w http.ResponseWriter, r *http.Request, page string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.total++
		if b.fail != nil {
			if status := b.fail(b.total); status != 0 {
				w.WriteHeader(status)
				return
			}
		}
		b.asked[r.URL.RequestURI()]++
		n := 0
		fmt.Sscan(page, &n)
		if strings.HasPrefix(r.URL.Path, "/users/") {
			fmt.Fprintf(w, `[{"id": "r%d"}]`, len(r.URL.Path)%7)
			return
		}
		if n+1 < b.pages {
			w.Header().Set("Link", fmt.Sprintf(`</users?page=%d>; rel="next"`, n+1))
		}
		var users []string
		for i := range b.size {
			users = append(users, fmt.Sprintf(`{"id": "%d", "name": "user %d"}`, n*b.size+i, i))
		}
		fmt.Fprintf(w, `[%s]`, strings.Join(users, ","))
	})
}

// reset makes the answers good and forgets what was asked. A request of a collection that has ended may still be under way.
func (b *book) reset(fail func(asked int) int, forget bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail = fail
	if forget {
		clear(b.asked)
	}
}

// count is how often each page was asked for.
func (b *book) count() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.asked)
}

const linked = `
language: 1
name: Tiny
auth: [{type: bearer}]
requests:
- name: users
  path: /users
  paging: {type: link}
  accounts: {id: .id, username: .name}
`

const detailed = linked + `
  each:
  - {name: roles, when: '.id | endswith("0")', path: "/users/{.id}/roles", grants: {holder_id: $parent.id, entitlement_id: .id}}
`

// stopping cancels after so many records.
type stopping struct {
	keeper
	after  int
	cancel context.CancelFunc
	err    error // of the sink, instead
}

func (s *stopping) Put(r access.Record) error {
	if s.after--; s.after == 0 {
		if s.err != nil {
			return s.err
		}
		s.cancel()
	}
	return s.keeper.Put(r)
}

// kept is a collector that keeps what it read in dir.
func kept(t testing.TB, recipe, url, more, dir string) *Collector {
	k := of(t, recipe, url, more)
	k.opt.Private = dir
	return k
}

func (c *fakeClock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

func spoolFile(dir string) string { return filepath.Join(dir, "app.spool") }

// A collection that was interrupted goes on from its last page: nothing is asked for twice but what was under way, and the
// snapshot is the same, of the time of its first part.
func TestResume(t *testing.T) {
	for name, c := range map[string]struct {
		recipe string
		stop   func(b *book, s *stopping) // after about a half
		damage func(t *testing.T, file string)
		again  int // answers that may be asked for twice
	}{
		"cancelled":           {linked, func(_ *book, s *stopping) { s.after = 1000 }, nil, 4},
		"between details":     {detailed, func(_ *book, s *stopping) { s.after = 1000 }, nil, 10},
		"sink full":           {linked, func(_ *book, s *stopping) { s.after, s.err = 1000, errors.New("full") }, nil, 4},
		"server in trouble":   {linked, func(b *book, _ *stopping) { b.fail = func(n int) int { return map[bool]int{true: 502}[n > 10] } }, nil, 1},
		"credentials ran out": {linked, func(b *book, _ *stopping) { b.fail = func(n int) int { return map[bool]int{true: 401}[n > 10] } }, nil, 1},
		"and its end lost": {linked, func(_ *book, s *stopping) { s.after = 1000 }, func(t *testing.T, file string) {
			info, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(file, info.Size()-7); err != nil {
				t.Fatal(err)
			}
		}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			b := &book{pages: 20, size: 100}
			s := b.start(t)
			dir := t.TempDir()
			k := kept(t, c.recipe, s.URL, "", dir)
			clock := fake(k)
			began := k.time.now()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			first := &stopping{cancel: cancel}
			c.stop(b, first)
			if _, err := k.Collect(ctx, first); err == nil {
				t.Fatal("it wasn't interrupted")
			}
			info, err := os.Stat(spoolFile(dir))
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != 0o600 {
				t.Errorf("others may read it: %s", info.Mode())
			}
			text, err := os.ReadFile(spoolFile(dir))
			if err != nil || strings.Contains(string(text), secretText) {
				t.Errorf("the credentials are in it, %v", err)
			}
			if c.damage != nil {
				c.damage(t, spoolFile(dir))
			}
			b.reset(nil, false)
			before := len(b.count())
			if before < 5 || c.recipe == linked && before > 18 {
				t.Fatalf("%d answers before the interruption", before)
			}
			clock.set(k.time.now().Add(time.Hour))
			var out keeper
			prov, err := k.Collect(t.Context(), &out)
			if err != nil {
				t.Fatal(err)
			}
			twice := 0
			asked := b.count()
			for _, n := range asked {
				if n > 2 {
					t.Errorf("asked %d times", n)
				}
				twice += n - 1
			}
			if twice > c.again {
				t.Errorf("%d of %d answers were asked for twice", twice, len(asked))
			}
			if !prov.AsOf.Equal(began) {
				t.Errorf("as of %s, want %s", prov.AsOf, began)
			}
			if notes := strings.Join(prov.Notes, "\n"); !strings.Contains(notes, "resumed: ") {
				t.Errorf("the notes don't say so: %s", notes)
			}
			if _, err := os.Stat(spoolFile(dir)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("what was kept is still there: %v", err)
			}
			// The same as in one go.
			var whole keeper
			prov, err = k.Collect(t.Context(), &whole)
			if err != nil || !prov.AsOf.IsZero() || slices.ContainsFunc(prov.Notes, func(n string) bool { return strings.HasPrefix(n, "resumed") }) {
				t.Fatalf("as of %s, %v, %v", prov.AsOf, prov.Notes, err)
			}
			if d := cmp.Diff(whole.records, out.records); d != "" {
				t.Error(d)
			}
		})
	}
}

// What was kept is not taken for the answers to another question, nor for those of another day, and not after an error that
// doesn't pass.
func TestNoResume(t *testing.T) {
	for name, c := range map[string]struct {
		more   string
		recipe string
		later  time.Duration
		spoil  func(t *testing.T, file string)
	}{
		"too old":           {"", linked, 5 * time.Hour, nil},
		"another recipe":    {"", strings.Replace(linked, "username: .name", "username: .id", 1), time.Hour, nil},
		"for no time":       {"resume: 0s", linked, time.Hour, nil},
		"for a shorter one": {"resume: 30m", linked, time.Hour, nil},
		"others may read it": {"", linked, time.Hour, func(t *testing.T, file string) {
			if err := os.Chmod(file, 0o644); err != nil {
				t.Fatal(err)
			}
		}},
		"no spool": {"", linked, time.Hour, func(t *testing.T, file string) {
			if err := os.WriteFile(file, []byte("hello"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b := &book{pages: 10, size: 10}
			s := b.start(t)
			dir := t.TempDir()
			k := kept(t, linked, s.URL, "", dir)
			fake(k)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if _, err := k.Collect(ctx, &stopping{after: 50, cancel: cancel}); err == nil {
				t.Fatal("it wasn't interrupted")
			}
			if c.spoil != nil {
				c.spoil(t, spoolFile(dir))
			}
			b.reset(nil, true)
			again := kept(t, c.recipe, s.URL, c.more, dir)
			fake(again).set(k.time.now().Add(c.later))
			var out keeper
			prov, err := again.Collect(t.Context(), &out)
			if err != nil {
				t.Fatal(err)
			}
			if asked := b.count(); len(asked) != b.pages || !prov.AsOf.IsZero() || len(out.records) != b.pages*b.size {
				t.Errorf("asked for %d pages of %d, as of %s, %d records", len(asked), b.pages, prov.AsOf, len(out.records))
			}
		})
	}
	t.Run("a fault that doesn't pass", func(t *testing.T) {
		b := &book{pages: 10, size: 10, fail: func(n int) int { return map[bool]int{true: 400}[n > 5] }}
		s := b.start(t)
		dir := t.TempDir()
		k := kept(t, linked, s.URL, "", dir)
		fake(k)
		if _, err := k.Collect(t.Context(), &keeper{}); err == nil {
			t.Fatal("no error")
		}
		if _, err := os.Stat(spoolFile(dir)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("it was kept: %v", err)
		}
	})
}

// BenchmarkResume interrupts the reading of as many records as LAPSE_BENCH_ACCOUNTS says at nine tenths, and resumes it.
func BenchmarkResume(b *testing.B) {
	n := 50_000
	if text := os.Getenv("LAPSE_BENCH_ACCOUNTS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	app := &book{pages: n / 1000, size: 1000}
	s := app.start(b)
	dir := b.TempDir()
	k := kept(b, linked, s.URL, "", dir)
	fake(k)
	var kept int64
	for b.Loop() {
		app.reset(nil, true)
		ctx, cancel := context.WithCancel(b.Context())
		if _, err := k.Collect(ctx, &dropping{after: n * 9 / 10, cancel: cancel}); err == nil {
			b.Fatal("it wasn't interrupted")
		}
		cancel()
		info, err := os.Stat(spoolFile(dir))
		if err != nil {
			b.Fatal(err)
		}
		kept = info.Size()
		out := &dropping{}
		if _, err := k.Collect(b.Context(), out); err != nil {
			b.Fatal(err)
		}
		asked := app.count()
		if out.n != n || len(asked) != app.pages {
			b.Fatalf("%d records of %d, %d pages of %d", out.n, n, len(asked), app.pages)
		}
		twice := 0
		for _, times := range asked {
			twice += times - 1
		}
		if twice > 4 {
			b.Errorf("%d pages were asked for twice", twice)
		}
	}
	b.ReportMetric(float64(kept)/(1<<20), "kept_MB")
}

// dropping keeps nothing, and cancels after so many records.
type dropping struct {
	n, after int
	cancel   context.CancelFunc
}

func (d *dropping) Put(access.Record) error {
	if d.n++; d.n == d.after {
		d.cancel()
	}
	return nil
}

func (d *dropping) Reject(collect.Rejection) error { return nil }
