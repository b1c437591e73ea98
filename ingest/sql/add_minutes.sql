-- Adds a batch's minutes (one array per column, histograms as array text) to the stored ones, histograms bucket by bucket.
-- Rows come sorted by their key, so that workers lock them in one order. Needs the unique index minute_once.
INSERT INTO ingest_requestminute AS m (
    endpoint_id, member_id, start, requests, client_errors, server_errors, unanswered, untimed, sum_us, max_us, histogram
)
SELECT endpoint_id, member_id, start, requests, client_errors, server_errors, unanswered, untimed, sum_us, max_us,
       histogram::int[]
FROM unnest(
    %(endpoint_id)s::int[], %(member_id)s::int[], %(start)s::timestamptz[], %(requests)s::int[], %(client_errors)s::int[],
    %(server_errors)s::int[], %(unanswered)s::int[], %(untimed)s::int[], %(sum_us)s::bigint[], %(max_us)s::bigint[],
    %(histogram)s::text[]
) AS u(endpoint_id, member_id, start, requests, client_errors, server_errors, unanswered, untimed, sum_us, max_us, histogram)
ON CONFLICT (endpoint_id, member_id, start) DO UPDATE SET
    requests = m.requests + excluded.requests,
    client_errors = m.client_errors + excluded.client_errors,
    server_errors = m.server_errors + excluded.server_errors,
    unanswered = m.unanswered + excluded.unanswered,
    untimed = m.untimed + excluded.untimed,
    sum_us = m.sum_us + excluded.sum_us,
    max_us = greatest(m.max_us, excluded.max_us),
    histogram = ARRAY(SELECT old + new FROM unnest(m.histogram, excluded.histogram) WITH ORDINALITY AS h(old, new, n) ORDER BY n)
