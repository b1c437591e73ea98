-- Requests of some endpoints in a stretch of time, by endpoint, pool, path and agent: endpoint id, pool, path, agent, how many
-- went well, how many were answered, first and last time, line ids of the first three. Lines that may be forged are left out.
-- Reads each row of the stretch once, by BRIN on ts. Parameters: endpoint ids, from (inclusive), to (exclusive).
WITH met AS MATERIALIZED (
    SELECT r.endpoint_id, r.f5_pool_id, r.path_id, r.agent_id, count(*) FILTER (WHERE r.outcome <= 1) AS well,
           count(*) AS answered, min(r.ts) AS first, max(r.ts) AS last,
           (array_agg(r.line_id ORDER BY r.ts, r.line_id))[1:3] AS lines
    FROM ingest_request r
    WHERE r.ts >= %(from)s AND r.ts < %(to)s AND r.endpoint_id = ANY(%(endpoints)s::int[])
      AND r.f5_pool_id IS NOT NULL AND r.outcome < 4 AND r.link >= 0
    GROUP BY r.endpoint_id, r.f5_pool_id, r.path_id, r.agent_id
)
SELECT m.endpoint_id, p.name, t.template, a.name, m.well, m.answered, m.first, m.last, m.lines
FROM met m
JOIN ingest_f5pool p ON p.id = m.f5_pool_id
JOIN ingest_path t ON t.id = m.path_id
JOIN ingest_agent a ON a.id = m.agent_id
ORDER BY m.first, m.lines
