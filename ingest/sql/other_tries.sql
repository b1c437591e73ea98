-- Of a batch's time: the tries that are known to call a path while they run, and those that failed and are not in the batch
-- ("peers", said first). Times in microseconds since 1970; of a path's caller the endpoint as it was rendered, as JSON; what is
-- long, the rendered fields and what the log says, of peers alone. In order of their ids.
-- Parameters: airflow id, from, to, ids of the batch's tries. Needs the index on try (end).
SELECT p.peer, t.id, t.dag_id, t.run_id, t.task_id, t.map_index, t.try_number, (date_part('epoch', t.queued_at) * 1e6)::bigint,
       (date_part('epoch', t.start_at) * 1e6)::bigint, (date_part('epoch', t.end_at) * 1e6)::bigint, t.duration_s, t.own_s,
       t.operator, t.conn_id, t.path, t.hostname, t.rendered -> 'endpoint', CASE WHEN p.peer THEN t.rendered END, l.facts
FROM ingest_try t
CROSS JOIN LATERAL (SELECT t.state = 'failed' AND t.end_at < %(to)s AND t.id <> ALL(%(tries)s) AS peer) AS p
LEFT JOIN ingest_tasklog l ON l.try_row_id = t.id AND p.peer
WHERE t.airflow_id = %(airflow)s AND t.end_at >= %(from)s AND (p.peer OR (t.start_at < %(to)s AND t.path <> ''))
ORDER BY t.id
