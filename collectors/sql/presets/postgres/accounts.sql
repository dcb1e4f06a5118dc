-- Roles that can log in, and those that can't and have no members: an account that was disabled. PostgreSQL knows no time of
-- creation or last login, and shows passwords to superusers only.
SELECT
	r.oid::text AS id,
	r.rolname AS username,
	r.rolcanlogin AS enabled,
	r.rolsuper OR r.rolcreaterole OR r.rolbypassrls OR r.rolreplication
		OR EXISTS (SELECT FROM pg_roles s WHERE (s.rolsuper OR s.rolname IN ('pg_execute_server_program', 'pg_write_server_files', 'pg_read_server_files', 'pg_write_all_data'))
			AND pg_has_role(r.oid, s.oid, 'MEMBER')) AS privileged,
	CASE WHEN isfinite(r.rolvaliduntil) THEN r.rolvaliduntil WHEN r.rolvaliduntil < now() THEN timestamptz '1970-01-01 00:00:00+00' END AS expires_at,
	nullif(r.rolconnlimit, -1)::text AS attr_connection_limit,
	shobj_description(r.oid, 'pg_authid') AS purpose
FROM pg_roles r
WHERE r.rolcanlogin OR (NOT starts_with(r.rolname, 'pg_') AND NOT EXISTS (SELECT FROM pg_auth_members m WHERE m.roleid = r.oid))
ORDER BY r.oid
