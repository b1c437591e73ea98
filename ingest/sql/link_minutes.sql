-- How all requests inside each window of an endpoint went, by member: window id, member id (null: none), requests,
-- failed ones, sum and greatest of the response times. Arrays of window ids, endpoint ids, from (inclusive), to
-- (exclusive); the ends of the whole, %(from)s and %(to)s, which choose the partitions; %(seconds)s, how long a slice is (a
-- minute, or about the length of a usual window); and %(slices)s, the most slices that one window touches, which tells the
-- planner how few they are.
-- Needs no index: the windows are cut into slices and meet the requests by equality of endpoint and slice, where a join
-- by range would compare every window with every request. MATERIALIZED: else the planner, without statistics, joins by
-- endpoint alone and cuts afterwards.
WITH cut AS MATERIALIZED (
    SELECT w.window_id, w.endpoint_id, w.from_ts, w.to_ts, slices.slice
    FROM unnest(%(windows)s::bigint[], %(endpoints)s::int[], %(froms)s::timestamptz[], %(tos)s::timestamptz[])
         AS w(window_id, endpoint_id, from_ts, to_ts)
    CROSS JOIN LATERAL (
        SELECT slice
        FROM generate_series(
            floor(date_part('epoch', from_ts) / %(seconds)s)::int, floor(date_part('epoch', to_ts) / %(seconds)s)::int
        ) AS slice
        LIMIT %(slices)s
    ) AS slices
),
r AS (
    SELECT endpoint_id, floor(date_part('epoch', ts) / %(seconds)s)::int AS slice, ts, member_id, outcome, response_us
    FROM ingest_request
    WHERE ts >= %(from)s AND ts < %(to)s
)
SELECT cut.window_id, r.member_id, count(*), count(*) FILTER (WHERE r.outcome > 1), sum(r.response_us), max(r.response_us)
FROM cut
JOIN r ON r.endpoint_id = cut.endpoint_id AND r.slice = cut.slice AND r.ts >= cut.from_ts AND r.ts < cut.to_ts
GROUP BY cut.window_id, r.member_id
