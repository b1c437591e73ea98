-- Counts and exact latencies by endpoint and member over a short window. Reads requests by BRIN on ts.
SELECT endpoint_id,
       member_id,
       count(*)                             AS requests,
       count(*) FILTER (WHERE outcome = 2)  AS client_errors,
       count(*) FILTER (WHERE outcome = 3)  AS server_errors,
       count(*) FILTER (WHERE outcome = 4)  AS unanswered,
       (percentile_disc(0.5)  WITHIN GROUP (ORDER BY response_us) FILTER (WHERE outcome < 4)) AS p50_us,
       (percentile_disc(0.95) WITHIN GROUP (ORDER BY response_us) FILTER (WHERE outcome < 4)) AS p95_us,
       (percentile_disc(0.99) WITHIN GROUP (ORDER BY response_us) FILTER (WHERE outcome < 4)) AS p99_us,
       max(response_us)                     AS max_us
  FROM ingest_request
 WHERE endpoint_id = ANY(%(endpoints)s) AND ts >= %(start)s AND ts < %(end)s
 GROUP BY endpoint_id, member_id
 ORDER BY endpoint_id, member_id NULLS LAST
