-- Roles, and the rights that somebody has: on all databases, on one, on some of its tables, on some of its routines, and to
-- be somebody else. Needs SELECT on mysql.global_priv, mysql.db, mysql.tables_priv, mysql.procs_priv and mysql.proxies_priv.
WITH global_right (bit, name, privileged) AS (VALUES
	(0, 'SELECT', 0), (1, 'INSERT', 1), (2, 'UPDATE', 1), (3, 'DELETE', 1), (4, 'CREATE', 0), (5, 'DROP', 0), (6, 'RELOAD', 0), (7, 'SHUTDOWN', 1),
	(8, 'PROCESS', 0), (9, 'FILE', 1), (10, 'GRANT OPTION', 1), (11, 'REFERENCES', 0), (12, 'INDEX', 0), (13, 'ALTER', 0), (14, 'SHOW DATABASES', 0),
	(15, 'SUPER', 1), (16, 'CREATE TEMPORARY TABLES', 0), (17, 'LOCK TABLES', 0), (18, 'EXECUTE', 0), (19, 'REPLICATION SLAVE', 0), (20, 'BINLOG MONITOR', 0),
	(21, 'CREATE VIEW', 0), (22, 'SHOW VIEW', 0), (23, 'CREATE ROUTINE', 0), (24, 'ALTER ROUTINE', 0), (25, 'CREATE USER', 1), (26, 'EVENT', 0),
	(27, 'TRIGGER', 0), (28, 'CREATE TABLESPACE', 0), (29, 'DELETE HISTORY', 0), (30, 'SET USER', 1), (31, 'FEDERATED ADMIN', 1), (32, 'CONNECTION ADMIN', 1),
	(33, 'READ_ONLY ADMIN', 1), (34, 'REPLICATION SLAVE ADMIN', 1), (35, 'REPLICATION MASTER ADMIN', 1), (36, 'BINLOG ADMIN', 1), (37, 'BINLOG REPLAY', 1), (38, 'SLAVE MONITOR', 0)
), table_right (name) AS (VALUES
	('Select'), ('Insert'), ('Update'), ('Delete'), ('Create'), ('Drop'), ('Grant'), ('References'), ('Index'), ('Alter'), ('Create View'), ('Show view'), ('Trigger'), ('Delete versioning rows')
), routine_right (name) AS (VALUES
	('Execute'), ('Alter Routine'), ('Grant')
)
SELECT e.*, CASE WHEN e.id = 'role:PUBLIC' THEN 'true' END AS attr_implicit -- everybody has PUBLIC
FROM (
SELECT concat('role:', User) AS id, User AS name, 'role' AS kind, NULL AS resource, NULL AS privileged
FROM mysql.global_priv
WHERE json_value(Priv, '$.is_role') IN ('1', 'true')
UNION ALL
SELECT concat('global:', name), concat(name, ' on all databases'), 'permission', '*', privileged
FROM global_right
UNION ALL
SELECT DISTINCT concat('database:', replace(d.Db, '\\', ''), ':', r.name), concat(r.name, ' on database ', replace(d.Db, '\\', '')), 'permission', replace(d.Db, '\\', ''), d.Db = 'mysql'
FROM mysql.db d JOIN global_right r ON 'Y' = CASE r.name
	WHEN 'SELECT' THEN Select_priv WHEN 'INSERT' THEN Insert_priv WHEN 'UPDATE' THEN Update_priv WHEN 'DELETE' THEN Delete_priv WHEN 'CREATE' THEN Create_priv
	WHEN 'DROP' THEN Drop_priv WHEN 'GRANT OPTION' THEN Grant_priv WHEN 'REFERENCES' THEN References_priv WHEN 'INDEX' THEN Index_priv WHEN 'ALTER' THEN Alter_priv
	WHEN 'CREATE TEMPORARY TABLES' THEN Create_tmp_table_priv WHEN 'LOCK TABLES' THEN Lock_tables_priv WHEN 'CREATE VIEW' THEN Create_view_priv
	WHEN 'SHOW VIEW' THEN Show_view_priv WHEN 'CREATE ROUTINE' THEN Create_routine_priv WHEN 'ALTER ROUTINE' THEN Alter_routine_priv WHEN 'EXECUTE' THEN Execute_priv
	WHEN 'EVENT' THEN Event_priv WHEN 'TRIGGER' THEN Trigger_priv WHEN 'DELETE HISTORY' THEN Delete_history_priv END
UNION ALL
SELECT DISTINCT concat('tables:', t.Db, ':', upper(r.name)), concat(upper(r.name), ' on tables in ', t.Db), 'permission', t.Db, t.Db = 'mysql'
FROM mysql.tables_priv t JOIN table_right r
	ON find_in_set(r.name, t.Table_priv) OR find_in_set(r.name, t.Column_priv)
UNION ALL
SELECT DISTINCT concat('routines:', p.Db, ':', upper(r.name)), concat(upper(r.name), ' on routines in ', p.Db), 'permission', p.Db, p.Db = 'mysql'
FROM mysql.procs_priv p JOIN routine_right r ON find_in_set(r.name, p.Proc_priv)
UNION ALL
SELECT DISTINCT concat('proxy:', Proxied_user, '@', coalesce(nullif(Proxied_host, ''), '%')), concat('PROXY as ', Proxied_user, '@', coalesce(nullif(Proxied_host, ''), '%')), 'permission', NULL, 1
FROM mysql.proxies_priv
) AS e
ORDER BY 1
