-- Numbers people in the order of (department, key), and names every key they go by.
INSERT INTO run_aliases (run, alias, key, no)
SELECT {run:UInt64}, arrayJoin(arrayDistinct(arrayPushBack(aliases, key))), key, no
FROM (SELECT key, aliases, row_number() OVER (ORDER BY department, key) AS no FROM work_people)
