-- A person's status, also of those who are new or gone. A roster's first run is no change.
INSERT INTO work_changes (kind, source, subject, person, field, key, before, after, before_run, before_time)
SELECT 'person', '', who, who, 'status', '', before, after, {previous:UInt64}, fromUnixTimestamp64Milli({previous_time:Int64}, 'UTC')
FROM (
    SELECT key AS who, argMax(roster, run) AS roster, anyIf(status, run = {previous:UInt64}) AS before,
        anyIf(status, run = {run:UInt64}) AS after
    FROM run_people
    WHERE run IN ({previous:UInt64}, {run:UInt64})
    GROUP BY key)
WHERE before != after AND roster IN (SELECT source FROM run_inputs WHERE run = {previous:UInt64} AND snapshot > 0)
