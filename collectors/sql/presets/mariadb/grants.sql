-- Who has which role and which right. Needs SELECT on mysql.global_priv, mysql.roles_mapping, mysql.db, mysql.tables_priv,
-- mysql.procs_priv and mysql.proxies_priv.
WITH global_right (bit, name) AS (VALUES
	(0, 'SELECT'), (1, 'INSERT'), (2, 'UPDATE'), (3, 'DELETE'), (4, 'CREATE'), (5, 'DROP'), (6, 'RELOAD'), (7, 'SHUTDOWN'),
	(8, 'PROCESS'), (9, 'FILE'), (10, 'GRANT OPTION'), (11, 'REFERENCES'), (12, 'INDEX'), (13, 'ALTER'), (14, 'SHOW DATABASES'),
	(15, 'SUPER'), (16, 'CREATE TEMPORARY TABLES'), (17, 'LOCK TABLES'), (18, 'EXECUTE'), (19, 'REPLICATION SLAVE'), (20, 'BINLOG MONITOR'),
	(21, 'CREATE VIEW'), (22, 'SHOW VIEW'), (23, 'CREATE ROUTINE'), (24, 'ALTER ROUTINE'), (25, 'CREATE USER'), (26, 'EVENT'),
	(27, 'TRIGGER'), (28, 'CREATE TABLESPACE'), (29, 'DELETE HISTORY'), (30, 'SET USER'), (31, 'FEDERATED ADMIN'), (32, 'CONNECTION ADMIN'),
	(33, 'READ_ONLY ADMIN'), (34, 'REPLICATION SLAVE ADMIN'), (35, 'REPLICATION MASTER ADMIN'), (36, 'BINLOG ADMIN'), (37, 'BINLOG REPLAY'), (38, 'SLAVE MONITOR')
), table_right (name) AS (VALUES
	('Select'), ('Insert'), ('Update'), ('Delete'), ('Create'), ('Drop'), ('Grant'), ('References'), ('Index'), ('Alter'), ('Create View'), ('Show view'), ('Trigger'), ('Delete versioning rows')
), routine_right (name) AS (VALUES
	('Execute'), ('Alter Routine'), ('Grant')
), holder AS (
	SELECT User, Host, json_value(Priv, '$.is_role') IN ('1', 'true') AS is_role, CAST(coalesce(json_value(Priv, '$.access'), 0) AS unsigned) AS access
	FROM mysql.global_priv
), held AS (
	SELECT User, Host, concat('role:', Role) AS entitlement_id FROM mysql.roles_mapping
	UNION
	SELECT h.User, h.Host, concat('role:', p.User)
	FROM holder h JOIN holder p ON p.is_role AND p.User = 'PUBLIC'
	WHERE NOT coalesce(h.is_role, 0)
	UNION
	SELECT h.User, h.Host, concat('global:', r.name)
	FROM holder h JOIN global_right r ON h.access & (1 << r.bit) <> 0
	UNION
	SELECT d.User, d.Host, concat('database:', replace(d.Db, '\\', ''), ':', r.name)
	FROM mysql.db d JOIN global_right r ON 'Y' = CASE r.name
	WHEN 'SELECT' THEN Select_priv WHEN 'INSERT' THEN Insert_priv WHEN 'UPDATE' THEN Update_priv WHEN 'DELETE' THEN Delete_priv WHEN 'CREATE' THEN Create_priv
	WHEN 'DROP' THEN Drop_priv WHEN 'GRANT OPTION' THEN Grant_priv WHEN 'REFERENCES' THEN References_priv WHEN 'INDEX' THEN Index_priv WHEN 'ALTER' THEN Alter_priv
	WHEN 'CREATE TEMPORARY TABLES' THEN Create_tmp_table_priv WHEN 'LOCK TABLES' THEN Lock_tables_priv WHEN 'CREATE VIEW' THEN Create_view_priv
	WHEN 'SHOW VIEW' THEN Show_view_priv WHEN 'CREATE ROUTINE' THEN Create_routine_priv WHEN 'ALTER ROUTINE' THEN Alter_routine_priv WHEN 'EXECUTE' THEN Execute_priv
	WHEN 'EVENT' THEN Event_priv WHEN 'TRIGGER' THEN Trigger_priv WHEN 'DELETE HISTORY' THEN Delete_history_priv END
	UNION
	SELECT t.User, t.Host, concat('tables:', t.Db, ':', upper(r.name))
	FROM mysql.tables_priv t JOIN table_right r ON find_in_set(r.name, t.Table_priv) OR find_in_set(r.name, t.Column_priv)
	UNION
	SELECT p.User, p.Host, concat('routines:', p.Db, ':', upper(r.name))
	FROM mysql.procs_priv p JOIN routine_right r ON find_in_set(r.name, p.Proc_priv)
	UNION
	SELECT User, Host, concat('proxy:', Proxied_user, '@', coalesce(nullif(Proxied_host, ''), '%')) FROM mysql.proxies_priv
)
SELECT DISTINCT
	CASE WHEN NOT coalesce(h.is_role, 0) THEN concat(h.User, '@', h.Host) END AS account_id,
	CASE WHEN h.is_role THEN concat('role:', h.User) END AS holder_entitlement_id,
	held.entitlement_id
FROM held JOIN holder h ON h.User = held.User AND h.Host = held.Host
ORDER BY 3, 1, 2
