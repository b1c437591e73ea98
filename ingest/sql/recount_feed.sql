-- How many requests of some files are stored in an interval by the device's clock, and how many of them lie so near to
-- one of its ends (or just outside) that the other side may count them to the neighbour.
-- Parameters: files (spool file ids), endpoints or null, pools or null, from, to, edge (an interval).
-- Needs the BRIN index on request (ts).
SELECT count(*) FILTER (WHERE r.ts >= %(from)s AND r.ts < %(to)s),
       count(*) FILTER (WHERE r.ts < %(from)s + %(edge)s OR r.ts >= %(to)s - %(edge)s)
FROM ingest_request r
WHERE r.ts >= %(from)s - %(edge)s
  AND r.ts < %(to)s + %(edge)s
  AND (r.line_id >> 40) = ANY (%(files)s::bigint[])
  AND (%(endpoints)s::int[] IS NULL OR r.endpoint_id = ANY (%(endpoints)s::int[]))
  AND (%(pools)s::int[] IS NULL OR (r.f5_pool_id = ANY (%(pools)s::int[]) AND r.member_id IS NOT NULL))
