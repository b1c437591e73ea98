"""Airflow's own tables, as 2.6 to 3.3 make them, read into the same records as the answers of the REST API."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.utils import timezone
from psycopg import sql
from psycopg.types.json import Json

from ingest import actions, airflow_feed, leases, pipeline
from ingest.models import Airflow, Batch, Feed, Job, Try
from ingest.parsers import airflow as parsers
from ingest.sources import airflow_db
from ingest.sources.airflow_pull import SETTLE, Page
from ingest.sources.http import SourceRefused, SourceUnavailable
from ingest.sources.postgres import Database, look, parameters
from ingest.store import airflow as store

SAMPLES = Path(__file__).parent.parent / "samples" / "airflow" / "db"
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


@pytest.fixture
def made() -> Iterator[Callable[[str], Tables]]:
    found: list[Tables] = []

    def make(version: str = "3.3.2") -> Tables:
        found.append(Tables(version))
        return found[-1]

    yield make
    for tables in found:
        tables.close()


def of_kind(pages: list[Page], kind: str) -> list[dict[str, Any]]:
    return [item for page in pages if page.kind == kind for item in page.items]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_gives_what_the_rest_api_gives(version: str, made: Callable[[str], Tables]) -> None:
    tables = made(version)
    fill(tables)
    pages = tables.look()
    airflow = Airflow.objects.create(name="prod")
    for page in pages:
        if page.items and page.kind != "refused":
            counts = store.save(airflow, page.kind, page.items, NOW)
            assert not counts.rejects, counts.rejects
    known = {(t.task_id, t.try_number): t for t in Try.objects.all()}
    assert set(known) == {("get", 2), ("put", 1)} | ({("get", 1)} if tables.has_history else set())
    second = known["get", 2]
    assert (second.state, second.queued_at, second.start_at, second.end_at) == ("success", at(30), at(31), at(40))
    assert (second.conn_id, second.path, second.hostname) == ("orders_http", "v1/orders", "w1")
    assert second.scheduled_at == (None if tables.old else at(29))
    if tables.has_history:
        first = known["get", 1]
        assert (first.state, first.start_at, first.end_at, first.duration_s) == ("failed", at(1), at(20), 19.0)
        ids = (first.ti_id, first.ti_id_from, second.ti_id, second.ti_id_from)
        assert ids == ((None, "", None, "") if tables.old else (FIRST, "database", SECOND, "rest"))
    assert (known["put", 1].state, known["put", 1].map_index) == ("running", 3)
    airflow.refresh_from_db()
    assert airflow.api == ("v1" if tables.old else "v2")
    run, dag, pools = airflow.runs.get(), airflow.dags.get(), {pool.name: pool for pool in airflow.pools.all()}
    assert (run.state, run.queued_at, run.run_after) == ("running", at(0), at(0))
    assert run.triggered_by == ("" if tables.old else "rest_api")
    assert run.triggering_user == ("ann" if version in ("3.1.8", "3.2.2", "3.3.2") else "")
    assert (dag.dag_id, dag.owners, dag.tags) == ("orders", ["sales", "lake"], ["daily"])
    assert (pools["default_pool"].slots, pools["default_pool"].occupied, pools["idle"].occupied) == (128, 1, 0)
    assert [job.job_type for job in Job.objects.all()] == ["SchedulerJob"]
    address = airflow.connections.get()
    assert (address.host, address.port, address.schema) == ("orders", 8080, "http")
    assert "hunter2" not in json.dumps([page.items for page in pages], default=str)
    assert pages[-1].complete_to is not None and NOW - SETTLE <= pages[-1].complete_to <= timezone.now()


@pytest.mark.parametrize("version", VERSIONS)
def test_events_are_found_by_an_index_and_changes_by_reading_the_table(version: str) -> None:
    """As docs/airflow.md says; an Airflow whose task_instance has an index on updated_at needs no advice."""
    tables = (SAMPLES / f"{version}.sql").read_text()
    assert "ON log USING btree (dttm)" in tables and "ON task_instance USING btree (updated_at" not in tables


def test_a_row_of_the_table_is_the_record_that_rest_gives(made: Callable[[str], Tables]) -> None:
    tables = made()
    fill(tables)
    (row,) = (item for item in of_kind(tables.look(), "task_instances") if item["task_id"] == "get")
    told = {
        "id": str(SECOND), "dag_id": "orders", "dag_run_id": "r1", "task_id": "get", "map_index": -1, "try_number": 2,
        "max_tries": 2, "state": "success", "scheduled_when": at(29).isoformat(), "queued_when": at(30).isoformat(),
        "start_date": at(31).isoformat(), "end_date": at(40).isoformat(), "duration": 9.0, "hostname": "w1",
        "pool": "default_pool", "pool_slots": 1, "queue": "default", "operator": "HttpOperator",
        "rendered_fields": {"endpoint": "v1/orders?x=1", "http_conn_id": "orders_http"},
    }  # fmt: skip
    assert parsers.parse_task_instance(row) == parsers.parse_task_instance(told)


@pytest.mark.parametrize("version", ["2.9.3", "2.11.2", "3.3.2"])
def test_the_next_look_reads_what_changed_since(version: str, made: Callable[[str], Tables]) -> None:
    tables = made(version)
    fill(tables)
    cursor = tables.look()[-1].cursor
    again = tables.look(cursor)
    assert (of_kind(again, "task_instances"), of_kind(again, "tries"), of_kind(again, "event_logs")) == ([], [], [])
    assert not of_kind(again, "dags") and of_kind(again, "pools")
    # Cleared by a person: the row begins anew, and its history shows tries of long ago.
    tables.db.execute("UPDATE task_instance SET state = NULL, updated_at = now() WHERE task_id = 'get'")
    tables.insert("log", id=8, dttm=datetime.now(UTC), event="clear", owner="ann")
    later = tables.look(again[-1].cursor)
    assert [item["task_id"] for item in of_kind(later, "task_instances")] == ["get"]
    assert [item["try_number"] for item in of_kind(later, "tries")] == ([1] if tables.has_history else [])
    assert [item["event_log_id"] for item in of_kind(later, "event_logs")] == [8]


@pytest.mark.parametrize("version", ["2.6.3", "2.9.3"])
def test_up_to_2_9_an_end_counts_and_a_number_is_put_right(version: str, made: Callable[[str], Tables]) -> None:
    tables = made(version)
    started = NOW - timedelta(hours=5)
    tables.insert("task_instance", **a_task(task_id="ended", updated_at=started, end_date=NOW, start_date=started))
    tables.insert("task_instance", **a_task(
        task_id="waits", state="queued", try_number=1, updated_at=NOW, start_date=None, end_date=None,
    ))  # fmt: skip
    cursor = {"task_instances": (NOW - timedelta(minutes=1)).isoformat()}
    found = {item["task_id"]: item["try_number"] for item in of_kind(tables.look(cursor), "task_instances")}
    assert found == {"ended": 2, "waits": 2}


def test_a_look_that_is_cut_off_goes_on(made: Callable[[str], Tables], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(airflow_db, "BATCH", 4)
    tables = made()
    for number in range(10):
        ident = uuid.uuid4()
        tables.insert("task_instance", **a_task(id=ident, task_id=f"t{number}", updated_at=at(60 * number)))
    pages = airflow_db.read(tables.database(overlap_s=0), None)
    first = next(page for page in pages if page.kind == "task_instances")
    pages.close()  # type: ignore[attr-defined]
    assert [item["task_id"] for item in first.items] == ["t0", "t1", "t2", "t3"]
    rest = of_kind(list(airflow_db.read(tables.database(overlap_s=0), first.cursor)), "task_instances")
    assert [item["task_id"] for item in rest] == [f"t{number}" for number in range(4, 10)]


@pytest.mark.parametrize("version", ["2.9.3", "2.11.2", "3.3.2"])
def test_turns_that_hold_less_than_the_overlap_get_through(
    version: str, made: Callable[[str], Tables], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten rows of one UPDATE, three a turn: by the time alone, or with an overlap, each turn would read the first three."""
    monkeypatch.setattr(airflow_db, "BATCH", 3)
    tables, alike = made(version), {"updated_at": at(60), "start_date": at(60), "end_date": at(60)}
    for number in range(10):
        tables.insert("task_instance", **a_task(id=uuid.uuid4(), task_id=f"t{number}", **alike))
        tables.insert("dag_run", id=number, dag_id="orders", run_id=f"r{number}", state="running", run_type="manual",
                      execution_date=at(number), logical_date=at(number), updated_at=at(60))  # fmt: skip
        tables.insert("log", id=number, dttm=at(60), event="clear", owner="ann")
        if tables.has_history:
            history = a_task(id=number, task_instance_id=uuid.uuid4(), task_id=f"t{number}", try_number=1)
            tables.insert("task_instance_history", **history)
    cursor: dict[str, Any] | None = None
    found: dict[str, list[str]] = {}
    first = datetime.now(UTC)
    for _ in range(40):
        pages = airflow_db.read(tables.database(), cursor)
        done = False
        for page in pages:
            cursor = page.cursor or cursor
            done = page.complete_to is not None
            if page.kind in ("task_instances", "dag_runs", "event_logs", "tries") and page.items:
                key = {"dag_runs": "dag_run_id", "event_logs": "event_log_id"}.get(page.kind, "task_id")
                names = [str(item[key]) for item in page.items]
                found.setdefault(page.kind, []).extend(names)
                break  # the turn is over
        pages.close()  # type: ignore[attr-defined]
        if done:
            break
    assert done and cursor and not [name for name in cursor if name.endswith("_walk")]
    for kind, names in found.items():
        assert len(set(names)) == 10, kind
    assert len(found["task_instances"]) == 10
    assert datetime.fromisoformat(cursor["task_instances"]) >= first  # the overlap is read from before the walk on


def test_nothing_can_be_written(made: Callable[[str], Tables]) -> None:
    tables = made()
    with pytest.raises(SourceRefused, match="read-only transaction"), look(tables.database()) as db:
        db.execute("DELETE FROM task_instance")


def test_a_table_that_went_is_no_wrong_password(made: Callable[[str], Tables]) -> None:
    with pytest.raises(SourceRefused, match="does not take our question") as refused, look(made().database()) as db:
        db.execute("SELECT * FROM gone")
    assert refused.value.status is None


def test_a_statement_that_takes_too_long_is_ended(made: Callable[[str], Tables]) -> None:
    tables = made()
    with pytest.raises(SourceUnavailable, match="took too long"), look(tables.database(statement_s=0.05)) as db:
        db.execute("SELECT pg_sleep(5)")


def test_a_user_with_few_rights_reads_what_it_may_and_the_rest_is_named(made: Callable[[str], Tables]) -> None:
    tables = made()
    fill(tables)
    schema = tables.schema
    tables.db.execute("DROP ROLE IF EXISTS airf5_reader")
    tables.db.execute("CREATE ROLE airf5_reader LOGIN PASSWORD 'pw'")
    try:
        with pytest.raises(SourceRefused, match=r"no task_instance\.dag_id that this user may read"):
            list(airflow_db.read(tables.database("airf5_reader"), None))
        tables.db.execute(f"GRANT USAGE ON SCHEMA {schema} TO airf5_reader")
        tables.db.execute("GRANT SELECT ON task_instance, dag_run TO airf5_reader")
        tables.db.execute("GRANT SELECT (conn_id, conn_type, host, port, schema) ON connection TO airf5_reader")
        pages = list(airflow_db.read(tables.database("airf5_reader"), None))
    finally:
        tables.db.execute("DROP OWNED BY airf5_reader")
        tables.db.execute("DROP ROLE airf5_reader")
    refused = {item["endpoint"]: item["sentence"] for item in of_kind(pages, "refused")}
    nothing_of = {"slot_pool", "job", "dag", "log", "task_instance_history", "rendered_task_instance_fields"}
    assert set(refused) == nothing_of
    assert "grant SELECT" in refused["log"]
    assert len(of_kind(pages, "connections")) == 1 and len(of_kind(pages, "task_instances")) == 2


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql+pymysql://u:s3cret@127.0.0.1/airflow", "MySQL, which is not read"),
        ("sqlite:////opt/airflow/airflow.db", "must be postgresql://"),
        ("host=127.0.0.1 dbname=airflow password=s3cret", "must be postgresql://"),
        ("postgresql://u:s3cret@/airflow?host=/var/run", "needs one host"),
        ("postgresql://u:s3cret@a,b/airflow", "needs one host"),
        ("postgresql://u:s3cret@127.0.0.1/airflow?passfile=/etc/shadow", "has passfile, which is not taken"),
        ("postgresql://u:s3cret@127.0.0.1/airflow?nonsense=1", "cannot be read"),
        ("postgresql://u:s3cret@127.0.0.1:port/airflow", "a port that is a number"),
        ("postgresql://u:s3cret@127.0.0.1:5432,5433/airflow", "needs one host"),
        ("postgresql://u:s3cret@[broken/airflow", "cannot be read"),
        ("postgresql://u:s3cret@127.0.0.1/airflow?options=-csearch_path%3Da%2Cb", "has options, which is not taken"),
        ("postgresql://u:s3cret@169.254.169.254/airflow", "is not called"),
    ],
)
def test_an_address_that_is_not_taken_is_told_without_its_password(url: str, sentence: str) -> None:
    with pytest.raises(SourceRefused, match=sentence) as refused:
        parameters(Database("prod", url, allow=LOOPBACK))
    assert "s3cret" not in str(refused.value) and "s3cret" not in repr(Database("prod", url))


def test_loopback_has_to_be_allowed_and_a_wrong_password_is_said(made: Callable[[str], Tables]) -> None:
    database = made().database()
    with pytest.raises(SourceRefused, match="loopback"):
        parameters(Database("prod", database.url))
    nobody = Database("prod", f"postgresql://nobody:s3cret@127.0.0.1:{server()['port']}/x", allow=LOOPBACK)
    with pytest.raises(SourceRefused, match="does not let us in") as refused, look(nobody):
        pass
    assert "s3cret" not in str(refused.value)
    away = Database("prod", "postgresql://u:s3cret@127.0.0.1:1/x", allow=LOOPBACK)
    with pytest.raises(SourceUnavailable, match="cannot be reached"), look(away):
        pass


def pull(feed: Feed) -> int:
    epoch = leases.take(feed.pk, "test")
    assert epoch is not None
    try:
        return pipeline.ingest(Feed.objects.get(pk=feed.pk), epoch)
    finally:
        leases.release(feed.pk, epoch)


def test_a_feed_reads_it_and_waits_for_no_log_that_nobody_fetches(
    made: Callable[[str], Tables], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = made()
    fill(tables)
    monkeypatch.setenv("AIRFLOW_DB", tables.database().url)
    config = {"database": "env:AIRFLOW_DB", "allow": list(LOOPBACK)}
    feed = actions.configure_source("airflow_db", "prod/database", "prod", None, config, "ann")
    assert pull(feed) > 8 and pull(feed) > 0
    feed.refresh_from_db()
    assert feed.state == Feed.State.OK and feed.complete_to and not feed.refusals, feed.message
    assert Airflow.objects.get(name="prod").feeds.get() == feed
    assert set(Try.objects.values_list("try_number", "log_state")) == {(1, "absent"), (1, ""), (2, "")}
    assert all(batch.read == batch.rows + batch.repeated for batch in Batch.objects.all())


def test_what_is_looked_at_seldom_stays_named_in_the_looks_between(
    made: Callable[[str], Tables], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = made()
    fill(tables)
    for table in ("dag", "connection", "slot_pool"):
        tables.db.execute(f"DROP TABLE {table} CASCADE")
    monkeypatch.setenv("AIRFLOW_DB", tables.database().url)
    config = {"database": "env:AIRFLOW_DB", "allow": list(LOOPBACK)}
    feed = actions.configure_source("airflow_db", "prod/database", "prod", None, config, "ann")
    for _ in range(3):
        pull(feed)
        feed.refresh_from_db()
        assert {one["endpoint"] for one in feed.refusals} == {"dag", "connection", "slot_pool"}
        assert len(feed.refusals) == 3


def test_a_log_is_left_to_the_rest_api_where_there_is_one(
    made: Callable[[str], Tables], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = made()
    fill(tables)
    monkeypatch.setenv("AIRFLOW_DB", tables.database().url)
    rest = {"base_url": "https://airflow.example", "token": "env:AIRFLOW_DB", "tries_from": "database"}
    by_rest = actions.configure_source("airflow_api", "prod", "prod", None, rest, "ann")
    config = {"database": "env:AIRFLOW_DB", "allow": list(LOOPBACK)}
    pull(actions.configure_source("airflow_db", "prod/database", "prod", None, config, "ann"))
    assert airflow_feed.source_of(by_rest).tries_elsewhere
    assert [key.try_number for key in airflow_feed.wanted(by_rest, timezone.now()).logs] == [1]
    assert Airflow.objects.get().url == "https://airflow.example"
