//go:build unix

package sql

import (
	"bytes"
	"context"
	dbsql "database/sql"
	"fmt"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/collect/collecttest"
	"github.com/lapse-audit/lapse/internal/state/statetest"
)

// keeper is a sink that keeps everything, and can call back.
type keeper struct {
	records    []access.Record
	rejections []collect.Rejection
	onPut      func(access.Record)
}

func (k *keeper) Put(r access.Record) error {
	if k.onPut != nil {
		k.onPut(r)
	}
	k.records = append(k.records, r)
	return nil
}

func (k *keeper) Reject(r collect.Rejection) error {
	k.rejections = append(k.rejections, r)
	return nil
}

func (k *keeper) reasons() []string {
	var out []string
	for _, r := range k.rejections {
		out = append(out, r.String())
	}
	return out
}

func only[R access.Record](k *keeper) []R {
	var out []R
	for _, r := range k.records {
		if r, ok := r.(R); ok {
			out = append(out, r)
		}
	}
	return out
}

func parseConfig(t testing.TB, section string) Config {
	t.Helper()
	d := yaml.NewDecoder(bytes.NewReader([]byte(section)))
	d.KnownFields(true)
	var c Config
	if err := d.Decode(&c); err != nil {
		t.Fatalf("%v in\n%s", err, section)
	}
	return c
}

func same(t testing.TB, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

func yes() *bool { b := true; return &b }
func no() *bool  { b := false; return &b }

func at(s string) *time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return &t
}

// server is a database server that tests may fill.
type server struct {
	url, socket, user, password string

	db *dbsql.DB // as somebody who may do all
}

func (s *server) exec(t testing.TB, statements ...string) {
	t.Helper()
	for _, text := range statements {
		if _, err := s.db.ExecContext(t.Context(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

func (s *server) build(t testing.TB, section string) *Collector {
	t.Helper()
	c := parseConfig(t, fmt.Sprintf("url: %q\nsocket: %q\nuser: %s\npassword: env:PASSWORD\n%s", s.url, s.socket, s.user, section))
	k, err := New(c, Options{UID: "db", Roster: c.Queries.People != "", Secret: func(context.Context, collect.Secret) (string, error) { return s.password, nil }})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return k
}

func (s *server) gather(t testing.TB, section string) (*keeper, collect.Provenance, error) {
	t.Helper()
	var out keeper
	p, err := s.build(t, section).Collect(t.Context(), &out)
	return &out, p, err
}

func startPostgres(t testing.TB) *server {
	t.Helper()
	full := statetest.StartPostgres(t).Database(t)
	u, err := url.Parse(full)
	if err != nil {
		t.Fatal(err)
	}
	db, err := dbsql.Open("pgx", full)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return &server{url: "postgres://" + u.Host + u.Path, user: u.User.Username(), password: statetest.Password, db: db}
}

// psql asks the server with its own client.
func (s *server) psql(t testing.TB, query string) []string {
	t.Helper()
	u, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "psql", "-XAt", "-F", " ", "-h", u.Hostname(), "-p", u.Port(), "-U", s.user, "-d", strings.TrimPrefix(u.Path, "/"), "-c", query)
	cmd.Env = append(cmd.Environ(), "PGPASSWORD="+s.password)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("psql: %v\n%s", err, out)
	}
	return strings.Fields(strings.ReplaceAll(strings.TrimSpace(string(out)), " ", "·"))
}

// effective closes the grants over nesting: each account with each entitlement that it has, however.
func effective(k *keeper) map[string]map[string]bool {
	direct := map[string][]string{}
	for _, g := range only[access.Grant](k) {
		holder := g.HolderID
		if g.HolderKind == access.HolderAccount {
			holder = "account:" + holder
		}
		direct[holder] = append(direct[holder], g.EntitlementID)
	}
	out := map[string]map[string]bool{}
	for _, a := range only[access.Account](k) {
		has := map[string]bool{}
		todo := slices.Clone(direct["account:"+a.ID])
		for len(todo) > 0 {
			e := todo[0]
			todo = todo[1:]
			if !has[e] {
				has[e] = true
				todo = append(todo, direct[e]...)
			}
		}
		out[a.Username] = has
	}
	return out
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	s := startPostgres(t)
	t.Run("preset", func(t *testing.T) { testPostgresPreset(t, s) })
	t.Run("all kinds", func(t *testing.T) { testAllKinds(t, s) })
	t.Run("rejected rows", func(t *testing.T) { testRejected(t, s) })
	t.Run("odd rows", func(t *testing.T) { testOddRows(t, s) })
	t.Run("columns turn null", func(t *testing.T) { testColumnsTurnNull(t, s) })
	t.Run("errors", func(t *testing.T) { testPostgresErrors(t, s) })
	t.Run("one moment", func(t *testing.T) { testOneMoment(t, s) })
	t.Run("changes", func(t *testing.T) { testPostgresChanges(t, s) })
	t.Run("suite", func(t *testing.T) {
		s.exec(t, "CREATE TABLE logins (id int, name text)", "INSERT INTO logins SELECT n, 'user' || n FROM generate_series(1, 50) n")
		suite(t, s, `queries: {accounts: "SELECT id, name AS username, CASE WHEN id = 3 THEN 'perhaps' END AS enabled FROM logins"}`,
			`queries: {accounts: "SELECT id, name AS username FROM logins ORDER BY id"}`)
	})
}

func suite(t *testing.T, s *server, rejecting, section string) {
	build := func(section string) func(testing.TB) collect.Collector {
		return func(t testing.TB) collect.Collector { return s.build(t, section) }
	}
	wrong := *s
	wrong.user, wrong.password = "nobody", s.password+"-wrong"
	gone := *s
	gone.socket = ""
	gone.url = strings.Split(s.url, "://")[0] + "://127.0.0.1:1/x"
	collecttest.Run(t, collecttest.Spec{
		New: build(section), Rejecting: build(rejecting),
		Broken: map[string]func(testing.TB) collect.Collector{
			"a wrong password":                  func(t testing.TB) collect.Collector { return wrong.build(t, section) },
			"no server":                         func(t testing.TB) collect.Collector { return gone.build(t, section) },
			"a query that breaks in the middle": build(`queries: {accounts: "SELECT id, name AS username, 1 / (id - 40) AS attr_x FROM logins ORDER BY id", grants: "SELECT nothing FROM nowhere"}`),
			"a column that is no field":         build(`queries: {accounts: "SELECT id, name FROM logins", seats: "SELECT 1 AS id"}`),
		},
		Secrets: []string{s.password, s.password + "-wrong"},
	})
}

func testPostgresPreset(t *testing.T, s *server) {
	s.exec(t,
		"CREATE ROLE readers", "CREATE ROLE writers", "CREATE ROLE empty",
		"CREATE ROLE ann LOGIN PASSWORD 'x' VALID UNTIL '2026-12-31 00:00:00+00' CONNECTION LIMIT 3", "COMMENT ON ROLE ann IS 'payroll export'",
		"CREATE ROLE bob LOGIN PASSWORD 'x' VALID UNTIL 'infinity'", "CREATE ROLE root2 LOGIN SUPERUSER", "CREATE ROLE hidden LOGIN", "CREATE ROLE former NOLOGIN VALID UNTIL '-infinity'",
		"CREATE ROLE lead LOGIN", "GRANT lead TO bob", // a login role with members
		"GRANT readers TO writers", "GRANT writers TO ann", "GRANT readers TO lead", "GRANT root2 TO hidden", "GRANT pg_read_all_data TO bob",
		"CREATE SCHEMA shop", "CREATE TABLE shop.orders (id int)", "CREATE TABLE shop.\"odd name\" (id int)", "GRANT USAGE ON SCHEMA shop TO readers",
		"GRANT SELECT ON shop.orders TO readers", "GRANT INSERT ON ALL TABLES IN SCHEMA shop TO writers", "GRANT SELECT ON shop.orders TO PUBLIC", "CREATE SCHEMA own AUTHORIZATION ann")
	out, prov, err := s.gather(t, "preset: postgres\nkinds: [{kind: service, username: LE*}]")
	if err != nil {
		t.Fatal(err)
	}
	same(t, out.reasons(), []string(nil))
	same(t, prov.Reads, []string{"accounts", "entitlements", "grants"})
	same(t, prov.Identity, s.user)
	same(t, prov.Notes, []string{"logins and roles are those of the whole server, rights on schemas and tables those in the database lapse1 only"})

	// The server's own answers.
	var got []string
	by := map[string]access.Account{}
	for _, a := range only[access.Account](out) {
		by[a.Username] = a
		got = append(got, fmt.Sprintf("%s·%s·%t", a.ID, a.Username, *a.Enabled))
	}
	want := s.psql(t, "SELECT oid, rolname, CASE WHEN rolcanlogin THEN 'true' ELSE 'false' END FROM pg_roles WHERE rolname NOT LIKE 'pg\\_%' AND rolname NOT IN ('readers', 'writers')")
	slices.Sort(got)
	slices.Sort(want)
	same(t, got, want)
	ann := by["ann"]
	same(t, ann, access.Account{ID: ann.ID, Username: "ann", Enabled: yes(), Privileged: no(), Purpose: "payroll export", ExpiresAt: at("2026-12-31T00:00:00Z"), Attributes: map[string]string{"connection_limit": "3"}})
	for name, want := range map[string]bool{"ann": false, "bob": false, "root2": true, "hidden": true, s.user: true, "former": false, "lead": false} {
		if p := by[name].Privileged; p == nil || *p != want {
			t.Errorf("%s: privileged %v, want %v", name, p, want)
		}
	}
	same(t, []any{by["bob"].ExpiresAt, by["former"].ExpiresAt, by["lead"].Kind, by["ann"].Kind}, []any{(*time.Time)(nil), at("1970-01-01T00:00:00Z"), access.KindService, access.AccountKind("")})

	ids := map[string]bool{}
	privileged := map[string]bool{}
	for _, e := range only[access.Entitlement](out) {
		ids[e.ID] = true
		privileged[e.ID] = e.Privileged != nil && *e.Privileged
	}
	for _, g := range only[access.Grant](out) {
		if !ids[g.EntitlementID] || g.HolderKind == access.HolderEntitlement && !ids[g.HolderID] {
			t.Errorf("dangling: %+v", g)
		}
	}
	if !privileged["attribute:SUPERUSER"] || privileged["attribute:CREATEDB"] || !privileged["role:"+by["root2"].ID] {
		t.Errorf("privileged: %v", privileged)
	}

	// What each account has in effect is what the server says when it is asked for it. Superusers have all there.
	var mine []string
	for name, has := range effective(out) {
		if by[name].Privileged != nil && *by[name].Privileged || !*by[name].Enabled {
			continue
		}
		for e := range has {
			if !strings.HasPrefix(e, "role:") && !strings.HasPrefix(e, "attribute:") {
				mine = append(mine, name+"·"+e)
			}
		}
	}
	theirs := s.psql(t, `WITH people AS (SELECT rolname FROM pg_roles WHERE rolname IN ('ann', 'bob', 'lead'))
		SELECT rolname || ' tables:' || nspname || ':' || p FROM people, pg_namespace, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p
		WHERE nspname IN ('shop', 'public', 'own') AND NOT (rolname = 'bob' AND p = 'SELECT' AND nspname <> 'shop')
			AND EXISTS (SELECT FROM pg_class WHERE relnamespace = pg_namespace.oid AND relkind = 'r' AND has_table_privilege(rolname, pg_class.oid, p))
		UNION ALL SELECT rolname || ' schema:' || nspname || ':' || p FROM people, pg_namespace, unnest(ARRAY['USAGE', 'CREATE']) p
		WHERE nspname IN ('shop', 'public', 'own') AND has_schema_privilege(CASE WHEN rolname = 'bob' AND nspname = 'own' THEN 'lead' ELSE rolname END, pg_namespace.oid, p)
		UNION ALL SELECT rolname || ' database:' || current_database() || ':' || p FROM people, unnest(ARRAY['CONNECT', 'CREATE', 'TEMPORARY']) p WHERE has_database_privilege(rolname, current_database(), p)`)
	slices.Sort(mine)
	slices.Sort(theirs)
	same(t, mine, theirs)
	var members []string
	for name, has := range effective(out) {
		for e := range has {
			if oid, ok := strings.CutPrefix(e, "role:"); ok && oid != "0" && (by[name].Privileged == nil || !*by[name].Privileged) {
				members = append(members, name+"·"+oid)
			}
		}
	}
	want = s.psql(t, "SELECT a.rolname, r.oid FROM pg_roles a, pg_roles r WHERE a.rolname IN ('ann', 'bob', 'lead', 'former', 'empty') AND a.oid <> r.oid AND pg_has_role(a.oid, r.oid, 'MEMBER')")
	slices.Sort(members)
	slices.Sort(want)
	same(t, members, want)
}

func testAllKinds(t *testing.T, s *server) {
	out, prov, err := s.gather(t, `
roster: {end_date: last_day, zone: Europe/Berlin, zones: {NY: America/New_York}}
queries:
  people: SELECT 7 AS id, 'Ada' AS name, date '2025-06-30' AS end_at, date '2020-01-01' AS start_at, 'NY' AS location, 'Employee' AS kind, 'R' AS attr_grade
  accounts: >
    SELECT 'a1'::char(5) AS "ID", 'ada' AS username, true AS enabled, 'Y' AS mfa, timestamp '2026-01-02 03:04:05' AS last_login_at, timestamptz '2026-01-02 03:04:05+02' AS created_at,
    '2026-07-01 00:00:00' AS password_changed_at, 12 AS active_sessions, 'human' AS kind, NULL AS email, 1.50::numeric AS attr_number, '' AS attr_empty
  entitlements: SELECT 'e1' AS id, 'a; b' AS tags, 0 AS privileged UNION ALL SELECT 'e2', NULL, NULL
  licenses: SELECT 'E5' AS sku, 57.00::numeric(10,2) AS cost_month, 'usd' AS currency, 10 AS purchased
  grants: SELECT 'a1' AS account_id, NULL AS holder_entitlement_id, 'e1' AS entitlement_id UNION ALL SELECT NULL, 'e1', 'e2'
  seats: SELECT 'a1' AS account_id, 'E5' AS sku, false AS never_used
  usage: SELECT 'a1' AS account_id, timestamptz '2026-01-01 00:00:00Z' AS last_used_at
`)
	if err != nil {
		t.Fatal(err)
	}
	ten, twelve := int64(10), int64(12)
	same(t, out.reasons(), []string(nil))
	same(t, out.records, []access.Record{
		access.Person{ID: "7", RecordID: "7", Name: "Ada", Kind: "employee", Location: "NY", StartAt: at("2020-01-01T05:00:00Z"), EndAt: at("2025-07-01T04:00:00Z"), Attributes: map[string]string{"grade": "R"}},
		access.Account{ID: "a1", Username: "ada", Kind: access.KindHuman, Enabled: yes(), MFA: yes(), ActiveSessions: &twelve, LastLoginAt: at("2026-01-02T02:04:05Z"), CreatedAt: at("2026-01-02T01:04:05Z"),
			PasswordChangedAt: at("2026-06-30T22:00:00Z"), Attributes: map[string]string{"number": "1.50"}},
		access.Entitlement{ID: "e1", Tags: []string{"a", "b"}, Privileged: no()},
		access.Entitlement{ID: "e2"},
		access.License{SKU: "E5", CostMonth: "57.00", Currency: "USD", Purchased: &ten},
		access.Grant{HolderKind: access.HolderAccount, HolderID: "a1", EntitlementID: "e1"},
		access.Grant{HolderKind: access.HolderEntitlement, HolderID: "e1", EntitlementID: "e2"},
		access.Seat{AccountID: "a1", SKU: "E5", NeverUsed: no()},
		access.Usage{AccountID: "a1", LastUsedAt: at("2026-01-01T00:00:00Z")},
	})
	same(t, prov.Reads, []string{"people", "accounts", "entitlements", "licenses", "grants", "seats", "usage"})
}

func testRejected(t *testing.T, s *server) {
	for _, c := range []struct{ query, want string }{
		{"SELECT 1 AS id, 'perhaps' AS enabled", `queries.accounts line 1 column "enabled": is neither true nor false: write CASE … END in the query`},
		{"SELECT 1 AS id, 'robot' AS kind", `queries.accounts line 1 column "kind": is none of human, service, shared, guest, machine: write CASE … END in the query`},
		{"SELECT 1 AS id, '7/5/11' AS created_at", `queries.accounts line 1 column "created_at": is no date: write CAST(… AS timestamp) in the query`},
		{"SELECT 1 AS id, -1 AS active_sessions", `queries.accounts line 1 column "active_sessions": is no whole number`},
		{"SELECT 1 AS id, 'NaN'::float8 AS attr_x", `queries.accounts line 1 column "attr_x": is no number`},
		{"SELECT 1 AS id, true AS never_logged_in, now() AS last_login_at", `queries.accounts line 1 column "never_logged_in": is true, and there is a last_login_at`},
		{`SELECT 1 AS id, '\\xff'::bytea AS username`, `queries.accounts line 1 column "username": is not valid UTF-8`},
	} {
		out, _, err := s.gather(t, fmt.Sprintf("queries: {accounts: \"%s\"}", c.query))
		if err != nil {
			t.Errorf("%s: %v", c.query, err)
		}
		same(t, out.reasons(), []string{c.want})
	}
	out, _, err := s.gather(t, `queries: {grants: "SELECT 'a' AS account_id, 'b' AS holder_entitlement_id, 'e' AS entitlement_id"}`)
	if err != nil {
		t.Fatal(err)
	}
	same(t, out.reasons(), []string{`queries.grants line 1 column "holder_entitlement_id": the grant has two holders`})
}

// What the driver takes and no snapshot should: the runner reports it with its row, and the others are read.
func testOddRows(t *testing.T, s *server) {
	k := s.build(t, `
queries:
  accounts: >-
    SELECT * FROM (VALUES ('1', 'ada', true), (NULL, 'bob', true), ('', 'cy', true), ('2', repeat('x', 10485760), true), (repeat('y', 10485760), 'dee', true),
    ('1', 'eve', false), ('3', NULL, NULL)) AS t (id, username, enabled)`)
	var out keeper
	res, err := collect.Run(t.Context(), k, &out, collect.Options{Limits: collect.Limits{MaxRejected: 1}, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range res.Rejections {
		got = append(got, r.String())
	}
	same(t, got, []string{
		`queries.accounts line 2 column "id": the id is empty`,
		`queries.accounts line 3 column "id": the id is empty`,
		`queries.accounts line 4 column "username": is a text of 10485760 bytes: the most is 1048576`,
		`queries.accounts line 5 column "id": is a text of 10485760 bytes: the most is 1048576`,
		`queries.accounts line 6 column "id": duplicate id: another record than queries.accounts line 1, which has the same one`,
	})
	same(t, out.records, []access.Record{access.Account{ID: "1", Username: "ada", Enabled: yes()}, access.Account{ID: "3"}})
}

// A column that silently turns null gives records without it; the guard then sees the coverage fall.
func testColumnsTurnNull(t *testing.T, s *server) {
	measure := func(enabled, seen string) collect.Result {
		k := s.build(t, fmt.Sprintf(`queries: {accounts: "SELECT n AS id, %s AS enabled, %s AS last_login_at FROM generate_series(1, 10) AS n"}`, enabled, seen))
		res, err := collect.Run(t.Context(), k, &keeper{}, collect.Options{Limits: collect.DefaultLimits(), Now: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	before, after := measure("true", "timestamptz '2026-01-01'"), measure("NULL::boolean", "NULL::timestamptz")
	for _, signal := range []string{"enabled", "last_login"} {
		same(t, after.Provenance.Coverage[signal], access.CoverageNone)
	}
	v := collect.Judge(collect.DefaultLimits(), []collect.Past{{Measure: before.Measure}}, collect.Current{Measure: after.Measure, Reads: after.Provenance.Reads})
	if v.Accepted || !strings.Contains(v.String(), "no record has enabled any more") {
		t.Errorf("verdict %+v", v)
	}
}

func testPostgresErrors(t *testing.T, s *server) {
	s.exec(t, "CREATE ROLE small LOGIN PASSWORD 's3cret p@ss/word'", "CREATE TABLE hidden (id int)")
	for _, c := range []struct{ user, section, want string }{
		{s.user, `queries: {accounts: "WITH x AS (INSERT INTO hidden VALUES (1) RETURNING id) SELECT id FROM x"}`, "queries.accounts: the query changes something, and a source is only read"},
		{s.user, `queries: {accounts: "SELECT nextval('s')", grants: "SELECT 1"}`, `relation "s" does not exist`},
		{s.user, "timeout: 200ms\nqueries: {accounts: \"SELECT 1 AS id FROM pg_sleep(30)\"}", "queries.accounts: the server ended the query: make it faster, or set timeout: to more"},
		{s.user, `queries: {accounts: "SELECT 1 AS id, 2 AS user_name"}`, `queries.accounts: there is no field "user_name" of accounts: did you mean "username"?`},
		{s.user, `queries: {accounts: "SELECT 1 AS id, 2 AS id"}`, "queries.accounts: two columns are named id"},
		{"small", `queries: {accounts: "SELECT id FROM hidden"}`, "queries.accounts: the user lacks the right to read this: grant it SELECT"},
		{"nobody", `queries: {accounts: "SELECT 1 AS id"}`, "connect: the server refused the login: see user and password"},
		{s.user, "tls: verify\nqueries: {accounts: \"SELECT 1 AS id\"}", "connect: "},
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
	s.exec(t, "CREATE SCHEMA closed", "CREATE TABLE closed.x (id int)", "CREATE TABLE \"Odd name\" (id int)")
	s.examine(t, "small", `queries: {accounts: "SELECT 1 AS id", entitlements: "SELECT id FROM hidden", grants: "SELECT id FROM closed.x", seats: "SELECT id FROM \"Odd name\""}`,
		"ok queries.accounts: may be read: id", "MISSING queries.entitlements: the user lacks the right to read this", "ok to read entitlements: GRANT SELECT ON hidden TO small",
		"ok to read grants: GRANT USAGE ON SCHEMA closed TO small", `ok to read seats: GRANT SELECT ON "Odd name" TO small`)
	var n int
	if err := s.db.QueryRowContext(t.Context(), "SELECT count(*) FROM hidden").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d rows were written, %v", n, err)
	}
}

// What changes while it is read is not seen: accounts and grants are of one moment.
func testOneMoment(t *testing.T, s *server) {
	s.exec(t, "CREATE TABLE people (id text, role text)", "INSERT INTO people VALUES ('a', 'x'), ('b', 'x')")
	out := &keeper{}
	out.onPut = func(r access.Record) {
		if a, ok := r.(access.Account); ok && a.ID == "a" {
			s.exec(t, "INSERT INTO people VALUES ('c', 'y')", "DELETE FROM people WHERE id = 'b'")
		}
	}
	if _, err := s.build(t, `queries: {accounts: "SELECT id FROM people ORDER BY id", grants: "SELECT id AS account_id, role AS entitlement_id FROM people ORDER BY id"}`).Collect(t.Context(), out); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range out.records {
		got = append(got, fmt.Sprint(r))
	}
	if g := only[access.Grant](out); len(out.records) != 4 || len(g) != 2 || g[0].HolderID != "a" || g[1].HolderID != "b" {
		t.Errorf("records %q", got)
	}
}

func TestConfig(t *testing.T) {
	const q = `queries: {accounts: "SELECT 1 AS id"}`
	for _, c := range []struct{ section, want string }{
		{"{}", "url: is missing: write postgres://HOST:5432/DATABASE, mysql://HOST:3306/DATABASE, mariadb://HOST:3306/DATABASE or clickhouse://HOST:9440/DATABASE\nuser: is missing\nqueries: name a preset, or at least one query of people, accounts, entitlements, licenses, grants, seats, usage"},
		{"url: postgres://u:secret@h/d\nuser: u\n" + q, "url: must have no user, ? or #: name the user under user, and a reference to the password under password"},
		{"url: postgres://h\nuser: u\n" + q, "url: names no database: write postgres://HOST:5432/DATABASE, mysql://HOST:3306/DATABASE, mariadb://HOST:3306/DATABASE or clickhouse://HOST:9440/DATABASE"},
		{"url: oracle://h/d\nuser: u\n" + q, `url: "oracle" is a database that is not known: write postgres://HOST:5432/DATABASE, mysql://HOST:3306/DATABASE, mariadb://HOST:3306/DATABASE or clickhouse://HOST:9440/DATABASE`},
		{"url: mysql://h/d\nuser: u\npreset: postgres", "preset: postgres is not for mysql://h/d"},
		{"url: mysql://h/d\nuser: u\npreset: mariadbx\n" + q, `preset: there is no preset "mariadbx": did you mean "mariadb"?`},
		{"url: mysql://h/d\nuser: u\nqueries: {grants: 'DELETE FROM x'}", "queries.grants: is no SELECT"},
		{"url: mysql://h/d\nuser: u\ntls: maybe\nzone: Mars\nkinds: [{kind: robot}]\n" + q, "tls: \"maybe\" is neither verify nor off\nzone: \"Mars\" is no time zone known here: write a name such as Europe/Berlin\nkinds[0]: kind: \"robot\" is none of human, service, shared, guest, machine\nkinds[0]: username: \"\" is no pattern: write svc-* or ?-robot"},
		{"url: mysql://h/d\nuser: u\nqueries: {people: SELECT 1}", "roster: is missing: say what the dates of people mean, at least end_date: last_day or first_day_off"},
	} {
		_, err := New(parseConfig(t, c.section), Options{})
		if err == nil || err.Error() != c.want {
			t.Errorf("%s:\n%v\nwant\n%s", c.section, err, c.want)
		}
	}
	if _, err := New(parseConfig(t, "url: mysql://h/d\nuser: u\n"+q), Options{Roster: true, UID: "hr"}); err == nil || err.Error() != "queries.people: is missing: hr is a roster" {
		t.Errorf("a roster without people: %v", err)
	}
	for _, c := range []struct{ url, socket, want string }{
		{"postgres://db.example.com/x", "", Verify}, {"postgres://127.0.0.1/x", "", Plain}, {"postgres://h/x", "/run/postgresql", Plain}, {"mysql://db:3306", "", Verify},
	} {
		if got := (Config{URL: c.url, Socket: c.socket}).defaults().TLS; got != c.want {
			t.Errorf("%s %s: tls %s, want %s", c.url, c.socket, got, c.want)
		}
	}
	for text, want := range map[string]bool{"-- all\nselect 1": true, "/* a\nb */ WITH x AS (SELECT 1) SELECT * FROM x": true, "selection": false, "-- select 1": false, "DROP TABLE x": false, "": false} {
		if selects.MatchString(text) != want {
			t.Errorf("%q is a SELECT: %v", text, !want)
		}
	}
}
