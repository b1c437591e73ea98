-- Median own time of each task's successful tries that ended in the 30 days before the given end, and their number.
-- Parameters: arrays of try ids, lower bound. Needs the index on (airflow, dag, task, end).
SELECT y.id, count(o.id), percentile_cont(0.5) WITHIN GROUP (ORDER BY o.own_s)
FROM ingest_try y
LEFT JOIN ingest_try o
       ON o.airflow_id = y.airflow_id AND o.dag_id = y.dag_id AND o.task_id = y.task_id AND o.state = 'success'
      AND o.own_s IS NOT NULL AND o.end_at > y.end_at - interval '30 days' AND o.id <> y.id
WHERE y.id = ANY(%(tries)s)
GROUP BY y.id
