-- The newest runs of each DAG that began in the window, newest first. Reads ingest_dagrun by its index on start_at.
SELECT airflow_id, dag_id, run_id, run_type, state, start_at, end_at
  FROM (
        SELECT r.*, row_number() OVER (PARTITION BY r.airflow_id, r.dag_id ORDER BY r.start_at DESC, r.id DESC) AS place
          FROM ingest_dagrun r
         WHERE r.start_at >= %(start)s AND r.start_at < %(end)s
           AND (r.airflow_id, r.dag_id) IN (SELECT * FROM unnest(%(airflows)s::bigint[], %(dags)s::text[]))
       ) placed
 WHERE place <= %(most)s
 ORDER BY airflow_id, dag_id, start_at DESC, id DESC
