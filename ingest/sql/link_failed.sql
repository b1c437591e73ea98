-- The requests that went badly (outcome > 0) inside each window of an endpoint: window id, identity, time and how it ended.
-- Arrays of window ids, endpoint ids, from (inclusive), to (exclusive), and the ends of the whole, %(from)s and %(to)s,
-- which choose the partitions once instead of per window. Needs the partial index on request (endpoint, ts)
-- WHERE outcome > 0; OFFSET 0 keeps the planner from turning the look-ups into one big join.
SELECT w.window_id, r.line_id, r.ts, r.endpoint_id, r.f5_pool_id, r.member_id, r.client_id, r.try_key_id, r.link,
       r.outcome, r.status, r.response_us
FROM unnest(%(windows)s::bigint[], %(endpoints)s::int[], %(froms)s::timestamptz[], %(tos)s::timestamptz[])
     AS w(window_id, endpoint_id, from_ts, to_ts)
CROSS JOIN LATERAL (
    SELECT *
    FROM ingest_request q
    WHERE q.endpoint_id = w.endpoint_id AND q.ts >= w.from_ts AND q.ts < w.to_ts AND q.outcome > 0
      AND q.ts >= %(from)s AND q.ts < %(to)s
    OFFSET 0
) AS r
