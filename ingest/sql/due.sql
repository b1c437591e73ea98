-- The tries of an Airflow that are worth a judgement now, and the mark of each: a digest of what a judgement of it would see.
-- First those of which nothing was said yet, then those that wait and whose mark has changed, the longest looked at first.
-- Nothing where another worker judges this Airflow: its lock, which lasts as long as the transaction, is taken here.
-- Parameters: lock space, airflow id, version of the rules, how far past a try's end matters, how many.
-- Needs the partial index on try (judge) WHERE judge.
WITH mine AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock(%(space)s, %(airflow)s::int) AS locked,
           coalesce((SELECT capture FROM ingest_feed WHERE airflow_id = %(airflow)s ORDER BY id LIMIT 1), '') AS scope
), feeds AS MATERIALIZED (
    SELECT f.id, f.enabled, f.state, f.complete_from, f.complete_to FROM ingest_feed f, mine WHERE f.capture = mine.scope
), gaps AS MATERIALIZED (
    SELECT g.id, g.start, g."end", g.missing, g.expected FROM ingest_gap g JOIN feeds f ON f.id = g.feed_id
), waits AS NOT MATERIALIZED (
    SELECT t.id, t.end_at, least(t.queued_at, t.start_at, t.end_at) AS began, t.xmin::text AS version, l.fetched_at,
           v.id AS verdict, v.judged_at, w.mark AS before
    FROM mine
    CROSS JOIN ingest_try t
    LEFT JOIN ingest_verdict v ON v.try_row_id = t.id
    LEFT JOIN ingest_tasklog l ON l.try_row_id = t.id
    LEFT JOIN ingest_waiting w ON w.try_row_id = t.id
    WHERE mine.locked AND t.judge AND t.airflow_id = %(airflow)s AND t.end_at IS NOT NULL
), fresh AS MATERIALIZED (
    SELECT * FROM waits WHERE verdict IS NULL ORDER BY end_at, id LIMIT %(limit)s
), old AS MATERIALIZED (
    SELECT * FROM waits WHERE verdict IS NOT NULL AND (SELECT count(*) FROM fresh) < %(limit)s
), marked AS (
    SELECT c.*, md5(concat_ws('|', %(rules)s::text, c.version, c.fetched_at,
        (SELECT string_agg(concat_ws(' ', f.id, f.enabled, f.state = 'closed', f.complete_from,
                                     least(f.complete_to, c.end_at + %(looks)s)), ',' ORDER BY f.id) FROM feeds f),
        (SELECT string_agg(concat_ws(' ', g.id, g.start, coalesce(g."end"::text, '-'), g.missing, coalesce(g.expected::text, '-')),
                           ',' ORDER BY g.id)
         FROM gaps g
         WHERE g.start < c.end_at + %(looks)s AND (g."end" IS NULL OR g."end" > c.began)))) AS mark
    FROM (SELECT * FROM fresh UNION ALL SELECT * FROM old) c
)
SELECT id, mark
FROM marked
WHERE verdict IS NULL OR mark IS DISTINCT FROM before
ORDER BY judged_at NULLS FIRST, end_at, id
LIMIT %(limit)s
