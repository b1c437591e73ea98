-- The requests that went badly or took long at these times of these endpoints and that no exact link gives to a try, with
-- names and their own lines. Parameters: arrays of endpoint ids and times; the ends of the whole, %(from)s and %(to)s.
-- Needs the partial index on request (endpoint_id, ts) WHERE outcome > 0 and that on detail (line_id).
SELECT 0, r.line_id, (date_part('epoch', r.ts) * 1e6)::bigint, r.endpoint_id, e.name, coalesce(p.name, ''),
       coalesce(m.name, ''), c.address, d.client_port, r.method, t.template, coalesce(d.uri, t.template), r.status,
       r.outcome, r.response_us, r.bytes, r.link, coalesce(d.raw, '')
FROM (SELECT DISTINCT * FROM unnest(%(endpoints)s::int[], %(times)s::timestamptz[])) AS w(endpoint_id, ts)
CROSS JOIN LATERAL (
    SELECT * FROM ingest_request q
    WHERE q.endpoint_id = w.endpoint_id AND q.ts = w.ts AND q.outcome > 0 AND q.ts >= %(from)s AND q.ts < %(to)s
    OFFSET 0
) AS r
LEFT JOIN LATERAL (
    SELECT * FROM ingest_request_detail x WHERE x.line_id = r.line_id AND x.ts = r.ts OFFSET 0
) AS d ON true
JOIN ingest_endpoint e ON e.id = r.endpoint_id
JOIN ingest_path t ON t.id = r.path_id
JOIN ingest_client c ON c.id = r.client_id
LEFT JOIN ingest_f5pool p ON p.id = r.f5_pool_id
LEFT JOIN ingest_member m ON m.id = r.member_id
WHERE r.try_key_id IS NULL AND r.link >= 0
