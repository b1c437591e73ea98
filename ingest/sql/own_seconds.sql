-- Own time of tries: from their first /run call (else from queued, else from start) to their end. Writes it to the try.
-- Parameters: try ids, from, to. Needs the partial index on request (try_key_id).
UPDATE ingest_try y
SET own_s = extract(epoch FROM y.end_at - coalesce(f.first_run, y.queued_at, y.start_at))
FROM (
    SELECT x.id, min(r.ts) AS first_run
    FROM ingest_try x
    LEFT JOIN ingest_trykey k ON k.try_row_id = x.id
    LEFT JOIN (
        ingest_request r JOIN ingest_path t ON t.id = r.path_id AND t.template LIKE '%%/execution/task-instances/{uuid}/run'
    ) ON r.try_key_id = k.id AND r.ts >= %(from)s AND r.ts < %(to)s
    WHERE x.id = ANY(%(tries)s) AND x.end_at IS NOT NULL
    GROUP BY x.id
) f
WHERE y.id = f.id
