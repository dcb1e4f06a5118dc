-- Who is a member of which role, has which special right, and what is granted to whom on this database and its schemas,
-- owners included. A role that can log in and has members holds its rights as an account, and hands them on as a role.
WITH holder AS (
	SELECT r.oid AS role, r.oid::text AS account_id, NULL AS holder_entitlement_id
	FROM pg_roles r
	WHERE r.rolcanlogin OR (NOT starts_with(r.rolname, 'pg_') AND NOT EXISTS (SELECT FROM pg_auth_members m WHERE m.roleid = r.oid))
	UNION ALL
	SELECT r.oid, NULL, 'role:' || r.oid
	FROM pg_roles r
	WHERE NOT r.rolcanlogin AND (starts_with(r.rolname, 'pg_') OR EXISTS (SELECT FROM pg_auth_members m WHERE m.roleid = r.oid))
		OR r.rolcanlogin AND EXISTS (SELECT FROM pg_auth_members m WHERE m.roleid = r.oid)
	UNION ALL
	SELECT 0, NULL, 'role:0'
), held AS (
	SELECT m.member AS role, 'role:' || m.roleid AS entitlement_id FROM pg_auth_members m
	UNION
	SELECT r.oid, 'role:0' FROM pg_roles r WHERE r.rolcanlogin
	UNION
	SELECT r.oid, 'attribute:' || a.name
	FROM pg_roles r, LATERAL (VALUES ('SUPERUSER', r.rolsuper), ('CREATEROLE', r.rolcreaterole), ('CREATEDB', r.rolcreatedb),
		('REPLICATION', r.rolreplication), ('BYPASSRLS', r.rolbypassrls)) AS a (name, has)
	WHERE a.has
	UNION
	SELECT a.grantee, 'database:' || d.datname || ':' || a.privilege_type
	FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
	WHERE d.datname = current_database()
	UNION
	SELECT a.grantee, 'schema:' || n.nspname || ':' || a.privilege_type
	FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
	WHERE n.nspname <> 'information_schema' AND NOT starts_with(n.nspname, 'pg_')
	UNION
	SELECT a.grantee, 'tables:' || n.nspname || ':' || a.privilege_type
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
	WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'information_schema' AND NOT starts_with(n.nspname, 'pg_')
)
SELECT DISTINCT holder.account_id, holder.holder_entitlement_id, held.entitlement_id
FROM held JOIN holder ON holder.role = held.role
ORDER BY 3, 1, 2
