//go:build (linux || darwin) && (amd64 || arm64) && !noembedded

package sql

import (
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/chdb"
)

func writeFile(t testing.TB, name, text string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// people are users and roles as a server's configuration has them (https://clickhouse.com/docs/operations/settings/settings-users).
const people = `<clickhouse>
	<profiles><default/></profiles><quotas><default/></quotas>
	<users>
		<default><password></password><networks><ip>::/0</ip></networks><access_management>1</access_management></default>
		<ann><password_sha256_hex>2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881</password_sha256_hex><networks><ip>10.0.0.0/8</ip></networks>
			<grants><query>GRANT writer</query></grants></ann>
		<bob><password>b</password><networks/><grants><query>GRANT SELECT ON shop.*</query></grants></bob>
		<svc><no_password/><networks><host>app.example</host></networks>
			<grants><query>GRANT SELECT, INSERT ON shop.orders</query><query>GRANT SELECT(id) ON hr.people</query><query>GRANT SHOW TABLES ON *.*</query></grants></svc>
		<root><password>r</password><networks><ip>::1</ip></networks><grants><query>GRANT ALTER USER ON *.*</query><query>GRANT SELECT ON logs*.*</query></grants></root>
	</users>
	<roles>
		<reader><grants><query>GRANT SELECT ON shop.*</query><query>REVOKE SELECT ON shop.secret</query></grants></reader>
		<writer><grants><query>GRANT reader</query><query>GRANT INSERT ON shop.*</query></grants></writer>
		<keeper><grants><query>GRANT ROLE ADMIN ON *.*</query></grants></keeper>
	</roles>
</clickhouse>`

// The preset, on a present ClickHouse: the engine within this process, with a configuration of users, over HTTP. Who asks is not
// looked at there.
func TestClickHousePreset(t *testing.T) {
	library := os.Getenv("LAPSE_LIBCHDB")
	if library == "" {
		const missing = "LAPSE_LIBCHDB is not set: run `make test`"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	dir := t.TempDir()
	users := writeFile(t, filepath.Join(dir, "users.xml"), people)
	engine, err := chdb.Open(t.Context(), chdb.Options{Dir: filepath.Join(dir, "data"), Library: library, Threads: 2,
		Config: writeFile(t, filepath.Join(dir, "config.xml"), "<clickhouse><users_config>"+users+"</users_config></clickhouse>")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Close() })
	h := httptest.NewServer(engine.Handler())
	t.Cleanup(h.Close)
	s := &server{url: h.URL + "/default", user: "default", password: "s3same"}
	out, prov, err := s.gather(t, "preset: clickhouse\nkinds: [{kind: service, username: svc*}]")
	if err != nil {
		t.Fatal(err)
	}
	same(t, out.reasons(), []string(nil))
	same(t, prov.Reads, []string{"accounts", "entitlements", "grants"})
	same(t, prov.Identity, "default")
	same(t, prov.Notes, []string{"ClickHouse has no transactions: what changes while it is read may show in part"})

	names := map[string]string{}
	var got []string
	flag := func(b *bool) string {
		if b == nil {
			return "unknown"
		}
		return fmt.Sprint(*b)
	}
	for _, a := range only[access.Account](out) {
		names[a.ID] = a.Username
		got = append(got, fmt.Sprintf("%s enabled %s privileged %s no_password %s %s %s %s", a.Username, flag(a.Enabled), flag(a.Privileged), flag(a.PasswordNotRequired), a.Kind, a.Attributes["auth"], a.Attributes["storage"]))
		if a.ExpiresAt != nil || a.LastLoginAt != nil {
			t.Errorf("%s: expires %v, last login %v: neither is said", a.Username, a.ExpiresAt, a.LastLoginAt)
		}
	}
	same(t, got, []string{
		"ann enabled true privileged unknown no_password false  sha256_password users_xml",
		"bob enabled false privileged false no_password false  plaintext_password users_xml",
		"default enabled true privileged true no_password false  plaintext_password users_xml",
		"root enabled true privileged true no_password false  plaintext_password users_xml",
		"svc enabled true privileged false no_password true service no_password users_xml",
	})
	got = nil
	for _, e := range only[access.Entitlement](out) {
		names[e.ID] = e.Name
		if e.Kind == "role" {
			got = append(got, e.Name+" privileged "+flag(e.Privileged))
		} else if want, ok := map[string]bool{"ALTER USER on all databases": true, "ROLE ADMIN on all databases": true, "SHOW TABLES on all databases": false, "SELECT on database shop": false}[e.Name]; ok {
			got = append(got, fmt.Sprintf("%s privileged %t", e.Name, want))
			if e.Privileged == nil || *e.Privileged != want {
				t.Errorf("%s privileged %s", e.Name, flag(e.Privileged))
			}
		}
	}
	slices.Sort(got)
	same(t, got, []string{"ALTER USER on all databases privileged true", "ROLE ADMIN on all databases privileged true", "SELECT on database shop privileged false",
		"SHOW TABLES on all databases privileged false", "keeper privileged true", "reader privileged false", "writer privileged false"})
	got = nil
	for _, g := range only[access.Grant](out) {
		if names[g.HolderID] == "" || names[g.EntitlementID] == "" {
			t.Errorf("%+v names somebody who is not there", g)
		}
		if who := names[g.HolderID]; who != "default" {
			got = append(got, fmt.Sprintf("%s %s: %s", g.HolderKind, who, names[g.EntitlementID]))
		}
	}
	slices.Sort(got)
	same(t, got, []string{
		"account ann: writer",
		"account bob: SELECT on database shop",
		"account root: ALTER USER on all databases",
		"account root: SELECT on database logs*",
		"account svc: INSERT on tables in shop",
		"account svc: SELECT on tables in hr",
		"account svc: SELECT on tables in shop",
		"account svc: SHOW TABLES on all databases",
		"entitlement keeper: ROLE ADMIN on all databases",
		"entitlement reader: SELECT on database shop",
		"entitlement writer: INSERT on database shop",
		"entitlement writer: reader",
	})

	// A configuration knows no validity, which CREATE USER … VALID UNTIL sets, of each way to authenticate; 1970 is none.
	dated := strings.Replace(presets["clickhouse"].Accounts, "FROM system.users AS u", `FROM (SELECT * REPLACE (multiIf(
		name = 'ann', [toDateTime('2030-06-01 02:03:04', 'UTC')], name = 'bob', [toDateTime('2030-06-01 02:03:04', 'UTC'), toDateTime('2031-06-01 02:03:04', 'UTC')],
		name = 'root', [toDateTime('2030-06-01 02:03:04', 'UTC'), toDateTime(0, 'UTC')], [toDateTime(0, 'UTC')]) AS valid_until) FROM system.users) AS u`, 1)
	section, err := yaml.Marshal(map[string]any{"queries": map[string]string{"accounts": dated}})
	if err != nil {
		t.Fatal(err)
	}
	if out, _, err = s.gather(t, string(section)); err != nil {
		t.Fatal(err)
	}
	got = nil
	for _, a := range only[access.Account](out) {
		if a.ExpiresAt != nil {
			got = append(got, a.Username+" "+a.ExpiresAt.Format(time.RFC3339))
		}
	}
	same(t, got, []string{"ann 2030-06-01T02:03:04Z", "bob 2031-06-01T02:03:04Z"})

	advice, err := s.build(t, "preset: clickhouse").Diagnose(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range advice {
		if a.Missing {
			t.Errorf("%s: %s", a.What, a.Detail)
		}
	}
}

// startClickHouse runs Debian's clickhouse-server on a free port of the loopback interface, with its own folder. It is of 2018: it
// has no roles, but passwords, rights and limits.
func startClickHouse(t *testing.T) *server {
	t.Helper()
	const binary, missing = "/usr/sbin/clickhouse-server", "clickhouse-server is not installed: apt-get install clickhouse-server"
	if !isFile(binary) {
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	dir := t.TempDir()
	var ports []int
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
		l.Close()
	}
	const password = "s3same <&> 'p@ss"
	user := func(name, profile string) string {
		return fmt.Sprintf("<%[1]s><password>s3same &lt;&amp;&gt; 'p@ss</password><networks><ip>127.0.0.1</ip></networks><profile>%[2]s</profile><quota>default</quota></%[1]s>", name, profile)
	}
	writeFile(t, filepath.Join(dir, "users.xml"), "<yandex><profiles><default/><reading><readonly>1</readonly></reading></profiles><quotas><default/></quotas><users>"+
		user("auditor", "default")+user("bound", "reading")+"</users></yandex>")
	config := writeFile(t, filepath.Join(dir, "config.xml"), fmt.Sprintf(`<yandex>
	<logger><level>warning</level><log>%[1]s/log</log><errorlog>%[1]s/errors</errorlog></logger>
	<path>%[1]s/data/</path><tmp_path>%[1]s/tmp/</tmp_path><users_config>%[1]s/users.xml</users_config>
	<listen_host>127.0.0.1</listen_host><tcp_port>%[2]d</tcp_port><http_port>%[3]d</http_port>
	<default_profile>default</default_profile><default_database>default</default_database><mark_cache_size>67108864</mark_cache_size>
</yandex>`, dir, ports[0], ports[1]))
	cmd := exec.Command(binary, "--config-file="+config)
	cmd.Dir = dir
	return startServer(t, cmd, filepath.Join(dir, "errors"), fmt.Sprintf("127.0.0.1:%d", ports[0]), password)
}

func startServer(t *testing.T, cmd *exec.Cmd, errors, addr, password string) *server {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		<-ended
	})
	db := clickhouse.OpenDB(&clickhouse.Options{Addr: []string{addr}, Auth: clickhouse.Auth{Username: "auditor", Password: password}})
	t.Cleanup(func() { db.Close() })
	for end := time.Now().Add(60 * time.Second); db.PingContext(t.Context()) != nil; time.Sleep(50 * time.Millisecond) {
		select {
		case <-ended:
			log, _ := os.ReadFile(errors)
			t.Fatalf("clickhouse-server ended: %s", log)
		default:
		}
		if time.Now().After(end) {
			t.Fatal("clickhouse-server doesn't answer")
		}
	}
	return &server{url: "clickhouse://" + addr + "/default", user: "auditor", password: password, db: db}
}

// A real server, over its native protocol, read by queries of one's own: values of ClickHouse's types, and what may not be done.
func TestClickHouseServer(t *testing.T) {
	t.Parallel()
	s := startClickHouse(t)
	s.exec(t, "CREATE TABLE logins (id UInt16, name String, active UInt8, seen Nullable(DateTime)) ENGINE = Memory",
		"INSERT INTO logins SELECT number, concat('user', toString(number)), number % 2, if(number = 1, NULL, toDateTime('2026-11-23 02:00:00', 'UTC')) FROM system.numbers LIMIT 50")
	out, prov, err := s.gather(t, `queries: {accounts: "SELECT id, name AS username, active AS enabled, seen AS last_login_at FROM logins WHERE id < 3 ORDER BY id"}`)
	if err != nil {
		t.Fatal(err)
	}
	same(t, out.reasons(), []string(nil))
	same(t, prov.Identity, "auditor")
	same(t, only[access.Account](out), []access.Account{
		{ID: "0", Username: "user0", Enabled: no(), LastLoginAt: at("2026-11-23T02:00:00Z")},
		{ID: "1", Username: "user1", Enabled: yes()},
		{ID: "2", Username: "user2", Enabled: no(), LastLoginAt: at("2026-11-23T02:00:00Z")},
	})
	bound := *s
	bound.user = "bound" // who may only read may not say so either
	if out, _, err := bound.gather(t, `queries: {accounts: "SELECT id, name AS username FROM logins"}`); err != nil || len(out.records) != 50 {
		t.Errorf("%d records, error %v", len(out.records), err)
	}
	if _, _, err := s.gather(t, `queries: {accounts: "SELECT id FROM none"}`); err == nil || !strings.Contains(err.Error(), "queries.accounts") {
		t.Errorf("a table that is not there: %v", err)
	}
	if _, _, err := s.gather(t, "timeout: 1s\nqueries: {accounts: 'SELECT number + sleep(0.3) AS id FROM system.numbers'}"); err == nil || !strings.Contains(err.Error(), "the server ended the query: make it faster, or set timeout: to more") {
		t.Errorf("a query without end: %v", err)
	}
	if _, _, err := s.gather(t, "preset: clickhouse"); err == nil || !strings.Contains(err.Error(), "queries.accounts") {
		t.Errorf("the preset on a server without system.users: %v", err)
	}
	k := s.build(t, `queries: {accounts: "SELECT 1 AS id"}`)
	db, err := k.open(s.password)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, err := k.limit(t.Context(), conn, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(ctx, "INSERT INTO logins (id, name) VALUES (99, 'x')"); err == nil || !strings.Contains(explain(err).Error(), "a source is only read") {
		t.Errorf("writing within a limited session: %v", err)
	}
	suite(t, s, `queries: {accounts: "SELECT id, name AS username, if(id = 3, 'perhaps', '') AS enabled FROM logins"}`, `queries: {accounts: "SELECT id, name AS username FROM logins ORDER BY id"}`)
}

func TestClickHouseConfig(t *testing.T) {
	for section, want := range map[string]string{
		"url: clickhouse://ch.example\nuser: a\npreset: clickhouse":                      "",
		"url: https://ch.example:8443/x\nuser: a\npreset: clickhouse":                    "",
		"url: http://127.0.0.1:8123\nuser: a\npreset: clickhouse":                        "",
		"url: http://ch.example\nuser: a\npreset: clickhouse":                            "is not https",
		"url: http://ch.example\nuser: a\ntls: off\npreset: clickhouse":                  "",
		"url: https://ch.example\nuser: a\ntls: off\npreset: clickhouse":                 "contradicts https",
		"url: mysql://ch.example\nuser: a\npreset: clickhouse":                           "preset: clickhouse is not for mysql://ch.example",
		"url: clickhouse://localhost\nsocket: /run/x\nuser: a\npreset: clickhouse":       "ClickHouse has none",
		"url: clickhouse://ch.example\nuser: a\npreset: clickhouse\nwrite: {user: b}":    "",
		"url: clickhouse://ch.example\nuser: a\npreset: clickhous":                       `did you mean "clickhouse"?`,
		"url: clickhouse://a:b@ch.example\nuser: a\npreset: clickhouse":                  "must have no user",
		"url: clickhouse://ch.example\nuser: a\nqueries: {accounts: 'DROP TABLE users'}": "is no SELECT",
	} {
		_, err := New(parseConfig(t, section), Options{UID: "ch"})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s\nerror %v\nwant %s", section, err, want)
		}
	}
}
