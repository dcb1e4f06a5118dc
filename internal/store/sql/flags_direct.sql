-- What flags.sql says, where effective grants are not made: an entitlement is as privileged as the most privileged of those
-- that it holds, and an account as the entitlements that it holds directly.
INSERT INTO work_flags (account, privileged, unknown)
SELECT n.no, max(g.privileged), max(g.unknown)
FROM (
    SELECT d.source AS source, d.holder_id AS holder_id, e.privileged AS privileged, e.unknown AS unknown
    FROM (SELECT source, holder_id, entitlement_id FROM grants
        WHERE (source, snapshot) IN (SELECT source, snapshot FROM run_inputs WHERE run = {run:UInt64})
            AND holder_kind = 'account') AS d
    INNER JOIN (
        SELECT h.source AS source, h.id AS id, f.privileged AS privileged, f.unknown AS unknown
        FROM (SELECT no, source, id FROM work_entitlements) AS h
        INNER JOIN (
            SELECT holder, max(privileged) AS privileged, max(unknown) AS unknown
            FROM (
                SELECT no AS holder, ifNull(privileged, false) AS privileged, privileged IS NULL AS unknown
                FROM (SELECT no, privileged FROM work_entitlements WHERE ifNull(privileged, true))
                UNION ALL
                SELECT c.holder, ifNull(t.privileged, false), t.privileged IS NULL
                FROM (SELECT holder, entitlement FROM work_closure) AS c
                INNER JOIN (SELECT no, privileged FROM work_entitlements WHERE ifNull(privileged, true)) AS t ON t.no = c.entitlement)
            GROUP BY holder) AS f ON f.holder = h.no) AS e
        ON e.source = d.source AND e.id = d.entitlement_id) AS g
INNER JOIN (SELECT source, id, no FROM work_numbers) AS n ON n.source = g.source AND n.id = g.holder_id
GROUP BY n.no
