-- Bad requests at the edges of incidents: the first %(most)s of each window that looks forward, the last of each other:
-- (target, forward, time, line, method, status, outcome, microseconds, member, path). What is bad depends on the kind of trouble:
-- failed (5xx or no answer), refused (also 4xx), denied (also those that mean this caller), slow (also slow ones). Good:
-- answered well, for what ended one.
-- Needs the partial index on request (endpoint_id, ts) WHERE outcome > 0; good ones are read from slices of a minute or two.
-- Parameters: arrays targets, endpoints, members (-1: all), froms, tos, forwards, kinds.
WITH target AS MATERIALIZED (
    SELECT * FROM unnest(%(targets)s::int[], %(endpoints)s::int[], %(members)s::int[], %(froms)s::timestamptz[],
                         %(tos)s::timestamptz[], %(forwards)s::boolean[], %(kinds)s::text[])
             AS t(target, endpoint_id, member_id, lo, hi, forward, kind)
)
SELECT t.target, t.forward, r.ts, r.line_id, r.method, r.status, r.outcome, r.response_us, r.member_id, r.path_id
FROM target t
CROSS JOIN LATERAL (
    (SELECT * FROM ingest_request q
     WHERE t.forward AND t.kind <> 'good' AND q.endpoint_id = t.endpoint_id AND q.ts >= t.lo AND q.ts < t.hi
       AND q.outcome > 0 AND (t.member_id = -1 OR q.member_id = t.member_id)
       AND (q.outcome >= 3 OR (q.outcome = 2 AND (t.kind = 'refused' OR t.kind = 'denied' AND q.status IN (401, 403, 407, 429))) OR (q.outcome = 1 AND t.kind = 'slow'))
     ORDER BY q.ts, q.line_id LIMIT %(most)s)
    UNION ALL
    (SELECT * FROM ingest_request q
     WHERE NOT t.forward AND t.kind <> 'good' AND q.endpoint_id = t.endpoint_id AND q.ts >= t.lo AND q.ts < t.hi
       AND q.outcome > 0 AND (t.member_id = -1 OR q.member_id = t.member_id)
       AND (q.outcome >= 3 OR (q.outcome = 2 AND (t.kind = 'refused' OR t.kind = 'denied' AND q.status IN (401, 403, 407, 429))) OR (q.outcome = 1 AND t.kind = 'slow'))
     ORDER BY q.ts DESC, q.line_id DESC LIMIT %(most)s)
    UNION ALL
    (SELECT * FROM ingest_request q
     WHERE t.kind = 'good' AND q.endpoint_id = t.endpoint_id AND q.ts >= t.lo AND q.ts < t.hi
       AND q.outcome = 0 AND (t.member_id = -1 OR q.member_id = t.member_id)
     ORDER BY q.ts, q.line_id LIMIT 1)
) r
ORDER BY t.target, r.ts, r.line_id
