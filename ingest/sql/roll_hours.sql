-- Sums the minutes of the whole hours that touch [since, upto) into one row per endpoint, member and hour, replacing what
-- stood there. Hours of which minutes have expired are outside the caller's interval. Needs the index on minute (start).
WITH minute AS (
    SELECT *, date_trunc('hour', start, 'UTC') AS hour
    FROM ingest_requestminute
    WHERE start >= date_trunc('hour', %(since)s::timestamptz, 'UTC')
      AND start < date_trunc('hour', %(upto)s::timestamptz - interval '1 microsecond', 'UTC') + interval '1 hour'
),
buckets AS (
    SELECT endpoint_id, member_id, hour, array_agg(n::int ORDER BY place) AS histogram
    FROM (
        SELECT endpoint_id, member_id, hour, place, sum(n) AS n
        FROM minute, unnest(histogram) WITH ORDINALITY AS h(n, place)
        GROUP BY endpoint_id, member_id, hour, place
    ) AS summed
    GROUP BY endpoint_id, member_id, hour
),
counts AS (
    SELECT endpoint_id, member_id, hour, sum(requests) AS requests, sum(client_errors) AS client_errors,
           sum(server_errors) AS server_errors, sum(unanswered) AS unanswered, sum(untimed) AS untimed,
           sum(sum_us) AS sum_us, max(max_us) AS max_us
    FROM minute
    GROUP BY endpoint_id, member_id, hour
)
INSERT INTO ingest_requesthour (
    endpoint_id, member_id, start, requests, client_errors, server_errors, unanswered, untimed, sum_us, max_us, histogram
)
SELECT endpoint_id, member_id, hour, requests, client_errors, server_errors, unanswered, untimed, sum_us, max_us, histogram
FROM counts JOIN buckets USING (endpoint_id, member_id, hour)
ORDER BY endpoint_id, member_id, hour
ON CONFLICT (endpoint_id, member_id, start) DO UPDATE SET
    requests = excluded.requests,
    client_errors = excluded.client_errors,
    server_errors = excluded.server_errors,
    unanswered = excluded.unanswered,
    untimed = excluded.untimed,
    sum_us = excluded.sum_us,
    max_us = excluded.max_us,
    histogram = excluded.histogram
