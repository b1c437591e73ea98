-- Writes the evidence of verdicts, in place of what these verdicts had. Parameters: verdict ids; a JSON list of the columns
-- by name.
WITH gone AS (DELETE FROM ingest_evidence WHERE verdict_id = ANY(%(verdicts)s))
INSERT INTO ingest_evidence (verdict_id, position, feed, kind, line_id, at, link, says, raw)
SELECT verdict_id, position, feed, kind, line_id, at, link, says, raw
FROM json_populate_recordset(NULL::ingest_evidence, %(rows)s::json)
