"""Airflow's metadata database: 100,000 task instances read, read and stored, and a look in which little changed.

The tables are those of Airflow 3.3.2 (tests/samples/airflow/db), in a schema of the bench's own database.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
from django.db import connection
from django.utils import timezone

from bench.report import Figure, fastest
from ingest.models import Airflow, Try
from ingest.sources import airflow_db
from ingest.sources.postgres import Database
from ingest.store import airflow as store

TABLES = Path(__file__).resolve().parent.parent / "tests" / "samples" / "airflow" / "db" / "3.3.2.sql"
TASKS_A_RUN = 100
CHANGED_S = 300
STORED = 10_000  # rows are enough to tell how fast they are stored
DAY_S = 86_400
# One in ten was retried; the changes are spread over a day, so that 5 minutes hold 1 in 288 of them.
FILL = """
INSERT INTO task_instance (id, dag_id, task_id, run_id, map_index, try_number, state, max_tries, hostname, pool,
  pool_slots, queue, operator, queued_dttm, scheduled_dttm, start_date, end_date, duration, updated_at)
SELECT gen_random_uuid(), 'dag_' || i %% 100, 'task_' || i / 1000 %% {per_run}, 'run_' || i / 100 %% 10, i / 100000,
  1 + (i %% 10 = 0)::int, 'success', 2, 'worker-1', 'default_pool', 1, 'default',
  'HttpOperator', at, at, at, at + interval '9 s', 9, at
FROM (SELECT i, %(now)s - i * interval '1 s' * {day} / %(count)s AS at FROM generate_series(0, %(count)s - 1) i) s;
INSERT INTO task_instance_history (task_instance_id, dag_id, task_id, run_id, map_index, try_number, state, max_tries,
  hostname, pool, pool_slots, queue, operator, start_date, end_date, duration, updated_at)
SELECT gen_random_uuid(), dag_id, task_id, run_id, map_index, 1, 'failed', 2, hostname, pool, 1, queue, operator,
  start_date - interval '1 min', start_date - interval '50 s', 10, updated_at FROM task_instance WHERE try_number = 2;
INSERT INTO rendered_task_instance_fields (dag_id, task_id, run_id, map_index, rendered_fields)
SELECT dag_id, task_id, run_id, map_index, '{{"endpoint": "v1/orders", "http_conn_id": "orders_http", "headers": {{}}}}'
FROM task_instance
"""


def measure(count: int, rounds: int) -> list[Figure]:
    """Rows a second of a full look, alone and with the storing, and the seconds of a look that finds 5 minutes."""
    database = _fill(count)
    now = timezone.now()
    since = {"task_instances": (now - timedelta(seconds=CHANGED_S)).isoformat(), "slow_lists": now.isoformat()}
    airflow = Airflow.objects.create(name="bench")
    read_s, rows = _timed(rounds, lambda: _rows(database, None))
    look_s, changed = _timed(rounds, lambda: _rows(database, since | {"histories": since["task_instances"]}))
    stored_s, stored = _timed(1, lambda: _stored(airflow, database))
    again_s, _ = _timed(rounds, lambda: _stored(airflow, database))
    name = f"{count // 1000:,}k task instances"
    return [
        Figure(f"{name}: read {rows:,} rows with history and rendered fields", rows / read_s, "rows/s"),
        Figure(f"{name}: {stored:,} rows of it read and stored, all new", stored / stored_s, "rows/s"),
        Figure(f"{name}: the same merged again, nothing new", stored / again_s, "rows/s"),
        Figure(f"{name}: a look that finds {changed:,} rows of 5 minutes", look_s, "s"),
    ]


def _fill(count: int) -> Database:
    told = connection.settings_dict
    where = {"host": told["HOST"], "port": told["PORT"], "user": told["USER"], "password": told["PASSWORD"]}
    with psycopg.connect(**where, dbname=told["NAME"], autocommit=True) as db:
        db.execute("CREATE SCHEMA bench_airflow")
        db.execute("SET search_path = bench_airflow")
        db.execute(TABLES.read_text("utf-8").encode())
        for statement in FILL.format(per_run=TASKS_A_RUN, day=DAY_S).split(";\n"):
            db.execute(statement.encode(), {"now": timezone.now(), "count": count})
        db.execute("ANALYZE")
    place = f"{told['USER']}:{told['PASSWORD']}@{told['HOST']}:{told['PORT']}/{told['NAME']}"
    url = f"postgresql://{place}?options=-csearch_path%3Dbench_airflow"
    return Database("bench", url, {"first_hours": 48, "overlap_s": 0}, ("127.0.0.0/8",))


def _rows(database: Database, cursor: dict[str, Any] | None) -> int:
    return sum(
        len(page.items) for page in airflow_db.read(database, cursor) if page.kind in ("tries", "task_instances")
    )


def _stored(airflow: Airflow, database: Database) -> int:
    read = 0
    for page in airflow_db.read(database, {"slow_lists": timezone.now().isoformat()}):
        if page.kind in ("tries", "task_instances") and page.items:
            read += store.save(airflow, page.kind, page.items, timezone.now()).read
        if read >= STORED:
            break
    assert Try.objects.filter(airflow=airflow).count() == read
    return read


def _timed(rounds: int, work: Callable[[], int]) -> tuple[float, int]:
    """(seconds of the fastest round, what it counted)."""
    counted: list[int] = []
    return fastest(rounds, lambda: counted.append(work())), counted[-1]
