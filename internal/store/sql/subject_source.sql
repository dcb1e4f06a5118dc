-- The source subject. What a source doesn't read is not counted.
WITH
    (x) -> nullIf(CAST(x, 'String'), '') AS text,
    (x, known) -> if(known, toNullable(CAST(x, 'Int64')), NULL) AS number,
    (t) -> toInt64(floor(({now:Int64} - toUnixTimestamp64Milli(t)) / 86400000)) AS days,
    (t) -> toInt64(floor(({now:Int64} - toUnixTimestamp64Milli(t)) / 3600000)) AS hours,
    (n) -> nullIf(n, toInt32(-2147483648)) AS known_number
SELECT
    CAST({run:UInt64}, 'Nullable(Int64)') AS run_id,
    toNullable({run_time:String}) AS run_time,
    text(i.source) AS source_uid,
    text(i.name) AS source_name,
    text(i.type) AS source_type,
    toNullable(i.roster) AS source_roster,
    text(i.status) AS source_status,
    hours(if(i.status = 'stale', ifNull(i.as_of, i.taken), i.taken)) AS source_age_hours,
    toNullable(i.stale_nights) AS source_stale_nights,
    i.coverage AS source_coverage,
    CAST(i.snapshot > 0, 'Bool') AS source_coverage_known,
    i.previous_coverage AS source_previous_coverage,
    i.previous_known AS source_previous_coverage_known,
    CAST(i.snapshot > 0, 'Bool') AS source_counts_known,
    toNullable(toInt64(a.accounts)) AS source_counts_accounts,
    toNullable(toInt64(a.enabled)) AS source_counts_enabled,
    toNullable(toInt64(a.privileged)) AS source_counts_privileged,
    number(p.people, i.roster) AS source_counts_people,
    number(e.entitlements, has(i.reads, 'entitlements')) AS source_counts_entitlements,
    number(g.grants, has(i.reads, 'grants')) AS source_counts_grants,
    number(s.seats, has(i.reads, 'seats')) AS source_counts_seats,
    toNullable(toInt64(a.unmatched)) AS source_counts_unmatched,
    toNullable(toInt64(a.disputed)) AS source_counts_disputed,
    toNullable(toInt64(a.kind_unknown)) AS source_counts_kind_unknown,
    toUInt32(row_number() OVER (ORDER BY i.source)) AS no
FROM (SELECT * FROM run_inputs WHERE run = {run:UInt64}) AS i
LEFT ANY JOIN (
    SELECT source, count() AS accounts, countIf(a.enabled) AS enabled,
        countIf(a.enabled AND (ifNull(a.privileged, false) OR f.privileged)) AS privileged,
        countIf(a.enabled AND a.kind = 'human' AND a.link_status = 'unmatched') AS unmatched,
        countIf(a.link_status = 'disputed') AS disputed, countIf(a.kind = '') AS kind_unknown
    FROM (SELECT no, source, ifNull(enabled, false) AS enabled, privileged, kind, link_status FROM work_accounts) AS a
    LEFT ANY JOIN work_flags AS f ON f.account = a.no
    GROUP BY source) AS a ON a.source = i.source
LEFT ANY JOIN (
    SELECT source, uniqExact(id) AS people FROM people
    WHERE (source, snapshot) IN (SELECT source, snapshot FROM run_inputs WHERE run = {run:UInt64}) GROUP BY source) AS p
    ON p.source = i.source
LEFT ANY JOIN (SELECT source, count() AS entitlements FROM work_entitlements GROUP BY source) AS e ON e.source = i.source
LEFT ANY JOIN (
    SELECT source, count() AS grants FROM grants
    WHERE (source, snapshot) IN (SELECT source, snapshot FROM run_inputs WHERE run = {run:UInt64}) GROUP BY source) AS g
    ON g.source = i.source
LEFT ANY JOIN (
    SELECT source, count() AS seats FROM seats
    WHERE (source, snapshot) IN (SELECT source, snapshot FROM run_inputs WHERE run = {run:UInt64}) GROUP BY source) AS s
    ON s.source = i.source
