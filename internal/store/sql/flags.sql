INSERT INTO work_flags (account, privileged, unknown)
WITH (SELECT groupArray(flag) FROM (SELECT ifNull(toInt8(privileged), -1) AS flag FROM work_entitlements ORDER BY no)) AS flags
SELECT account, max(flags[entitlement] = 1), max(flags[entitlement] = -1)
FROM work_effective
WHERE account BETWEEN {first:UInt32} AND {last:UInt32}
GROUP BY account
