INSERT INTO run_privileged (run, source, account, entitlement)
SELECT {run:UInt64}, a.source, a.id, x.id
FROM (SELECT account, entitlement FROM work_effective
    WHERE entitlement IN (SELECT no FROM work_entitlements WHERE privileged = true)) AS e
INNER JOIN (SELECT no, source, id FROM work_accounts WHERE no IN (SELECT account FROM work_flags WHERE privileged)) AS a
    ON a.no = e.account
INNER JOIN (SELECT no, id FROM work_entitlements WHERE privileged = true) AS x ON x.no = e.entitlement
