//go:build unix

package sql

import (
	"bytes"
	dbsql "database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/lapse-audit/lapse/internal/access"
)

// startMariaDB runs a server of its own, on a socket in a temporary folder, until the test ends.
func startMariaDB(t testing.TB) *server {
	t.Helper()
	path := os.Getenv("PATH") + ":/usr/sbin"
	find := func(name string) string {
		for _, dir := range filepath.SplitList(path) {
			if file := filepath.Join(dir, name); exec.Command(file, "--version").Run() == nil || name == "mariadb-install-db" && isFile(file) {
				return file
			}
		}
		const how = "install it with: apt-get install mariadb-server-core mariadb-client-core"
		if os.Getenv("CI") == "true" {
			t.Fatalf("no MariaDB server: there is no %s; %s", name, how)
		}
		t.Skipf("no MariaDB server: there is no %s; %s", name, how)
		return ""
	}
	daemon, install := find("mariadbd"), find("mariadb-install-db")
	find("mariadb")
	dir, err := os.MkdirTemp("", "lapse-my-") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	data, socket := filepath.Join(dir, "data"), filepath.Join(dir, "s")
	options := []string{"--no-defaults", "--datadir=" + data}
	if os.Geteuid() == 0 {
		options = append(options, "--user=root")
	}
	if out, err := exec.Command(install, append(options, "--auth-root-authentication-method=normal", "--skip-test-db")...).CombinedOutput(); err != nil {
		t.Fatalf("mariadb-install-db: %v\n%s", err, out)
	}
	var log bytes.Buffer
	cmd := exec.Command(daemon, append(options, "--socket="+socket, "--pid-file="+filepath.Join(dir, "pid"), "--skip-networking", "--skip-log-bin", "--innodb-buffer-pool-size=16M", "--innodb-flush-log-at-trx-commit=0")...)
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		<-ended
	})
	cfg := mysql.NewConfig()
	cfg.User, cfg.Net, cfg.Addr, cfg.MultiStatements = "root", "unix", socket, true
	c, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	db := dbsql.OpenDB(c)
	t.Cleanup(func() { db.Close() })
	for end := time.Now().Add(60 * time.Second); db.Ping() != nil; time.Sleep(50 * time.Millisecond) {
		select {
		case <-ended:
			t.Fatalf("mariadbd ended:\n%s", log.String())
		default:
		}
		if time.Now().After(end) {
			t.Fatal("mariadbd doesn't answer")
		}
	}
	const password = "s3cret 'p@ss/word"
	s := &server{url: "mariadb://localhost/shop", socket: socket, user: "auditor", password: password, db: db}
	s.exec(t, "CREATE DATABASE shop", "CREATE USER auditor@localhost IDENTIFIED BY 's3cret ''p@ss/word'",
		"GRANT SELECT ON shop.* TO auditor@localhost", "GRANT INSERT ON shop.* TO auditor@localhost")
	for _, table := range []string{"global_priv", "roles_mapping", "db", "tables_priv", "procs_priv", "proxies_priv"} {
		s.exec(t, "GRANT SELECT ON mysql."+table+" TO auditor@localhost")
	}
	return s
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// client asks the server with its own client.
func (s *server) client(t testing.TB, query string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "mariadb", "--no-defaults", "-N", "-B", "-r", "-uroot", "-S", s.socket, "-e", query).CombinedOutput()
	if err != nil {
		t.Fatalf("mariadb: %v\n%s", err, out)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

func TestMariaDB(t *testing.T) {
	t.Parallel()
	s := startMariaDB(t)
	t.Run("preset", func(t *testing.T) { testMariaDBPreset(t, s) })
	t.Run("values", func(t *testing.T) { testMariaDBValues(t, s) })
	t.Run("errors", func(t *testing.T) { testMariaDBErrors(t, s) })
	t.Run("changes", func(t *testing.T) { testMariaDBChanges(t, s) })
	t.Run("mysql", func(t *testing.T) { testMySQLPreset(t, s) })
	t.Run("suite", func(t *testing.T) {
		s.exec(t, "CREATE TABLE shop.logins (id int, name text)", "INSERT INTO shop.logins WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50) SELECT i, concat('user', i) FROM n")
		suite(t, s, `queries: {accounts: "SELECT id, name AS username, CASE WHEN id = 3 THEN 'perhaps' END AS enabled FROM logins"}`,
			`queries: {accounts: "SELECT id, name AS username FROM logins ORDER BY id"}`)
	})
}

func testMariaDBPreset(t *testing.T, s *server) {
	s.exec(t,
		"CREATE DATABASE hr; CREATE TABLE shop.t (a int, b int); CREATE TABLE shop.u (a int); CREATE TABLE hr.p (a int); CREATE PROCEDURE hr.raise() SELECT 1",
		"CREATE ROLE reader; CREATE ROLE writer; GRANT reader TO writer; GRANT SELECT ON shop.* TO reader; GRANT INSERT, UPDATE ON shop.t TO writer; GRANT EXECUTE ON hr.* TO writer; GRANT PROCESS ON *.* TO writer",
		"CREATE USER ann@'%' IDENTIFIED BY 'x'; CREATE USER bob@localhost IDENTIFIED BY 'y' ACCOUNT LOCK; CREATE USER svc@'10.%' IDENTIFIED BY 'z' PASSWORD EXPIRE INTERVAL 90 DAY; CREATE USER bare@localhost; CREATE USER `odd user`@'%' IDENTIFIED BY 'q'",
		"GRANT writer TO ann@'%'; GRANT reader TO bob@localhost WITH ADMIN OPTION; GRANT SUPER, FILE, BINLOG ADMIN ON *.* TO svc@'10.%'; GRANT ALL ON hr.* TO bob@localhost WITH GRANT OPTION; GRANT SELECT ON shop.t TO svc@'10.%' WITH GRANT OPTION",
		"GRANT UPDATE (b) ON shop.t TO ann@'%'; GRANT EXECUTE ON PROCEDURE hr.raise TO `odd user`@'%'; GRANT ALL ON *.* TO root@localhost WITH GRANT OPTION")
	out, _, err := s.gather(t, "preset: mariadb\nkinds: [{kind: service, username: svc*}]")
	if err != nil {
		t.Fatal(err)
	}
	same(t, out.reasons(), []string(nil))
	var got []string
	by := map[string]access.Account{}
	for _, a := range only[access.Account](out) {
		by[a.ID] = a
		got = append(got, a.ID)
	}
	want := s.client(t, "SELECT concat(User, '@', Host) FROM mysql.user WHERE is_role = 'N'")
	slices.Sort(got)
	slices.Sort(want)
	same(t, got, want)
	for id, want := range map[string]string{"ann@%": "true false false", "bob@localhost": "false false false", "svc@10.%": "true true false", "bare@localhost": "true false true", "root@localhost": "true true true"} {
		a := by[id]
		if got := fmt.Sprint(*a.Enabled, *a.Privileged, *a.PasswordNotRequired); got != want {
			t.Errorf("%s: enabled, privileged, without password: %s, want %s", id, got, want)
		}
	}
	svc := by["svc@10.%"]
	if *svc.PasswordNeverExpires || !*by["ann@%"].PasswordNeverExpires || svc.PasswordChangedAt == nil || time.Since(*svc.PasswordChangedAt).Abs() > time.Hour || by["root@localhost"].PasswordChangedAt != nil {
		t.Errorf("passwords: %+v", svc)
	}
	same(t, []any{svc.Username, svc.Kind, svc.Attributes["host"]}, []any{"svc", access.KindService, "10.%"})

	ids := map[string]bool{}
	for _, e := range only[access.Entitlement](out) {
		ids[e.ID] = true
	}
	mine := map[string][]string{}
	for _, g := range only[access.Grant](out) {
		if !ids[g.EntitlementID] || g.HolderKind == access.HolderEntitlement && !ids[g.HolderID] {
			t.Errorf("dangling: %+v", g)
		}
		mine[strings.TrimPrefix(g.HolderID, "role:")] = append(mine[strings.TrimPrefix(g.HolderID, "role:")], g.EntitlementID)
	}
	// What the server itself says of each.
	for _, holder := range []string{"ann@%", "bob@localhost", "svc@10.%", "bare@localhost", "odd user@%", "auditor@localhost", "root@localhost", "reader", "writer"} {
		user, host, isUser := strings.Cut(holder, "@")
		name := "`" + user + "`"
		if isUser {
			name += "@`" + host + "`"
		}
		theirs := shown(t, s.client(t, "SHOW GRANTS FOR "+name), name)
		slices.Sort(mine[holder])
		same(t, strings.Join(mine[holder], "\n"), strings.Join(theirs, "\n"))
	}
	var globals []string
	for _, line := range s.client(t, "SELECT grantee, privilege_type FROM information_schema.user_privileges WHERE privilege_type <> 'USAGE' AND grantee NOT LIKE '%mariadb.sys%'") {
		grantee, privilege, _ := strings.Cut(line, "\t")
		globals = append(globals, strings.ReplaceAll(strings.ReplaceAll(grantee, "'@'", "@"), "'", "")+" "+privilege)
	}
	var held []string
	for holder, list := range mine {
		for _, e := range list {
			if name, ok := strings.CutPrefix(e, "global:"); ok && strings.Contains(holder, "@") && name != "GRANT OPTION" { // shown as is_grantable
				held = append(held, holder+" "+name)
			}
		}
	}
	slices.Sort(globals)
	slices.Sort(held)
	same(t, held, globals)
}

var (
	grantLine = regexp.MustCompile("^GRANT (.+?) ON (PROCEDURE |FUNCTION )?(\\*|`[^`]+`)\\.(\\*|`[^`]+`) TO (`[^`]*`(?:@`[^`]*`)?)(.*)$")
	roleLine  = regexp.MustCompile("^GRANT `([^`]+)` TO (`[^`]*`(?:@`[^`]*`)?)")
	proxyLine = regexp.MustCompile("^GRANT PROXY ON (`[^`]*`@`[^`]*`) TO ")
	inColumns = regexp.MustCompile(` \([^)]*\)`)
)

// shown are the entitlements in the lines of SHOW GRANTS that are of one holder. Those of a role name what it inherits, too.
func shown(t *testing.T, lines []string, holder string) []string {
	t.Helper()
	var out []string
	for _, line := range lines {
		if m := roleLine.FindStringSubmatch(line); m != nil {
			if m[2] == holder {
				out = append(out, "role:"+m[1])
			}
			continue
		}
		if m := proxyLine.FindStringSubmatch(line); m != nil {
			out = append(out, "proxy:"+strings.ReplaceAll(m[1], "`", ""))
			continue
		}
		m := grantLine.FindStringSubmatch(line)
		if m == nil {
			if strings.HasPrefix(line, "SET DEFAULT ROLE") {
				continue
			}
			t.Fatalf("%s: unknown grant", line)
		}
		if m[5] != holder {
			continue
		}
		db := strings.Trim(m[3], "`")
		prefix, grant := "database:"+db+":", "GRANT OPTION"
		switch {
		case m[3] == "*":
			prefix = "global:"
		case m[2] != "":
			prefix, grant = "routines:"+db+":", "GRANT"
		case m[4] != "*":
			prefix, grant = "tables:"+db+":", "GRANT"
		}
		list := strings.Split(inColumns.ReplaceAllString(m[1], ""), ", ")
		if m[1] == "ALL PRIVILEGES" { // the manual: all of the level but GRANT OPTION
			list = []string{"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "REFERENCES", "INDEX", "ALTER", "CREATE TEMPORARY TABLES", "LOCK TABLES", "EXECUTE", "CREATE VIEW", "SHOW VIEW", "CREATE ROUTINE", "ALTER ROUTINE", "EVENT", "TRIGGER", "DELETE HISTORY"}
			if prefix == "global:" {
				list = append(list, "RELOAD", "SHUTDOWN", "PROCESS", "FILE", "SHOW DATABASES", "SUPER", "REPLICATION SLAVE", "BINLOG MONITOR", "CREATE USER", "CREATE TABLESPACE", "SET USER", "FEDERATED ADMIN",
					"CONNECTION ADMIN", "READ_ONLY ADMIN", "REPLICATION SLAVE ADMIN", "REPLICATION MASTER ADMIN", "BINLOG ADMIN", "BINLOG REPLAY", "SLAVE MONITOR")
			}
		}
		if strings.Contains(m[6], "WITH GRANT OPTION") {
			list = append(list, grant)
		}
		for _, privilege := range list {
			if privilege != "USAGE" {
				out = append(out, prefix+privilege)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func testMariaDBValues(t *testing.T, s *server) {
	s.exec(t, "CREATE TABLE shop.v (id char(5), flag bit(1), small tinyint(1), at datetime, stamp timestamp NULL, zero datetime, price decimal(10,2), big bigint unsigned, raw varbinary(4))",
		"SET SESSION sql_mode = '', time_zone = '+00:00'; INSERT INTO shop.v VALUES ('a ', 1, 0, '2026-01-02 03:04:05', '2026-01-02 03:04:05', '0000-00-00 00:00:00', 12.50, 18446744073709551615, 'x'), ('ä', 0, 1, NULL, NULL, NULL, NULL, 0, x'ff')")
	out, _, err := s.gather(t, `
zone: Europe/Berlin
queries: {accounts: "SELECT id, flag AS enabled, small AS mfa, at AS created_at, stamp AS last_login_at, zero AS expires_at, price AS attr_price, big AS attr_big, raw AS attr_raw FROM v ORDER BY id"}`)
	if err != nil {
		t.Fatal(err)
	}
	same(t, out.records, []access.Record{access.Account{ID: "a", Enabled: yes(), MFA: no(), CreatedAt: at("2026-01-02T02:04:05Z"), LastLoginAt: at("2026-01-02T03:04:05Z"),
		Attributes: map[string]string{"price": "12.50", "big": "18446744073709551615", "raw": "x"}}})
	same(t, out.reasons(), []string{`queries.accounts line 2 column "attr_raw": is not valid UTF-8`})
}

func testMariaDBErrors(t *testing.T, s *server) {
	s.exec(t, "CREATE USER small@localhost IDENTIFIED BY 's3cret ''p@ss/word'", "GRANT SELECT ON shop.* TO small@localhost", "CREATE TABLE shop.w (a int)", "CREATE FUNCTION shop.f() RETURNS int MODIFIES SQL DATA BEGIN INSERT INTO shop.w VALUES (1); RETURN 1; END", "GRANT EXECUTE ON shop.* TO auditor@localhost")
	for _, c := range []struct{ user, section, want string }{
		{"auditor", `queries: {accounts: "SELECT f() AS id"}`, "queries.accounts: the query changes something, and a source is only read"},
		{"auditor", "timeout: 200ms\nqueries: {accounts: \"SELECT 1 AS id FROM (SELECT 1) x WHERE sleep(30) = 0\"}", "queries.accounts: the server ended the query: make it faster, or set timeout: to more"},
		{"auditor", `queries: {accounts: "SELECT 1 AS id FROM hr.p"}`, "queries.accounts: the user lacks the right to read this: grant it SELECT"},
		{"small", "preset: mariadb", "queries.accounts: the user lacks the right to read this: grant it SELECT"},
		{"nobody", "preset: mariadb", "connect: the server refused the login: see user and password"},
	} {
		as := *s
		as.user = c.user
		_, _, err := as.gather(t, c.section)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s:\nerror %v\nwant %s", c.section, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), s.password) {
			t.Errorf("the password shows: %v", err)
		}
	}
	s.examine(t, "small", "preset: mariadb\nqueries: {seats: \"SELECT a AS account_id FROM shop.w\"}",
		"ok queries.seats: may be read: account_id", "MISSING queries.accounts: the user lacks the right to read this", "ok to read accounts: GRANT SELECT ON mysql.global_priv TO 'small'@'localhost'")
	var n int
	if err := s.db.QueryRowContext(t.Context(), "SELECT count(*) FROM shop.w").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d rows were written, %v", n, err)
	}
}
