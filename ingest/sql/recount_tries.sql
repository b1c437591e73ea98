-- Task instances of an Airflow whose latest try ended in an interval, and those of which an earlier try did: Airflow
-- shows of each the latest try alone, and may have gone on since it was asked.
-- Parameters: airflow, from, to. Uses the indexes on try (end_at) and try_once.
SELECT count(*) FILTER (WHERE NOT later), count(*) FILTER (WHERE later)
FROM (
    SELECT EXISTS (
        SELECT 1
        FROM ingest_try u
        WHERE u.airflow_id = t.airflow_id AND u.dag_id = t.dag_id AND u.run_id = t.run_id AND u.task_id = t.task_id
          AND u.map_index = t.map_index AND u.try_number > t.try_number
    ) AS later
    FROM ingest_try t
    WHERE t.airflow_id = %(airflow)s AND t.state IN ('success', 'failed')
      AND t.end_at >= %(from)s AND t.end_at < %(to)s
) ended
