-- Requests of components by minute: (target, minute, all, client errors, failed, slow), for dating when each began to fail.
-- A target is one or more of (endpoint, member or -1 for all of them) with a window; `slow` counts the histogram's buckets
-- from %(slow)s on (1 is the first). Needs the unique index minute_once (endpoint_id, member_id, start).
-- Parameters: arrays targets, endpoints, members, froms, tos.
WITH target AS MATERIALIZED (
    SELECT * FROM unnest(%(targets)s::int[], %(endpoints)s::int[], %(members)s::int[], %(froms)s::timestamptz[],
                         %(tos)s::timestamptz[]) AS t(target, endpoint_id, member_id, lo, hi)
)
SELECT t.target, m.start, sum(m.requests)::bigint, sum(m.client_errors)::bigint,
       sum(m.server_errors + m.unanswered)::bigint,
       sum((SELECT coalesce(sum(b), 0) FROM unnest(m.histogram[%(slow)s:]) AS h(b)))::bigint
FROM target t
JOIN ingest_requestminute m
  ON m.endpoint_id = t.endpoint_id AND (t.member_id = -1 OR m.member_id = t.member_id)
 AND m.start >= t.lo AND m.start < t.hi
GROUP BY t.target, m.start
ORDER BY t.target, m.start
