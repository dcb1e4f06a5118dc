//go:build unix

// Package statetest starts what tests of decisions need: a real PostgreSQL
// server in a temporary folder.
package statetest

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the "pgx" driver
)

// Password is the one the server's superuser has. It must never show in an error.
const Password = "s3cret p@ss/word"

// Postgres is a running server of its own.
type Postgres struct {
	bin, data string
	port      int
	as        *syscall.SysProcAttr
	server    *exec.Cmd
	exited    chan struct{}
	log       *bytes.Buffer
	databases atomic.Int64
}

// StartPostgres starts a server that stops with the test. Without PostgreSQL the
// test is skipped; in CI it fails.
func StartPostgres(t testing.TB) *Postgres {
	t.Helper()
	bin, err := findPostgres()
	var as *syscall.SysProcAttr
	if err == nil && os.Geteuid() == 0 {
		as, err = otherUser()
	}
	if err != nil {
		const how = "install it with: apt-get install postgresql"
		if os.Getenv("CI") == "true" {
			t.Fatalf("no PostgreSQL server: %v; %s", err, how)
		}
		t.Skipf("no PostgreSQL server: %v; %s", err, how)
	}
	dir, err := os.MkdirTemp("", "lapse-pg-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &Postgres{bin: bin, data: filepath.Join(dir, "data"), as: as}
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte(Password), 0o644); err != nil {
		t.Fatal(err)
	}
	if as != nil {
		if err := os.Chown(dir, int(as.Credential.Uid), int(as.Credential.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", p.data, "-U", "lapse", "-A", "scram-sha-256", "--pwfile", password, "-E", "UTF8", "--locale=C", "-N")
	initdb.SysProcAttr, initdb.Dir = as, dir
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	if p.port, err = freePort(); err != nil {
		t.Fatal(err)
	}
	p.Start(t)
	t.Cleanup(p.Kill)
	return p
}

// Start runs the server again after [Postgres.Kill].
func (p *Postgres) Start(t testing.TB) {
	t.Helper()
	p.log = &bytes.Buffer{}
	p.server = exec.Command(filepath.Join(p.bin, "postgres"), "-D", p.data, "-p", strconv.Itoa(p.port), "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=", "-c", "max_connections=60", "-c", "shared_buffers=16MB")
	p.server.SysProcAttr, p.server.Dir = p.as, filepath.Dir(p.data)
	p.server.Stderr = p.log
	if err := p.server.Start(); err != nil {
		t.Fatalf("start postgres: %v", err)
	}
	p.exited = make(chan struct{})
	go func() {
		_ = p.server.Wait()
		close(p.exited)
	}()
	db, err := sql.Open("pgx", p.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := db.PingContext(context.Background())
		if err == nil {
			return
		}
		select {
		case <-p.exited:
			t.Fatalf("postgres ended:\n%s", p.log)
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("postgres doesn't answer: %v", err)
		}
	}
}

// Kill ends the server without giving it time to finish anything.
func (p *Postgres) Kill() {
	_ = p.server.Process.Signal(syscall.SIGQUIT)
	<-p.exited
}

// URL names a database of the server, password included.
func (p *Postgres) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword("lapse", Password), Host: fmt.Sprintf("127.0.0.1:%d", p.port), Path: "/" + database}
	return u.String()
}

// Database makes an empty database and returns its URL.
func (p *Postgres) Database(t testing.TB) string {
	t.Helper()
	db, err := sql.Open("pgx", p.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	name := fmt.Sprintf("lapse%d", p.databases.Add(1))
	if _, err := db.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatalf("create database: %v", err)
	}
	return p.URL(name)
}

func findPostgres() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres") // Debian keeps it off the PATH
	if err == nil && len(found) > 0 {
		return filepath.Dir(found[len(found)-1]), nil
	}
	path, err := exec.LookPath("postgres")
	if err != nil {
		return "", err
	}
	return filepath.Dir(path), nil
}

// otherUser is whom a server runs as that refuses to run as root.
func otherUser() (*syscall.SysProcAttr, error) {
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
