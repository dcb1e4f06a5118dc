-- Direct grants by number. Grants are taken in passes by their sources, and of a large one by their hash, so that no pass holds all
-- first sights in memory. Sights are joined by one number that holds the source, too: by the two apart it takes three times as long.
INSERT INTO work_direct (account, entitlement, days_known, days_since_granted, days_since_used, days_since_review,
    days_until_expiry, approved)
WITH
    (t) -> toInt64(floor(({now:Int64} - toUnixTimestamp64Milli(t)) / 86400000)) AS days,
    (t) -> toInt64(floor((toUnixTimestamp64Milli(t) - {now:Int64}) / 86400000)) AS days_until,
    if(isNull(u.last_used_at), g.last_used_at, if(isNull(g.last_used_at), u.last_used_at, greatest(g.last_used_at, u.last_used_at))) AS used_at
SELECT n.no, e.no, if(days(f.seen) < 0, 0, days(f.seen)), days(g.granted_at), days(used_at), days(g.reviewed_at),
    days_until(g.expires_at), g.approved
FROM (
    SELECT *, reinterpretAsUInt128(sipHash128(holder_kind, holder_id, entitlement_id)) AS hash,
        bitXor(hash, reinterpretAsUInt128(sipHash128(source))) AS key
    FROM grants
    WHERE (source, snapshot) IN (SELECT source, snapshot FROM run_inputs WHERE run = {run:UInt64} AND source IN {sources:Array(String)})
        AND holder_kind = 'account' AND hash BETWEEN {low:UInt128} AND {high:UInt128}) AS g
INNER JOIN (SELECT source, id, no FROM work_numbers WHERE source IN {sources:Array(String)}) AS n ON n.source = g.source AND n.id = g.holder_id
INNER JOIN (SELECT source, id, no FROM work_entitlements WHERE source IN {sources:Array(String)}) AS e ON e.source = g.source AND e.id = g.entitlement_id
LEFT ANY JOIN (
    SELECT bitXor(id_hash, reinterpretAsUInt128(sipHash128(source))) AS key, toNullable(min(first_seen)) AS seen FROM first_seen
    WHERE kind = 'grant' AND source IN {sources:Array(String)}
        AND id_hash BETWEEN {low:UInt128} AND {high:UInt128}
    GROUP BY key) AS f ON f.key = g.key
LEFT ANY JOIN (SELECT account, entitlement_no, last_used_at FROM work_usage WHERE entitlement_no > 0) AS u
    ON u.account = n.no AND u.entitlement_no = e.no
