-- Finding states after this run: those of the run before, and this run's hits. What wasn't hit closes only if it was judged,
-- on fresh input, and could be: a subject of which too little is known tonight is not clean. Else it stands.
INSERT INTO finding_states (run, time, fingerprint, policy, subject_kind, source, subject, severity, category, status, cause,
    first_seen, last_seen, closed_at, hit_run, carried, backlog, due_at)
WITH
    fromUnixTimestamp64Milli({now:Int64}, 'UTC') AS now_at,
    hits AS (
        SELECT fingerprint, policy, subject_kind, source, subject, severity, category, excluded_by != '' AS excluded
        FROM finding_hits
        WHERE run = {run:UInt64} AND policy IN (SELECT policy FROM work_policies WHERE NOT failed)),
    states AS (SELECT * FROM finding_states WHERE run = {previous:UInt64} AND status != 'closed'),
    present AS (
        SELECT 'account' AS kind, source, id FROM work_accounts
        WHERE (source, id) IN (SELECT source, subject FROM states WHERE subject_kind = 'account')
        UNION ALL
        SELECT 'entitlement', source, id FROM work_entitlements
        UNION ALL
        SELECT 'person', '', alias FROM run_aliases
        WHERE run = {run:UInt64} AND alias IN (SELECT subject FROM states WHERE subject_kind = 'person')
        UNION ALL
        SELECT 'license', source, sku FROM licenses
        WHERE (source, snapshot) IN (SELECT source, snapshot FROM run_inputs WHERE run = {run:UInt64})
        UNION ALL
        SELECT 'license', source, sku FROM seats
        WHERE (source, snapshot) IN (SELECT source, snapshot FROM run_inputs WHERE run = {run:UInt64})
        UNION ALL
        SELECT 'source', source, source FROM run_inputs WHERE run = {run:UInt64}),
    h.policy != '' AS is_hit,
    b.policy != '' AS was,
    b.policy NOT IN (SELECT policy FROM work_policies) AS disabled,
    b.source != '' AND b.source NOT IN (SELECT source FROM run_inputs WHERE run = {run:UInt64}) AS removed,
    (b.policy, b.source) IN (SELECT policy, source FROM run_judged WHERE run = {run:UInt64})
        AND multiIf(b.subject_kind = 'person', {all_fresh:UInt8}, b.subject_kind IN ('license', 'source'), 1, {rosters_fresh:UInt8})
        AND (b.policy, b.subject_kind, b.source, b.subject) NOT IN (SELECT policy, subject_kind, source, subject FROM work_unknown) AS judged,
    was AND NOT is_hit AND NOT {incomplete:UInt8} AND (disabled OR removed OR judged) AS closing,
    (b.policy, b.source) IN (
        SELECT policy, source FROM run_judged WHERE run IN (SELECT run FROM runs) OR run = {run:UInt64}
        GROUP BY policy, source
        HAVING argMaxIf(hash, run, run != {run:UInt64}) NOT IN ('', argMaxIf(hash, run, run = {run:UInt64}))) AS changed,
    NOT was OR is_hit AND b.status = 'excluded' AND NOT h.excluded AS begins,
    (h.policy, h.source) NOT IN (
        SELECT policy, source FROM run_judged WHERE run != {run:UInt64} AND run IN (SELECT run FROM runs)) AS first_time
SELECT {run:UInt64}, now_at,
    if(is_hit, h.fingerprint, b.fingerprint),
    if(is_hit, h.policy, b.policy),
    if(is_hit, h.subject_kind, b.subject_kind),
    if(is_hit, h.source, b.source),
    if(is_hit, h.subject, b.subject),
    if(is_hit, h.severity, b.severity),
    if(is_hit, h.category, b.category),
    multiIf(is_hit AND h.excluded, 'excluded', is_hit, 'open', closing, 'closed', b.status),
    multiIf(NOT closing, '', removed, 'subject_gone', disabled, 'rule_disabled',
        (b.subject_kind, b.source, b.subject) NOT IN (SELECT kind, source, id FROM present), 'subject_gone',
        changed, 'rule_changed', 'fixed'),
    if(begins, now_at, b.first_seen),
    if(is_hit, now_at, b.last_seen),
    if(closing, now_at, NULL),
    if(is_hit, {run:UInt64}, b.hit_run),
    NOT is_hit AND NOT closing,
    if(begins, first_time, b.backlog),
    if(begins, if(first_time, now_at + toIntervalSecond({due:Int64}), NULL), b.due_at)
FROM states AS b
FULL JOIN hits AS h ON h.fingerprint = b.fingerprint
WHERE NOT (closing AND b.status = 'excluded')
