package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// startServer runs Debian's clickhouse-server on a free port of the loopback interface, with its own folder.
func startServer(t *testing.T) (addr string) {
	t.Helper()
	binary := ""
	for _, path := range []string{"/usr/sbin/clickhouse-server", "/usr/bin/clickhouse-server"} {
		if _, err := os.Stat(path); err == nil {
			binary = path
		}
	}
	if binary == "" {
		const missing = "clickhouse-server is not installed: apt-get install clickhouse-server"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	dir := t.TempDir()
	port, httpPort := freePort(t), freePort(t)
	write(t, filepath.Join(dir, "users.xml"), `<yandex>
	<profiles><default/></profiles>
	<quotas><default/></quotas>
	<users><lapse><password>sesame</password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></lapse></users>
</yandex>`)
	write(t, filepath.Join(dir, "config.xml"), fmt.Sprintf(`<yandex>
	<logger><level>warning</level><log>%[1]s/log</log><errorlog>%[1]s/errors</errorlog></logger>
	<path>%[1]s/data/</path><tmp_path>%[1]s/tmp/</tmp_path><users_config>%[1]s/users.xml</users_config>
	<listen_host>127.0.0.1</listen_host><tcp_port>%[2]d</tcp_port><http_port>%[3]d</http_port>
	<default_profile>default</default_profile><default_database>default</default_database><mark_cache_size>67108864</mark_cache_size>
</yandex>`, dir, port, httpPort))
	cmd := exec.Command(binary, "--config-file="+filepath.Join(dir, "config.xml"))
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
	})
	addr = fmt.Sprintf("127.0.0.1:%d", port)
	for range 200 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return addr
		}
		select {
		case <-ended:
			log, _ := os.ReadFile(filepath.Join(dir, "errors"))
			t.Fatalf("clickhouse-server ended at once: %s", log)
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Fatal("clickhouse-server doesn't listen after 10 s")
	return ""
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A real server of another make, over its native protocol: what of the store its SQL is too old for stays out.
func TestRealServer(t *testing.T) {
	addr := startServer(t)
	s := newStore(Options{Username: "lapse", Password: "sesame"}, location{scheme: "clickhouse", addr: addr, database: "default"})
	options := s.server(Options{Username: "lapse", Password: "sesame"})
	var err error
	if s.conn, err = clickhouse.Open(options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.conn.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.exec(t.Context(), "CREATE TABLE numbers (n UInt64, text String, at Nullable(DateTime)) ENGINE = MergeTree ORDER BY n"); err != nil {
		t.Fatal(err)
	}
	type record struct {
		n    uint64
		text string
		at   *time.Time
	}
	b := newBatch(t.Context(), s, "numbers", "t", []field[record]{
		column("n", func(r *record) uint64 { return r.n }),
		column("text", func(r *record) string { return r.text }),
		column("at", func(r *record) *time.Time { return r.at }),
	})
	b.settings = nil // 18.16 knows no deduplication tokens
	const rows = batchRows + 10
	for i := range rows {
		if err := b.put(record{uint64(i), fmt.Sprint("row ", i), at("2026-11-23T02:00:00Z")}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.close(); err != nil {
		t.Fatal(err)
	}
	var n, sum uint64
	if err := s.row(t.Context(), []any{&n, &sum}, "SELECT count(), sum(n) FROM numbers"); err != nil || n != rows || sum != rows*(rows-1)/2 {
		t.Errorf("%d rows with the sum %d, want %d (%v)", n, sum, rows, err)
	}
	i := uint64(0)
	for v, err := range stream(t.Context(), s, scanNumber, "SELECT n FROM numbers ORDER BY n") {
		if err != nil || v != i {
			t.Fatalf("row %d is %d, %v", i, v, err)
		}
		i++
	}
	if i != rows {
		t.Errorf("%d rows were read", i)
	}
	if err := s.exec(t.Context(), "SELECT nothing FROM nowhere"); !exception(err, codeUnknownTable) {
		t.Errorf("the error is %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	time.AfterFunc(300*time.Millisecond, cancel)
	if err := s.row(ctx, []any{&n}, "SELECT count() FROM system.numbers"); !errors.Is(err, context.Canceled) {
		t.Errorf("the error of a cancelled query is %v", err)
	}
	deadline, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := s.exec(deadline, "SELECT sleep(2)"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error of a query that ran out of time is %v", err)
	}
	running := func() (n uint64) {
		if err := s.row(t.Context(), []any{&n}, "SELECT count() FROM system.processes WHERE query LIKE '%system.numbers'"); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for i := 0; running() > 0 && i < 100; i++ {
		time.Sleep(50 * time.Millisecond)
	}
	if n := running(); n != 0 {
		t.Errorf("%d cancelled queries still run", n)
	}

	_, err = Open(t.Context(), Options{URL: "clickhouse://" + addr + "/lapse", Username: "lapse", Password: "sesame"})
	var old *OldServerError
	if !errors.As(err, &old) || !strings.HasPrefix(old.Have, "18.16.") || old.Needed == "" {
		t.Errorf("opened: %v", err)
	}
	_, err = Open(t.Context(), Options{URL: "clickhouse://" + addr + "/lapse", Username: "lapse", Password: "open-says-me"})
	if err == nil || strings.Contains(err.Error(), "open-says-me") {
		t.Errorf("opened with a wrong password: %v", err)
	}
}

func TestUnreachableServer(t *testing.T) {
	for _, scheme := range []string{"clickhouse", "http"} {
		_, err := Open(t.Context(), Options{URL: fmt.Sprintf("%s://127.0.0.1:%d/lapse", scheme, freePort(t)), Username: "u", Password: "sesame"})
		var gone *UnavailableError
		if !errors.As(err, &gone) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: %v", scheme, err)
		}
	}
}
