-- How many requests each endpoint had in each minute of its windows, how many of them a server's error answered, and how
-- many nothing: endpoint id, start of the minute in microseconds since 1970, the three numbers. Parameters: arrays of endpoint ids, from, to. Needs the unique index on requestminute (endpoint, member, start), or that on (start).
WITH windows AS MATERIALIZED (
    SELECT endpoint_id, range_agg(tstzrange(date_trunc('minute', lo), hi)) AS times, min(lo) AS lo, max(hi) AS hi
    FROM unnest(%(endpoints)s::int[], %(froms)s::timestamptz[], %(tos)s::timestamptz[]) AS w(endpoint_id, lo, hi)
    GROUP BY endpoint_id
)
SELECT m.endpoint_id, (date_part('epoch', m.start) * 1e6)::bigint, sum(m.requests),
       sum(m.server_errors), sum(m.unanswered)
FROM windows w
JOIN ingest_requestminute m ON m.endpoint_id = w.endpoint_id AND m.start <@ w.times
WHERE m.start >= (SELECT min(lo) FROM windows) - interval '1 minute' AND m.start < (SELECT max(hi) FROM windows)
GROUP BY m.endpoint_id, m.start
