-- Accounts that came, went, or changed their enabled state or owner, between two snapshots of a source.
INSERT INTO work_changes (kind, source, subject, person, field, key, before, after, before_run, before_time)
SELECT 'account', d.source, d.id, '', c.1, '', c.2, c.3, p.before_run, p.before_time
FROM (
    SELECT source, id, arrayJoin(arrayFilter(x -> x.2 != x.3,
        if(is_before AND is_after, [('enabled', was_enabled, now_enabled), ('owner', was_owner, now_owner)],
            [('exists', if(is_before, 'true', 'false'), if(is_after, 'true', 'false'))]))) AS c
    FROM (
        SELECT source, id,
            countIf(side = 'before') > 0 AS is_before, countIf(side = 'after') > 0 AS is_after,
            anyIf(state, side = 'before') AS was_enabled, anyIf(state, side = 'after') AS now_enabled,
            anyIf(owner_id, side = 'before') AS was_owner, anyIf(owner_id, side = 'after') AS now_owner
        FROM (
            SELECT source, id, multiIf(enabled IS NULL, '', enabled, 'true', 'false') AS state, owner_id,
                if((source, snapshot) IN (SELECT source, snapshot FROM work_pairs), 'after', 'before') AS side
            FROM accounts
            WHERE (source, snapshot) IN (SELECT source, snapshot FROM work_pairs)
                OR (source, snapshot) IN (SELECT source, before_snapshot FROM work_pairs))
        GROUP BY source, id
        HAVING is_before != is_after OR was_enabled != now_enabled OR was_owner != now_owner)) AS d
INNER JOIN work_pairs AS p ON p.source = d.source
