-- Every request that is exactly some try's, in order of try and time: by UUID or header; and bad calls of the Execution API
-- that carry no UUID but a run's trace id, with the try of that run that was alone at that time (traces are learned from
-- lines that carry both). With names and, where it is not plainly well, its own lines; time in microseconds since 1970.
-- Parameters: try ids; from, to, which prune days; before, after: how far from a try's end its requests lie, whichever
-- tries are asked for with it. Needs the partial indexes on request (try_key_id) and (endpoint_id, ts), that on detail (line_id).
-- Step by step (MATERIALIZED): as one join it took a tenth of a second to plan, and read every request of all days.
WITH runs AS MATERIALIZED (
    SELECT DISTINCT y.airflow_id, y.dag_id, y.run_id FROM ingest_try y WHERE y.id = ANY(%(tries)s)
), traces AS MATERIALIZED (
    SELECT right(tr.trace_id, 32) AS trace_id, o.airflow_id, o.dag_id, o.run_id
    FROM runs u
    JOIN ingest_try o ON o.airflow_id = u.airflow_id AND o.dag_id = u.dag_id AND o.run_id = u.run_id
    JOIN ingest_trykey k ON k.try_row_id = o.id
    JOIN ingest_trace tr ON tr.try_key_id = k.id
    GROUP BY 1, 2, 3, 4
), details AS MATERIALIZED (
    SELECT x.airflow_id, x.dag_id, x.run_id, d.line_id, d.ts, d.endpoint_id, d.client_port, d.uri, d.raw
    FROM traces x
    JOIN ingest_request_detail d ON d.trace_id = x.trace_id AND d.ts >= %(from)s AND d.ts < %(to)s
), traced AS MATERIALIZED (
    SELECT min(y.id) AS try_row_id, r.line_id, r.ts, r.endpoint_id, r.f5_pool_id, r.member_id, r.client_id, d.client_port, r.method,
           r.path_id, d.uri, r.status, r.outcome, r.response_us, r.bytes, r.link, d.raw
    FROM details d
    CROSS JOIN LATERAL (
        SELECT q.* FROM ingest_request q
        WHERE q.endpoint_id = d.endpoint_id AND q.ts = d.ts AND q.line_id = d.line_id AND q.outcome > 0
          AND q.ts >= %(from)s AND q.ts < %(to)s
        UNION ALL  -- a suspect line that went well; asked only where the index had none
        SELECT q.* FROM ingest_request q
        WHERE q.endpoint_id = d.endpoint_id AND q.ts = d.ts AND q.line_id = d.line_id AND q.outcome <= 0
          AND q.ts >= %(from)s AND q.ts < %(to)s
        LIMIT 1
    ) AS r
    JOIN ingest_try y ON y.airflow_id = d.airflow_id AND y.dag_id = d.dag_id AND y.run_id = d.run_id
         AND r.ts >= coalesce(y.queued_at, y.start_at) AND r.ts <= coalesce(y.end_at, 'infinity')
    WHERE r.try_key_id IS NULL
    GROUP BY r.line_id, r.ts, r.endpoint_id, r.f5_pool_id, r.member_id, r.client_id, d.client_port, r.method, r.path_id, d.uri,
             r.status, r.outcome, r.response_us, r.bytes, r.link, d.raw
    HAVING count(*) = 1 AND min(y.id) = ANY(%(tries)s)
)
SELECT k.try_row_id, r.line_id, (date_part('epoch', r.ts) * 1e6)::bigint, r.endpoint_id, e.name, coalesce(p.name, ''), coalesce(m.name, ''), c.address,
       d.client_port, r.method, t.template, coalesce(d.uri, t.template), r.status, r.outcome, r.response_us, r.bytes,
       r.link, coalesce(d.raw, '')
FROM ingest_try y
JOIN ingest_trykey k ON k.try_row_id = y.id
CROSS JOIN LATERAL (
    SELECT * FROM ingest_request q
    WHERE q.try_key_id = k.id AND q.ts >= %(from)s AND q.ts < %(to)s
      AND q.ts >= y.end_at - %(before)s AND q.ts < y.end_at + %(after)s
    OFFSET 0
) AS r
JOIN ingest_endpoint e ON e.id = r.endpoint_id
JOIN ingest_path t ON t.id = r.path_id
JOIN ingest_client c ON c.id = r.client_id
LEFT JOIN ingest_f5pool p ON p.id = r.f5_pool_id
LEFT JOIN ingest_member m ON m.id = r.member_id
LEFT JOIN ingest_request_detail d
       ON r.outcome > 0 AND d.line_id = r.line_id AND d.ts >= %(from)s AND d.ts < %(to)s
WHERE y.id = ANY(%(tries)s)
UNION ALL
SELECT r.try_row_id, r.line_id, (date_part('epoch', r.ts) * 1e6)::bigint, r.endpoint_id, e.name, coalesce(p.name, ''), coalesce(m.name, ''), c.address,
       r.client_port, r.method, t.template, r.uri, r.status, r.outcome, r.response_us, r.bytes, CASE WHEN r.link < 0 THEN r.link ELSE 3 END, r.raw
FROM traced r
JOIN ingest_endpoint e ON e.id = r.endpoint_id
JOIN ingest_path t ON t.id = r.path_id
JOIN ingest_client c ON c.id = r.client_id
LEFT JOIN ingest_f5pool p ON p.id = r.f5_pool_id
LEFT JOIN ingest_member m ON m.id = r.member_id
ORDER BY 1, 3, 2
