INSERT INTO work_groups (no, source, department, members)
SELECT row_number() OVER (ORDER BY department, source), source, department, members
FROM (SELECT source, department, count() AS members FROM work_numbers WHERE peer GROUP BY source, department)
