-- Entitlements by their number, licenses and sources in one slice each.
INSERT INTO work_slices (kind, slice, first, last)
SELECT 'entitlement', intDiv(no - 1, 50000) AS part, min(no), max(no) FROM work_entitlements GROUP BY part
UNION ALL
SELECT arrayJoin(['license', 'source']), 0, 0, 0
