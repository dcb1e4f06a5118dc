-- Who has which role and which right. Needs SHOW USERS and SHOW ROLES.
WITH held AS (
	SELECT g.user_name AS user_name, g.role_name AS role_name, concat('role:', toString(r.id)) AS entitlement_id
	FROM system.role_grants AS g JOIN system.roles AS r ON r.name = g.granted_role_name
	UNION ALL
	SELECT
		user_name, role_name,
		multiIf(database IS NULL, concat('global:', toString(access_type)),
			table IS NULL, concat('database:', assumeNotNull(database), if(is_wildcard, '*', ''), ':', toString(access_type)),
			concat('tables:', assumeNotNull(database), ':', toString(access_type)))
	FROM system.grants
	WHERE NOT is_partial_revoke
), holder AS (
	SELECT name, toString(id) AS account_id, '' AS holder_entitlement_id, 1 AS is_user FROM system.users
	UNION ALL
	SELECT name, '', concat('role:', toString(id)), 0 FROM system.roles
)
SELECT DISTINCT h.account_id AS account_id, h.holder_entitlement_id AS holder_entitlement_id, held.entitlement_id AS entitlement_id
FROM held JOIN holder AS h ON h.name = coalesce(held.user_name, held.role_name) AND h.is_user = toUInt8(held.user_name IS NOT NULL)
ORDER BY entitlement_id, account_id, holder_entitlement_id
