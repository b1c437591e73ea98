-- Which of these failed requests (arrays of line ids, endpoints, times, SHA-256 of the messages) are stored already;
-- %(from)s and %(to)s, the first and the last of the times, choose the partitions once instead of per request.
-- Needs the partial index on request (endpoint, ts) WHERE outcome > 0 and the one on detail (line_id).
SELECT u.line_id
FROM unnest(%(ids)s::bigint[], %(endpoints)s::int[], %(times)s::timestamptz[], %(digests)s::text[]) AS u(line_id, endpoint_id, ts, digest)
CROSS JOIN LATERAL (
    SELECT d.raw
    FROM ingest_request r
    JOIN ingest_request_detail d ON d.line_id = r.line_id AND d.ts = r.ts
    WHERE r.endpoint_id = u.endpoint_id AND r.ts = u.ts AND r.outcome > 0
      AND r.ts BETWEEN %(from)s AND %(to)s AND d.ts BETWEEN %(from)s AND %(to)s
    OFFSET 0
) AS known
WHERE encode(sha256(convert_to(known.raw, 'UTF8')), 'hex') = u.digest
