-- What was usual: for each (endpoint, path) the answers below 400 in the window before, at most %(most)s.
-- Parameters: arrays of window ids, endpoint ids, path templates, from, to. BRIN on ts prunes.
SELECT w.id, q.*
FROM unnest(%(ids)s::int[], %(endpoints)s::int[], %(paths)s::text[], %(froms)s::timestamptz[], %(tos)s::timestamptz[])
     AS w(id, endpoint_id, template, lo, hi)
CROSS JOIN LATERAL (
    SELECT r.line_id, r.ts, r.endpoint_id, e.name, coalesce(p.name, ''), coalesce(m.name, ''), c.address,
           NULL, r.method, t.template, t.template, r.status, r.outcome, r.response_us, r.bytes,
           r.link, ''
    FROM ingest_request r
    JOIN ingest_path t ON t.id = r.path_id AND t.template = w.template
    JOIN ingest_endpoint e ON e.id = r.endpoint_id
    JOIN ingest_client c ON c.id = r.client_id
    LEFT JOIN ingest_f5pool p ON p.id = r.f5_pool_id
    LEFT JOIN ingest_member m ON m.id = r.member_id
    WHERE r.endpoint_id = w.endpoint_id AND r.ts >= w.lo AND r.ts < w.hi AND r.outcome <= 1
    ORDER BY r.ts DESC, r.line_id LIMIT %(most)s
    OFFSET 0
) q
ORDER BY w.id, q.ts, q.line_id
