-- People as of this run, with what the run before knew: when an end date was first seen, and a transfer that the roster
-- itself doesn't tell.
INSERT INTO run_people (run, no, key, roster, id, employee_id, username, email, name, kind, status, department, title,
    location, company, cost_center, manager, manager_no, start_at, end_at, end_first_known, first_start_at,
    previous_department, previous_title, transferred_at, high_risk, records, attributes)
WITH
    fromUnixTimestamp64Milli({now:Int64}, 'UTC') AS now_at,
    p.transferred_at IS NOT NULL OR p.previous_department != '' OR p.previous_title != '' AS told,
    b.key != '' AND b.department != '' AND p.department != '' AND b.department != p.department AS moved
SELECT {run:UInt64}, n.no, p.key, p.roster, p.id, p.employee_id, p.username, p.email, p.name, p.kind, p.status,
    p.department, p.title, p.location, p.company, p.cost_center,
    if(m.no > 0, m.key, p.manager_id), m.no,
    p.start_at, p.end_at,
    multiIf(p.end_at IS NULL, NULL, b.key != '' AND b.end_at = p.end_at, b.end_first_known, now_at), p.first_start_at,
    multiIf(told, p.previous_department, moved, b.department, b.previous_department),
    multiIf(told, p.previous_title, moved, b.title, b.previous_title),
    multiIf(told, p.transferred_at, moved, now_at, b.transferred_at),
    p.high_risk, p.records, p.attributes
FROM work_people AS p
INNER JOIN (SELECT alias, no FROM run_aliases WHERE run = {run:UInt64}) AS n ON n.alias = p.key
LEFT ANY JOIN (SELECT alias, key, no FROM run_aliases WHERE run = {run:UInt64}) AS m
    ON m.alias = p.manager_id
LEFT ANY JOIN (SELECT key, end_at, end_first_known, department, title, previous_department, previous_title, transferred_at
    FROM run_people WHERE run = {previous:UInt64}) AS b ON b.key = p.key
