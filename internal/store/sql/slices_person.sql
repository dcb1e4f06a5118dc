-- Cuts people into ranges by the grants of their accounts. By now work_effective is there.
INSERT INTO work_slices (kind, slice, first, last)
SELECT 'person', row_number() OVER (ORDER BY part) - 1, first, last
FROM (
    SELECT part, min(no) AS first, max(no) AS last
    FROM (
        SELECT no, intDiv(sum(weight) OVER (ORDER BY no ROWS UNBOUNDED PRECEDING), {weight:UInt64}) AS part
        FROM (
            SELECT p.no AS no, {base:UInt64} + w.weight AS weight
            FROM (SELECT no FROM run_people WHERE run = {run:UInt64}) AS p
            LEFT ANY JOIN (
                SELECT a.person_no AS person_no, sum({base:UInt64} + e.n) AS weight
                FROM (SELECT no, person_no FROM work_accounts WHERE person_no > 0) AS a
                LEFT ANY JOIN (SELECT account, count() AS n FROM work_effective GROUP BY account) AS e ON e.account = a.no
                GROUP BY a.person_no) AS w ON w.person_no = p.no))
    GROUP BY part)
