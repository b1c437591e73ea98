-- The (place, id) of each of these virtual servers (arrays of groups, names, addresses, ports), made where it is new.
-- One without a name is the one at its address, else it is called address:port. One that another transaction commits
-- while this runs is left out: ask again. Needs the unique index on (group, name).
WITH wanted AS (
    SELECT u.place, u.group_id, u.address, u.port,
           left(coalesce(
               nullif(u.name, ''),
               (SELECT min(e.name) FROM ingest_endpoint e
                WHERE e.group_id = u.group_id AND e.address = u.address AND e.port IS NOT DISTINCT FROM u.port),
               u.address || coalesce(':' || u.port, '')
           ), 300) AS name
    FROM unnest(%(groups)s::bigint[], %(names)s::text[], %(addresses)s::text[], %(ports)s::int[])
         WITH ORDINALITY AS u(group_id, name, address, port, place)
),
there AS (SELECT w.place, e.id FROM wanted w JOIN ingest_endpoint e ON e.group_id = w.group_id AND e.name = w.name),
made AS (
    INSERT INTO ingest_endpoint (group_id, name, address, port, hosts, execution_api, sees_http, logs_requests)
    SELECT DISTINCT ON (group_id, name) group_id, name, left(address, 64), port, '[]'::jsonb, false, true, true
    FROM wanted WHERE place NOT IN (SELECT place FROM there) ORDER BY group_id, name
    ON CONFLICT DO NOTHING
    RETURNING id, group_id, name
)
SELECT place, id FROM there
UNION ALL
SELECT w.place, m.id FROM made m JOIN wanted w ON w.group_id = m.group_id AND w.name = m.name
