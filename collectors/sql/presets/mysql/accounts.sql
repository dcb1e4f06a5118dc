-- Accounts of MySQL from 8.0 on, known as user@host: they have no id that outlives a renaming. Needs SELECT on mysql.user,
-- mysql.role_edges and mysql.global_grants. MySQL knows no last login. A role is an account that CREATE ROLE made: locked, expired and without a password.
-- Written after the reference manual of MySQL 8.4, chapter Grant Tables. Checked against tables of that shape, and not yet against a server of MySQL's.
SELECT
	concat(u.User, '@', u.Host) AS id,
	u.User AS username,
	u.account_locked = 'N' AS enabled,
	u.Insert_priv = 'Y' OR u.Update_priv = 'Y' OR u.Delete_priv = 'Y' OR u.Shutdown_priv = 'Y' OR u.File_priv = 'Y' OR u.Grant_priv = 'Y' OR u.Super_priv = 'Y' OR u.Create_user_priv = 'Y' OR u.Create_role_priv = 'Y' OR u.Drop_role_priv = 'Y'
		OR EXISTS (SELECT 1 FROM mysql.global_grants g WHERE g.USER = u.User AND g.HOST = u.Host AND g.PRIV IN ('SYSTEM_USER', 'SYSTEM_VARIABLES_ADMIN', 'SET_USER_ID', 'SET_ANY_DEFINER', 'ALLOW_NONEXISTENT_DEFINER', 'ROLE_ADMIN', 'CONNECTION_ADMIN', 'SERVICE_CONNECTION_ADMIN', 'PERSIST_RO_VARIABLES_ADMIN', 'BINLOG_ADMIN',
		'REPLICATION_SLAVE_ADMIN', 'REPLICATION_APPLIER', 'GROUP_REPLICATION_ADMIN', 'CLONE_ADMIN', 'BACKUP_ADMIN', 'AUDIT_ADMIN', 'AUDIT_ABORT_EXEMPT', 'FIREWALL_ADMIN', 'FIREWALL_EXEMPT', 'ENCRYPTION_KEY_ADMIN', 'PASSWORDLESS_USER_ADMIN', 'AUTHENTICATION_POLICY_ADMIN', 'SENSITIVE_VARIABLES_OBSERVER')) AS privileged,
	u.plugin IN ('caching_sha2_password', 'sha256_password', 'mysql_native_password') AND coalesce(u.authentication_string, '') = '' AS password_not_required,
	coalesce(u.password_lifetime, @@default_password_lifetime) = 0 AS password_never_expires,
	u.password_last_changed AS password_changed_at,
	u.Host AS attr_host,
	u.plugin AS attr_plugin
FROM mysql.user u
WHERE NOT (u.account_locked = 'Y' AND u.password_expired = 'Y' AND coalesce(u.authentication_string, '') = '')
ORDER BY 1
