-- A seat's own price overrides that of its license, together with its currency.
INSERT INTO work_seats (account, sku, product, cost_month, currency, days_since_assigned, days_since_used, never_used)
WITH
    (t) -> toInt64(floor(({now:Int64} - toUnixTimestamp64Milli(t)) / 86400000)) AS days,
    if(isNull(u.last_used_at), s.last_used_at, if(isNull(s.last_used_at), u.last_used_at, greatest(s.last_used_at, u.last_used_at))) AS used_at
SELECT n.no, s.sku, if(s.product = '', l.product, s.product), ifNull(s.cost_month, l.cost_month),
    if(s.cost_month IS NULL OR s.currency = '', l.currency, s.currency), days(s.assigned_at), days(used_at),
    multiIf(used_at IS NOT NULL, false, s.never_used OR u.never_used, true, s.never_used)
FROM (SELECT * FROM seats
    WHERE (source, snapshot) IN (SELECT source, snapshot FROM run_inputs WHERE run = {run:UInt64})) AS s
INNER JOIN work_numbers AS n ON n.source = s.source AND n.id = s.account_id
LEFT ANY JOIN (SELECT source, sku, product, toNullable(cost_month) AS cost_month, currency FROM licenses
    WHERE (source, snapshot) IN (SELECT source, snapshot FROM run_inputs WHERE run = {run:UInt64})) AS l
    ON l.source = s.source AND l.sku = s.sku
LEFT ANY JOIN (SELECT account, sku, last_used_at, never_used FROM work_usage WHERE sku != '') AS u
    ON u.account = n.no AND u.sku = s.sku
