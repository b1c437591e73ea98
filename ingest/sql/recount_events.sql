-- The numbers of an Airflow's event log in an interval: the highest before it, the highest in it, and how many between.
-- Parameters: source (name of the Airflow), from, to. Uses the index on useraction (layer, at).
WITH numbered AS (
    SELECT a.at, a.external_id::bigint AS number
    FROM accounts_useraction a
    WHERE a.layer = 'airflow' AND a.source = %(source)s AND a.external_id ~ '^[0-9]{1,18}$'
      AND a.at >= %(from)s - interval '1 day' AND a.at < %(to)s
), edges AS (
    SELECT max(number) FILTER (WHERE at < %(from)s) AS before, max(number) AS last FROM numbered
)
SELECT e.before, e.last, (SELECT count(DISTINCT n.number) FROM numbered n WHERE n.number > e.before AND n.number <= e.last)
FROM edges e
