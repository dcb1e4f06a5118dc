-- Roles, and the rights that somebody has: on all databases, on one, on some of its tables, on some of its routines, and to
-- be somebody else. Needs SELECT on mysql.user, mysql.role_edges, mysql.global_grants, mysql.db, mysql.tables_priv, mysql.procs_priv and mysql.proxies_priv.
-- Written after the reference manual of MySQL 8.4, chapter Grant Tables. Checked against tables of that shape, and not yet against a server of MySQL's.
WITH global_right AS (
	SELECT 'SELECT' AS name, 0 AS privileged UNION ALL SELECT 'INSERT', 1 UNION ALL SELECT 'UPDATE', 1 UNION ALL SELECT 'DELETE', 1
	UNION ALL SELECT 'CREATE', 0 UNION ALL SELECT 'DROP', 0 UNION ALL SELECT 'RELOAD', 0 UNION ALL SELECT 'SHUTDOWN', 1 UNION ALL SELECT 'PROCESS', 0
	UNION ALL SELECT 'FILE', 1 UNION ALL SELECT 'GRANT OPTION', 1 UNION ALL SELECT 'REFERENCES', 0 UNION ALL SELECT 'INDEX', 0
	UNION ALL SELECT 'ALTER', 0 UNION ALL SELECT 'SHOW DATABASES', 0 UNION ALL SELECT 'SUPER', 1 UNION ALL SELECT 'CREATE TEMPORARY TABLES', 0
	UNION ALL SELECT 'LOCK TABLES', 0 UNION ALL SELECT 'EXECUTE', 0 UNION ALL SELECT 'REPLICATION SLAVE', 0 UNION ALL SELECT 'REPLICATION CLIENT', 0
	UNION ALL SELECT 'CREATE VIEW', 0 UNION ALL SELECT 'SHOW VIEW', 0 UNION ALL SELECT 'CREATE ROUTINE', 0 UNION ALL SELECT 'ALTER ROUTINE', 0
	UNION ALL SELECT 'CREATE USER', 1 UNION ALL SELECT 'EVENT', 0 UNION ALL SELECT 'TRIGGER', 0 UNION ALL SELECT 'CREATE TABLESPACE', 0
	UNION ALL SELECT 'CREATE ROLE', 1 UNION ALL SELECT 'DROP ROLE', 1
), database_right AS (
	SELECT 'SELECT' AS name UNION ALL SELECT 'INSERT' UNION ALL SELECT 'UPDATE' UNION ALL SELECT 'DELETE' UNION ALL SELECT 'CREATE'
	UNION ALL SELECT 'DROP' UNION ALL SELECT 'GRANT OPTION' UNION ALL SELECT 'REFERENCES' UNION ALL SELECT 'INDEX' UNION ALL SELECT 'ALTER'
	UNION ALL SELECT 'CREATE TEMPORARY TABLES' UNION ALL SELECT 'LOCK TABLES' UNION ALL SELECT 'EXECUTE' UNION ALL SELECT 'CREATE VIEW'
	UNION ALL SELECT 'SHOW VIEW' UNION ALL SELECT 'CREATE ROUTINE' UNION ALL SELECT 'ALTER ROUTINE' UNION ALL SELECT 'EVENT' UNION ALL SELECT 'TRIGGER'
), table_right AS (
	SELECT 'Select' AS name UNION ALL SELECT 'Insert' UNION ALL SELECT 'Update' UNION ALL SELECT 'Delete' UNION ALL SELECT 'Create'
	UNION ALL SELECT 'Drop' UNION ALL SELECT 'Grant' UNION ALL SELECT 'References' UNION ALL SELECT 'Index' UNION ALL SELECT 'Alter'
	UNION ALL SELECT 'Create View' UNION ALL SELECT 'Show view' UNION ALL SELECT 'Trigger'
), routine_right AS (
	SELECT 'Execute' AS name UNION ALL SELECT 'Alter Routine' UNION ALL SELECT 'Grant'
)
SELECT concat('role:', u.User, '@', u.Host) AS id, u.User AS name, 'role' AS kind, NULL AS resource, NULL AS privileged
FROM mysql.user u
WHERE u.account_locked = 'Y' AND u.password_expired = 'Y' AND coalesce(u.authentication_string, '') = ''
	OR EXISTS (SELECT 1 FROM mysql.role_edges e WHERE e.FROM_USER = u.User AND e.FROM_HOST = u.Host)
UNION ALL
SELECT concat('global:', name), concat(name, ' on all databases'), 'permission', '*', privileged
FROM global_right
UNION ALL
SELECT DISTINCT concat('global:', g.PRIV), concat(g.PRIV, ' on all databases'), 'permission', '*', g.PRIV IN ('SYSTEM_USER', 'SYSTEM_VARIABLES_ADMIN', 'SET_USER_ID', 'SET_ANY_DEFINER', 'ALLOW_NONEXISTENT_DEFINER', 'ROLE_ADMIN', 'CONNECTION_ADMIN', 'SERVICE_CONNECTION_ADMIN', 'PERSIST_RO_VARIABLES_ADMIN', 'BINLOG_ADMIN',
		'REPLICATION_SLAVE_ADMIN', 'REPLICATION_APPLIER', 'GROUP_REPLICATION_ADMIN', 'CLONE_ADMIN', 'BACKUP_ADMIN', 'AUDIT_ADMIN', 'AUDIT_ABORT_EXEMPT', 'FIREWALL_ADMIN', 'FIREWALL_EXEMPT', 'ENCRYPTION_KEY_ADMIN', 'PASSWORDLESS_USER_ADMIN', 'AUTHENTICATION_POLICY_ADMIN', 'SENSITIVE_VARIABLES_OBSERVER')
FROM mysql.global_grants g
UNION ALL
SELECT DISTINCT concat('database:', replace(d.Db, '\\', ''), ':', r.name), concat(r.name, ' on database ', replace(d.Db, '\\', '')), 'permission', replace(d.Db, '\\', ''), d.Db = 'mysql'
FROM mysql.db d JOIN database_right r ON 'Y' = CASE r.name
	WHEN 'SELECT' THEN d.Select_priv WHEN 'INSERT' THEN d.Insert_priv WHEN 'UPDATE' THEN d.Update_priv WHEN 'DELETE' THEN d.Delete_priv
	WHEN 'CREATE' THEN d.Create_priv WHEN 'DROP' THEN d.Drop_priv WHEN 'GRANT OPTION' THEN d.Grant_priv WHEN 'REFERENCES' THEN d.References_priv
	WHEN 'INDEX' THEN d.Index_priv WHEN 'ALTER' THEN d.Alter_priv WHEN 'CREATE TEMPORARY TABLES' THEN d.Create_tmp_table_priv
	WHEN 'LOCK TABLES' THEN d.Lock_tables_priv WHEN 'EXECUTE' THEN d.Execute_priv WHEN 'CREATE VIEW' THEN d.Create_view_priv
	WHEN 'SHOW VIEW' THEN d.Show_view_priv WHEN 'CREATE ROUTINE' THEN d.Create_routine_priv WHEN 'ALTER ROUTINE' THEN d.Alter_routine_priv
	WHEN 'EVENT' THEN d.Event_priv WHEN 'TRIGGER' THEN d.Trigger_priv END
UNION ALL
SELECT DISTINCT concat('tables:', t.Db, ':', upper(r.name)), concat(upper(r.name), ' on tables in ', t.Db), 'permission', t.Db, t.Db = 'mysql'
FROM mysql.tables_priv t JOIN table_right r ON find_in_set(r.name, t.Table_priv) OR find_in_set(r.name, t.Column_priv)
UNION ALL
SELECT DISTINCT concat('routines:', p.Db, ':', upper(r.name)), concat(upper(r.name), ' on routines in ', p.Db), 'permission', p.Db, p.Db = 'mysql'
FROM mysql.procs_priv p JOIN routine_right r ON find_in_set(r.name, p.Proc_priv)
UNION ALL
SELECT DISTINCT concat('proxy:', Proxied_user, '@', coalesce(nullif(Proxied_host, ''), '%')), concat('PROXY as ', Proxied_user, '@', coalesce(nullif(Proxied_host, ''), '%')), 'permission', NULL, 1
FROM mysql.proxies_priv
ORDER BY 1
