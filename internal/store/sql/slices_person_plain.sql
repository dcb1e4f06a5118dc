-- Cuts people whose grants nobody asks for into ranges of {size}.
INSERT INTO work_slices (kind, slice, first, last)
SELECT 'person', intDiv(no - 1, {size:UInt64}) AS part, min(no), max(no) FROM run_people WHERE run = {run:UInt64} GROUP BY part
