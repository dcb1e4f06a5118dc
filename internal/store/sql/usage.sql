INSERT INTO work_usage (account, sku, entitlement_no, last_used_at, never_used)
SELECT n.no, u.sku, e.no, max(u.last_used_at), max(u.never_used)
FROM (SELECT * FROM usage
    WHERE (source, snapshot) IN (SELECT source, snapshot FROM run_inputs WHERE run = {run:UInt64})) AS u
INNER JOIN work_numbers AS n ON n.source = u.source AND n.id = u.account_id
LEFT ANY JOIN (SELECT source, id, no FROM work_entitlements) AS e ON e.source = u.source AND e.id = u.entitlement_id
WHERE u.entitlement_id = '' OR e.no > 0
GROUP BY n.no, u.sku, e.no
