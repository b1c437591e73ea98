-- Bad requests of incidents' components: (target, all of them, of no known try, client addresses of those); what is bad
-- depends on the kind of trouble, see incident_edges.sql.
-- Needs the partial index on request (endpoint_id, ts) WHERE outcome > 0. Parameters: arrays targets, endpoints, members
-- (-1: all), froms, tos, kinds.
WITH target AS MATERIALIZED (
    SELECT * FROM unnest(%(targets)s::int[], %(endpoints)s::int[], %(members)s::int[], %(froms)s::timestamptz[],
                         %(tos)s::timestamptz[], %(kinds)s::text[]) AS t(target, endpoint_id, member_id, lo, hi, kind)
)
SELECT t.target, count(*), count(*) FILTER (WHERE r.try_key_id IS NULL),
       count(DISTINCT r.client_id) FILTER (WHERE r.try_key_id IS NULL)
FROM target t
JOIN ingest_request r
  ON r.endpoint_id = t.endpoint_id AND r.ts >= t.lo AND r.ts <= t.hi AND r.outcome > 0
 AND (t.member_id = -1 OR r.member_id = t.member_id)
 AND (r.outcome >= 3 OR (r.outcome = 2 AND (t.kind = 'refused' OR t.kind = 'denied' AND r.status IN (401, 403, 407, 429)))
      OR (r.outcome = 1 AND t.kind = 'slow'))
GROUP BY t.target
