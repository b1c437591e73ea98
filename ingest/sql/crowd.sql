-- How many requests each endpoint had in each minute of its windows, how many of them a server's error answered, and how
-- many nothing: endpoint id, start of the minute in microseconds since 1970, the three numbers. And of those that nobody
-- seemed to reach, the minutes in which other virtual servers of their device group were asked: the endpoint's id below
-- zero, the minute, how often. Parameters: arrays of endpoint ids, from, to; the same of the latter. Needs the unique index
-- on requestminute (endpoint, member, start), or that on (start).
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
UNION ALL
SELECT -w.endpoint_id, (date_part('epoch', m.start) * 1e6)::bigint, sum(m.requests), 0, 0
FROM unnest(%(called)s::int[], %(called_from)s::timestamptz[], %(called_to)s::timestamptz[]) AS w(endpoint_id, lo, hi)
JOIN ingest_endpoint mine ON mine.id = w.endpoint_id
JOIN ingest_endpoint other ON other.group_id = mine.group_id AND other.id <> mine.id
JOIN ingest_requestminute m ON m.endpoint_id = other.id AND m.start >= w.lo AND m.start < w.hi
GROUP BY w.endpoint_id, m.start
