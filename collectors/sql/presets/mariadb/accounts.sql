-- Accounts of MariaDB, known as user@host: they have no id that outlives a renaming. Needs SELECT on mysql.global_priv. MariaDB
-- knows no last login. Bits of access: privilege.h of its source.
SELECT
	concat(User, '@', Host) AS id,
	User AS username,
	coalesce(json_value(Priv, '$.account_locked'), '') NOT IN ('1', 'true') AS enabled,
	CAST(coalesce(json_value(Priv, '$.access'), 0) AS unsigned)
		& ((1 << 1) | (1 << 2) | (1 << 3) | (1 << 7) | (1 << 9) | (1 << 10) | (1 << 15) | (1 << 25) | (1 << 30) | (1 << 31) | (1 << 32) | (1 << 33) | (1 << 34) | (1 << 35) | (1 << 36) | (1 << 37)) <> 0 AS privileged,
	json_query(Priv, '$.auth_or') IS NULL
		AND coalesce(json_value(Priv, '$.plugin'), '') IN ('', 'mysql_native_password', 'mysql_old_password')
		AND coalesce(json_value(Priv, '$.authentication_string'), '') = '' AS password_not_required,
	coalesce(json_value(Priv, '$.password_lifetime'), if(@@default_password_lifetime = 0, 0, 1)) = 0 AS password_never_expires,
	CASE WHEN json_value(Priv, '$.password_last_changed') > 0 THEN date_format(from_unixtime(json_value(Priv, '$.password_last_changed')), '%Y-%m-%dT%H:%i:%sZ') END AS password_changed_at,
	Host AS attr_host,
	coalesce(json_value(Priv, '$.plugin'), 'mysql_native_password') AS attr_plugin
FROM mysql.global_priv
WHERE coalesce(json_value(Priv, '$.is_role'), '') NOT IN ('1', 'true')
ORDER BY 1
