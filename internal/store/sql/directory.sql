-- A person's main directory account: a human one before others, the one with his own username before others, an enabled
-- one before others, then the oldest. A foreign security principal only stands for an account of another directory.
INSERT INTO work_directory (person_no, id, source, username, enabled, days_since_disabled)
SELECT a.person_no, a.id, a.source, a.username, a.enabled, a.days_since_disabled
FROM (SELECT person_no, id, source, username, kind, enabled, days_since_disabled, created_at FROM work_accounts
    WHERE person_no > 0 AND attributes['object_class'] != 'foreign_security_principal'
        AND source IN (SELECT source FROM run_inputs WHERE run = {run:UInt64} AND directory)) AS a
LEFT ANY JOIN (SELECT no, username FROM run_people WHERE run = {run:UInt64}) AS p ON p.no = a.person_no
ORDER BY a.person_no, a.kind = 'human' DESC, lowerUTF8(a.username) = lowerUTF8(p.username) DESC,
    ifNull(a.enabled, false) DESC, a.created_at NULLS LAST, a.source, a.id
LIMIT 1 BY a.person_no
