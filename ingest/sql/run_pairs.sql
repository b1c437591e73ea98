-- For tries that ended in an interval: the device that logged the first /run of each, the worker, and by how many
-- milliseconds that request is later by the device's clock than the try's start by the worker's. Tries that resume are
-- left out: their start moves.
-- Parameters: airflow, from, to. Uses the indexes on try (end_at) and request (try_key_id).
SELECT f.device_id, t.hostname, extract(epoch FROM first.ts - t.start_at) * 1000
FROM ingest_try t
JOIN ingest_trykey k ON k.try_row_id = t.id
CROSS JOIN LATERAL (
    SELECT r.ts, r.line_id
    FROM ingest_request r
    JOIN ingest_path p ON p.id = r.path_id
    WHERE r.try_key_id = k.id AND r.link = 1 AND p.template LIKE '%%/execution/task-instances/%%/run'
      AND r.ts >= %(from)s - interval '1 day' AND r.ts < %(to)s + interval '1 day'
    ORDER BY r.ts
    LIMIT 1
) first
JOIN ingest_spoolfile s ON s.id = first.line_id >> 40
JOIN ingest_feed f ON f.id = s.feed_id
WHERE t.airflow_id = %(airflow)s AND t.end_at >= %(from)s AND t.end_at < %(to)s AND t.start_at IS NOT NULL
  AND t.hostname <> '' AND t.operator NOT LIKE '%%Sensor%%'
  AND coalesce(t.rendered::text, '') NOT LIKE '%%deferr%%'
  AND f.device_id IS NOT NULL
