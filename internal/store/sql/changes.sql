-- Keeps the run's changes, with the person whom each account belongs to, or did.
INSERT INTO changes (kind, source, subject, person, field, key, before, after, run_before, run_after, time_before, time_after)
SELECT c.kind, c.source, c.subject, if(c.person = '', l.person, c.person), c.field, c.key, c.before, c.after, c.before_run,
    {run:UInt64}, c.before_time, fromUnixTimestamp64Milli({now:Int64}, 'UTC')
FROM work_changes AS c
LEFT ANY JOIN (
    SELECT source, account, argMax(person, (person != '', run)) AS person FROM run_links
    WHERE run IN ({previous:UInt64}, {run:UInt64}) AND (source, account) IN (SELECT source, subject FROM work_changes)
    GROUP BY source, account) AS l ON l.source = c.source AND l.account = c.subject
