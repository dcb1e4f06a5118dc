INSERT INTO work_members (entitlement, direct, effective, enabled)
SELECT e.entitlement, countIf(e.depth = 0), count(), countIf(a.enabled)
FROM work_effective AS e
INNER JOIN (SELECT no, ifNull(enabled, false) AS enabled FROM work_accounts) AS a ON a.no = e.account
GROUP BY e.entitlement
