INSERT INTO work_keys (account, id, kind, active, days_since_created, days_since_used)
WITH (t) -> toInt64(floor(({now:Int64} - toUnixTimestamp64Milli(t)) / 86400000)) AS days
SELECT n.no, k.id, k.kind, k.active, days(k.created_at), days(k.last_used_at)
FROM (SELECT * FROM account_keys
    WHERE (source, snapshot) IN (SELECT source, snapshot FROM run_inputs WHERE run = {run:UInt64})) AS k
INNER JOIN work_numbers AS n ON n.source = k.source AND n.id = k.account_id
