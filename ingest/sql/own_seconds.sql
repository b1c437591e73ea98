-- Of tries: own time, from their first /run call (else from queued, else from start) to their end; and code time, what of
-- their run (from that call, else from start) none of their requests took. With the medians of both over each task's
-- successful tries that ended in the 30 days before, the try itself left out. Writes nothing.
-- Returns try id, own, number of those tries, median own, code, number of those whose code time is known, median code.
-- Parameters: try ids; from, to, which prune days; before, after: how far from a try's end its requests lie, whichever
-- tries are asked for with it. Needs the partial index on request (try_key_id) and that on try (airflow, dag, task, end).
WITH asked AS (
    SELECT x.id, x.airflow_id, x.dag_id, x.task_id, x.end_at, x.start_at, coalesce(x.queued_at, x.start_at) AS queued_at,
           min(r.ts) FILTER (WHERE t.template LIKE '%%/execution/task-instances/{uuid}/run') AS run_at,
           coalesce(sum(r.response_us), 0) / 1e6 AS asked_s
    FROM ingest_try x
    LEFT JOIN ingest_trykey k ON k.try_row_id = x.id
    LEFT JOIN LATERAL (
        SELECT q.ts, q.path_id, q.response_us
        FROM ingest_request q
        WHERE q.try_key_id = k.id AND q.ts >= %(from)s AND q.ts < %(to)s
          AND q.ts >= x.end_at - %(before)s AND q.ts < x.end_at + %(after)s
        OFFSET 0
    ) AS r ON true
    LEFT JOIN ingest_path t ON t.id = r.path_id
    WHERE x.id = ANY(%(tries)s) AND x.end_at IS NOT NULL
    GROUP BY x.id
), own AS (
    SELECT id, airflow_id, dag_id, task_id, end_at,
           CAST(extract(epoch FROM end_at - coalesce(run_at, queued_at)) AS double precision) AS own_s,
           CAST(greatest(0, extract(epoch FROM end_at - coalesce(run_at, start_at)) - asked_s) AS double precision) AS code_s
    FROM asked
), samples AS (
    SELECT y.id, CASE WHEN mine.id IS NULL THEN o.own_s ELSE mine.own_s END AS own_s,
           CASE WHEN mine.id IS NULL THEN o.code_s ELSE mine.code_s END AS code_s
    FROM own y
    JOIN ingest_try o
      ON o.airflow_id = y.airflow_id AND o.dag_id = y.dag_id AND o.task_id = y.task_id AND o.state = 'success'
     AND o.end_at > y.end_at - interval '30 days' AND o.id <> y.id
    LEFT JOIN own mine ON mine.id = o.id
)
SELECT y.id, y.own_s, count(s.own_s), percentile_cont(0.5) WITHIN GROUP (ORDER BY s.own_s),
       y.code_s, count(s.code_s), percentile_cont(0.5) WITHIN GROUP (ORDER BY s.code_s)
FROM own y
LEFT JOIN samples s ON s.id = y.id
GROUP BY y.id, y.own_s, y.code_s
