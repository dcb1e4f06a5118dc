INSERT INTO work_entitlements (no, source, id, name, kind, resource, privileged, high_risk, owner_id, owner_no, days_known,
    days_since_review, tags, tags_known, attributes, attributes_known)
WITH (t) -> toInt64(floor(({now:Int64} - toUnixTimestamp64Milli(t)) / 86400000)) AS days
SELECT row_number() OVER (ORDER BY e.source, e.id), e.source, e.id, e.name, e.kind, e.resource, e.privileged, e.high_risk,
    e.owner_id, w.owner_no, if(days(f.seen) < 0, 0, days(f.seen)), days(e.reviewed_at), e.tags, e.tags_known, e.attributes,
    e.attributes_known
FROM (SELECT * FROM entitlements
    WHERE (source, snapshot) IN (SELECT source, snapshot FROM run_inputs WHERE run = {run:UInt64})) AS e
LEFT ANY JOIN (
    SELECT source, id_hash, toNullable(min(first_seen)) AS seen FROM first_seen
    WHERE kind = 'entitlement' GROUP BY source, id_hash) AS f
    ON f.source = e.source AND f.id_hash = reinterpretAsUInt128(sipHash128(e.id))
LEFT ANY JOIN work_owners AS w ON w.owner_id = e.owner_id
