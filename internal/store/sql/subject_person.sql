-- The person subject: accounts, grants and seats of all sources. It is built like the account subject, one level up.
WITH
    (x) -> nullIf(CAST(x, 'String'), '') AS text,
    (x, known) -> if(known, toNullable(CAST(x, 'Int64')), NULL) AS number,
    (t) -> toInt64(floor(({now:Int64} - toUnixTimestamp64Milli(t)) / 86400000)) AS days,
    (t) -> toInt64(floor(({now:Int64} - toUnixTimestamp64Milli(t)) / 3600000)) AS hours,
    (n) -> nullIf(n, toInt32(-2147483648)) AS known_number,
    (SELECT groupArray(CAST(source, 'String')) FROM run_inputs WHERE run = {run:UInt64} AND coverage['end_date'] IN ('full', 'partial')) AS dated,
    (SELECT groupArray(id) FROM (SELECT id FROM work_entitlements ORDER BY no)) AS ids,
    (SELECT groupArray(source) FROM (SELECT CAST(source, 'String') AS source FROM work_entitlements ORDER BY no)) AS sources,
    (SELECT groupArray(name) FROM (SELECT name FROM work_entitlements ORDER BY no)) AS names,
    (SELECT groupArray(if(name = '', id, name)) FROM (SELECT id, name FROM work_entitlements ORDER BY no)) AS labels,
    (SELECT groupArray(kind) FROM (SELECT CAST(kind, 'String') AS kind FROM work_entitlements ORDER BY no)) AS kinds,
    (SELECT groupArray(resource) FROM (SELECT resource FROM work_entitlements ORDER BY no)) AS resources,
    (SELECT groupArray(ifNull(toInt8(privileged), -1)) FROM (SELECT privileged FROM work_entitlements ORDER BY no)) AS privileges,
    (SELECT groupArray(ifNull(toInt8(high_risk), -1)) FROM (SELECT high_risk FROM work_entitlements ORDER BY no)) AS risks,
    (SELECT groupArray(tags) FROM (SELECT tags FROM work_entitlements ORDER BY no)) AS tags,
    (SELECT groupArray(path) FROM (SELECT path FROM work_closure ORDER BY no)) AS paths
SELECT
    CAST({run:UInt64}, 'Nullable(Int64)') AS run_id,
    toNullable({run_time:String}) AS run_time,
    text(p.key) AS person_id,
    text(p.employee_id) AS person_employee_id,
    text(p.name) AS person_name,
    text(p.email) AS person_email,
    text(p.username) AS person_username,
    text(p.status) AS person_status,
    text(p.kind) AS person_kind,
    text(p.department) AS person_department,
    text(p.title) AS person_title,
    text(p.location) AS person_location,
    text(p.company) AS person_company,
    text(p.cost_center) AS person_cost_center,
    text(p.manager) AS person_manager_id,
    if(p.status = '', NULL, CAST(p.status = 'leave', 'Bool')) AS person_on_leave,
    p.high_risk AS person_high_risk,
    hours(p.start_at) AS person_hours_since_start,
    days(p.start_at) AS person_days_since_start,
    hours(p.end_at) AS person_hours_since_end,
    days(p.end_at) AS person_days_since_end,
    days(p.end_first_known) AS person_end_first_known_days,
    multiIf(p.end_at IS NOT NULL, CAST(false, 'Nullable(Bool)'), has(dated, p.roster), true, NULL) AS person_open_ended,
    text(p.previous_department) AS person_previous_department,
    text(p.previous_title) AS person_previous_title,
    days(p.transferred_at) AS person_days_since_transfer,
    number(p.records, p.no > 0) AS person_records,
    CAST(m.no > 0, 'Bool') AS manager_known,
    text(m.key) AS manager_id,
    text(m.name) AS manager_name,
    text(m.email) AS manager_email,
    text(m.status) AS manager_status,
    text(m.department) AS manager_department,
    days(m.end_at) AS manager_days_since_end,
    hours(m.end_at) AS manager_hours_since_end,
    CAST(d.person_no > 0, 'Bool') AS directory_known,
    text(d.id) AS directory_id,
    text(d.source) AS directory_source,
    text(d.username) AS directory_username,
    d.enabled AS directory_enabled,
    d.days_since_disabled AS directory_days_since_disabled,
    true AS accounts_known,
    c.list.1 AS accounts_source,
    c.list.2 AS accounts_source_name,
    c.list.3 AS accounts_id,
    c.list.4 AS accounts_username,
    c.list.5 AS accounts_email,
    c.list.6 AS accounts_name,
    c.list.7 AS accounts_kind,
    c.list.8 AS accounts_enabled,
    c.list.9 AS accounts_privileged,
    c.list.10 AS accounts_external,
    c.list.11 AS accounts_break_glass,
    c.list.12 AS accounts_legal_hold,
    c.list.13 AS accounts_local_login,
    c.list.14 AS accounts_locked,
    c.list.15 AS accounts_mfa,
    c.list.16 AS accounts_mailbox_type,
    c.list.17 AS accounts_purpose,
    c.list.18 AS accounts_sponsor,
    c.list.19 AS accounts_owner_id,
    c.list.20 AS accounts_password_never_expires,
    c.list.21 AS accounts_password_not_required,
    c.list.22 AS accounts_forwards_externally,
    c.list.23 AS accounts_has_spn,
    c.list.24 AS accounts_active_sessions,
    c.list.25 AS accounts_days_known,
    c.list.26 AS accounts_days_since_created,
    c.list.27 AS accounts_days_since_login,
    c.list.28 AS accounts_hours_since_login,
    c.list.29 AS accounts_used_after_end,
    c.list.30 AS accounts_never_logged_in,
    c.list.31 AS accounts_days_since_interactive_login,
    c.list.32 AS accounts_days_since_password,
    c.list.33 AS accounts_days_since_disabled,
    c.list.34 AS accounts_hours_since_enabled,
    c.list.35 AS accounts_days_until_expiry,
    CAST(c.person_no = 0 OR c.grants_read, 'Bool') AS grants_known,
    arrayMap(e -> sources[e], g.list.2) AS grants_source,
    g.list.11 AS grants_account_id,
    arrayMap(e -> ids[e], g.list.2) AS grants_entitlement_id,
    arrayMap(e -> nullIf(names[e], ''), g.list.2) AS grants_entitlement_name,
    arrayMap(e -> nullIf(kinds[e], ''), g.list.2) AS grants_entitlement_kind,
    arrayMap(e -> nullIf(resources[e], ''), g.list.2) AS grants_entitlement_resource,
    arrayMap(e -> CAST(nullIf(privileges[e], -1), 'Nullable(Bool)'), g.list.2) AS grants_entitlement_privileged,
    arrayMap(e -> CAST(nullIf(risks[e], -1), 'Nullable(Bool)'), g.list.2) AS grants_entitlement_high_risk,
    arrayMap(e -> tags[e], g.list.2) AS grants_entitlement_tags,
    arrayMap(n -> CAST(n = 0, 'Bool'), g.list.3) AS grants_direct,
    arrayMap(n -> toInt64(n), g.list.3) AS grants_depth,
    arrayMap((e, v) -> if(v = 0, [labels[e]], arrayMap(n -> labels[n], paths[v])), g.list.2, g.list.4) AS grants_path,
    arrayMap(n -> CAST(known_number(n), 'Nullable(Int64)'), g.list.5) AS grants_days_known,
    arrayMap(n -> CAST(known_number(n), 'Nullable(Int64)'), g.list.6) AS grants_days_since_granted,
    arrayMap(n -> CAST(known_number(n), 'Nullable(Int64)'), g.list.7) AS grants_days_since_used,
    arrayMap(n -> CAST(known_number(n), 'Nullable(Int64)'), g.list.8) AS grants_days_since_review,
    arrayMap(n -> CAST(known_number(n), 'Nullable(Int64)'), g.list.9) AS grants_days_until_expiry,
    arrayMap(n -> CAST(nullIf(n, -1), 'Nullable(Bool)'), g.list.10) AS grants_approved,
    arrayMap((h, n) -> if(n > 0, round(h / n, 4), NULL), g.list.12, g.list.13) AS grants_peer_share,
    arrayMap(n -> number(n, n > 0), g.list.13) AS grants_peer_count,
    CAST(c.person_no = 0 OR c.seats_read, 'Bool') AS seats_known,
    arrayMap(x -> CAST(x, 'String'), s.list.1) AS seats_source,
    s.list.2 AS seats_account_id,
    s.list.3 AS seats_sku,
    arrayMap(x -> nullIf(x, ''), s.list.4) AS seats_product,
    s.list.5 AS seats_cost_month,
    arrayMap(x -> nullIf(x, ''), s.list.6) AS seats_currency,
    s.list.7 AS seats_days_since_assigned,
    s.list.8 AS seats_days_since_used,
    s.list.9 AS seats_never_used,
    p.no AS no
FROM (
    SELECT no, key, roster, employee_id, name, email, username, status, kind, department, title, location, company, cost_center,
        manager, manager_no, high_risk, start_at, end_at, end_first_known, previous_department, previous_title, transferred_at, records
    FROM run_people WHERE run = {run:UInt64} AND no BETWEEN {first:UInt32} AND {last:UInt32}) AS p
LEFT ANY JOIN (
    SELECT no, key, name, email, status, department, end_at FROM run_people WHERE run = {run:UInt64}
        AND no IN (SELECT manager_no FROM run_people WHERE run = {run:UInt64} AND no BETWEEN {first:UInt32} AND {last:UInt32})) AS m ON m.no = p.manager_no
LEFT ANY JOIN (SELECT * FROM work_directory WHERE person_no BETWEEN {first:UInt32} AND {last:UInt32}) AS d ON d.person_no = p.no
LEFT ANY JOIN (
    SELECT person_no, max(has(reads, 'grants')) AS grants_read, max(has(reads, 'seats')) AS seats_read,
        arraySort(x -> (x.1, x.3), groupArray((source, source_name, id, username, email, name, kind, enabled, privileged, external, break_glass, legal_hold,
            local_login, locked, mfa, mailbox_type, purpose, sponsor, owner_id, password_never_expires,
            password_not_required, forwards_externally, has_spn, active_sessions, days_known, days_since_created,
            days_since_login, hours_since_login, used_after_end, never_logged_in, days_since_interactive_login,
            days_since_password, days_since_disabled, hours_since_enabled, days_until_expiry))) AS list
    FROM (
        SELECT a.person_no AS person_no, i.reads AS reads,
            CAST(a.source, 'String') AS source,
            text(i.name) AS source_name,
            a.id AS id,
            text(a.username) AS username,
            text(a.email) AS email,
            text(a.name) AS name,
            text(a.kind) AS kind,
            a.enabled AS enabled,
            multiIf(ifNull(a.privileged, false) OR f.privileged, CAST(true, 'Nullable(Bool)'), a.privileged = false, false,
                has(i.reads, 'grants') AND NOT f.unknown, false, NULL) AS privileged,
            a.external AS external,
            a.break_glass AS break_glass,
            a.legal_hold AS legal_hold,
            a.local_login AS local_login,
            a.locked AS locked,
            a.mfa AS mfa,
            text(a.mailbox_type) AS mailbox_type,
            text(a.purpose) AS purpose,
            text(a.sponsor) AS sponsor,
            text(a.owner_id) AS owner_id,
            a.password_never_expires AS password_never_expires,
            a.password_not_required AS password_not_required,
            a.forwards_externally AS forwards_externally,
            a.has_spn AS has_spn,
            a.active_sessions AS active_sessions,
            toNullable(a.days_known) AS days_known,
            days(a.created_at) AS days_since_created,
            days(a.last_login_at) AS days_since_login,
            hours(a.last_login_at) AS hours_since_login,
            if(a.last_login_at IS NULL OR q.end_at IS NULL, NULL, CAST(a.last_login_at > q.end_at, 'Bool')) AS used_after_end,
            a.never_logged_in AS never_logged_in,
            a.days_since_interactive_login AS days_since_interactive_login,
            a.days_since_password AS days_since_password,
            a.days_since_disabled AS days_since_disabled,
            a.hours_since_enabled AS hours_since_enabled,
            a.days_until_expiry AS days_until_expiry
        FROM (SELECT * FROM work_accounts WHERE person_no BETWEEN {first:UInt32} AND {last:UInt32}) AS a
        INNER JOIN (SELECT * FROM run_inputs WHERE run = {run:UInt64}) AS i ON i.source = a.source
        LEFT ANY JOIN (SELECT no, end_at FROM run_people WHERE run = {run:UInt64} AND no BETWEEN {first:UInt32} AND {last:UInt32}) AS q ON q.no = a.person_no
        LEFT ANY JOIN (SELECT * FROM work_flags WHERE account IN (SELECT no FROM work_accounts WHERE person_no BETWEEN {first:UInt32} AND {last:UInt32})) AS f
            ON f.account = a.no)
    GROUP BY person_no) AS c ON c.person_no = p.no
LEFT ANY JOIN (
    SELECT person_no, arraySort(x -> (x.1, x.2), arrayZip(groupArray(account), groupArray(entitlement), groupArray(depth), groupArray(via),
        groupArray(days_known), groupArray(days_since_granted), groupArray(days_since_used), groupArray(days_since_review),
        groupArray(days_until_expiry), groupArray(approved), groupArray(account_id), groupArray(holders), groupArray(members))) AS list
    FROM (
        SELECT b.person_no AS person_no, e.account AS account, e.entitlement AS entitlement, e.depth AS depth, e.via AS via,
            toInt32(ifNull(w.days_known, -2147483648)) AS days_known,
            toInt32(ifNull(w.days_since_granted, -2147483648)) AS days_since_granted,
            toInt32(coalesce(w.days_since_used, days(u.last_used_at), -2147483648)) AS days_since_used,
            toInt32(ifNull(w.days_since_review, -2147483648)) AS days_since_review,
            toInt32(ifNull(w.days_until_expiry, -2147483648)) AS days_until_expiry,
            toInt8(ifNull(toInt8(w.approved), -1)) AS approved,
            b.id AS account_id, h.holders AS holders, n.members AS members
        FROM (SELECT * FROM work_effective WHERE account IN (SELECT no FROM work_accounts WHERE person_no BETWEEN {first:UInt32} AND {last:UInt32})) AS e
        INNER JOIN (SELECT no, person_no, peer_group, id FROM work_accounts WHERE person_no BETWEEN {first:UInt32} AND {last:UInt32}) AS b ON b.no = e.account
        LEFT ANY JOIN (SELECT * FROM work_direct WHERE account IN (SELECT no FROM work_accounts WHERE person_no BETWEEN {first:UInt32} AND {last:UInt32})) AS w
            ON w.account = e.account AND w.entitlement = e.entitlement
        LEFT ANY JOIN (SELECT account, entitlement_no, last_used_at FROM work_usage WHERE entitlement_no > 0) AS u
            ON u.account = e.account AND u.entitlement_no = e.entitlement
        LEFT ANY JOIN (
            SELECT * FROM work_peers WHERE peer_group IN (
                SELECT peer_group FROM work_accounts WHERE person_no BETWEEN {first:UInt32} AND {last:UInt32} AND peer_group > 0)) AS h
            ON h.peer_group = b.peer_group AND h.entitlement = e.entitlement
        LEFT ANY JOIN (SELECT no, members FROM work_groups) AS n ON n.no = b.peer_group)
    GROUP BY person_no) AS g ON g.person_no = p.no
LEFT ANY JOIN (
    SELECT b.person_no AS person_no, arraySort(x -> (x.1, x.2, x.3), groupArray((b.source, b.id, CAST(t.sku, 'String'),
        CAST(t.product, 'String'), t.cost_month, CAST(t.currency, 'String'), t.days_since_assigned, t.days_since_used, t.never_used))) AS list
    FROM (SELECT * FROM work_seats WHERE account IN (SELECT no FROM work_accounts WHERE person_no BETWEEN {first:UInt32} AND {last:UInt32})) AS t
    INNER JOIN (SELECT no, person_no, source, id FROM work_accounts WHERE person_no BETWEEN {first:UInt32} AND {last:UInt32}) AS b ON b.no = t.account
    GROUP BY b.person_no) AS s ON s.person_no = p.no
