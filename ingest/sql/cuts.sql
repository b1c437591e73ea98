-- How long the unanswered requests of known tries lasted before their try ended: seconds, per endpoint.
-- Parameters: endpoint ids, from, to. Needs the partial index (endpoint_id, ts) WHERE outcome > 0.
SELECT r.endpoint_id, extract(epoch FROM y.end_at - r.ts)::float8
FROM ingest_request r
JOIN ingest_trykey k ON k.id = r.try_key_id
JOIN ingest_try y ON y.id = k.try_row_id
WHERE r.endpoint_id = ANY(%(endpoints)s) AND r.outcome > 0 AND r.outcome = 4 AND r.ts >= %(from)s AND r.ts < %(to)s
  AND y.end_at IS NOT NULL AND y.end_at > r.ts
ORDER BY 1, 2
