-- For tries that ended in an interval and whose requests name them in a header: the device that logged them, the worker,
-- and by how many milliseconds the first of them, by the device's clock, is later than the try's start by the worker's,
-- and the last answer later than its end. Tries that resume are left out: their start moves.
-- Parameters: airflow, from, to. Uses the indexes on try (end_at) and request (try_key_id).
SELECT f.device_id, t.hostname, extract(epoch FROM min(r.ts) - t.start_at)::float8 * 1000,
       extract(epoch FROM max(r.ts + r.response_us * interval '1 microsecond') - t.end_at)::float8 * 1000
FROM ingest_try t
JOIN ingest_trykey k ON k.try_row_id = t.id
JOIN ingest_request r ON r.try_key_id = k.id AND r.link = 2 AND r.response_us IS NOT NULL
  AND r.ts >= %(from)s - interval '1 day' AND r.ts < %(to)s + interval '1 day'
JOIN ingest_spoolfile s ON s.id = r.line_id >> 40
JOIN ingest_feed f ON f.id = s.feed_id
WHERE t.airflow_id = %(airflow)s AND t.end_at >= %(from)s AND t.end_at < %(to)s AND t.start_at IS NOT NULL
  AND t.hostname <> '' AND t.operator NOT LIKE '%%Sensor%%'
  AND coalesce(t.rendered::text, '') NOT LIKE '%%deferr%%'
  AND f.device_id IS NOT NULL
GROUP BY t.id, f.device_id
