-- Who has which role and which right; the roles that everybody has (mandatory_roles) included. An account that is granted to others holds its rights as an
-- account, and hands them on as a role. A right that was taken back for some databases (partial_revokes) shows whole. Needs what the entitlements need.
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
), holder AS (
	SELECT u.*, u.account_locked = 'Y' AND u.password_expired = 'Y' AND coalesce(u.authentication_string, '') = '' AS is_role,
		EXISTS (SELECT 1 FROM mysql.role_edges e WHERE e.FROM_USER = u.User AND e.FROM_HOST = u.Host) AS is_granted
	FROM mysql.user u
), held AS (
	SELECT e.TO_USER AS User, e.TO_HOST AS Host, concat('role:', e.FROM_USER, '@', e.FROM_HOST) AS entitlement_id FROM mysql.role_edges e
	UNION
	SELECT h.User, h.Host, concat('role:', r.User, '@', r.Host)
	FROM holder h JOIN holder r ON r.is_role AND (find_in_set(concat(r.User, '@', r.Host), replace(replace(replace(@@mandatory_roles, '`', ''), '''', ''), ' ', ''))
		OR r.Host = '%' AND find_in_set(r.User, replace(replace(replace(@@mandatory_roles, '`', ''), '''', ''), ' ', '')))
	WHERE NOT h.is_role
	UNION
	SELECT h.User, h.Host, concat('global:', r.name)
	FROM holder h JOIN global_right r ON 'Y' = CASE r.name
	WHEN 'SELECT' THEN h.Select_priv WHEN 'INSERT' THEN h.Insert_priv WHEN 'UPDATE' THEN h.Update_priv WHEN 'DELETE' THEN h.Delete_priv
	WHEN 'CREATE' THEN h.Create_priv WHEN 'DROP' THEN h.Drop_priv WHEN 'RELOAD' THEN h.Reload_priv WHEN 'SHUTDOWN' THEN h.Shutdown_priv
	WHEN 'PROCESS' THEN h.Process_priv WHEN 'FILE' THEN h.File_priv WHEN 'GRANT OPTION' THEN h.Grant_priv WHEN 'REFERENCES' THEN h.References_priv
	WHEN 'INDEX' THEN h.Index_priv WHEN 'ALTER' THEN h.Alter_priv WHEN 'SHOW DATABASES' THEN h.Show_db_priv WHEN 'SUPER' THEN h.Super_priv
	WHEN 'CREATE TEMPORARY TABLES' THEN h.Create_tmp_table_priv WHEN 'LOCK TABLES' THEN h.Lock_tables_priv WHEN 'EXECUTE' THEN h.Execute_priv
	WHEN 'REPLICATION SLAVE' THEN h.Repl_slave_priv WHEN 'REPLICATION CLIENT' THEN h.Repl_client_priv WHEN 'CREATE VIEW' THEN h.Create_view_priv
	WHEN 'SHOW VIEW' THEN h.Show_view_priv WHEN 'CREATE ROUTINE' THEN h.Create_routine_priv WHEN 'ALTER ROUTINE' THEN h.Alter_routine_priv
	WHEN 'CREATE USER' THEN h.Create_user_priv WHEN 'EVENT' THEN h.Event_priv WHEN 'TRIGGER' THEN h.Trigger_priv
	WHEN 'CREATE TABLESPACE' THEN h.Create_tablespace_priv WHEN 'CREATE ROLE' THEN h.Create_role_priv WHEN 'DROP ROLE' THEN h.Drop_role_priv END
	UNION
	SELECT g.USER, g.HOST, concat('global:', g.PRIV) FROM mysql.global_grants g
	UNION
	SELECT d.User, d.Host, concat('database:', replace(d.Db, '\\', ''), ':', r.name)
	FROM mysql.db d JOIN database_right r ON 'Y' = CASE r.name
	WHEN 'SELECT' THEN d.Select_priv WHEN 'INSERT' THEN d.Insert_priv WHEN 'UPDATE' THEN d.Update_priv WHEN 'DELETE' THEN d.Delete_priv
	WHEN 'CREATE' THEN d.Create_priv WHEN 'DROP' THEN d.Drop_priv WHEN 'GRANT OPTION' THEN d.Grant_priv WHEN 'REFERENCES' THEN d.References_priv
	WHEN 'INDEX' THEN d.Index_priv WHEN 'ALTER' THEN d.Alter_priv WHEN 'CREATE TEMPORARY TABLES' THEN d.Create_tmp_table_priv
	WHEN 'LOCK TABLES' THEN d.Lock_tables_priv WHEN 'EXECUTE' THEN d.Execute_priv WHEN 'CREATE VIEW' THEN d.Create_view_priv
	WHEN 'SHOW VIEW' THEN d.Show_view_priv WHEN 'CREATE ROUTINE' THEN d.Create_routine_priv WHEN 'ALTER ROUTINE' THEN d.Alter_routine_priv
	WHEN 'EVENT' THEN d.Event_priv WHEN 'TRIGGER' THEN d.Trigger_priv END
	UNION
	SELECT t.User, t.Host, concat('tables:', t.Db, ':', upper(r.name))
	FROM mysql.tables_priv t JOIN table_right r ON find_in_set(r.name, t.Table_priv) OR find_in_set(r.name, t.Column_priv)
	UNION
	SELECT p.User, p.Host, concat('routines:', p.Db, ':', upper(r.name))
	FROM mysql.procs_priv p JOIN routine_right r ON find_in_set(r.name, p.Proc_priv)
	UNION
	SELECT p.User, p.Host, concat('proxy:', p.Proxied_user, '@', coalesce(nullif(p.Proxied_host, ''), '%')) FROM mysql.proxies_priv p
)
SELECT DISTINCT concat(h.User, '@', h.Host) AS account_id, NULL AS holder_entitlement_id, held.entitlement_id
FROM held JOIN holder h ON h.User = held.User AND h.Host = held.Host
WHERE NOT h.is_role
UNION ALL
SELECT DISTINCT NULL, concat('role:', h.User, '@', h.Host), held.entitlement_id
FROM held JOIN holder h ON h.User = held.User AND h.Host = held.Host
WHERE h.is_role OR h.is_granted
ORDER BY 3, 1, 2
