-- The entitlement subject. Members are unknown where the source's grants were not read.
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
    i.coverage AS source_coverage,
    true AS source_coverage_known,
    text(e.id) AS entitlement_id,
    text(e.name) AS entitlement_name,
    text(e.kind) AS entitlement_kind,
    text(e.resource) AS entitlement_resource,
    e.privileged AS entitlement_privileged,
    e.high_risk AS entitlement_high_risk,
    text(e.owner_id) AS entitlement_owner_id,
    e.tags AS entitlement_tags,
    e.tags_known AS entitlement_tags_known,
    e.days_known AS entitlement_days_known,
    e.days_since_review AS entitlement_days_since_review,
    number(n.direct, has(i.reads, 'grants')) AS entitlement_direct_members,
    number(n.effective, has(i.reads, 'grants')) AS entitlement_effective_members,
    number(n.enabled, has(i.reads, 'grants')) AS entitlement_enabled_members,
    e.attributes AS entitlement_attributes,
    e.attributes_known AS entitlement_attributes_known,
    CAST(o.no > 0, 'Bool') AS owner_known,
    text(o.key) AS owner_id,
    text(o.name) AS owner_name,
    text(o.email) AS owner_email,
    text(o.status) AS owner_status,
    text(o.department) AS owner_department,
    days(o.end_at) AS owner_days_since_end,
    hours(o.end_at) AS owner_hours_since_end,
    e.no AS no
FROM (SELECT * FROM work_entitlements WHERE no BETWEEN {first:UInt32} AND {last:UInt32}) AS e
INNER JOIN (SELECT * FROM run_inputs WHERE run = {run:UInt64}) AS i ON i.source = e.source
LEFT ANY JOIN (SELECT * FROM work_members WHERE entitlement BETWEEN {first:UInt32} AND {last:UInt32}) AS n ON n.entitlement = e.no
LEFT ANY JOIN (
    SELECT no, key, name, email, status, department, end_at FROM run_people WHERE run = {run:UInt64}
        AND no IN (SELECT owner_no FROM work_entitlements WHERE no BETWEEN {first:UInt32} AND {last:UInt32})) AS o ON o.no = e.owner_no
