-- The (place, id) of the pool member at each of these addresses (arrays of pools, addresses, ports), made where it is new
-- and called address:port until a name is learned. One that another transaction commits while this runs is left out:
-- ask again. Needs the index on (pool, address, port) and the unique one on (pool, name).
WITH wanted AS (
    SELECT place, f5_pool_id, address, port, address || coalesce(':' || port, '') AS name
    FROM unnest(%(pools)s::bigint[], %(addresses)s::text[], %(ports)s::int[])
         WITH ORDINALITY AS u(f5_pool_id, address, port, place)
),
there AS (
    SELECT w.place, min(m.id) AS id
    FROM wanted w
    JOIN ingest_member m ON m.f5_pool_id = w.f5_pool_id
     AND (m.name = w.name OR m.address = w.address AND m.port IS NOT DISTINCT FROM w.port)
    GROUP BY w.place
),
made AS (
    INSERT INTO ingest_member (f5_pool_id, name, address, port, state, session)
    SELECT f5_pool_id, name, address, port, '', '' FROM wanted
    WHERE place NOT IN (SELECT place FROM there) ORDER BY f5_pool_id, name
    ON CONFLICT DO NOTHING
    RETURNING id, f5_pool_id, name
)
SELECT place, id FROM there
UNION ALL
SELECT w.place, m.id FROM made m JOIN wanted w ON w.f5_pool_id = m.f5_pool_id AND w.name = m.name
