-- Runs by DAG: how many, how long, and their own normal (median of the successful ones of the 30 days before `end`).
-- Reads ingest_dagrun by its index on start_at.
SELECT r.airflow_id, r.dag_id,
       count(*) FILTER (WHERE r.start_at >= %(start)s)                                   AS runs,
       count(*) FILTER (WHERE r.start_at >= %(start)s AND r.state = 'failed')            AS runs_failed,
       percentile_cont(0.5)  WITHIN GROUP (ORDER BY l.s) FILTER (WHERE r.start_at >= %(start)s) AS p50_s,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY l.s) FILTER (WHERE r.start_at >= %(start)s) AS p95_s,
       percentile_cont(0.99) WITHIN GROUP (ORDER BY l.s) FILTER (WHERE r.start_at >= %(start)s) AS p99_s,
       percentile_cont(0.5)  WITHIN GROUP (ORDER BY l.s) FILTER (WHERE r.state = 'success')     AS normal_s
  FROM ingest_dagrun r
 CROSS JOIN LATERAL (SELECT extract(epoch FROM r.end_at - r.start_at)::float8 AS s) l
 WHERE r.start_at >= least(%(start)s, %(end)s - interval '30 days') AND r.start_at < %(end)s
   AND (r.airflow_id, r.dag_id) IN (SELECT * FROM unnest(%(airflows)s::bigint[], %(dags)s::text[]))
 GROUP BY r.airflow_id, r.dag_id
