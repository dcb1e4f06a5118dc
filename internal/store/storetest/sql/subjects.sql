-- The account subject. Grants are gathered as numbers; what the numbers stand for is looked up in arrays that exist once,
-- so that no name or path goes through a join.
WITH
    (x) -> nullIf(CAST(x, 'String'), '') AS text,
    (x, known) -> if(known, toNullable(CAST(x, 'Int64')), NULL) AS number,
    (t) -> toInt64(floor(({now:Int64} - toUnixTimestamp64Milli(t)) / 86400000)) AS days,
    (t) -> toInt64(floor(({now:Int64} - toUnixTimestamp64Milli(t)) / 3600000)) AS hours,
    (n) -> nullIf(n, toInt32(-2147483648)) AS known_number,
    (SELECT groupArray(CAST(source, 'String')) FROM hand_inputs WHERE coverage['end_date'] IN ('full', 'partial')) AS dated,
    (SELECT groupArray(id) FROM (SELECT id FROM hand_entitlements ORDER BY no)) AS ids,
    (SELECT groupArray(name) FROM (SELECT name FROM hand_entitlements ORDER BY no)) AS names,
    (SELECT groupArray(if(name = '', id, name)) FROM (SELECT id, name FROM hand_entitlements ORDER BY no)) AS labels,
    (SELECT groupArray(kind) FROM (SELECT CAST(kind, 'String') AS kind FROM hand_entitlements ORDER BY no)) AS kinds,
    (SELECT groupArray(resource) FROM (SELECT resource FROM hand_entitlements ORDER BY no)) AS resources,
    (SELECT groupArray(ifNull(toInt8(privileged), -1)) FROM (SELECT privileged FROM hand_entitlements ORDER BY no)) AS privileges,
    (SELECT groupArray(ifNull(toInt8(high_risk), -1)) FROM (SELECT high_risk FROM hand_entitlements ORDER BY no)) AS risks,
    (SELECT groupArray(path) FROM (SELECT path FROM hand_closure ORDER BY no)) AS paths
SELECT
    CAST({run:UInt64}, 'Nullable(Int64)') AS run_id,
    toNullable({run_time:String}) AS run_time,
    text(i.source) AS source_uid,
    text(i.name) AS source_name,
    text(i.type) AS source_type,
    toNullable(i.roster) AS source_roster,
    i.coverage AS source_coverage,
    true AS source_coverage_known,
    text(a.id) AS account_id,
    text(a.username) AS account_username,
    text(a.email) AS account_email,
    text(a.name) AS account_name,
    text(a.kind) AS account_kind,
    a.enabled AS account_enabled,
    multiIf(ifNull(a.privileged, false) OR f.privileged, CAST(true, 'Nullable(Bool)'), a.privileged = false, false,
        has(i.reads, 'grants') AND NOT f.unknown, false, NULL) AS account_privileged,
    a.external AS account_external,
    a.break_glass AS account_break_glass,
    a.legal_hold AS account_legal_hold,
    a.local_login AS account_local_login,
    a.locked AS account_locked,
    a.mfa AS account_mfa,
    text(a.mailbox_type) AS account_mailbox_type,
    text(a.purpose) AS account_purpose,
    text(a.sponsor) AS account_sponsor,
    text(a.owner_id) AS account_owner_id,
    a.password_never_expires AS account_password_never_expires,
    a.password_not_required AS account_password_not_required,
    a.forwards_externally AS account_forwards_externally,
    a.has_spn AS account_has_spn,
    a.active_sessions AS account_active_sessions,
    toNullable(a.days_known) AS account_days_known,
    days(a.created_at) AS account_days_since_created,
    days(a.last_login_at) AS account_days_since_login,
    hours(a.last_login_at) AS account_hours_since_login,
    a.login_lag_days AS account_login_lag_days,
    if(a.last_login_at IS NULL OR p.end_at IS NULL, NULL, CAST(a.last_login_at > p.end_at, 'Bool')) AS account_used_after_end,
    a.never_logged_in AS account_never_logged_in,
    a.days_since_interactive_login AS account_days_since_interactive_login,
    a.days_since_password AS account_days_since_password,
    a.days_since_disabled AS account_days_since_disabled,
    a.hours_since_enabled AS account_hours_since_enabled,
    a.days_until_expiry AS account_days_until_expiry,
    a.keys_known AS account_keys_known,
    k.list.1 AS account_keys_id,
    k.list.2 AS account_keys_kind,
    k.list.3 AS account_keys_active,
    k.list.4 AS account_keys_days_since_created,
    k.list.5 AS account_keys_days_since_used,
    a.attributes AS account_attributes,
    a.attributes_known AS account_attributes_known,
    text(a.link_method) AS link_method,
    text(a.link_status) AS link_status,
    number(a.link_candidates, a.link_status = 'disputed') AS link_candidates,
    days(a.link_since) AS link_days,
    CAST(p.no > 0, 'Bool') AS person_known,
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
    CAST(o.no > 0, 'Bool') AS owner_known,
    text(o.key) AS owner_id,
    text(o.name) AS owner_name,
    text(o.email) AS owner_email,
    text(o.status) AS owner_status,
    text(o.department) AS owner_department,
    days(o.end_at) AS owner_days_since_end,
    hours(o.end_at) AS owner_hours_since_end,
    CAST(d.person_no > 0, 'Bool') AS directory_known,
    text(d.id) AS directory_id,
    text(d.source) AS directory_source,
    text(d.username) AS directory_username,
    d.enabled AS directory_enabled,
    d.days_since_disabled AS directory_days_since_disabled,
    CAST(has(i.reads, 'grants'), 'Bool') AS grants_known,
    arrayMap(e -> ids[e], g.list.1) AS grants_entitlement_id,
    arrayMap(e -> nullIf(names[e], ''), g.list.1) AS grants_entitlement_name,
    arrayMap(e -> nullIf(kinds[e], ''), g.list.1) AS grants_entitlement_kind,
    arrayMap(e -> nullIf(resources[e], ''), g.list.1) AS grants_entitlement_resource,
    arrayMap(e -> CAST(nullIf(privileges[e], -1), 'Nullable(Bool)'), g.list.1) AS grants_entitlement_privileged,
    arrayMap(e -> CAST(nullIf(risks[e], -1), 'Nullable(Bool)'), g.list.1) AS grants_entitlement_high_risk,
    arrayMap(n -> CAST(n = 0, 'Bool'), g.list.2) AS grants_direct,
    arrayMap(n -> toInt64(n), g.list.2) AS grants_depth,
    arrayMap((e, v) -> if(v = 0, [labels[e]], arrayMap(n -> labels[n], paths[v])), g.list.1, g.list.3) AS grants_path,
    arrayMap(n -> CAST(known_number(n), 'Nullable(Int64)'), g.list.4) AS grants_days_known,
    arrayMap(n -> CAST(known_number(n), 'Nullable(Int64)'), g.list.5) AS grants_days_since_granted,
    arrayMap(n -> CAST(known_number(n), 'Nullable(Int64)'), g.list.6) AS grants_days_since_used,
    arrayMap(n -> CAST(known_number(n), 'Nullable(Int64)'), g.list.7) AS grants_days_since_review,
    arrayMap(n -> CAST(known_number(n), 'Nullable(Int64)'), g.list.8) AS grants_days_until_expiry,
    arrayMap(n -> CAST(nullIf(n, -1), 'Nullable(Bool)'), g.list.9) AS grants_approved,
    arrayMap(n -> if(a.peer_group > 0, round(n / pg.members, 4), NULL), g.list.10) AS grants_peer_share,
    arrayMap(n -> number(pg.members, a.peer_group > 0), g.list.10) AS grants_peer_count,
    CAST(has(i.reads, 'seats'), 'Bool') AS seats_known,
    s.list.1 AS seats_sku,
    arrayMap(x -> nullIf(x, ''), s.list.2) AS seats_product,
    s.list.3 AS seats_cost_month,
    arrayMap(x -> nullIf(x, ''), s.list.4) AS seats_currency,
    s.list.5 AS seats_days_since_assigned,
    s.list.6 AS seats_days_since_used,
    s.list.7 AS seats_never_used,
    a.no AS no
FROM (SELECT * FROM hand_accounts WHERE no BETWEEN {first:UInt32} AND {last:UInt32}) AS a
INNER JOIN (SELECT * FROM hand_inputs) AS i ON i.source = a.source
LEFT ANY JOIN (
    SELECT no, key, roster, employee_id, name, email, username, status, kind, department, title, location, company, cost_center,
        manager, manager_no, high_risk, start_at, end_at, end_first_known, previous_department, previous_title, transferred_at, records
    FROM hand_people WHERE true
        AND no BETWEEN (SELECT min(person_no) FROM hand_accounts WHERE no BETWEEN {first:UInt32} AND {last:UInt32} AND person_no > 0)
            AND (SELECT max(person_no) FROM hand_accounts WHERE no BETWEEN {first:UInt32} AND {last:UInt32})) AS p ON p.no = a.person_no
LEFT ANY JOIN (
    SELECT no, key, name, email, status, department, end_at FROM hand_people WHERE no IN (
        SELECT manager_no FROM hand_people WHERE true
            AND no IN (SELECT person_no FROM hand_accounts WHERE no BETWEEN {first:UInt32} AND {last:UInt32}))) AS m ON m.no = p.manager_no
LEFT ANY JOIN (
    SELECT no, key, name, email, status, department, end_at FROM hand_people WHERE true
        AND no IN (SELECT owner_no FROM hand_accounts WHERE no BETWEEN {first:UInt32} AND {last:UInt32})) AS o ON o.no = a.owner_no
LEFT ANY JOIN (
    SELECT * FROM hand_directory WHERE person_no IN (SELECT person_no FROM hand_accounts WHERE no BETWEEN {first:UInt32} AND {last:UInt32})) AS d
    ON d.person_no = a.person_no
LEFT ANY JOIN (SELECT * FROM hand_flags WHERE account BETWEEN {first:UInt32} AND {last:UInt32}) AS f ON f.account = a.no
LEFT ANY JOIN (SELECT no, members FROM hand_groups) AS pg ON pg.no = a.peer_group
LEFT ANY JOIN (
    SELECT account, arraySort(x -> x.1, groupArray((id, CAST(kind, 'String'), active, days_since_created, days_since_used))) AS list
    FROM hand_keys WHERE account BETWEEN {first:UInt32} AND {last:UInt32} GROUP BY account) AS k ON k.account = a.no
LEFT ANY JOIN (
    SELECT account, arraySort(x -> x.1, arrayZip(groupArray(entitlement), groupArray(depth), groupArray(via), groupArray(days_known),
        groupArray(days_since_granted), groupArray(days_since_used), groupArray(days_since_review),
        groupArray(days_until_expiry), groupArray(approved), groupArray(holders))) AS list
    FROM (
        SELECT e.account AS account, e.entitlement AS entitlement, e.depth AS depth, e.via AS via,
            toInt32(ifNull(w.days_known, -2147483648)) AS days_known,
            toInt32(ifNull(w.days_since_granted, -2147483648)) AS days_since_granted,
            toInt32(coalesce(w.days_since_used, days(u.last_used_at), -2147483648)) AS days_since_used,
            toInt32(ifNull(w.days_since_review, -2147483648)) AS days_since_review,
            toInt32(ifNull(w.days_until_expiry, -2147483648)) AS days_until_expiry,
            toInt8(ifNull(toInt8(w.approved), -1)) AS approved,
            h.holders AS holders
        FROM (SELECT * FROM hand_effective WHERE account BETWEEN {first:UInt32} AND {last:UInt32}) AS e
        INNER JOIN (SELECT no, peer_group FROM hand_accounts WHERE no BETWEEN {first:UInt32} AND {last:UInt32}) AS b ON b.no = e.account
        LEFT ANY JOIN (SELECT * FROM hand_direct WHERE account BETWEEN {first:UInt32} AND {last:UInt32}) AS w
            ON w.account = e.account AND w.entitlement = e.entitlement
        LEFT ANY JOIN (SELECT account, entitlement_no, last_used_at FROM hand_usage
            WHERE account BETWEEN {first:UInt32} AND {last:UInt32} AND entitlement_no > 0) AS u
            ON u.account = e.account AND u.entitlement_no = e.entitlement
        LEFT ANY JOIN (
            SELECT * FROM hand_peers WHERE peer_group IN (
                SELECT peer_group FROM hand_accounts WHERE no BETWEEN {first:UInt32} AND {last:UInt32} AND peer_group > 0)) AS h
            ON h.peer_group = b.peer_group AND h.entitlement = e.entitlement)
    GROUP BY account) AS g ON g.account = a.no
LEFT ANY JOIN (
    SELECT account, arraySort(x -> x.1, groupArray((CAST(sku, 'String'), CAST(product, 'String'), cost_month, CAST(currency, 'String'),
        days_since_assigned, days_since_used, never_used))) AS list
    FROM hand_seats WHERE account BETWEEN {first:UInt32} AND {last:UInt32} GROUP BY account) AS s ON s.account = a.no
