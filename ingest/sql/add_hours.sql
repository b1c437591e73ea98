-- Add to what came on a feed in some hours.
-- Parameters: feed; starts, lines, arrivals, longest (arrays of equal length). Uses the unique index feedhour_once.
INSERT INTO ingest_feedhour (feed_id, start, lines, arrivals, longest_s)
SELECT %(feed)s, w.start, w.lines, w.arrivals, w.longest
FROM unnest(%(starts)s::timestamptz[], %(lines)s::bigint[], %(arrivals)s::int[], %(longest)s::float8[])
    AS w (start, lines, arrivals, longest)
ON CONFLICT (feed_id, start) DO UPDATE
SET lines = ingest_feedhour.lines + excluded.lines,
    arrivals = ingest_feedhour.arrivals + excluded.arrivals,
    longest_s = greatest(ingest_feedhour.longest_s, excluded.longest_s)
