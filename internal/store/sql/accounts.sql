-- Accounts, judged as far as that needs no grants. What a later sign-in disproves ("never signed in") is not repeated.
INSERT INTO work_accounts (no, person_no, owner_no, peer_group, source, id, username, email, name, kind, enabled, privileged,
    external, break_glass, legal_hold, local_login, locked, mfa, mailbox_type, purpose, sponsor, owner_id,
    password_never_expires, password_not_required, forwards_externally, has_spn, active_sessions, days_known, created_at,
    last_login_at, login_lag_days, never_logged_in, days_since_interactive_login, days_since_password, days_since_disabled,
    hours_since_enabled, days_until_expiry, keys_known, attributes, attributes_known, link_method, link_status,
    link_candidates, link_since)
WITH
    (t) -> toInt64(floor(({now:Int64} - toUnixTimestamp64Milli(t)) / 86400000)) AS days,
    (t) -> toInt64(floor(({now:Int64} - toUnixTimestamp64Milli(t)) / 3600000)) AS hours,
    (t) -> toInt64(floor((toUnixTimestamp64Milli(t) - {now:Int64}) / 86400000)) AS days_until,
    if(isNull(u.last_used_at), a.last_login_at, if(isNull(a.last_login_at), u.last_used_at, greatest(a.last_login_at, u.last_used_at))) AS login_at
SELECT n.no, n.person_no, w.owner_no, if(n.peer, g.no, 0), a.source, a.id, a.username, a.email, a.name, a.kind, a.enabled,
    a.privileged, a.external, a.break_glass, a.legal_hold, a.local_login, a.locked, a.mfa, a.mailbox_type, a.purpose,
    a.sponsor, a.owner_id, a.password_never_expires, a.password_not_required, a.forwards_externally, a.has_spn,
    a.active_sessions, greatest(0, ifNull(days(f.seen), 0)), a.created_at, login_at,
    if(login_at = a.last_login_at, a.login_lag_days, NULL),
    multiIf(login_at IS NOT NULL, false, a.never_logged_in OR u.never_used, true, a.never_logged_in),
    days(a.interactive_login_at), days(a.password_changed_at),
    if(ifNull(a.enabled, false), NULL, days(ifNull(a.disabled_at, if(o.after = 'false', o.last_at, NULL)))),
    if(ifNull(a.enabled, false) AND o.after = 'true', hours(o.last_at), NULL),
    days_until(a.expires_at), a.keys_known, a.attributes, a.attributes_known, n.link_method, n.link_status,
    n.link_candidates, n.link_since
FROM (SELECT *, bitXor(reinterpretAsUInt128(sipHash128(id)), reinterpretAsUInt128(sipHash128(source))) AS sight FROM accounts
    WHERE (source, snapshot) IN (SELECT source, snapshot FROM run_inputs WHERE run = {run:UInt64})) AS a
INNER JOIN work_numbers AS n ON n.source = a.source AND n.id = a.id
LEFT ANY JOIN (SELECT no, source, department FROM work_groups) AS g ON g.source = n.source AND g.department = n.department
LEFT ANY JOIN (SELECT account, last_used_at, never_used FROM work_usage WHERE sku = '' AND entitlement_no = 0) AS u
    ON u.account = n.no
LEFT ANY JOIN (
    SELECT bitXor(id_hash, reinterpretAsUInt128(sipHash128(source))) AS sight, toNullable(min(first_seen)) AS seen FROM first_seen
    WHERE kind = 'account' AND source IN (SELECT source FROM run_inputs WHERE run = {run:UInt64})
    GROUP BY sight) AS f ON f.sight = a.sight
LEFT ANY JOIN (
    SELECT source, subject, argMax(after, at) AS after, toNullable(max(at)) AS last_at
    FROM (
        SELECT source, subject, after, time_after AS at FROM changes
        WHERE kind = 'account' AND field = 'enabled' AND time_after <= fromUnixTimestamp64Milli({now:Int64}, 'UTC')
        UNION ALL
        SELECT source, subject, after, fromUnixTimestamp64Milli({now:Int64}, 'UTC') AS at FROM work_changes
        WHERE kind = 'account' AND field = 'enabled')
    GROUP BY source, subject) AS o ON o.source = a.source AND o.subject = a.id
LEFT ANY JOIN work_owners AS w ON w.owner_id = a.owner_id
