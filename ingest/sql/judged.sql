-- Tries are judged: their own time and code time, the mark that they wait for a judgement taken away where the answer is
-- final, and what was looked at of those that wait on (`due.sql`).
-- A try that somebody changed after it was read (its row has another xmin) or is changing now keeps its mark, and is
-- judged again: what changed may not have been seen. Nobody is waited for, so nobody waits for us in turn.
-- Returns the tries that were marked. Parameters: try ids, their xmin as they were read, own seconds, code seconds, final or
-- not, marks.
WITH judged AS (
    SELECT *
    FROM unnest(%(tries)s::bigint[], %(versions)s::bigint[], %(own)s::float8[], %(code)s::float8[], %(final)s::boolean[],
                %(marks)s::text[])
         AS u(id, version, own_s, code_s, final, mark)
), free AS (
    SELECT t.id
    FROM ingest_try t
    JOIN judged u ON u.id = t.id AND t.xmin::text::bigint = u.version
    WHERE u.final OR t.own_s IS DISTINCT FROM u.own_s OR t.code_s IS DISTINCT FROM u.code_s
    ORDER BY t.id
    FOR UPDATE OF t SKIP LOCKED
), forgotten AS (
    DELETE FROM ingest_waiting w USING judged u WHERE w.try_row_id = u.id AND u.final
), remembered AS (
    INSERT INTO ingest_waiting (try_row_id, mark)
    SELECT id, mark FROM judged WHERE NOT final AND mark IS NOT NULL
    ON CONFLICT (try_row_id) DO UPDATE SET mark = excluded.mark
)
UPDATE ingest_try t
SET own_s = u.own_s, code_s = u.code_s, judge = NOT u.final
FROM judged u
WHERE u.id = t.id AND t.id IN (SELECT id FROM free)
RETURNING t.id
