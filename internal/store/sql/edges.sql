INSERT INTO work_edges (holder, entitlement)
SELECT h.no, e.no
FROM (SELECT source, holder_id, entitlement_id FROM grants
    WHERE (source, snapshot) IN (SELECT source, snapshot FROM run_inputs WHERE run = {run:UInt64})
        AND holder_kind = 'entitlement') AS g
INNER JOIN (SELECT source, id, no FROM work_entitlements) AS h ON h.source = g.source AND h.id = g.holder_id
INNER JOIN (SELECT source, id, no FROM work_entitlements) AS e ON e.source = g.source AND e.id = g.entitlement_id
