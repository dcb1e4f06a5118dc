-- Seats that were assigned or taken away, between two snapshots of a source.
INSERT INTO work_changes (kind, source, subject, person, field, key, before, after, before_run, before_time)
SELECT 'seat', d.source, d.account_id, '', 'seat', d.sku, if(d.is_before, 'held', ''), if(d.is_before, '', 'held'),
    p.before_run, p.before_time
FROM (
    SELECT source, account_id, sku, countIf(NOT after) > 0 AS is_before
    FROM (
        SELECT source, account_id, sku, (source, snapshot) IN (SELECT source, snapshot FROM work_pairs) AS after FROM seats
        WHERE (source, snapshot) IN (SELECT source, snapshot FROM work_pairs)
            OR (source, snapshot) IN (SELECT source, before_snapshot FROM work_pairs))
    GROUP BY source, account_id, sku
    HAVING is_before != (countIf(after) > 0)) AS d
INNER JOIN work_pairs AS p ON p.source = d.source
