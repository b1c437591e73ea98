-- Requests and failures by endpoint and cell: the window cut in equal cells. Minutes are
-- shared out over the cells they touch. Reads ingest_requestminute by its index on start.
WITH cell AS (
    SELECT n AS cell,
           %(start)s::timestamptz + n * ((%(end)s::timestamptz - %(start)s::timestamptz) / %(cells)s) AS begin,
           %(start)s::timestamptz + (n + 1) * ((%(end)s::timestamptz - %(start)s::timestamptz) / %(cells)s) AS until
      FROM generate_series(0, %(cells)s - 1) n
), minute AS (
    SELECT endpoint_id, start, sum(requests) AS requests, sum(server_errors + unanswered) AS failed
      FROM ingest_requestminute
     WHERE start > %(start)s::timestamptz - interval '1 minute' AND start < %(end)s
       AND (%(endpoints)s::int[] IS NULL OR endpoint_id = ANY(%(endpoints)s::int[]))
     GROUP BY endpoint_id, start
)
SELECT m.endpoint_id, c.cell,
       round(sum(m.requests * s.share))::bigint AS requests,
       round(sum(m.failed * s.share))::bigint AS failed
  FROM minute m
  JOIN cell c ON c.begin < m.start + interval '1 minute' AND c.until > m.start
 CROSS JOIN LATERAL (
       SELECT extract(epoch FROM least(c.until, m.start + interval '1 minute') - greatest(c.begin, m.start)) / 60 AS share
       ) s
 GROUP BY m.endpoint_id, c.cell
