-- Every request that is exactly some try's (UUID or header), with names and, where it is not plainly well, its own lines.
-- Parameters: try ids, from, to. Needs the partial index on (try_key_id) and prunes days by ts.
SELECT k.try_row_id, r.line_id, (date_part('epoch', r.ts) * 1e6)::bigint, r.endpoint_id, e.name, coalesce(p.name, ''), coalesce(m.name, ''), c.address,
       d.client_port, r.method, t.template, coalesce(d.uri, t.template), r.status, r.outcome, r.response_us, r.bytes,
       r.link, coalesce(d.raw, '')
FROM ingest_trykey k
JOIN ingest_request r ON r.try_key_id = k.id AND r.ts >= %(from)s AND r.ts < %(to)s
JOIN ingest_endpoint e ON e.id = r.endpoint_id
JOIN ingest_path t ON t.id = r.path_id
JOIN ingest_client c ON c.id = r.client_id
LEFT JOIN ingest_f5pool p ON p.id = r.f5_pool_id
LEFT JOIN ingest_member m ON m.id = r.member_id
LEFT JOIN ingest_request_detail d
       ON r.outcome > 0 AND d.line_id = r.line_id AND d.ts >= %(from)s AND d.ts < %(to)s
WHERE k.try_row_id = ANY(%(tries)s)
ORDER BY k.try_row_id, r.ts, r.line_id
