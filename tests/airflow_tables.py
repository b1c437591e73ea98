"""Airflow's own tables, as 2.6 to 3.3 make them, in a schema of the test's database; see samples/airflow/db."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from django.db import connection
from psycopg import sql
from psycopg.types.json import Json

from ingest.sources import airflow_db
from ingest.sources.airflow_pull import Page
from ingest.sources.postgres import Database

SAMPLES = Path(__file__).parent / "samples" / "airflow" / "db"
VERSIONS = ("2.6.3", "2.9.3", "2.11.2", "3.0.6", "3.1.8", "3.2.2", "3.3.2")
LOOPBACK = ("127.0.0.0/8",)
NOW = datetime.now(UTC).replace(microsecond=0)
FIRST, SECOND, OTHER = (uuid.UUID(int=n + (7 << 76)) for n in (1, 2, 3))


def server() -> dict[str, Any]:
    told = connection.settings_dict
    return {"host": told["HOST"], "port": told["PORT"], "user": told["USER"], "password": told["PASSWORD"]}


class Tables:
    """The tables of one version, in a schema of their own; each row gets what its columns insist on."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.old = version.startswith("2.")
        self.schema = f"af_{version.replace('.', '_')}"
        self.db = psycopg.connect(**server(), dbname=connection.settings_dict["NAME"], autocommit=True)
        self.db.execute(f"DROP SCHEMA IF EXISTS {self.schema} CASCADE")
        self.db.execute(f"CREATE SCHEMA {self.schema}")
        self.db.execute(f"SET search_path = {self.schema}")
        self.db.execute((SAMPLES / f"{version}.sql").read_text().encode())

    def close(self) -> None:
        self.db.execute(f"DROP SCHEMA {self.schema} CASCADE")
        self.db.close()

    def database(self, user: str = "", **options: Any) -> Database:
        where = server()
        who = f"{user}:pw" if user else f"{where['user']}:{where['password']}"
        place = f"{where['host']}:{where['port']}/{connection.settings_dict['NAME']}"
        url = f"postgresql+psycopg2://{who}@{place}?options=-csearch_path%3D{self.schema}"
        return Database("prod", url, options, LOOPBACK)

    def look(self, cursor: dict[str, Any] | None = None) -> list[Page]:
        return list(airflow_db.read(self.database(), cursor))

    def insert(self, table: str, **values: Any) -> None:
        """A row of the columns that this version has; what must not be empty and was not named gets something."""
        query = (
            "SELECT column_name, data_type, is_nullable = 'YES' OR column_default IS NOT NULL FROM "
            "information_schema.columns WHERE table_schema = %s AND table_name = %s"
        )
        filler: dict[str, Any] = {
            "integer": 1,
            "boolean": False,
            "json": Json({}),
            "jsonb": Json({}),
            "uuid": uuid.uuid4(),
        }
        row = {}
        for name, kind, free in self.db.execute(query, (self.schema, table)).fetchall():
            if name in values and not (name == "id" and kind == "integer" and isinstance(values[name], uuid.UUID)):
                row[name] = values[name]
            elif not free:
                row[name] = filler.get(kind, NOW if kind.startswith("timestamp") else "x")
        columns = sql.SQL(", ").join(map(sql.Identifier, row))
        marks = sql.SQL(", ").join(sql.Placeholder() * len(row))
        table_name = sql.Identifier(table)
        self.db.execute(sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(table_name, columns, marks), [*row.values()])

    @property
    def has_history(self) -> bool:
        return self.version not in ("2.6.3", "2.9.3")


def at(seconds: float) -> datetime:
    return NOW - timedelta(minutes=10) + timedelta(seconds=seconds)


def a_task(**changes: Any) -> dict[str, Any]:
    return {
        "id": SECOND, "dag_id": "orders", "task_id": "get", "run_id": "r1", "map_index": -1, "try_number": 2,
        "state": "success", "max_tries": 2, "hostname": "w1", "pool": "default_pool", "pool_slots": 1, "queue": "default",
        "operator": "HttpOperator", "queued_dttm": at(30), "scheduled_dttm": at(29), "start_date": at(31),
        "end_date": at(40), "duration": 9.0, "updated_at": at(40), **changes,
    }  # fmt: skip


def fill(tables: Tables) -> None:
    """A task that succeeded at its second try, another that runs, and what stands around them."""
    tables.insert("task_instance", **a_task())
    tables.insert("task_instance", **a_task(
        id=OTHER, task_id="put", map_index=3, try_number=1, state="running", end_date=None, duration=None,
        start_date=at(50), queued_dttm=at(49), scheduled_dttm=at(48), updated_at=at(50),
    ))  # fmt: skip
    if tables.has_history:
        # As clearing leaves it: the times of the try, and an updated_at of long ago.
        tables.insert("task_instance_history", **a_task(
            id=1, task_instance_id=FIRST, try_number=1, state="failed", queued_dttm=at(0), scheduled_dttm=at(0),
            start_date=at(1), end_date=at(20), duration=19.0, updated_at=NOW - timedelta(days=3),
        ))  # fmt: skip
    tables.insert("rendered_task_instance_fields", dag_id="orders", task_id="get", run_id="r1", map_index=-1,
                  rendered_fields=Json({"endpoint": "v1/orders?x=1", "http_conn_id": "orders_http"}))  # fmt: skip
    tables.insert("dag_run", id=1, dag_id="orders", run_id="r1", state="running", run_type="manual", queued_at=at(0),
                  start_date=at(0), execution_date=at(0), logical_date=at(0), run_after=at(0), updated_at=at(1),
                  triggered_by="REST_API", triggering_user_name="ann")  # fmt: skip
    event = {"dttm": at(1), "event": "running", "owner": "sales", "dag_id": "orders", "task_id": "get"}
    tables.insert("log", id=7, extra='{"a": 1}', run_id="r1", map_index=-1, try_number=1, **event)
    tables.insert("slot_pool", id=1, pool="default_pool", slots=128, include_deferred=True)
    tables.insert("slot_pool", id=2, pool="idle", slots=4)
    job = {"start_date": at(0), "latest_heartbeat": at(60), "state": "running", "hostname": "s1"}
    tables.insert("job", id=1, job_type="SchedulerJob", **job)
    tables.insert("job", id=2, job_type="LocalTaskJob", **job)
    tables.insert("dag", dag_id="orders", is_paused=False, is_active=True, is_stale=False, owners="sales, lake")
    tables.insert("dag", dag_id="gone", is_paused=False, is_active=False, is_stale=True, owners="")
    tables.insert("dag_tag", name="daily", dag_id="orders")
    tables.insert("connection", id=1, conn_id="orders_http", conn_type="http", host="http://orders", port=8080,
                  schema="", login="svc", password="gAAAAAhunter2", extra="gAAAAAsecret")  # fmt: skip


def of_kind(pages: list[Page], kind: str) -> list[dict[str, Any]]:
    return [item for page in pages if page.kind == kind for item in page.items]
