-- Privileged grants, by any path, that came or went. A source's first run is no change.
INSERT INTO work_changes (kind, source, subject, person, field, key, before, after, before_run, before_time)
SELECT 'grant', source, account, '', 'privileged', entitlement, if(was, 'held', ''), if(was, '', 'held'), {previous:UInt64},
    fromUnixTimestamp64Milli({previous_time:Int64}, 'UTC')
FROM (
    SELECT source, account, entitlement, max(run = {previous:UInt64}) AS was
    FROM run_privileged
    WHERE run IN ({previous:UInt64}, {run:UInt64})
        AND source IN (SELECT source FROM run_inputs WHERE run = {previous:UInt64} AND snapshot > 0)
        AND source IN (SELECT source FROM run_inputs WHERE run = {run:UInt64} AND snapshot > 0)
    GROUP BY source, account, entitlement
    HAVING uniqExact(run) = 1)
