-- Whom each account belongs to. A link has stood since the run that first saw it between the same two, with the same
-- status.
INSERT INTO run_links (run, source, account, person, person_no, method, status, candidates, reason, since)
WITH if(a.no > 0, a.key, l.person) AS who
SELECT {run:UInt64}, l.source, l.account, who, a.no, l.method, l.status, l.candidates, l.reason,
    if(b.account != '' AND b.status = l.status AND b.person = who, b.since, fromUnixTimestamp64Milli({now:Int64}, 'UTC'))
FROM work_links AS l
LEFT ANY JOIN (SELECT alias, key, no FROM run_aliases WHERE run = {run:UInt64}) AS a ON a.alias = l.person
LEFT ANY JOIN (SELECT source, account, person, status, since FROM run_links WHERE run = {previous:UInt64}) AS b
    ON b.source = l.source AND b.account = l.account
