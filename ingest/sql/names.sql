-- The names behind interned ids: kind, id, name. Parameters: arrays of ids per kind. By primary keys.
SELECT 'endpoint', id, name FROM ingest_endpoint WHERE id = ANY(%(endpoint)s)
UNION ALL SELECT 'f5_pool', id, name FROM ingest_f5pool WHERE id = ANY(%(f5_pool)s)
UNION ALL SELECT 'member', id, name FROM ingest_member WHERE id = ANY(%(member)s)
UNION ALL SELECT 'client', id, address FROM ingest_client WHERE id = ANY(%(client)s)
UNION ALL SELECT 'path', id, template FROM ingest_path WHERE id = ANY(%(path)s)
