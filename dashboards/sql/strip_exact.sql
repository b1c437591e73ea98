-- Requests and failures by endpoint and cell, for cells shorter than the minutes of the rollup: counted from the requests
-- themselves. Reads ingest_request by BRIN on ts; the window is an hour at most.
SELECT r.endpoint_id,
       floor(extract(epoch FROM r.ts - %(start)s::timestamptz) * %(cells)s
             / extract(epoch FROM %(end)s::timestamptz - %(start)s::timestamptz))::int AS cell,
       count(*) AS requests,
       count(*) FILTER (WHERE r.outcome >= 3) AS failed
  FROM ingest_request r
 WHERE r.ts >= %(start)s AND r.ts < %(end)s
   AND (%(endpoints)s::int[] IS NULL OR r.endpoint_id = ANY(%(endpoints)s::int[]))
 GROUP BY 1, 2
