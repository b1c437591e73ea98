-- UUIDs that requests show and no try has, each beside the ended tries without a UUID that could be theirs, and how many
-- seconds the try's start and end are off the first and last call. Parameters: airflow, scope (the prefix of its keys), from, to.
-- Needs the index on ingest_trykey (try_row_id) and the partial index on ingest_request (try_key_id); prunes days by ts.
WITH loose AS (
    SELECT right(k.key, 36) AS uuid, min(r.ts) AS first, max(r.ts) AS last
    FROM ingest_trykey k
    JOIN ingest_request r ON r.try_key_id = k.id AND r.ts >= %(from)s AND r.ts < %(to)s AND r.link = 1
    WHERE k.try_row_id IS NULL
      AND k.key LIKE %(scope)s || '________-____-____-____-____________'
    GROUP BY 1
)
SELECT l.uuid, y.id,
       (abs(extract(epoch FROM y.start_at - l.first)) + abs(extract(epoch FROM y.end_at - l.last)))::float AS off
FROM loose l
JOIN ingest_try y ON y.airflow_id = %(airflow)s AND y.ti_id IS NULL AND y.end_at >= %(from)s AND y.end_at < %(to)s
     AND y.state IN ('failed', 'success')
     AND y.end_at BETWEEN l.last - interval '5 seconds' AND l.last + interval '60 seconds'
     AND l.first <= y.start_at + interval '1 second'
WHERE NOT EXISTS (
    SELECT FROM ingest_try b
    WHERE b.airflow_id = y.airflow_id AND b.dag_id = y.dag_id AND b.run_id = y.run_id AND b.task_id = y.task_id
      AND b.map_index = y.map_index AND b.try_number = y.try_number - 1 AND b.end_at > l.first
)
ORDER BY 3, 1, 2
