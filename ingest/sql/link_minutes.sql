-- How all requests inside each window of an endpoint went, by member: window id, member id (null: none), requests,
-- failed ones, sum and greatest of the response times. Arrays of window ids, endpoint ids, from (inclusive), to
-- (exclusive); the ends of the whole, %(from)s and %(to)s, which choose the partitions; and %(minutes)s, the most minutes
-- that one window touches, which tells the planner how few they are.
-- Needs no index: the windows are cut into minutes and meet the requests by equality of endpoint and minute, where a join
-- by range would compare every window with every request. MATERIALIZED: else the planner, without statistics, joins by
-- endpoint alone and cuts afterwards.
WITH cut AS MATERIALIZED (
    SELECT w.window_id, w.endpoint_id, w.from_ts, w.to_ts, minutes.minute
    FROM unnest(%(windows)s::bigint[], %(endpoints)s::int[], %(froms)s::timestamptz[], %(tos)s::timestamptz[])
         AS w(window_id, endpoint_id, from_ts, to_ts)
    CROSS JOIN LATERAL (
        SELECT minute
        FROM generate_series(floor(date_part('epoch', from_ts) / 60)::int, floor(date_part('epoch', to_ts) / 60)::int) AS minute
        LIMIT %(minutes)s
    ) AS minutes
),
r AS (
    SELECT endpoint_id, floor(date_part('epoch', ts) / 60)::int AS minute, ts, member_id, outcome, response_us
    FROM ingest_request
    WHERE ts >= %(from)s AND ts < %(to)s
)
SELECT cut.window_id, r.member_id, count(*), count(*) FILTER (WHERE r.outcome > 1), sum(r.response_us), max(r.response_us)
FROM cut
JOIN r ON r.endpoint_id = cut.endpoint_id AND r.minute = cut.minute AND r.ts >= cut.from_ts AND r.ts < cut.to_ts
GROUP BY cut.window_id, r.member_id
