-- Runs in flight during incidents whose DAG uses one of the endpoints: (target, airflow, DAG, runs).
-- A run is in flight if it had begun and not ended at some moment of the window. Its DAG uses the endpoint if a try of the
-- run itself, or of its DAG's last %(history)s runs before, made a request there: looked up by try, not by time, so that
-- nobody's day of requests is read. Needs dagrun (start_at), the unique index of try, trykey (try_row), request (try_key_id).
-- Parameters: arrays targets, endpoints, froms, tos; %(airflows)s ids of the scope; %(oldest)s how long a run can last.
WITH target AS MATERIALIZED (
    SELECT target, array_agg(endpoint_id) AS endpoints, min(lo) AS lo, max(hi) AS hi
    FROM unnest(%(targets)s::int[], %(endpoints)s::int[], %(froms)s::timestamptz[], %(tos)s::timestamptz[])
         AS t(target, endpoint_id, lo, hi)
    GROUP BY target
), flying AS MATERIALIZED (
    SELECT t.target, t.endpoints, d.airflow_id, d.dag_id, min(d.start_at) AS first, count(*) AS runs
    FROM target t
    JOIN ingest_dagrun d ON d.start_at <= t.hi AND d.start_at > t.lo - %(oldest)s::interval
     AND (d.end_at IS NULL OR d.end_at >= t.lo) AND d.airflow_id = ANY(%(airflows)s)
    GROUP BY t.target, t.endpoints, d.airflow_id, d.dag_id
)
SELECT f.target, a.name, f.dag_id, f.runs
FROM flying f
JOIN ingest_airflow a ON a.id = f.airflow_id
WHERE EXISTS (
    SELECT 1
    FROM (
        SELECT d.run_id FROM ingest_dagrun d
        WHERE d.airflow_id = f.airflow_id AND d.dag_id = f.dag_id AND d.start_at IS NOT NULL
        ORDER BY d.start_at >= f.first DESC, d.start_at DESC
        LIMIT f.runs + %(history)s
    ) d
    JOIN ingest_try y ON y.airflow_id = f.airflow_id AND y.dag_id = f.dag_id AND y.run_id = d.run_id
    JOIN ingest_trykey k ON k.try_row_id = y.id
    JOIN ingest_request r ON r.try_key_id = k.id
    WHERE r.endpoint_id = ANY(f.endpoints)
) OR EXISTS (
    SELECT 1 FROM ingest_try y JOIN ingest_verdict v ON v.try_row_id = y.id
    WHERE y.airflow_id = f.airflow_id AND y.dag_id = f.dag_id AND v.endpoint_id = ANY(f.endpoints)
)
ORDER BY f.target, a.name, f.dag_id
