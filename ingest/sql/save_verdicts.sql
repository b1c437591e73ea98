-- Writes verdicts, one a try; what is replaced keeps its row and its incident. Returns the verdict's id and the try's.
-- Parameter: a JSON list of the columns by name. JSON, for one value is quoted a hundred times faster than 10,000.
INSERT INTO ingest_verdict ({columns})
SELECT {columns} FROM json_populate_recordset(NULL::ingest_verdict, %(rows)s::json)
ON CONFLICT (try_row_id) DO UPDATE SET {changes}
RETURNING id, try_row_id
