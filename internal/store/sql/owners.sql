-- An owner_id means a person if exactly one person goes by it: as key, id, employee id, e-mail or username of any record.
INSERT INTO work_owners (owner_id, owner_no)
WITH
    inputs AS (SELECT source, snapshot FROM run_inputs WHERE run = {run:UInt64}),
    wanted AS (
        SELECT owner_id, arrayJoin(arrayDistinct([owner_id, owner_key])) AS form
        FROM (
            SELECT DISTINCT owner_id, owner_key FROM accounts WHERE (source, snapshot) IN (inputs) AND owner_id != ''
            UNION DISTINCT
            SELECT DISTINCT owner_id, owner_key FROM entitlements WHERE (source, snapshot) IN (inputs) AND owner_id != '')),
    forms AS (
        SELECT alias AS form, no FROM run_aliases WHERE run = {run:UInt64} AND alias IN (SELECT form FROM wanted)
        UNION ALL
        SELECT arrayJoin([id, lowerUTF8(employee_id), lowerUTF8(email), lowerUTF8(username)]) AS form, no
        FROM run_people WHERE run = {run:UInt64} AND form IN (SELECT form FROM wanted)
        UNION ALL
        SELECT r.form, a.no
        FROM (
            SELECT concat(source, ':', id) AS alias, arrayJoin([id, employee_id_key, email_key, username_key]) AS form
            FROM people WHERE (source, snapshot) IN (inputs) AND form IN (SELECT form FROM wanted)) AS r
        INNER JOIN (SELECT alias, no FROM run_aliases WHERE run = {run:UInt64}) AS a ON a.alias = r.alias)
SELECT w.owner_id, any(f.no)
FROM forms AS f
INNER JOIN wanted AS w ON w.form = f.form
GROUP BY w.owner_id
HAVING uniqExact(f.no) = 1
