-- Cuts accounts into ranges of about equal weight: an account weighs as much as {base} grants.
INSERT INTO work_slices (kind, slice, first, last)
SELECT 'account', row_number() OVER (ORDER BY part) - 1, first, last
FROM (
    SELECT part, min(no) AS first, max(no) AS last
    FROM (
        SELECT no, intDiv(sum(weight) OVER (ORDER BY no ROWS UNBOUNDED PRECEDING), {weight:UInt64}) AS part
        FROM (
            SELECT a.no AS no, {base:UInt64} + w.weight AS weight
            FROM (SELECT no FROM work_accounts) AS a
            LEFT ANY JOIN (
                SELECT d.account AS account, sum(1 + f.n) AS weight
                FROM (SELECT account, entitlement FROM work_direct) AS d
                LEFT ANY JOIN (SELECT holder, count() AS n FROM work_closure GROUP BY holder) AS f ON f.holder = d.entitlement
                GROUP BY d.account) AS w ON w.account = a.no))
    GROUP BY part)
