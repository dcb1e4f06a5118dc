-- Cuts accounts whose grants nobody asks for into ranges of {size}.
INSERT INTO work_slices (kind, slice, first, last)
SELECT 'account', intDiv(no - 1, {size:UInt64}) AS part, min(no), max(no) FROM work_accounts GROUP BY part
