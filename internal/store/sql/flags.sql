-- Of accounts with grants. An entitlement is as privileged as those that it holds: so nobody has to go through all effective
-- grants.
INSERT INTO work_flags (account, privileged, unknown)
WITH (SELECT groupArray(flags) FROM (
    SELECT bitOr(e.flag, h.flags) AS flags
    FROM (SELECT no, multiIf(privileged IS NULL, 2, privileged, 1, 0) AS flag FROM work_entitlements) AS e
    LEFT ANY JOIN (
        SELECT c.holder AS holder, groupBitOr(t.flag) AS flags
        FROM (SELECT holder, entitlement FROM work_closure) AS c
        INNER JOIN (SELECT no, if(privileged IS NULL, 2, 1) AS flag FROM work_entitlements WHERE ifNull(privileged, true)) AS t
            ON t.no = c.entitlement
        GROUP BY c.holder) AS h ON h.holder = e.no
    ORDER BY e.no)) AS held
SELECT account, bitAnd(groupBitOr(held[entitlement]) AS flags, 1) = 1, bitAnd(flags, 2) = 2
FROM work_direct
GROUP BY account
