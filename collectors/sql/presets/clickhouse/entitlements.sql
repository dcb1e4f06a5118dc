-- Roles, and the rights that somebody has: on all databases, on one or on those that begin alike (with a *), and on some of its tables. What a
-- partial revoke takes out of a right is not told. Needs SHOW USERS and SHOW ROLES.
WITH
	access_right AS (
		SELECT
			user_name, role_name, toString(access_type) AS name,
			multiIf(database IS NULL, 'global', table IS NULL, 'database', 'tables') AS reach,
			concat(assumeNotNull(database), if(is_wildcard AND table IS NULL, '*', '')) AS place,
			database IS NULL AND name IN ('ALL', 'ACCESS MANAGEMENT', 'CREATE USER', 'ALTER USER', 'CREATE ROLE', 'ALTER ROLE', 'ROLE ADMIN', 'IMPERSONATE', 'SET DEFINER',
				'ALLOW SQL SECURITY NONE', 'SYSTEM', 'SYSTEM SHUTDOWN', 'NAMED COLLECTION', 'NAMED COLLECTION ADMIN', 'SOURCES', 'FILE', 'displaySecretsInShowAndSelect') AS special
		FROM system.grants
		WHERE NOT is_partial_revoke
	)
SELECT id, name, kind, resource, privileged
FROM (
	SELECT
		concat('role:', toString(r.id)) AS id, r.name AS name, 'role' AS kind, CAST(NULL AS Nullable(String)) AS resource,
		if(r.name IN (SELECT assumeNotNull(role_name) FROM access_right WHERE special AND role_name IS NOT NULL), 'true', 'false') AS privileged
	FROM system.roles AS r
	UNION ALL
	SELECT DISTINCT
		multiIf(reach = 'global', concat('global:', name), concat(reach, ':', place, ':', name)),
		multiIf(reach = 'global', concat(name, ' on all databases'), reach = 'database', concat(name, ' on database ', place), concat(name, ' on tables in ', place)),
		'permission', if(reach = 'global', '*', place), if(special, 'true', 'false')
	FROM access_right
)
ORDER BY id
