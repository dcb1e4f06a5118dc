//go:build unix

package sql

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/internal/access"
)

// grantTables are MySQL's (8.4, reference manual, Grant Tables), as far as the preset reads them.
func grantTables() []string {
	rights := "Select Insert Update Delete Create Drop Reload Shutdown Process File Grant References Index Alter Show_db Super Create_tmp_table Lock_tables Execute Repl_slave Repl_client Create_view Show_view Create_routine Alter_routine Create_user Event Trigger Create_tablespace Create_role Drop_role"
	columns := func(names string) string {
		var out []string
		for _, n := range strings.Fields(names) {
			out = append(out, n+"_priv enum('N','Y') NOT NULL DEFAULT 'N'")
		}
		return strings.Join(out, ", ")
	}
	database := "Select Insert Update Delete Create Drop Grant References Index Alter Create_tmp_table Lock_tables Create_view Show_view Create_routine Alter_routine Execute Event Trigger"
	return []string{
		"CREATE DATABASE my8 CHARACTER SET utf8mb3 COLLATE utf8mb3_bin",
		"CREATE TABLE my8.user (Host char(255) NOT NULL DEFAULT '', User char(32) NOT NULL DEFAULT '', " + columns(rights) + ", plugin char(64) NOT NULL DEFAULT 'caching_sha2_password', authentication_string text, " +
			"password_expired enum('N','Y') NOT NULL DEFAULT 'N', password_last_changed timestamp NULL DEFAULT NULL, password_lifetime smallint unsigned DEFAULT NULL, account_locked enum('N','Y') NOT NULL DEFAULT 'N', PRIMARY KEY (Host, User))",
		"CREATE TABLE my8.role_edges (FROM_HOST char(255), FROM_USER char(32), TO_HOST char(255), TO_USER char(32), WITH_ADMIN_OPTION enum('N','Y') NOT NULL DEFAULT 'N')",
		"CREATE TABLE my8.global_grants (USER char(32), HOST char(255), PRIV char(32), WITH_GRANT_OPTION enum('N','Y') NOT NULL DEFAULT 'N')",
		"CREATE TABLE my8.db (Host char(255), Db char(64), User char(32), " + columns(database) + ")",
		"CREATE TABLE my8.tables_priv (Host char(255), Db char(64), User char(32), Table_name char(64), Table_priv set('Select','Insert','Update','Delete','Create','Drop','Grant','References','Index','Alter','Create View','Show view','Trigger') NOT NULL DEFAULT '', Column_priv set('Select','Insert','Update','References') NOT NULL DEFAULT '')",
		"CREATE TABLE my8.procs_priv (Host char(255), Db char(64), User char(32), Routine_name char(64), Proc_priv set('Execute','Alter Routine','Grant') NOT NULL DEFAULT '')",
		"CREATE TABLE my8.proxies_priv (Host char(255), User char(32), Proxied_host char(255), Proxied_user char(32))",
		"GRANT SELECT ON my8.* TO auditor@localhost",
	}
}

// testMySQLPreset reads grant tables of MySQL's shape, kept in MariaDB: there is no MySQL to install here.
func testMySQLPreset(t *testing.T, s *server) {
	s.exec(t, grantTables()...)
	s.exec(t,
		"INSERT INTO my8.user (Host, User, authentication_string, password_last_changed, password_lifetime, Select_priv) VALUES ('%', 'ann', 'x', '2026-01-02 03:04:05', 0, 'N'), ('localhost', 'root', 'x', NULL, NULL, 'Y'), ('%', 'bare', '', NULL, 90, 'N')",
		"INSERT INTO my8.user (Host, User, authentication_string, account_locked) VALUES ('localhost', 'mysql.sys', '$A$005$x', 'Y')",
		"INSERT INTO my8.user (Host, User, authentication_string, account_locked, password_expired, Process_priv) VALUES ('%', 'reader', '', 'Y', 'Y', 'Y'), ('%', 'everyone', '', 'Y', 'Y', 'N')",
		"UPDATE my8.user SET Super_priv = 'Y' WHERE User = 'root'",
		"INSERT INTO my8.role_edges (FROM_HOST, FROM_USER, TO_HOST, TO_USER) VALUES ('%', 'reader', '%', 'ann'), ('%', 'ann', '%', 'bare')",
		"INSERT INTO my8.global_grants (USER, HOST, PRIV) VALUES ('bare', '%', 'BACKUP_ADMIN'), ('ann', '%', 'XA_RECOVER_ADMIN')",
		"INSERT INTO my8.db (Host, Db, User, Select_priv, Insert_priv) VALUES ('%', 'shop\\\\_eu', 'reader', 'Y', 'Y')",
		"INSERT INTO my8.tables_priv (Host, Db, User, Table_name, Table_priv, Column_priv) VALUES ('%', 'hr', 'ann', 'p', 'Create View', 'Update')",
		"INSERT INTO my8.procs_priv (Host, Db, User, Routine_name, Proc_priv) VALUES ('%', 'hr', 'ann', 'f', 'Execute')",
		"INSERT INTO my8.proxies_priv (Host, User, Proxied_host, Proxied_user) VALUES ('localhost', 'root', '', '')")
	k := s.build(t, "preset: mysql")
	if _, err := k.Collect(t.Context(), &keeper{}); err == nil || !strings.Contains(err.Error(), "the server is MariaDB, not MySQL: write preset: mariadb") {
		t.Errorf("MariaDB by the preset of MySQL: %v", err)
	}
	here := strings.NewReplacer("mysql.", "my8.", "@@mandatory_roles", "'everyone@`%`'", "@@default_password_lifetime", "0")
	q := &k.config.Queries
	q.Accounts, q.Entitlements, q.Grants = here.Replace(q.Accounts), here.Replace(q.Entitlements), here.Replace(q.Grants)
	k.config.Preset = ""
	var out keeper
	if _, err := k.Collect(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	if len(out.rejections) > 0 {
		t.Errorf("rejected: %v", out.reasons())
	}
	show := func(b *bool) string {
		if b == nil {
			return "?"
		}
		return fmt.Sprint(*b)
	}
	var accounts, grants []string
	for _, a := range only[access.Account](&out) {
		changed := ""
		if a.PasswordChangedAt != nil {
			changed = a.PasswordChangedAt.Format("2006-01-02T15:04:05Z07:00")
		}
		accounts = append(accounts, fmt.Sprintf("%s enabled=%s privileged=%s open=%s never=%s %s", a.ID, show(a.Enabled), show(a.Privileged), show(a.PasswordNotRequired), show(a.PasswordNeverExpires), changed))
	}
	same(t, accounts, []string{
		"ann@% enabled=true privileged=false open=false never=true 2026-01-02T03:04:05Z",
		"bare@% enabled=true privileged=true open=true never=false ",
		"mysql.sys@localhost enabled=false privileged=false open=false never=true ",
		"root@localhost enabled=true privileged=true open=false never=true ",
	})
	named := map[string]bool{}
	for _, e := range only[access.Entitlement](&out) {
		named[e.ID] = true
	}
	for _, g := range only[access.Grant](&out) {
		if !named[g.EntitlementID] || g.HolderKind == access.HolderEntitlement && !named[g.HolderID] {
			t.Errorf("a grant names what isn't there: %+v", g)
		}
		grants = append(grants, g.HolderID+" has "+g.EntitlementID)
	}
	slices.Sort(grants)
	same(t, grants, []string{
		"ann@% has global:XA_RECOVER_ADMIN", "ann@% has role:everyone@%", "ann@% has role:reader@%", "ann@% has routines:hr:EXECUTE", "ann@% has tables:hr:CREATE VIEW", "ann@% has tables:hr:UPDATE",
		"bare@% has global:BACKUP_ADMIN", "bare@% has role:ann@%", "bare@% has role:everyone@%",
		"mysql.sys@localhost has role:everyone@%",
		"role:ann@% has global:XA_RECOVER_ADMIN", "role:ann@% has role:everyone@%", "role:ann@% has role:reader@%", "role:ann@% has routines:hr:EXECUTE", "role:ann@% has tables:hr:CREATE VIEW", "role:ann@% has tables:hr:UPDATE",
		"role:reader@% has database:shop_eu:INSERT", "role:reader@% has database:shop_eu:SELECT", "role:reader@% has global:PROCESS",
		"root@localhost has global:SELECT", "root@localhost has global:SUPER", "root@localhost has proxy:@%", "root@localhost has role:everyone@%",
	})
}
