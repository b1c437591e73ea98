-- Failed requests of incidents' components: (target, all of them, of no known try, client addresses of those).
-- Needs the partial index on request (endpoint_id, ts) WHERE outcome > 0. Parameters: arrays targets, endpoints, members
-- (-1: all), froms, tos.
WITH target AS MATERIALIZED (
    SELECT * FROM unnest(%(targets)s::int[], %(endpoints)s::int[], %(members)s::int[], %(froms)s::timestamptz[],
                         %(tos)s::timestamptz[]) AS t(target, endpoint_id, member_id, lo, hi)
)
SELECT t.target, count(*), count(*) FILTER (WHERE r.try_key_id IS NULL),
       count(DISTINCT r.client_id) FILTER (WHERE r.try_key_id IS NULL)
FROM target t
JOIN ingest_request r
  ON r.endpoint_id = t.endpoint_id AND r.ts >= t.lo AND r.ts <= t.hi AND r.outcome > 0 AND r.outcome >= 3
 AND (t.member_id = -1 OR r.member_id = t.member_id)
GROUP BY t.target
