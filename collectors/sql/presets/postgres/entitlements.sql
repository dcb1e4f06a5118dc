-- Roles that others are members of or that can't log in, special rights of roles, and rights on this database and its
-- schemas. Rights on tables are one entitlement a schema.
SELECT e.*, CASE WHEN e.id = 'role:0' THEN 'true' END AS attr_implicit -- everybody is in PUBLIC
FROM (
SELECT 'role:' || r.oid AS id, r.rolname AS name, 'role' AS kind, NULL AS resource,
	r.rolsuper OR r.rolcreaterole OR r.rolbypassrls OR r.rolreplication
		OR r.rolname IN ('pg_execute_server_program', 'pg_write_server_files', 'pg_read_server_files', 'pg_write_all_data') AS privileged
FROM pg_roles r
WHERE NOT r.rolcanlogin OR EXISTS (SELECT FROM pg_auth_members m WHERE m.roleid = r.oid)
UNION ALL
SELECT 'role:0', 'PUBLIC', 'role', NULL, false
UNION ALL
SELECT 'attribute:' || a.name, a.name, 'attribute', NULL, a.name <> 'CREATEDB'
FROM (VALUES ('SUPERUSER'), ('CREATEROLE'), ('CREATEDB'), ('REPLICATION'), ('BYPASSRLS')) AS a (name)
UNION ALL
SELECT DISTINCT 'database:' || d.datname || ':' || a.privilege_type, a.privilege_type || ' on database ' || d.datname, 'permission', d.datname, false
FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
WHERE d.datname = current_database()
UNION ALL
SELECT DISTINCT 'schema:' || n.nspname || ':' || a.privilege_type, a.privilege_type || ' on schema ' || n.nspname, 'permission', n.nspname, false
FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
WHERE n.nspname <> 'information_schema' AND NOT starts_with(n.nspname, 'pg_')
UNION ALL
SELECT DISTINCT 'tables:' || n.nspname || ':' || a.privilege_type, a.privilege_type || ' on tables in ' || n.nspname, 'permission', n.nspname, false
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'information_schema' AND NOT starts_with(n.nspname, 'pg_')
) AS e
ORDER BY 1
