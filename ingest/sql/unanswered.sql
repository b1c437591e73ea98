-- The (line id, fields, message) of a feed's halves that wait in vain: requests whose try ended before %(ended)s, or that
-- were asked before %(idle)s; responses from before %(alone)s; all of them when the feed is closed.
-- Halves that a batch has just taken up are passed over. Needs the index on half (feed, ts).
SELECT h.line_id, h.line, h.raw
FROM ingest_requesthalf h
LEFT JOIN ingest_trykey k ON k.id = h.try_key_id
LEFT JOIN ingest_try t ON t.id = k.try_row_id
WHERE h.feed_id = %(feed)s
  AND (
    %(close)s
    OR h.line ->> 0 = 'request' AND (h.ts < %(idle)s OR greatest(t.end_at, h.ts) < %(ended)s AND t.end_at IS NOT NULL)
    OR h.line ->> 0 = 'response' AND h.ts < %(alone)s
  )
ORDER BY h.ts, h.line_id
FOR UPDATE OF h SKIP LOCKED
