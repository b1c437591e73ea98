-- The requests of each window's endpoint inside the window, at most %(most)s a window, in time order.
-- Parameters: arrays of window ids, endpoint ids, from, to. BRIN on ts prunes; one scan a window.
SELECT w.id, q.*
FROM unnest(%(ids)s::int[], %(endpoints)s::int[], %(froms)s::timestamptz[], %(tos)s::timestamptz[]) AS w(id, endpoint_id, lo, hi)
CROSS JOIN LATERAL (
    SELECT r.line_id, r.ts, r.endpoint_id, e.name, coalesce(p.name, ''), coalesce(m.name, ''), c.address,
           d.client_port, r.method, t.template, coalesce(d.uri, t.template), r.status, r.outcome, r.response_us, r.bytes,
           r.link, coalesce(d.raw, '')
    FROM (
        SELECT * FROM ingest_request
        WHERE endpoint_id = w.endpoint_id AND ts >= w.lo AND ts < w.hi
        ORDER BY ts, line_id LIMIT %(most)s
    ) r
    JOIN ingest_endpoint e ON e.id = r.endpoint_id
    JOIN ingest_path t ON t.id = r.path_id
    JOIN ingest_client c ON c.id = r.client_id
    LEFT JOIN ingest_f5pool p ON p.id = r.f5_pool_id
    LEFT JOIN ingest_member m ON m.id = r.member_id
    LEFT JOIN ingest_request_detail d ON r.outcome > 0 AND d.line_id = r.line_id AND d.ts >= w.lo AND d.ts < w.hi
    OFFSET 0
) q
ORDER BY w.id, q.ts, q.line_id
