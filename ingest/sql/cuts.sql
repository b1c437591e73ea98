-- How long unanswered requests of known tries lasted before their try ended, by endpoint; and how long failed tries ran
-- whose log says that a connection was broken off, by DAG and task: endpoint id or null, DAG, task, when, seconds.
-- Parameters: endpoint ids, airflow id, DAG ids, from, to. Needs the partial index (endpoint_id, ts) WHERE outcome > 0 and
-- the index on try (airflow, dag, task, end).
SELECT r.endpoint_id, '', '', r.ts, extract(epoch FROM y.end_at - r.ts)::float8
FROM ingest_request r
JOIN ingest_trykey k ON k.id = r.try_key_id
JOIN ingest_try y ON y.id = k.try_row_id
WHERE r.endpoint_id = ANY(%(endpoints)s) AND r.outcome > 0 AND r.outcome = 4 AND r.ts >= %(from)s AND r.ts < %(to)s
  AND y.end_at IS NOT NULL AND y.end_at > r.ts
UNION ALL
SELECT NULL, y.dag_id, y.task_id, y.end_at, extract(epoch FROM y.end_at - y.start_at)::float8
FROM ingest_try y
JOIN ingest_tasklog l ON l.try_row_id = y.id
WHERE y.airflow_id = %(airflow)s AND y.dag_id = ANY(%(dags)s) AND y.end_at >= %(from)s AND y.end_at < %(to)s
  AND y.state = 'failed' AND y.start_at IS NOT NULL AND l.facts @> '{"connection_error": true, "timed_out": false, "stage": ""}'
ORDER BY 1, 2, 3, 5, 4
