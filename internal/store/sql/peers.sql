INSERT INTO work_peers (peer_group, entitlement, holders)
SELECT a.peer_group, e.entitlement, count()
FROM work_effective AS e
INNER JOIN (SELECT no, peer_group FROM work_accounts WHERE peer_group > 0) AS a ON a.no = e.account
GROUP BY a.peer_group, e.entitlement
