-- The requests of each endpoint inside its windows, each once however many windows hold it, in no order; times in
-- microseconds since 1970. Parameters: arrays of endpoint ids, from (inclusive), to (exclusive).
-- Days are read once for all windows, by BRIN on ts: one scan per stretch of time without a hole, then a hash join by
-- endpoint with all its windows as one multirange. No join by range, which would compare each window with each request.
WITH asked AS MATERIALIZED (
    SELECT endpoint_id, tstzrange(lo, hi) AS time
    FROM unnest(%(endpoints)s::int[], %(froms)s::timestamptz[], %(tos)s::timestamptz[]) AS w(endpoint_id, lo, hi)
), windows AS MATERIALIZED (
    SELECT endpoint_id, range_agg(time) AS times FROM asked GROUP BY endpoint_id
), stretches AS MATERIALIZED (
    SELECT lower(one) AS lo, upper(one) AS hi FROM (SELECT unnest(range_agg(time)) AS one FROM asked) AS s
)
SELECT r.line_id, (date_part('epoch', r.ts) * 1e6)::bigint, r.endpoint_id, r.f5_pool_id, r.member_id, r.client_id,
       r.path_id, r.method, r.status, r.outcome, r.response_us, r.bytes, r.link
FROM stretches s
CROSS JOIN LATERAL (
    SELECT * FROM ingest_request q WHERE q.ts >= s.lo AND q.ts < s.hi OFFSET 0
) AS r
JOIN windows w ON w.endpoint_id = r.endpoint_id AND r.ts <@ w.times
