-- Of tries: own time, from their first /run call (else from queued, else from start) to their end; and code time, what of
-- their run (from that call, else from start) none of their requests took. With the medians of both over each task's
-- successful tries that ended in the 30 days before the try's day, the try itself left out. Writes nothing.
-- A task's times are sorted once a day of ends, not once a try; a try is taken out of them by its place (width_bucket).
-- Returns try id, own, number of those tries, median own, code, number of those whose code time is known, median code.
-- Parameters: try ids; from, to, which prune days; before, after: how far from a try's end its requests lie, whichever
-- tries are asked for with it. Needs the partial index on request (try_key_id) and that on try (airflow, dag, task, end).
WITH asked AS (
    SELECT x.id, x.airflow_id, x.dag_id, x.task_id, x.state, x.end_at, x.start_at,
           coalesce(x.queued_at, x.start_at) AS queued_at,
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
), own AS MATERIALIZED (
    SELECT id, airflow_id, dag_id, task_id, state, end_at, date_trunc('day', end_at, 'UTC') AS day,
           CAST(extract(epoch FROM end_at - coalesce(run_at, queued_at)) AS double precision) AS own_s,
           CAST(greatest(0, extract(epoch FROM end_at - coalesce(run_at, start_at)) - asked_s) AS double precision) AS code_s
    FROM asked
), days AS MATERIALIZED (
    SELECT DISTINCT airflow_id, dag_id, task_id, day FROM own
), samples AS (
    SELECT d.airflow_id, d.dag_id, d.task_id, d.day, o.own_s, o.code_s
    FROM days d
    JOIN ingest_try o
      ON o.airflow_id = d.airflow_id AND o.dag_id = d.dag_id AND o.task_id = d.task_id AND o.state = 'success'
     AND o.end_at > d.day - interval '30 days' AND o.id <> ALL(%(tries)s)
    UNION ALL
    SELECT d.airflow_id, d.dag_id, d.task_id, d.day, y.own_s, y.code_s
    FROM days d
    JOIN own y
      ON y.airflow_id = d.airflow_id AND y.dag_id = d.dag_id AND y.task_id = d.task_id AND y.state = 'success'
     AND y.end_at > d.day - interval '30 days'
), times AS MATERIALIZED (
    SELECT airflow_id, dag_id, task_id, day,
           coalesce(array_agg(own_s ORDER BY own_s) FILTER (WHERE own_s IS NOT NULL), '{}') AS owns,
           coalesce(array_agg(code_s ORDER BY code_s) FILTER (WHERE code_s IS NOT NULL), '{}') AS codes
    FROM samples
    GROUP BY airflow_id, dag_id, task_id, day
), placed AS (
    SELECT y.id, y.own_s, y.code_s, t.owns, t.codes,
           CASE WHEN y.state = 'success' THEN width_bucket(y.own_s, t.owns) END AS own_place,
           CASE WHEN y.state = 'success' THEN width_bucket(y.code_s, t.codes) END AS code_place
    FROM own y
    LEFT JOIN times t USING (airflow_id, dag_id, task_id, day)
), counted AS (
    SELECT *, coalesce(cardinality(owns), 0) - (own_place IS NOT NULL)::int AS own_n,
           coalesce(cardinality(codes), 0) - (code_place IS NOT NULL)::int AS code_n
    FROM placed
)
SELECT id, own_s, own_n, (owns[own_lo + (own_lo >= own_place IS TRUE)::int] + owns[own_hi + (own_hi >= own_place IS TRUE)::int]) / 2,
       code_s, code_n,
       (codes[code_lo + (code_lo >= code_place IS TRUE)::int] + codes[code_hi + (code_hi >= code_place IS TRUE)::int]) / 2
FROM counted
CROSS JOIN LATERAL (
    SELECT (own_n + 1) / 2 AS own_lo, (own_n + 2) / 2 AS own_hi, (code_n + 1) / 2 AS code_lo, (code_n + 2) / 2 AS code_hi
) AS middle
