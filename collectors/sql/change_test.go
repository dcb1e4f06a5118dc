//go:build unix

package sql

import (
	"context"
	dbsql "database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/collect/collecttest"
)

// hostile is a name that breaks out of any quotes that are not doubled.
const hostile = `a"b'c\;-- d` + "`%s"

// changer changes as a user, with the password of all.
func (s *server) changer(t testing.TB, preset, user string) *Changer {
	t.Helper()
	c := s.build(t, "preset: "+preset+"\nwrite: {user: "+user+", password: env:WRITE, delete: true}").Changer()
	t.Cleanup(func() { c.Close() })
	return c
}

func (s *server) one(t testing.TB, query string, args ...any) string {
	t.Helper()
	var out string
	if err := s.db.QueryRowContext(t.Context(), query, args...).Scan(&out); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return out
}

func testPostgresChanges(t *testing.T, s *server) {
	q := quote(hostile)
	s.exec(t, "CREATE ROLE "+q+" LOGIN CREATEDB PASSWORD 'x' VALID UNTIL '2031-02-03 04:05:06.789+02'", "CREATE ROLE "+quote("team "+hostile), "CREATE ROLE outer_team", "CREATE ROLE heir LOGIN",
		"GRANT "+quote("team "+hostile)+" TO "+q+" WITH ADMIN OPTION", "GRANT outer_team TO "+quote("team "+hostile),
		"CREATE ROLE doomed LOGIN", "GRANT pg_read_all_data TO "+q, "GRANT CREATE ON SCHEMA public TO "+q+" WITH GRANT OPTION",
		"CREATE SCHEMA \"o:dd\"", `CREATE TABLE "o:dd"."t-1" ()`, `CREATE TABLE "o:dd"."t-2" ()`, `CREATE TABLE "o:dd"."t-3" ()`, `GRANT SELECT ON "o:dd"."t-1", "o:dd"."t-2" TO `+q, `GRANT INSERT ON ALL TABLES IN SCHEMA "o:dd" TO `+q,
		"CREATE ROLE clerk LOGIN CREATEROLE PASSWORD '"+strings.ReplaceAll(s.password, "'", "''")+"'", "CREATE ROLE boss LOGIN SUPERUSER")
	oid := func(name string) string { return s.one(t, "SELECT oid::text FROM pg_roles WHERE rolname = $1", name) }
	id, team, outer := oid(hostile), "role:"+oid("team "+hostile), "role:"+oid("outer_team")
	account := access.Object{Kind: access.HolderAccount, ID: id}
	witness := func(t testing.TB) string {
		return strings.Join(s.psql(t, `SELECT rolcanlogin, rolcreatedb, coalesce(rolvaliduntil, 'infinity'), rolpassword,
			(SELECT string_agg(roleid || '/' || admin_option || '/' || grantor, ',' ORDER BY roleid) FROM pg_auth_members WHERE member = a.oid),
			(SELECT string_agg(relname || ':' || a::text, ',' ORDER BY relname) FROM pg_class, unnest(relacl) a WHERE relname LIKE 't-_'), (SELECT nspacl::text FROM pg_namespace WHERE nspname = 'public'),
			(SELECT count(*) FROM pg_stat_activity WHERE usesysid = a.oid), (SELECT count(*) FROM pg_class WHERE relowner = a.oid)
			FROM pg_authid a WHERE a.oid = `+id), "\n")
	}
	until := time.Date(2026, 12, 1, 8, 0, 0, 123000000, time.UTC)
	s.exec(t, "CREATE TABLE ledger ()", "ALTER TABLE ledger OWNER TO "+q)
	doomed := oid("doomed")
	c := s.changer(t, "postgres", s.user)
	collecttest.Changes(t, "postgres", c, []collecttest.Changing{
		{Change: access.Change{Action: access.ActionDisable, Object: account}, Witness: witness},
		{Change: access.Change{Action: access.ActionExpire, Object: account, Until: &until}, Witness: witness},
		{Change: access.Change{Action: access.ActionRevoke, Object: account, Entitlement: team}, What: "a role", Witness: witness},
		{Change: access.Change{Action: access.ActionRevoke, Object: account, Entitlement: "attribute:CREATEDB"}, What: "an attribute", Witness: witness},
		{Change: access.Change{Action: access.ActionRevoke, Object: access.Object{Kind: access.HolderEntitlement, ID: team}, Entitlement: outer}, Witness: func(t testing.TB) string {
			return fmt.Sprint(s.psql(t, "SELECT member, roleid, admin_option, grantor FROM pg_auth_members WHERE member = "+strings.TrimPrefix(team, "role:")))
		}},
		{Change: access.Change{Action: access.ActionRevoke, Object: account, Entitlement: "schema:public:CREATE"}, What: "a right on a schema", Witness: witness},
		{Change: access.Change{Action: access.ActionRevoke, Object: account, Entitlement: "tables:o:dd:SELECT"}, What: "a right on tables", Witness: witness},
		{Change: access.Change{Action: access.ActionResetPassword, Object: account}, Witness: witness},
		{Change: access.Change{Action: access.ActionHandover, Object: account, To: oid("heir")}, Witness: witness},
		{Change: access.Change{Action: access.ActionDelete, Object: access.Object{Kind: access.HolderAccount, ID: doomed}}, Witness: func(t testing.TB) string {
			return fmt.Sprint(s.psql(t, "SELECT rolname FROM pg_roles WHERE oid = "+doomed))
		}},
	})
	t.Run("sessions", func(t *testing.T) {
		s.exec(t, "ALTER ROLE "+q+" PASSWORD '"+strings.ReplaceAll(s.password, "'", "''")+"' VALID UNTIL 'infinity'")
		u, err := url.Parse(s.url)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword(hostile, s.password)
		db, err := dbsql.Open("pgx", u.String())
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.PingContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		collecttest.Changes(t, "postgres", c, []collecttest.Changing{{Change: access.Change{Action: access.ActionEndSessions, Object: account}, Witness: witness}})
	})
	t.Run("a role with members stays an account when it may sign in no more", func(t *testing.T) {
		s.exec(t, "CREATE ROLE boss2 LOGIN", "GRANT boss2 TO heir")
		both := access.Object{Kind: access.HolderAccount, ID: oid("boss2")}
		if err := c.Apply(t.Context(), access.Change{Action: access.ActionDisable, Object: both}); err != nil {
			t.Fatal(err)
		}
		live, err := c.Look(t.Context(), both)
		if err != nil || live.Account == nil || live.Account.Enabled == nil || *live.Account.Enabled {
			t.Errorf("%+v, %v", live.Account, err)
		}
	})
	t.Run("as the nightly reading has it", func(t *testing.T) {
		out, _, err := s.gather(t, "preset: postgres")
		if err != nil {
			t.Fatal(err)
		}
		live, err := c.Look(t.Context(), account)
		if err != nil {
			t.Fatal(err)
		}
		live.Account.ActiveSessions = nil // a collection doesn't ask
		var grants []access.Grant
		for _, g := range only[access.Grant](out) {
			if g.HolderKind == access.HolderAccount && g.HolderID == id {
				grants = append(grants, g)
			}
		}
		same(t, live.Grants, grants)
		i := slices.IndexFunc(only[access.Account](out), func(a access.Account) bool { return a.ID == id })
		same(t, *live.Account, only[access.Account](out)[i])
	})
	t.Run("native", func(t *testing.T) {
		for _, ch := range []access.Change{
			{Action: access.ActionDisable, Object: account}, {Action: access.ActionExpire, Object: account, Until: &until},
			{Action: access.ActionRevoke, Object: account, Entitlement: team}, {Action: access.ActionRevoke, Object: account, Entitlement: "attribute:CREATEDB"},
			{Action: access.ActionRevoke, Object: account, Entitlement: "schema:public:CREATE"}, {Action: access.ActionRevoke, Object: account, Entitlement: "tables:o:dd:SELECT"},
		} {
			was := witness(t)
			before, err := c.Look(t.Context(), account)
			if err != nil {
				t.Fatal(err)
			}
			undo := ch
			undo.Undo, undo.Before = true, &before
			for _, step := range []access.Change{ch, undo} {
				for _, line := range c.Native(step) {
					cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
					cmd.Env = append(cmd.Environ(), "PGPASSWORD="+s.password)
					if out, err := cmd.CombinedOutput(); err != nil {
						t.Fatalf("%s\n%v\n%s", line, err, out)
					}
				}
				if now := witness(t); (now == was) != step.Undo {
					t.Errorf("%s, undo %v:\n%s\n%s", ch.Action, step.Undo, was, now)
				}
			}
		}
	})
	t.Run("faults", func(t *testing.T) { testPostgresFaults(t, s, hostile, oid) })
}

func testPostgresFaults(t *testing.T, s *server, name string, oid func(string) string) {
	disable := func(id string) access.Change {
		return access.Change{Action: access.ActionDisable, Object: access.Object{Kind: access.HolderAccount, ID: id}}
	}
	clerk := s.changer(t, "postgres", "clerk")
	t.Run("least rights", func(t *testing.T) {
		if err := clerk.May(t.Context(), disable(oid(name))); err != nil {
			t.Errorf("may: %v", err)
		}
		if got := s.one(t, "SELECT rolcanlogin::text FROM pg_roles WHERE rolname = $1", name); got != "true" {
			t.Error("asking changed it")
		}
		if err := clerk.Apply(t.Context(), disable(oid(name))); err != nil {
			t.Errorf("apply: %v", err)
		}
		s.exec(t, "ALTER ROLE "+quote(name)+" LOGIN")
	})
	t.Run("doctor", func(t *testing.T) {
		same(t, advice(t, clerk), []string{"changes of roles: may be changed", "ending sessions missing: GRANT pg_signal_backend TO clerk", "superusers: can only be changed by a superuser, which clerk is not: plans leave them to a person"})
	})
	t.Run("one right less", func(t *testing.T) {
		boss := disable(oid("boss"))
		for what, err := range map[string]error{"may": clerk.May(t.Context(), boss), "apply": clerk.Apply(t.Context(), boss),
			"sessions": clerk.May(t.Context(), access.Change{Action: access.ActionEndSessions, Object: boss.Object}),
			"handover": clerk.May(t.Context(), access.Change{Action: access.ActionHandover, Object: boss.Object, To: "heir"})} {
			if !errors.Is(err, access.ErrRefused) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if got := s.one(t, "SELECT rolcanlogin::text FROM pg_roles WHERE rolname = 'boss'"); got != "true" {
			t.Error("it was changed")
		}
	})
	t.Run("dropped and made again", func(t *testing.T) {
		s.exec(t, "CREATE ROLE again LOGIN")
		old := oid("again")
		s.exec(t, "DROP ROLE again", "CREATE ROLE again LOGIN")
		c := s.changer(t, "postgres", s.user)
		for _, id := range []string{old, "again", "0", "4294967296", "' OR true --"} {
			o := access.Object{Kind: access.HolderAccount, ID: id}
			_, looked := c.Look(t.Context(), o)
			for what, err := range map[string]error{"look": looked, "apply": c.Apply(t.Context(), disable(id)), "may": c.May(t.Context(), disable(id))} {
				if !errors.Is(err, access.ErrGone) {
					t.Errorf("%s %q: %v", what, id, err)
				}
			}
		}
		if got := s.one(t, "SELECT rolcanlogin::text FROM pg_roles WHERE rolname = 'again'"); got != "true" {
			t.Error("the one who was made again was changed")
		}
	})
	t.Run("what was before is unknown", func(t *testing.T) {
		o := access.Object{Kind: access.HolderAccount, ID: oid(name)}
		for _, entitlement := range []string{"attribute:BYPASSRLS", "role:" + oid("outer_team"), "tables:o:dd:UPDATE"} {
			ch := access.Change{Action: access.ActionRevoke, Object: o, Entitlement: entitlement, Undo: true, Before: &access.Live{}}
			if err := s.changer(t, "postgres", s.user).Apply(t.Context(), ch); !errors.Is(err, access.ErrCannot) {
				t.Errorf("%s: %v", entitlement, err)
			}
		}
	})
	t.Run("what it owns can't be dropped", func(t *testing.T) {
		s.exec(t, "CREATE ROLE keeper LOGIN", "CREATE TABLE kept ()", "ALTER TABLE kept OWNER TO keeper")
		err := s.changer(t, "postgres", s.user).Apply(t.Context(), access.Change{Action: access.ActionDelete, Object: access.Object{ID: oid("keeper")}})
		if !errors.Is(err, access.ErrRefused) {
			t.Errorf("%v", err)
		}
	})
	t.Run("out of time", func(t *testing.T) {
		tx, err := s.db.BeginTx(t.Context(), nil) // that holds the role
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		if _, err := tx.ExecContext(t.Context(), "ALTER ROLE "+quote(name)+" CONNECTION LIMIT 5"); err != nil {
			t.Fatal(err)
		}
		c := s.changer(t, "postgres", s.user)
		if _, err := c.Look(t.Context(), disable(oid(name)).Object); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = c.Apply(ctx, disable(oid(name)))
		for _, kind := range []error{access.ErrUnsure, access.ErrGone, access.ErrCannot} {
			if err == nil || errors.Is(err, kind) {
				t.Errorf("%v is %v: it ended before COMMIT", err, kind)
			}
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		live, err := c.Look(t.Context(), disable(oid(name)).Object)
		if err != nil {
			t.Fatal(err)
		}
		if done, known := disable(oid(name)).Shows(live); done || !known {
			t.Error("it was done")
		}
	})
	t.Run("connection lost", func(t *testing.T) {
		u, err := url.Parse(s.url)
		if err != nil {
			t.Fatal(err)
		}
		id := oid(name)
		for _, f := range []struct {
			at   string // the statement whose answer doesn't come
			want error
			done bool
		}{{"commit", access.ErrUnsure, true}, {"ALTER ROLE", nil, false}} {
			p := cut(t, u.Host, f.at)
			through := *s
			through.url = "postgres://" + p.addr + u.Path
			c := through.changer(t, "postgres", s.user)
			if _, err := c.Look(t.Context(), disable(id).Object); err != nil {
				t.Fatal(err)
			}
			p.armed.Store(true)
			err := c.Apply(t.Context(), disable(id))
			if f.want != nil && !errors.Is(err, f.want) || err == nil {
				t.Errorf("%s: %v, want %v", f.at, err, f.want)
			}
			for _, kind := range []error{access.ErrRefused, access.ErrUnsure, access.ErrGone, access.ErrCannot} {
				if kind != f.want && errors.Is(err, kind) {
					t.Errorf("%s: %v is %v", f.at, err, kind)
				}
			}
			p.armed.Store(false)
			// The server ends what was under way a moment later.
			deadline := time.Now().Add(20 * time.Second)
			for {
				live, err := c.Look(t.Context(), disable(id).Object)
				if err != nil {
					t.Fatal(err)
				}
				if done, known := disable(id).Shows(live); known && done == f.done {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("%s: want done %v", f.at, f.done)
				}
				time.Sleep(20 * time.Millisecond)
			}
			s.exec(t, "ALTER ROLE "+quote(name)+" LOGIN")
		}
	})
}

// advice is what the doctor says of the user that writes.
func advice(t testing.TB, c *Changer) []string {
	t.Helper()
	list, err := c.Diagnose(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, a := range list {
		text := a.What
		if a.Missing {
			text += " missing"
		}
		out = append(out, text+": "+a.Detail)
	}
	return out
}

// wire is a proxy that ends a connection once a statement was passed on.
type wire struct {
	addr  string
	armed atomic.Bool
}

// cut passes all on until a text goes by while it is armed: that still goes to the server, and nothing comes back.
func cut(t testing.TB, target, at string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	w := &wire{addr: l.Addr().String()}
	go func() {
		for {
			front, err := l.Accept()
			if err != nil {
				return
			}
			back, err := net.Dial("tcp", target)
			if strings.HasPrefix(target, "/") {
				back, err = net.Dial("unix", target)
			}
			if err != nil {
				front.Close()
				continue
			}
			var dead atomic.Bool
			go func() {
				buf := make([]byte, 64<<10)
				for {
					n, err := back.Read(buf)
					if n > 0 && !dead.Load() {
						_, _ = front.Write(buf[:n])
					}
					if err != nil {
						front.Close()
						return
					}
				}
			}()
			go func() {
				buf := make([]byte, 64<<10)
				for {
					n, err := front.Read(buf)
					if w.armed.Load() && strings.Contains(strings.ToLower(string(buf[:n])), strings.ToLower(at)) {
						dead.Store(true)
						_, _ = back.Write(buf[:n])
						time.Sleep(200 * time.Millisecond) // the server has it
						front.Close()
						back.Close()
						return
					}
					if n > 0 {
						_, _ = back.Write(buf[:n])
					}
					if err != nil {
						back.Close()
						return
					}
				}
			}()
		}
	}()
	return w
}

// What can't be done is said before a server is asked.
func TestCannot(t *testing.T) {
	build := func(section string) (*Collector, error) {
		return New(parseConfig(t, "url: postgres://127.0.0.1:1/db\nuser: auditor\n"+section), Options{UID: "db", Secret: func(context.Context, collect.Secret) (string, error) { return "x", nil }})
	}
	k, err := build("preset: postgres")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Changer().Abilities(); !errors.Is(err, access.ErrCannot) || !strings.Contains(err.Error(), "write.user") {
		t.Errorf("without a credential: %v", err)
	}
	if _, err := build("queries: {accounts: SELECT 1}\nwrite: {user: w}"); err == nil || !strings.Contains(err.Error(), "write: goes with a preset") {
		t.Errorf("other queries: %v", err)
	}
	if _, err := build("preset: postgres\nwrite: {delete: true}"); err == nil || !strings.Contains(err.Error(), "write.user: is missing") {
		t.Errorf("without a user: %v", err)
	}
	if k, err = build("preset: postgres\nwrite: {user: w}"); err != nil {
		t.Fatal(err)
	}
	o := access.Object{Kind: access.HolderAccount, ID: "1"}
	for _, ch := range []access.Change{
		{Action: access.ActionDelete, Object: o}, {Action: access.ActionReclaim, Object: o}, {Action: access.ActionDisable, Object: o, Undo: true},
		{Action: access.ActionHandover, Object: o, Undo: true, Before: &access.Live{}}, {Action: access.ActionDisable, Object: access.Object{Kind: access.HolderEntitlement, ID: "role:1"}},
	} {
		if err := k.Changer().Apply(t.Context(), ch); !errors.Is(err, access.ErrCannot) {
			t.Errorf("%s: %v", ch.Action, err)
		}
	}
	err = k.Changer().Apply(t.Context(), access.Change{Action: access.ActionDisable, Object: o})
	for _, kind := range []error{access.ErrRefused, access.ErrUnsure, access.ErrGone, access.ErrCannot} {
		if err == nil || errors.Is(err, kind) {
			t.Errorf("nobody listens: %v is %v", err, kind)
		}
	}
}

func testMariaDBChanges(t *testing.T, s *server) {
	const secret = "IDENTIFIED BY 's3cret ''p@ss/word'"
	user := `a"b'c\;-- d` + "``%s"
	who := "`" + user + "`@`10.%`"
	id := strings.ReplaceAll(user, "``", "`") + "@10.%"
	s.exec(t, "CREATE USER "+who+" "+secret, "CREATE ROLE `te``am`", "CREATE ROLE plain_team", "CREATE ROLE over_team", "GRANT over_team TO `te``am`", "GRANT `te``am` TO "+who+" WITH ADMIN OPTION", "GRANT plain_team TO "+who,
		"CREATE DATABASE `o_d`", "GRANT INSERT, SELECT ON `o\\_d`.* TO "+who, "GRANT PROCESS, FILE ON *.* TO "+who, "CREATE USER doomed@localhost", "CREATE USER sitting@localhost "+secret,
		"CREATE USER clerk@localhost "+secret, "GRANT CREATE USER, PROCESS, CONNECTION ADMIN ON *.* TO clerk@localhost", "GRANT plain_team TO clerk@localhost WITH ADMIN OPTION")
	for _, table := range []string{"global_priv", "roles_mapping", "db", "tables_priv", "procs_priv", "proxies_priv"} {
		s.exec(t, "GRANT SELECT ON mysql."+table+" TO clerk@localhost", "GRANT SELECT ON mysql."+table+" TO small@localhost")
	}
	account := access.Object{Kind: access.HolderAccount, ID: id}
	lock, priv := "SHOW CREATE USER "+who, "SHOW GRANTS FOR "+who
	witness := func(t testing.TB) string {
		lines := append(s.client(t, lock), s.client(t, priv)...)
		slices.Sort(lines)
		return strings.Join(lines, "\n")
	}
	as := *s
	as.password = "" // of root
	c := as.changer(t, "mariadb", "root")
	ask := func(query string) func(testing.TB) string {
		return func(t testing.TB) string { return strings.Join(s.client(t, query), "\n") }
	}
	collecttest.Changes(t, "mariadb", c, []collecttest.Changing{
		{Change: access.Change{Action: access.ActionDisable, Object: account}, Witness: witness},
		{Change: access.Change{Action: access.ActionRevoke, Object: account, Entitlement: "role:te`am"}, What: "a role with ADMIN OPTION", Witness: witness},
		{Change: access.Change{Action: access.ActionRevoke, Object: account, Entitlement: "role:plain_team"}, What: "a role", Witness: witness},
		{Change: access.Change{Action: access.ActionRevoke, Object: account, Entitlement: "global:FILE"}, What: "a right on all databases", Witness: witness},
		{Change: access.Change{Action: access.ActionRevoke, Object: account, Entitlement: "database:o_d:INSERT"}, What: "a right on a database", Witness: witness},
		{Change: access.Change{Action: access.ActionRevoke, Object: access.Object{Kind: access.HolderEntitlement, ID: "role:te`am"}, Entitlement: "role:over_team"}, Witness: ask("SHOW GRANTS FOR `te``am`")},
		{Change: access.Change{Action: access.ActionResetPassword, Object: account}, Witness: witness},
		{Change: access.Change{Action: access.ActionDelete, Object: access.Object{Kind: access.HolderAccount, ID: "doomed@localhost"}}, Witness: ask("SELECT count(*) FROM mysql.global_priv WHERE User = 'doomed'")},
	})
	clerk := s.changer(t, "mariadb", "clerk")
	t.Run("least rights", func(t *testing.T) {
		cmd := exec.CommandContext(t.Context(), "mariadb", "--no-defaults", "-usitting", "-p"+s.password, "-S", s.socket, "-e", "SELECT sleep(300)")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer cmd.Wait()
		defer cmd.Process.Kill()
		sitting := func() bool {
			return s.client(t, "SELECT count(*) FROM information_schema.processlist WHERE user = 'sitting'")[0] == "1"
		}
		for end := time.Now().Add(time.Minute); !sitting(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("it doesn't sign in")
			}
		}
		collecttest.Changes(t, "mariadb with least rights", clerk, []collecttest.Changing{
			{Change: access.Change{Action: access.ActionEndSessions, Object: access.Object{Kind: access.HolderAccount, ID: "sitting@localhost"}}, Witness: ask("SELECT count(*) FROM information_schema.processlist WHERE user = 'sitting'")},
			{Change: access.Change{Action: access.ActionDisable, Object: account}, Witness: witness},
			{Change: access.Change{Action: access.ActionRevoke, Object: account, Entitlement: "role:plain_team"}, What: "a role", Witness: witness},
		})
	})
	t.Run("doctor", func(t *testing.T) {
		same(t, advice(t, clerk), []string{"changes of accounts: may be changed", "seeing sessions: may be changed", "ending sessions: may be changed", "roles: 1 can be taken: those that clerk@localhost has WITH ADMIN OPTION"})
		same(t, advice(t, s.changer(t, "mariadb", "small"))[0], "changes of accounts missing: GRANT CREATE USER ON *.* TO small@localhost")
	})
	t.Run("one right less", func(t *testing.T) {
		small := s.changer(t, "mariadb", "small")
		disable := access.Change{Action: access.ActionDisable, Object: account}
		was := witness(t)
		for what, err := range map[string]error{"may": small.May(t.Context(), disable), "apply": small.Apply(t.Context(), disable),
			"role": small.Apply(t.Context(), access.Change{Action: access.ActionRevoke, Object: account, Entitlement: "role:plain_team"})} {
			if !errors.Is(err, access.ErrRefused) {
				t.Errorf("%s: %v", what, err)
			}
		}
		live, err := small.Look(t.Context(), account)
		if err != nil || live.Account.ActiveSessions != nil {
			t.Errorf("sessions without PROCESS are unknown: %v, %v", live.Account, err)
		}
		if now := witness(t); now != was {
			t.Errorf("changed: %s", now)
		}
	})
	t.Run("gone", func(t *testing.T) {
		o := access.Object{Kind: access.HolderAccount, ID: "' OR 1 -- @%"}
		_, err := c.Look(t.Context(), o)
		for what, err := range map[string]error{"look": err, "apply": c.Apply(t.Context(), access.Change{Action: access.ActionDisable, Object: o})} {
			if !errors.Is(err, access.ErrGone) {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
	t.Run("native", func(t *testing.T) {
		for _, ch := range []access.Change{{Action: access.ActionDisable, Object: account}, {Action: access.ActionRevoke, Object: account, Entitlement: "role:te`am"}, {Action: access.ActionRevoke, Object: account, Entitlement: "database:o_d:INSERT"}} {
			was := witness(t)
			before, err := c.Look(t.Context(), account)
			if err != nil {
				t.Fatal(err)
			}
			undo := ch
			undo.Undo, undo.Before = true, &before
			for _, step := range []access.Change{ch, undo} {
				for _, line := range c.Native(step) {
					cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(line, " -p ", " ", 1)) // root has no password
					if out, err := cmd.CombinedOutput(); err != nil {
						t.Fatalf("%s\n%v\n%s", line, err, out)
					}
				}
				if now := witness(t); (now == was) != step.Undo {
					t.Errorf("%s, undo %v:\n%s\n%s", ch.Action, step.Undo, was, now)
				}
			}
		}
	})
	t.Run("out of time", func(t *testing.T) {
		conn, err := s.db.Conn(t.Context()) // that holds the lock
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.ExecContext(t.Context(), "FLUSH TABLES WITH READ LOCK"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if err := c.Apply(ctx, access.Change{Action: access.ActionDisable, Object: account}); !errors.Is(err, access.ErrUnsure) || errors.Is(err, access.ErrRefused) {
			t.Errorf("apply: %v", err)
		}
		for _, id := range s.client(t, "SELECT id FROM information_schema.processlist WHERE info LIKE 'ALTER USER%'") {
			if id != "" {
				s.client(t, "KILL HARD "+id)
			}
		}
		if _, err := conn.ExecContext(t.Context(), "UNLOCK TABLES"); err != nil {
			t.Fatal(err)
		}
		live, err := c.Look(t.Context(), account)
		if err != nil {
			t.Fatal(err)
		}
		if done, known := (access.Change{Action: access.ActionDisable, Object: account}).Shows(live); done || !known {
			t.Errorf("shows done %v, known %v", done, known)
		}
	})
	t.Run("connection lost", func(t *testing.T) {
		p := cut(t, s.socket, "ACCOUNT LOCK")
		k := as.build(t, "preset: mariadb\nwrite: {user: root, password: env:WRITE}")
		host, port, err := net.SplitHostPort(p.addr)
		if err != nil {
			t.Fatal(err)
		}
		k.address.host = host
		if _, err := fmt.Sscan(port, &k.address.port); err != nil {
			t.Fatal(err)
		}
		c := k.Changer()
		defer c.Close()
		disable := access.Change{Action: access.ActionDisable, Object: account}
		if _, err := c.Look(t.Context(), account); err != nil {
			t.Fatal(err)
		}
		p.armed.Store(true)
		if err := c.Apply(t.Context(), disable); !errors.Is(err, access.ErrUnsure) || errors.Is(err, access.ErrRefused) {
			t.Errorf("apply: %v", err)
		}
		p.armed.Store(false)
		live, err := c.Look(t.Context(), account)
		if err != nil {
			t.Fatal(err)
		}
		if done, known := disable.Shows(live); !done || !known {
			t.Error("it was done")
		}
	})
}
