-- The texts that rows of near_requests and usual_requests name by number, each once: what (0 client, 1 path), id, text.
-- Asked apart, for a join of so many rows with the tables of names takes longer than the rows. Parameters: two arrays of ids.
SELECT 0, id, address FROM ingest_client WHERE id = ANY(%(clients)s)
UNION ALL
SELECT 1, id, template FROM ingest_path WHERE id = ANY(%(paths)s)
