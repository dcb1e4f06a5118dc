-- Numbers accounts so that the people and the peers of a slice are neighbours.
INSERT INTO work_numbers (no, source, id, person_no, department, peer, link_method, link_status, link_candidates, link_since)
SELECT row_number() OVER (ORDER BY department, person_no, source, id), source, id, person_no, department, peer,
    link_method, link_status, link_candidates, link_since
FROM (
    SELECT a.source AS source, a.id AS id, l.person_no AS person_no, p.department AS department,
        ifNull(a.enabled, false) AND a.kind = 'human' AND l.status = 'linked' AND p.status = 'active'
            AND p.department != '' AS peer,
        if(l.method = '', 'none', l.method) AS link_method,
        if(l.status = '', 'unmatched', l.status) AS link_status,
        l.candidates AS link_candidates, l.since AS link_since
    FROM (SELECT source, id, enabled, kind FROM accounts
        WHERE (source, snapshot) IN (SELECT source, snapshot FROM run_inputs WHERE run = {run:UInt64})) AS a
    LEFT ANY JOIN (SELECT source, account, person_no, method, status, toUInt32(length(candidates)) AS candidates,
        toNullable(since) AS since FROM run_links WHERE run = {run:UInt64}) AS l ON l.source = a.source AND l.account = a.id
    LEFT ANY JOIN (SELECT no, status, department FROM run_people WHERE run = {run:UInt64}) AS p ON p.no = l.person_no)
