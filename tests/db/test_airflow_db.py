"""Airflow's own tables, as 2.6 to 3.3 make them, read into the same records as the answers of the REST API."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from ingest.models import Airflow, Job, Try
from ingest.parsers import airflow as parsers
from ingest.sources import airflow_db
from ingest.sources.airflow_pull import SETTLE
from ingest.store import airflow as store
from tests.airflow_tables import (
    FIRST,
    NOW,
    SAMPLES,
    SECOND,
    VERSIONS,
    Tables,
    a_task,
    at,
    fill,
    of_kind,
)


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
