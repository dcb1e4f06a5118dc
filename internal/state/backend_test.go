package state

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/state/statetest"
)

func TestSQLiteFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b#c?d%e", "lapse-data")
	path := filepath.Join(dir, "state.db")
	s, _ := open(t, Options{Path: path})
	add(t, s, accepted(accountScope("DOR-01", 1), 30))
	for name, want := range map[string]os.FileMode{"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600, ".": 0o700} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", name, got, want)
		}
	}
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "15000", "secure_delete": "1"} {
		var got string
		if err := s.w.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %s, %v; want %s", pragma, got, err, want)
		}
	}
	if _, err := s.r.Exec("DELETE FROM exceptions"); err == nil {
		t.Error("the reading connections can write")
	}

	s.Close()
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	s, _ = open(t, Options{Path: path})
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a readable file stays readable: %v, %v", info.Mode(), err)
	}
	if n := whole(t, s); n != 1 {
		t.Errorf("%d entries after opening again", n)
	}
}

func TestSQLiteNotADatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("not a database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), Options{Path: path})
	wantErr(t, err, path, "damaged or no state database")
	_, err = Open(t.Context(), Options{Path: t.TempDir()})
	wantErr(t, err, "is not a file")
	_, err = Open(t.Context(), Options{})
	wantErr(t, err, "either a path or a PostgreSQL URL")
}

// Another process that holds the file makes a decision wait no longer than its
// context allows.
func TestSQLiteBusy(t *testing.T) {
	o := Options{Path: filepath.Join(t.TempDir(), "state.db")}
	s, _ := open(t, o)
	other, _ := open(t, o)
	tx, err := other.w.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = s.Record(ctx, alice, "test.made", map[string]int{})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want %v", err, context.DeadlineExceeded)
	}
	if _, err := s.Head(t.Context()); err != nil {
		t.Errorf("a writer keeps readers out: %v", err)
	}
}

func TestPostgresGoesAway(t *testing.T) {
	server := statetest.StartPostgres(t)
	s, _ := open(t, Options{URL: server.Database(t)})
	add(t, s, accepted(accountScope("DOR-01", 1), 30))
	l, err := s.TryAcquire(t.Context(), "writer", "scan", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	err = s.decide(t.Context(), "add exception", alice, func(d *decision) error {
		if _, err := s.addException(d, accepted(accountScope("DOR-01", 2), 30)); err != nil {
			return err
		}
		server.Kill()
		_, err := s.addException(d, accepted(accountScope("DOR-01", 3), 30))
		return err
	})
	wantErr(t, err, "add exception: nothing was recorded in "+s.Name(), "PostgreSQL server")
	noSecret(t, err)
	t.Logf("in the middle: %v", err)

	_, err = s.AddException(t.Context(), alice, accepted(accountScope("DOR-01", 2), 30))
	wantErr(t, err, "nothing was recorded", "no connection to the PostgreSQL server")
	noSecret(t, err)
	t.Logf("while it is away: %v", err)
	_, err = s.VerifyLedger(t.Context(), nil)
	wantErr(t, err, "verify ledger of "+s.Name())
	err = s.settle(t.Context(), Anchor{Seq: 9, Hash: "x"}, errors.New("lost"))
	if !errors.Is(err, ErrUnknownOutcome) {
		t.Errorf("settle: %v", err)
	}
	ctx, stop := l.Context(t.Context())
	defer stop()
	select {
	case <-ctx.Done():
	case <-time.After(5 * time.Second):
		t.Error("the lease outlives the server")
	}

	server.Start(t)
	if n := whole(t, s); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
	add(t, s, accepted(accountScope("DOR-01", 2), 30))
	whole(t, s)
}

// lossy passes connections on to a server and can lose one at its commit.
type lossy struct {
	net.Listener
	server string
	mode   atomic.Value // "", "commit" or "answer": what gets lost
}

func startLossy(t *testing.T, server string) *lossy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &lossy{Listener: l, server: server}
	p.mode.Store("")
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go p.pass(client)
		}
	}()
	return p
}

func (p *lossy) pass(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		defer client.Close()
		io.Copy(client, server)
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		lose := p.mode.Load().(string)
		commit := bytes.Contains(bytes.ToLower(buf[:n]), []byte("commit"))
		if commit && lose == "commit" {
			return
		}
		if commit && lose == "answer" {
			client.Close() // before the answer can come back
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
		if commit && lose == "answer" {
			time.Sleep(100 * time.Millisecond)
			return
		}
	}
}

// A connection lost at the commit is settled by reading: the caller learns
// whether its decision stands.
func TestPostgresLostAtCommit(t *testing.T) {
	server := statetest.StartPostgres(t)
	database := server.Database(t)
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	proxy := startLossy(t, u.Host)
	s, _ := open(t, Options{URL: strings.Replace(database, u.Host, proxy.Addr().String(), 1)})
	add(t, s, accepted(accountScope("DOR-01", 1), 30))

	proxy.mode.Store("answer")
	if _, err := s.AddException(t.Context(), alice, accepted(accountScope("DOR-01", 2), 30)); err != nil {
		t.Errorf("recorded, its answer lost: %v", err)
	}
	proxy.mode.Store("commit")
	_, err = s.AddException(t.Context(), alice, accepted(accountScope("DOR-01", 3), 30))
	wantErr(t, err, "nothing was recorded", "connection to the PostgreSQL server was lost")
	proxy.mode.Store("")
	if n := whole(t, s); n != 2 {
		t.Errorf("%d entries, want 2", n)
	}
	list, err := s.Exceptions(t.Context(), night, ExceptionFilter{})
	if err != nil || len(list) != 2 || list[1].Scope != accountScope("DOR-01", 2) {
		t.Errorf("exceptions: %+v, %v", list, err)
	}
}

func noSecret(t *testing.T, err error) {
	t.Helper()
	for _, form := range []string{statetest.Password, "s3cret", "p%40ss", "p@ss"} {
		if strings.Contains(err.Error(), form) {
			t.Errorf("the password shows: %v", err)
		}
	}
}

func TestPostgresURL(t *testing.T) {
	server := statetest.StartPostgres(t)
	good := server.URL("postgres")
	for name, u := range map[string]string{
		"malformed port":     strings.Replace(good, "127.0.0.1:", "127.0.0.1:x", 1),
		"unescaped password": "postgres://lapse:s3cret p@ss/word@127.0.0.1:5432/lapse",
		"stray percent":      "postgres://lapse:s3cret%zz@127.0.0.1/lapse",
		"bad sslmode":        good + "?sslmode=sometimes",
		"not a URL":          "host=127.0.0.1 password=s3cret",
		"another scheme":     "mysql://lapse:s3cret@127.0.0.1/lapse",
		"no such database":   server.URL("nowhere"),
		"wrong user":         strings.Replace(good, "//lapse:", "//other:", 1),
		"nobody listens":     strings.Replace(good, "127.0.0.1:", "127.0.0.2:1", 1),
		"query password":     "postgres://lapse@127.0.0.1:1/lapse?password=s3cret",
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			s, err := Open(ctx, Options{URL: u})
			if err == nil {
				s.Close()
				t.Fatal("opened")
			}
			noSecret(t, err)
			t.Log(err)
		})
	}
	for u, verified := range map[string]bool{
		"postgres://u:p@db.example.com/lapse":                   true,
		"postgres://u:p@db.example.com/lapse?connect_timeout=3": true,
		"postgres://u:p@127.0.0.1,db.example.com/lapse":         true,
		"postgres://u:p@db.example.com/lapse?sslmode=disable":   false,
		"postgres://u:p@127.0.0.1:5433/lapse":                   false,
		"postgres://u:p@localhost/lapse":                        false,
		"postgres://u:p@/lapse?host=/run/postgresql":            false,
	} {
		cfg, err := parsePostgres(u)
		if err != nil {
			t.Errorf("%s: %v", u, err)
			continue
		}
		if got := cfg.TLSConfig != nil && !cfg.TLSConfig.InsecureSkipVerify; got != verified {
			t.Errorf("%s: verified %v, want %v", u, got, verified)
		}
	}
}
