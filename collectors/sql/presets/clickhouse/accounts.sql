-- Users of ClickHouse. It has no lock: one is disabled who may come from no host or authenticate in no way. Validity is of each way to
-- authenticate; the last that ends counts. Needs SHOW USERS and SHOW ROLES. Who has a role may have special rights through it; that
-- shows in the role, and is unknown here.
WITH special AS (
	SELECT DISTINCT user_name
	FROM system.grants
	WHERE user_name IS NOT NULL AND database IS NULL AND NOT is_partial_revoke
		AND toString(access_type) IN ('ALL', 'ACCESS MANAGEMENT', 'CREATE USER', 'ALTER USER', 'CREATE ROLE', 'ALTER ROLE', 'ROLE ADMIN', 'IMPERSONATE', 'SET DEFINER',
			'ALLOW SQL SECURITY NONE', 'SYSTEM', 'SYSTEM SHUTDOWN', 'NAMED COLLECTION', 'NAMED COLLECTION ADMIN', 'SOURCES', 'FILE', 'displaySecretsInShowAndSelect')
)
SELECT
	toString(u.id) AS id,
	u.name AS username,
	if(arrayAll(a -> toString(a) = 'no_authentication', u.auth_type) OR empty(arrayConcat(u.host_ip, u.host_names, u.host_names_regexp, u.host_names_like)), 'false', 'true') AS enabled,
	multiIf(u.name IN (SELECT user_name FROM special), 'true', u.name IN (SELECT user_name FROM system.role_grants WHERE user_name IS NOT NULL), NULL, 'false') AS privileged,
	if(arrayExists(a -> toString(a) = 'no_password', u.auth_type), 'true', 'false') AS password_not_required,
	if(empty(u.valid_until) OR has(arrayMap(t -> toUnixTimestamp(t), u.valid_until), 0), NULL, formatDateTime(arrayMax(u.valid_until), '%Y-%m-%dT%H:%i:%SZ', 'UTC')) AS expires_at,
	u.storage AS attr_storage,
	arrayStringConcat(arrayMap(a -> toString(a), u.auth_type), ', ') AS attr_auth
FROM system.users AS u
ORDER BY u.name
