package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// childFolder is set in a process that writes until it is killed; childSource in one that publishes a single snapshot of
// that source.
const (
	childFolder = "LAPSE_STORE_TEST_FOLDER"
	childSource = "LAPSE_STORE_TEST_SOURCE"
)

func TestMain(m *testing.M) {
	dir := os.Getenv(childFolder)
	if dir == "" {
		os.Exit(m.Run())
	}
	work := writeForever
	if os.Getenv(childSource) != "" {
		work = writeOnce
	}
	if err := work(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func writeOnce(dir string) error {
	ctx := context.Background()
	s, err := Open(ctx, Options{URL: "embedded:" + dir, Library: os.Getenv("LAPSE_LIBCHDB"), Threads: 2})
	if err != nil {
		return err
	}
	w, err := s.NewSnapshot(ctx, SnapshotInfo{Source: os.Getenv(childSource), TakenAt: night})
	if err != nil {
		return err
	}
	if err := w.Put(access.Account{ID: "a"}); err != nil {
		return err
	}
	if _, err = w.Publish(ctx, SnapshotMeta{Status: Accepted}); err != nil {
		return err
	}
	fmt.Println(s.holder)
	return s.Close()
}

// writeForever publishes snapshot after snapshot. Snapshot n has accounts and grants by the number of what it says of
// itself, so that a reader can tell whether it is whole.
func writeForever(dir string) error {
	ctx := context.Background()
	s, err := Open(ctx, Options{URL: "embedded:" + dir, Library: os.Getenv("LAPSE_LIBCHDB"), Threads: 2})
	if err != nil {
		return err
	}
	if _, err := s.CleanUnpublished(ctx); err != nil {
		return err
	}
	fmt.Println("ready")
	for {
		w, err := s.NewSnapshot(ctx, SnapshotInfo{Source: "crash", TakenAt: night})
		if err != nil {
			return err
		}
		n := 1 + rand.IntN(2000)
		for i := range n {
			if err := errors.Join(w.Put(access.Account{ID: fmt.Sprint(i)}),
				w.Put(access.Grant{HolderKind: access.HolderAccount, HolderID: fmt.Sprint(i), EntitlementID: "e"})); err != nil {
				return err
			}
		}
		if _, err := w.Publish(ctx, SnapshotMeta{Status: Accepted, Bytes: int64(n)}); err != nil {
			return err
		}
	}
}

func TestKill(t *testing.T) {
	library(t)
	dir := t.TempDir()
	moments := rand.New(rand.NewPCG(1, 2))
	last, dirty := 0, 0
	for round := range 10 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childFolder+"="+dir)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ready := make([]byte, 6)
		if _, err := out.Read(ready); err != nil || string(ready) != "ready\n" {
			t.Fatalf("round %d: the writer didn't start: %v\n%s", round, err, &stderr)
		}
		time.Sleep(time.Duration(moments.IntN(600)) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if stderr.Len() > 0 {
			t.Fatalf("round %d: the writer said: %s", round, &stderr)
		}
		published, cleaned := wantWhole(t, dir)
		if published < last {
			t.Fatalf("round %d: %d snapshots were published, %d before", round, published, last)
		}
		last, dirty = published, dirty+cleaned
	}
	t.Logf("%d snapshots published, %d unpublished ones cleaned", last, dirty)
	if last == 0 || dirty == 0 {
		t.Errorf("%d snapshots published, %d cleaned: the moments tell nothing", last, dirty)
	}
}

// wantWhole opens the store that a killed process left, and looks at everything in it.
func wantWhole(t *testing.T, dir string) (published, cleaned int) {
	t.Helper()
	s, err := Open(t.Context(), Options{URL: "embedded:" + dir, Library: library(t), Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	all, err := s.Snapshots(t.Context(), SnapshotFilter{})
	if err != nil {
		t.Fatal(err)
	}
	check := func() {
		for _, snap := range all[:min(len(all), 20)] {
			accounts, err := gatherError(s.Accounts(t.Context(), snap.Source, snap.ID))
			if err != nil {
				t.Fatal(err)
			}
			grants, err := gatherError(s.Grants(t.Context(), snap.Source, snap.ID))
			if err != nil {
				t.Fatal(err)
			}
			if int64(accounts) != snap.Bytes || int64(grants) != snap.Bytes || snap.Records["accounts"] != uint64(accounts) {
				t.Errorf("snapshot %d says %d accounts; %d are there, with %d grants", snap.ID, snap.Bytes, accounts, grants)
			}
		}
	}
	check()
	if cleaned, err = s.CleanUnpublished(t.Context()); err != nil {
		t.Fatal(err)
	}
	check()
	for _, table := range []string{"accounts", "grants", "first_seen"} {
		wantCount(t, s, 0, "SELECT count() FROM "+table+" WHERE snapshot NOT IN (SELECT snapshot FROM snapshots)")
	}
	var most int64 // ids are 0, 1, 2, …: first sight of all of them is known
	for _, snap := range all {
		most = max(most, snap.Bytes)
	}
	wantCount(t, s, uint64(most), "SELECT uniqExact(id_hash) FROM first_seen WHERE kind = 'account'")
	wantCount(t, s, uint64(most), "SELECT count() FROM first_seen WHERE kind = 'grant'")
	return len(all), cleaned
}

// lossy is a server that loses the answers to some requests, or goes away.
type lossy struct {
	http.Handler
	lose  func(*http.Request) bool
	lost  atomic.Int64
	after bool // the request is carried out first
}

func (l *lossy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !l.lose(r) {
		l.Handler.ServeHTTP(w, r)
		return
	}
	if l.after {
		l.Handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	l.lost.Add(1)
	panic(http.ErrAbortHandler)
}

func openLossy(t *testing.T, holder *Store, l *lossy) *Store {
	t.Helper()
	l.Handler = holder.engine.Handler()
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	return mustOpen(t, Options{URL: server.URL + "/lapse"})
}

func inserts(r *http.Request, table string) bool {
	return strings.HasPrefix(r.URL.Query().Get("query"), "INSERT INTO "+table+" ")
}

// The answer to a batch is lost, once before and once after it was carried out: it is sent again and is there once.
func TestLostAnswers(t *testing.T) {
	holder := openEmbedded(t)
	for _, after := range []bool{false, true} {
		seen := map[string]bool{}
		l := &lossy{after: after, lose: func(r *http.Request) bool {
			if !inserts(r, "accounts") && !inserts(r, "snapshots") {
				return false
			}
			token := r.URL.Query().Get("insert_deduplication_token")
			first := !seen[token]
			seen[token] = true
			return first
		}}
		s := openLossy(t, holder, l)
		source := fmt.Sprintf("lost-%v", after)
		w := begin(t, s, source, night)
		put(t, w, access.Account{ID: "a"}, access.Account{ID: "b"})
		publish(t, w, Accepted)
		if l.lost.Load() != 2 {
			t.Errorf("%d answers were lost, want 2", l.lost.Load())
		}
		wantRows(t, holder, 2, "accounts", source)
		wantRows(t, holder, 1, "snapshots", source)
	}
}

// The server goes away while a snapshot is written: an error, and nothing half visible.
func TestServerGoesAway(t *testing.T) {
	holder := openEmbedded(t)
	var gone atomic.Bool
	l := &lossy{lose: func(r *http.Request) bool {
		token := r.URL.Query().Get("insert_deduplication_token")
		if inserts(r, "accounts") && strings.HasSuffix(token, "/1") {
			gone.Store(true) // with the second batch; the first may still be under way
		}
		return gone.Load() && !strings.HasSuffix(token, "/0")
	}}
	s := openLossy(t, holder, l)
	w := begin(t, s, "gone", night)
	var err error
	for i := 0; err == nil && i < 10*batchRows; i++ {
		err = w.Put(access.Account{ID: fmt.Sprint(i)})
	}
	var unavailable *UnavailableError
	if !errors.As(err, &unavailable) {
		t.Fatalf("Put = %v", err)
	}
	if _, err := w.Publish(t.Context(), SnapshotMeta{Status: Accepted}); !errors.As(err, &unavailable) {
		t.Errorf("Publish = %v", err)
	}
	if all, err := holder.Snapshots(t.Context(), SnapshotFilter{}); err != nil || len(all) != 0 {
		t.Errorf("there are snapshots: %v, %v", all, err)
	}
	wantRows(t, holder, batchRows, "accounts", "gone")
	if n, err := holder.CleanUnpublished(t.Context()); err != nil || n != 1 {
		t.Errorf("cleaned %d, %v", n, err)
	}
	wantRows(t, holder, 0, "accounts", "gone")
}
