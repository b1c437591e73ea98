-- Tasks that met these endpoints in the window, with how many of their tries were hit. Reads requests by BRIN on ts;
-- requests are counted by try first, so that names are joined once a try and not once a request.
WITH met AS (
    SELECT endpoint_id, try_key_id, count(*) AS requests, count(*) FILTER (WHERE outcome >= 3) AS failed, min(link) AS link
      FROM ingest_request
     WHERE endpoint_id = ANY(%(endpoints)s) AND ts >= %(start)s AND ts < %(end)s AND try_key_id IS NOT NULL
     GROUP BY endpoint_id, try_key_id
), tried AS (
    SELECT m.endpoint_id, k.try_row_id, sum(m.requests) AS requests, sum(m.failed) AS failed, min(m.link) AS link
      FROM met m JOIN ingest_trykey k ON k.id = m.try_key_id
     WHERE k.try_row_id IS NOT NULL
     GROUP BY m.endpoint_id, k.try_row_id
    UNION ALL
    -- Judged there without an exact join.
    SELECT v.endpoint_id, v.try_row_id, 0, 0, 5
      FROM ingest_verdict v
     WHERE v.endpoint_id = ANY(%(endpoints)s) AND v.bad_at >= %(start)s AND v.bad_at < %(end)s
), one AS (
    SELECT endpoint_id, try_row_id, sum(requests) AS requests, sum(failed) AS failed, min(link) AS link
      FROM tried GROUP BY endpoint_id, try_row_id
)
SELECT one.endpoint_id, a.name AS airflow, t.dag_id, t.task_id,
       sum(one.requests)::bigint AS requests, sum(one.failed)::bigint AS failed, count(*) AS tries,
       count(*) FILTER (WHERE v.culprit IN ('route', 'service') AND v.endpoint_id = one.endpoint_id) AS tries_hit,
       CASE min(one.link) WHEN 1 THEN 'uuid' WHEN 2 THEN 'header' WHEN 3 THEN 'run_and_time'
                          WHEN 4 THEN 'client_and_endpoint' ELSE 'time_and_endpoint' END AS link
  FROM one
  JOIN ingest_try t ON t.id = one.try_row_id
  JOIN ingest_airflow a ON a.id = t.airflow_id
  LEFT JOIN ingest_verdict v ON v.try_row_id = t.id
 WHERE %(dags)s::text[] IS NULL OR t.dag_id = ANY(%(dags)s::text[])
 GROUP BY one.endpoint_id, a.name, t.dag_id, t.task_id
 ORDER BY one.endpoint_id, requests DESC, a.name, t.dag_id, t.task_id
