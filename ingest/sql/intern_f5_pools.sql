-- The (place, id) of each of these pools (arrays of groups and names), made where it is new. One that another transaction
-- commits while this runs is left out: ask again. Needs the unique index on (group, name).
WITH wanted AS (
    SELECT place, group_id, left(name, 300) AS name
    FROM unnest(%(groups)s::bigint[], %(names)s::text[]) WITH ORDINALITY AS u(group_id, name, place)
),
there AS (SELECT w.place, p.id FROM wanted w JOIN ingest_f5pool p ON p.group_id = w.group_id AND p.name = w.name),
made AS (
    INSERT INTO ingest_f5pool (group_id, name, monitor)
    SELECT group_id, name, '' FROM wanted WHERE place NOT IN (SELECT place FROM there) ORDER BY group_id, name
    ON CONFLICT DO NOTHING
    RETURNING id, group_id, name
)
SELECT place, id FROM there
UNION ALL
SELECT w.place, m.id FROM made m JOIN wanted w ON w.group_id = m.group_id AND w.name = m.name
