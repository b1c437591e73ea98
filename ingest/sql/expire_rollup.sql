-- Deletes rollups that start before the given instant, unless their endpoint's device group belongs to a capture.
-- Needs the index on (start).
DELETE FROM {table} r
WHERE r.start < %s
  AND NOT EXISTS (
    SELECT FROM ingest_endpoint e
    JOIN ingest_device d ON d.group_id = e.group_id
    JOIN ingest_feed f ON f.device_id = d.id
    WHERE e.id = r.endpoint_id AND f.capture <> ''
  )
