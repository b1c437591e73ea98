-- What was looked at of tries that were judged: kept for those that still wait, forgotten of the others. Parameters: try
-- ids; their marks. Needs the primary key of ingest_waiting.
WITH told AS (
    SELECT u.id, u.mark, t.judge
    FROM unnest(%(tries)s::bigint[], %(marks)s::text[]) AS u(id, mark)
    JOIN ingest_try t ON t.id = u.id
), gone AS (
    DELETE FROM ingest_waiting w USING told WHERE w.try_row_id = told.id AND NOT told.judge
)
INSERT INTO ingest_waiting (try_row_id, mark)
SELECT id, mark FROM told WHERE judge
ON CONFLICT (try_row_id) DO UPDATE SET mark = excluded.mark
