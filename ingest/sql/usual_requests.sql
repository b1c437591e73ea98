-- The answers below 400 to each path of an endpoint inside its windows, each once, in no order; columns and way as in
-- near_requests.sql. Parameters: arrays of endpoint ids, path templates, from (inclusive), to (exclusive).
WITH asked AS MATERIALIZED (
    SELECT endpoint_id, t.id AS path_id, tstzrange(lo, hi) AS time
    FROM unnest(%(endpoints)s::int[], %(paths)s::text[], %(froms)s::timestamptz[], %(tos)s::timestamptz[])
         AS w(endpoint_id, template, lo, hi)
    JOIN ingest_path t ON t.template = w.template
), windows AS MATERIALIZED (
    SELECT endpoint_id, path_id, range_agg(time) AS times FROM asked GROUP BY endpoint_id, path_id
), stretches AS MATERIALIZED (
    SELECT lower(one) AS lo, upper(one) AS hi FROM (SELECT unnest(range_agg(time)) AS one FROM asked) AS s
)
SELECT r.line_id, (date_part('epoch', r.ts) * 1e6)::bigint, r.endpoint_id, r.f5_pool_id, r.member_id, r.client_id,
       r.path_id, r.method, r.status, r.outcome, r.response_us, r.bytes, r.link
FROM stretches s
CROSS JOIN LATERAL (
    SELECT * FROM ingest_request q WHERE q.ts >= s.lo AND q.ts < s.hi AND q.outcome <= 1 OFFSET 0
) AS r
JOIN windows w ON w.endpoint_id = r.endpoint_id AND w.path_id = r.path_id AND r.ts <@ w.times
