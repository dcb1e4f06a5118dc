-- Accounts, there before and now, that belong to somebody else, or no longer as surely.
INSERT INTO work_changes (kind, source, subject, person, field, key, before, after, before_run, before_time)
SELECT 'account', l.source, l.account, if(l.person = '', b.person, l.person), 'link', '',
    if(b.person = '', b.status, b.person), if(l.person = '', l.status, l.person),
    {previous:UInt64}, fromUnixTimestamp64Milli({previous_time:Int64}, 'UTC')
FROM (SELECT source, account, person, status FROM run_links WHERE run = {previous:UInt64}) AS b
INNER JOIN (SELECT source, account, person, status FROM run_links
    WHERE run = {run:UInt64} AND since = fromUnixTimestamp64Milli({now:Int64}, 'UTC')) AS l
    ON l.source = b.source AND l.account = b.account
WHERE l.person != b.person OR l.status != b.status
