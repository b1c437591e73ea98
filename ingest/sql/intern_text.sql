-- The (text, id) of each of these texts, made where it is new. A text that another transaction commits while this runs
-- is left out: ask again. Needs the unique index on the text column.
WITH wanted AS (SELECT DISTINCT name FROM unnest(%(names)s::text[]) AS u(name)),
there AS (SELECT t.{column} AS name, t.id FROM {table} t JOIN wanted w ON w.name = t.{column}),
made AS (
    INSERT INTO {table} ({column})
    SELECT name FROM wanted WHERE name NOT IN (SELECT name FROM there) ORDER BY name
    ON CONFLICT DO NOTHING
    RETURNING {column} AS name, id
)
SELECT name, id FROM there UNION ALL SELECT name, id FROM made
