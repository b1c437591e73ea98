-- Requests that went badly or took long and that no exact link gives to a try, inside each window of an endpoint.
-- Parameters: arrays of window ids, endpoint ids, from, to. Needs the partial index (endpoint_id, ts) WHERE outcome > 0.
SELECT w.id, r.line_id, r.ts, r.endpoint_id, e.name, coalesce(p.name, ''), coalesce(m.name, ''), c.address,
       d.client_port, r.method, t.template, coalesce(d.uri, t.template), r.status, r.outcome, r.response_us, r.bytes,
       r.link, coalesce(d.raw, '')
FROM unnest(%(ids)s::int[], %(endpoints)s::int[], %(froms)s::timestamptz[], %(tos)s::timestamptz[]) AS w(id, endpoint_id, lo, hi)
CROSS JOIN LATERAL (
    SELECT * FROM ingest_request
    WHERE endpoint_id = w.endpoint_id AND ts >= w.lo AND ts < w.hi AND outcome > 0
    OFFSET 0
) r
JOIN ingest_endpoint e ON e.id = r.endpoint_id
JOIN ingest_path t ON t.id = r.path_id
JOIN ingest_client c ON c.id = r.client_id
LEFT JOIN ingest_f5pool p ON p.id = r.f5_pool_id
LEFT JOIN ingest_member m ON m.id = r.member_id
LEFT JOIN ingest_request_detail d ON d.line_id = r.line_id AND d.ts >= w.lo AND d.ts < w.hi
WHERE r.try_key_id IS NULL AND r.link >= 0
ORDER BY w.id, r.ts, r.line_id
