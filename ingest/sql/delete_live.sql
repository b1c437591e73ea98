-- Deletes from one kept day of a big table what live feeds wrote into it; rows of captures stay.
-- Reads the whole day; the file of a row is the upper part of its line_id.
DELETE FROM {table} r
WHERE NOT EXISTS (
    SELECT FROM ingest_spoolfile s JOIN ingest_feed f ON f.id = s.feed_id
    WHERE s.id = r.line_id >> 40 AND f.capture <> ''
)
