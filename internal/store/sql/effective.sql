-- Effective grants of a range of accounts: direct ones, and what these entitlements hold themselves. Of several ways the
-- shortest counts, then the one of the least number.
INSERT INTO work_effective (account, entitlement, depth, via)
SELECT account, entitlement, bitShiftRight(best, 32), bitAnd(best, 4294967295)
FROM (
    SELECT account, entitlement, min(way) AS best
    FROM (
        SELECT account, entitlement, toUInt64(0) AS way FROM work_direct
        WHERE account BETWEEN {first:UInt32} AND {last:UInt32}
        UNION ALL
        SELECT d.account, c.entitlement, bitShiftLeft(toUInt64(c.depth), 32) + c.no
        FROM (SELECT account, entitlement FROM work_direct WHERE account BETWEEN {first:UInt32} AND {last:UInt32}) AS d
        INNER JOIN (SELECT holder, entitlement, depth, no FROM work_closure) AS c ON c.holder = d.entitlement)
    GROUP BY account, entitlement)
