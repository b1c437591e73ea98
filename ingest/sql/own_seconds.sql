-- Own time of tries: from their first /run call (else from queued, else from start) to their end; and the median own time
-- of each task's successful tries that ended in the 30 days before, the try itself left out. Writes nothing.
-- Returns try id, own time, number of those tries, their median. Parameters: try ids, from, to.
-- Needs the partial index on request (try_key_id) and that on try (airflow, dag, task, end).
WITH own AS (
    SELECT x.id, x.airflow_id, x.dag_id, x.task_id, x.end_at,
           CAST(extract(epoch FROM x.end_at - coalesce(min(r.ts), x.queued_at, x.start_at)) AS double precision) AS own_s
    FROM ingest_try x
    LEFT JOIN ingest_trykey k ON k.try_row_id = x.id
    LEFT JOIN (
        ingest_request r
        JOIN ingest_path t ON t.id = r.path_id AND t.template LIKE '%%/execution/task-instances/{uuid}/run'
    ) ON r.try_key_id = k.id AND r.ts >= %(from)s AND r.ts < %(to)s
    WHERE x.id = ANY(%(tries)s) AND x.end_at IS NOT NULL
    GROUP BY x.id
), samples AS (
    SELECT y.id, CASE WHEN mine.id IS NULL THEN o.own_s ELSE mine.own_s END AS own_s
    FROM own y
    JOIN ingest_try o
      ON o.airflow_id = y.airflow_id AND o.dag_id = y.dag_id AND o.task_id = y.task_id AND o.state = 'success'
     AND o.end_at > y.end_at - interval '30 days' AND o.id <> y.id
    LEFT JOIN own mine ON mine.id = o.id
)
SELECT y.id, y.own_s, count(s.own_s), percentile_cont(0.5) WITHIN GROUP (ORDER BY s.own_s)
FROM own y
LEFT JOIN samples s ON s.id = y.id
GROUP BY y.id, y.own_s
