-- Where the time of tries went, in seconds, by DAG (and run, and task, where asked). Reads ingest_try by its index on
-- queued_at and requests by BRIN on ts. A try that a route or a service failed is lost as a whole, with the wait for its
-- retry. Requests that outlast their try (the task gave up first) are cut to the time the try ran. Each step is written
-- down before the next: tables just filled have no statistics, and three of them joined at once would be looped over.
WITH tried AS MATERIALIZED (
    SELECT t.id, t.airflow_id, t.dag_id,
           CASE WHEN %(by_run)s THEN t.run_id ELSE '' END AS run_id,
           CASE WHEN %(by_task)s THEN t.task_id ELSE '' END AS task_id,
           greatest(0, coalesce(extract(epoch FROM t.queued_at - t.scheduled_at), 0))::float8 AS wait,
           greatest(0, coalesce(extract(epoch FROM coalesce(t.start_at, t.end_at) - t.queued_at), 0))::float8 AS queued,
           greatest(0, coalesce(extract(epoch FROM coalesce(t.end_at, %(now)s) - t.start_at), 0))::float8 AS ran,
           greatest(0, coalesce(extract(epoch FROM lead(coalesce(t.scheduled_at, t.queued_at)) OVER (
               PARTITION BY t.airflow_id, t.dag_id, t.run_id, t.task_id, t.map_index ORDER BY t.try_number
           ) - t.end_at), 0))::float8 AS retry,
           coalesce(v.culprit IN ('route', 'service') AND NOT v.slow, false) AS lost
      FROM ingest_try t
      LEFT JOIN ingest_verdict v ON v.try_row_id = t.id
     WHERE t.queued_at >= %(start)s AND t.queued_at < %(end)s
       AND (t.airflow_id, t.dag_id) IN (SELECT * FROM unnest(%(airflows)s::bigint[], %(dags)s::text[]))
), keyed AS MATERIALIZED (
    SELECT k.id AS key, t.id, t.ran
      FROM tried t
      JOIN ingest_trykey k ON k.try_row_id = t.id
     WHERE NOT t.lost
), met AS MATERIALIZED (
    SELECT r.try_key_id AS key, r.endpoint_id, sum(r.response_us) / 1e6 AS seconds
      FROM ingest_request r
     WHERE r.ts >= %(start)s AND r.ts < %(end)s + interval '1 day' AND r.try_key_id IN (SELECT key FROM keyed)
     GROUP BY r.try_key_id, r.endpoint_id
), cut AS MATERIALIZED (
    -- The share of a try's run that its requests may have: no more than all of it.
    SELECT k.id, m.endpoint_id,
           m.seconds * least(1, k.ran / nullif(sum(m.seconds) OVER (PARTITION BY k.id), 0)) AS seconds
      FROM met m JOIN keyed k ON k.key = m.key
), by_endpoint AS (
    SELECT t.airflow_id, t.dag_id, t.run_id, t.task_id, e.name, e.execution_api, sum(c.seconds)::float8 AS seconds
      FROM cut c JOIN tried t ON t.id = c.id JOIN ingest_endpoint e ON e.id = c.endpoint_id
     WHERE c.seconds IS NOT NULL
     GROUP BY t.airflow_id, t.dag_id, t.run_id, t.task_id, e.name, e.execution_api
), outbound AS (
    SELECT airflow_id, dag_id, run_id, task_id, sum(seconds) AS through_f5,
           coalesce(sum(seconds) FILTER (WHERE execution_api), 0) AS api,
           coalesce(jsonb_object_agg(name, seconds) FILTER (WHERE NOT execution_api), '{}') AS endpoints
      FROM by_endpoint GROUP BY airflow_id, dag_id, run_id, task_id
), summed AS (
    SELECT airflow_id, dag_id, run_id, task_id,
           sum(wait + CASE WHEN lost THEN 0 ELSE retry END) AS wait, sum(queued) AS queued,
           coalesce(sum(ran) FILTER (WHERE NOT lost), 0) AS ran,
           coalesce(sum(ran + retry) FILTER (WHERE lost), 0) AS lost
      FROM tried GROUP BY airflow_id, dag_id, run_id, task_id
)
SELECT s.airflow_id, s.dag_id, s.run_id, s.task_id, s.wait, s.queued, s.lost,
       greatest(0, s.ran - coalesce(o.through_f5, 0)) AS own,
       coalesce(o.api, 0) AS api, coalesce(o.endpoints, '{}') AS endpoints
  FROM summed s
  LEFT JOIN outbound o USING (airflow_id, dag_id, run_id, task_id)
