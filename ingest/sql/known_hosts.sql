-- Which host Airflow's connections lead to, and which host the task logs of these DAGs ever named as that of a failed call:
-- connection id, dag, task, host, port; the first is '' for a log's, dag and task are '' for a connection's.
-- Parameters: airflow id, DAG ids. Needs the index on try (airflow, dag, task, end).
SELECT conn_id, '', '', host, port FROM ingest_connection WHERE airflow_id = %(airflow)s
UNION ALL
SELECT DISTINCT '', y.dag_id, y.task_id, l.facts ->> 'host',
       CASE WHEN jsonb_typeof(l.facts -> 'port') = 'number' THEN (l.facts ->> 'port')::numeric::int END
FROM ingest_try y
JOIN ingest_tasklog l ON l.try_row_id = y.id
WHERE y.airflow_id = %(airflow)s AND y.dag_id = ANY(%(dags)s) AND l.facts ->> 'host' <> ''
