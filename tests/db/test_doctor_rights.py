"""What the doctor asks of an Airflow, a device and a database: each right that lacks is told with what it costs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from ingest import actions, airflow_feed, icontrol_feed
from ingest.doctor import rights
from ingest.doctor.findings import FAIL, OK, WARN, Finding
from ingest.models import Device, Feed
from ingest.sources.f5_session import Session as DeviceSession
from tests import icontrol, world
from tests.airflow_tables import Tables
from tests.db.test_doctor import WORD, a_feed


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: Any) -> Path:
    settings.AIRF5_HOME = tmp_path
    return tmp_path


# Airflow's rights


class Airflow:
    """Answers like an Airflow 3; `refused` maps a path to the status it is refused with."""

    def __init__(self, **refused: int) -> None:
        self.refused = {f"/{path}": status for path, status in refused.items()}
        self.row: dict[str, Any] = {
            "dag_id": "d", "dag_run_id": "r", "task_id": "t", "map_index": -1, "try_number": 1, "state": "success",
        }  # fmt: skip
        self.asked: list[str] = []
        self.version = "3.3.2"

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.asked.append(f"{request.method} {path}")
        if path == "/auth/token":
            fine = json.loads(request.content)["password"] == WORD
            return httpx.Response(201 if fine else 401, json={"access_token": "a.b.c"} if fine else {"detail": "no"})
        path = path.removeprefix("/api/v2")
        status = next((status for end, status in self.refused.items() if path.endswith(end)), 200)
        if status != 200:
            return httpx.Response(status, json={"detail": "Forbidden"})
        if path == "/version":
            return httpx.Response(200, json={"version": self.version})
        if path.endswith("/logs/1"):
            return httpx.Response(200, json={"content": []})
        name = {
            "eventLogs": "event_logs",
            "dagRuns": "dag_runs",
            "taskInstances": "task_instances",
            "tries": "task_instances",
        }
        last = path.rpartition("/")[2]
        rows = [self.row] if last in ("taskInstances", "tries") else []
        return httpx.Response(200, json={name.get(last, last): rows, "total_entries": len(rows)})


@pytest.fixture
def airflow() -> Feed:
    config = {"base_url": "https://airflow.example.com", "username": "airf5", "password": "sealed:"}
    return actions.configure_source("airflow_api", "prod", None, None, config, "ann", {"password": WORD})


def probed(feed: Feed, server: Airflow) -> list[Finding]:
    return list(rights.airflow(feed, transport=httpx.MockTransport(server), sleep=lambda _: None))


def test_every_endpoint_is_asked_and_told(airflow: Feed) -> None:
    found = probed(airflow, server := Airflow())
    assert {one.level for one in found} == {OK}
    words = " ".join(one.sentence for one in found)
    for path in ("/taskInstances", "/dagRuns", "/dags", "/pools", "/connections", "/eventLogs", "/jobs"):
        assert f"{path} may be read" in words
    assert "Airflow 3.3.2 answers by /api/v2" in words and "Task logs may be read" in words
    assert "GET /api/v2/dags/d/dagRuns/r/taskInstances/t/tries" in server.asked


@pytest.mark.parametrize(
    ("refused", "level", "sentence"),
    [
        ({"connections": 403}, WARN, "/connections is refused (403): a task's connection does not lead to"),
        ({"eventLogs": 403}, WARN, "/eventLogs is refused (403): who cleared, triggered or changed"),
        ({"pools": 403}, WARN, "/pools is refused (403): that a try waited"),
        ({"jobs": 403}, WARN, "/jobs is refused (403): a scheduler"),
        ({"taskInstances": 403}, FAIL, "/taskInstances is refused (403): no try is known"),
        ({"dagRuns": 403}, FAIL, "/dagRuns is refused (403)"),
        ({"logs/1": 403}, WARN, "Task logs are refused (403): a try without an exact key stays unjudged"),
        ({"logs/1": 404}, WARN, "the one of a recent try is not there"),
        ({"tries": 403}, WARN, "Histories of tries are refused (403)"),
    ],
)
def test_what_is_refused_is_told_with_its_consequence(
    airflow: Feed, refused: dict[str, int], level: str, sentence: str
) -> None:
    bad = [one for one in probed(airflow, Airflow(**refused)) if one.level != OK]
    assert [(one.level, sentence in one.sentence) for one in bad] == [(level, True)] and bad[0].todo
    assert "Viewer" in bad[0].todo or "role" in bad[0].todo or "logs" in bad[0].todo


def test_a_version_that_was_never_tried_is_told(airflow: Feed) -> None:
    server = Airflow()
    server.version = "2.5.3"
    assert [one.sentence for one in probed(airflow, server) if one.level == WARN] == [
        "Airflow 2.5.3 is older than any that airf5 was tried with."
    ]


def test_a_wrong_password_ends_the_probe_and_is_not_shown(airflow: Feed) -> None:
    airflow = actions.configure_source("airflow_api", "prod", None, None, airflow.config, "ann", {"password": "s3cret"})
    [one] = probed(airflow, Airflow())[-1:]
    assert one.level == FAIL and "does not accept user 'airf5'" in one.sentence and "s3cret" not in repr(one)
    assert one.todo == "Correct the user name and give the password or token again."


def test_what_a_source_cannot_be_asked_for_is_one_failure() -> None:
    config = {"base_url": "http://127.0.0.1:1", "token": "env:NONE_SUCH"}
    feed = actions.configure_source("airflow_api", "prod", None, None, config, "ann")
    [one] = rights.airflow(feed)
    assert one.level == FAIL and "NONE_SUCH" in one.sentence and "readable for the worker" in one.todo
    os.environ["NONE_SUCH"] = "x"
    try:
        [one] = rights.airflow(feed)
    finally:
        del os.environ["NONE_SUCH"]
    assert one.level == FAIL and "127.0.0.1 is loopback" in one.sentence and "Add the range" in one.todo


# A device's rights


def test_a_devices_readings_are_told_with_what_each_refusal_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    device = icontrol.RecordedDevice()
    path = "/mgmt/tm/ltm/virtual/stats"
    device.instead[path] = (403, {"code": 403, "message": "no"})
    session = DeviceSession(icontrol.TARGET, transport=device.transport())
    monkeypatch.setattr(icontrol_feed, "session_of", lambda feed: session)
    feed = a_feed("f5_rest", "bigip-1/rest", device=Device.objects.create(group=world.a_route().group, name="b"))
    found = list(rights.of_feed(feed))
    bad = [one for one in found if one.level != OK]
    assert len(found) > 15 and [(one.level, one.todo) for one in bad] == [(WARN, rights.AUDITOR)]
    assert f"{path} is refused: the request log cannot be recounted" in bad[0].sentence
    assert icontrol.PASSWORD not in repr(found)


# An Airflow's database


def test_a_databases_tables_are_told_with_what_each_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = a_feed("airflow_db", "prod/database", airflow=world.an_airflow())
    tables = Tables("2.9.3")
    try:
        monkeypatch.setattr(airflow_feed, "database_of", lambda feed: tables.database())
        found = list(rights.of_feed(feed))
        assert {one.level for one in found} == {OK, WARN}
        warned = [one.sentence for one in found if one.level == WARN]
        assert any("is no replica" in one for one in warned)
        assert any(one.startswith("task_instance_history may not be read, or is not there: UUIDs") for one in warned)
        tables.db.execute("ALTER TABLE task_instance DROP COLUMN updated_at")
        failed = [one for one in rights.of_feed(feed) if one.level == FAIL]
        assert len(failed) == 1 and "task_instance.updated_at may not be read" in failed[0].sentence
    finally:
        tables.close()
