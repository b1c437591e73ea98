-- Which requests went badly or took long (outcome > 0) inside the windows of each endpoint, each once however many
-- windows hold it: endpoint id and time; see failed_requests.sql for the rest of them.
-- Parameters: arrays of endpoint ids, from (inclusive), to (exclusive); the ends of the whole, %(from)s and %(to)s, which
-- choose the partitions. Read from the partial index on request (endpoint_id, ts) WHERE outcome > 0 alone: what is few is
-- read once, and each row of it looked up among its endpoint's windows, one multirange.
WITH windows AS MATERIALIZED (
    SELECT endpoint_id, range_agg(tstzrange(lo, hi)) AS times
    FROM unnest(%(endpoints)s::int[], %(froms)s::timestamptz[], %(tos)s::timestamptz[]) AS w(endpoint_id, lo, hi)
    GROUP BY endpoint_id
)
SELECT r.endpoint_id, r.ts
FROM windows w
JOIN ingest_request r ON r.endpoint_id = w.endpoint_id AND r.ts <@ w.times
WHERE r.outcome > 0 AND r.ts >= %(from)s AND r.ts < %(to)s
