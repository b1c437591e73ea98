"""What is kept for years and then removed: whole, in small batches, and never what is still needed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from airf5.accounts.models import UserAction
from airf5.accounts.roles import EVERYTHING
from dashboards.filters import Filter
from dashboards.queries import audit
from ingest import partitions, pipeline, retention
from ingest.models import (
    DagRun,
    Evidence,
    Expiry,
    F5Message,
    HealthEvent,
    Incident,
    IncidentNote,
    Reject,
    TaskLog,
    Try,
    TryKey,
    Verdict,
    VerdictHistory,
)
from tests import world
from tests.world import NOW

DAY = timedelta(days=1)


def ago(days: float) -> datetime:
    """So many days beyond what is kept."""
    return NOW - partitions.retention("audit") - days * DAY


def test_what_is_over_goes_with_all_that_hangs_on_it() -> None:
    endpoint = world.a_route()
    incident = world.an_incident(endpoint, ago(5), end=ago(4))
    IncidentNote.objects.create(incident=incident, at=ago(4), author="ann", text="seen")
    tried = world.a_try(at=ago(5), state="failed")
    verdict = world.a_verdict(tried, incident=incident)
    Evidence.objects.create(verdict=verdict, position=0, feed="f", kind="request", raw="line")
    VerdictHistory.objects.create(try_row=tried, replaced_at=ago(4), answer={}, why="late rows")
    TaskLog.objects.create(try_row=tried, facts={}, fetched_at=ago(4))
    TryKey.objects.create(key="uuid", try_row=tried)
    DagRun.objects.create(airflow=tried.airflow, dag_id=tried.dag_id, run_id=tried.run_id, end_at=ago(5))
    world.an_action(ago(5))
    device, feed = world.models.Device.objects.get(), world.a_feed()
    HealthEvent.objects.create(device=device, at=ago(5), kind="member", state="down", object="m")
    F5Message.objects.create(device=device, at=ago(5), text="other")
    Reject.objects.create(feed=feed, at=ago(5), reason="no form", raw="?")
    assert retention.expire(NOW) == dict.fromkeys(retention.CLASSES, 1)
    for model in (
        Incident, IncidentNote, Try, Verdict, Evidence, VerdictHistory, TaskLog, TryKey, DagRun, UserAction, HealthEvent,
        F5Message, Reject,
    ):  # fmt: skip
        assert not model.objects.exists(), model
    assert retention.expire(NOW) == dict.fromkeys(retention.CLASSES, 0)


def test_what_is_younger_stays() -> None:
    endpoint = world.a_route()
    world.a_verdict(world.a_try(at=ago(-1)), incident=world.an_incident(endpoint, ago(-1), end=ago(-1)))
    long = world.an_incident(endpoint, ago(3), end=ago(-1))  # began before and ended after
    world.a_verdict(world.a_try(at=ago(3)), incident=long)
    world.an_action(ago(-1))
    assert set(retention.expire(NOW).values()) == {0}
    assert (Try.objects.count(), Incident.objects.count(), Verdict.objects.count()) == (2, 2, 2)


def test_what_an_open_incident_rests_on_stays() -> None:
    endpoint = world.a_route()
    still = world.an_incident(endpoint, ago(5))
    world.a_verdict(world.a_try(at=ago(5)), incident=still)
    device = world.models.Device.objects.get()
    HealthEvent.objects.create(
        device=device, at=ago(5), kind="member", state="down", object="m", f5_pool=endpoint.f5_pool
    )
    world.an_action(ago(5) - timedelta(hours=1), actor="who broke it")
    world.an_action(ago(7), actor="long before")
    assert {kind: n for kind, n in retention.expire(NOW).items() if n} == {"actions": 1}
    assert UserAction.objects.get().actor == "who broke it"
    Incident.objects.update(end=ago(1))
    assert {kind for kind, n in retention.expire(NOW).items() if n} == {
        "actions",
        "incidents",
        "tries",
        "health_events",
    }


@pytest.mark.parametrize("waits", [{"judge": True}, {"log_state": "wanted"}, {"history_wanted": True}])
def test_a_try_that_still_waits_stays(waits: dict[str, object]) -> None:
    world.a_verdict(world.a_try(at=ago(5), **waits), status="provisional")
    retention.expire(NOW)
    assert Verdict.objects.count() == 1


def test_what_judging_a_waiting_try_needs_stays() -> None:
    world.an_action(ago(5))
    world.a_try(at=ago(5), judge=True)
    assert set(retention.expire(NOW).values()) == {0}


def test_a_capture_is_exempt() -> None:
    airflow, endpoint = world.an_airflow("lab1"), world.a_route()
    device = world.models.Device.objects.get()
    world.a_feed("lab1/airflow", "airflow_capture", capture="lab1", airflow=airflow)
    request_log = world.a_feed("lab1/request", capture="lab1", device=device)
    world.a_verdict(world.a_try(at=ago(5), airflow=airflow), incident=None)
    world.an_incident(endpoint, ago(5), end=ago(4), capture="lab1")
    world.an_action(ago(5), layer="airflow", source="lab1")
    world.an_action(ago(5), layer="f5", source=device.name)
    HealthEvent.objects.create(device=device, at=ago(5), kind="member", state="down", object="m")
    Reject.objects.create(feed=request_log, at=ago(5), reason="no form", raw="?")
    assert set(retention.expire(NOW).values()) == {0}


def test_what_was_merged_goes_with_the_incident_it_was_merged_into() -> None:
    endpoint = world.a_route()
    whole = world.an_incident(endpoint, ago(5), end=ago(-1))
    part = world.an_incident(endpoint, ago(6), end=ago(5), merged_into=whole)
    world.an_incident(endpoint, ago(7), end=ago(6), merged_into=part)
    retention.expire(NOW)
    assert Incident.objects.count() == 3
    Incident.objects.filter(pk=whole.pk).update(end=ago(1))
    retention.expire(NOW)
    assert not Incident.objects.exists()


def test_it_goes_in_small_batches_the_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    monkeypatch.setattr(retention, "MOST_BATCHES", 2)
    for days in range(1, 8):
        world.an_action(ago(days))
    assert retention.expire(NOW)["actions"] == 4
    assert set(UserAction.objects.values_list("at", flat=True)) == {ago(1), ago(2), ago(3)}
    known = Expiry.objects.get()
    assert (known.kind, known.upto, known.at, known.rows) == ("actions", ago(4), NOW, 4)
    assert retention.expire(NOW)["actions"] == 3
    known.refresh_from_db()
    assert (known.upto, known.rows) == (ago(1), 7)


@pytest.mark.parametrize("kind", retention.CLASSES)
def test_what_is_over_is_found_by_an_index(kind: str) -> None:
    """Every ten minutes is asked, of tables that hold years."""
    if kind == Expiry.Kind.TRIES:  # the planner chooses among several indexes of it
        _years_of_tries()
    found = retention.CLASSES[kind](ago(0)).order_by("over_at", "pk")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    nodes = list(_nodes(json.loads(found[:500].explain(format="json"))[0]["Plan"]))
    table = found.model._meta.db_table
    (scan,) = (node for node in nodes if node.get("Relation Name") == table and node.get("Alias") == table)
    bounds = str([node.get("Index Cond") for node in nodes if node.get("Alias", table) == table])
    assert (scan["Node Type"] != "Seq Scan" and "at <" in bounds) or '"end" <' in bounds, bounds


def _years_of_tries() -> None:
    airflow = world.an_airflow()
    rows = [
        Try(airflow=airflow, dag_id="d", run_id=str(n), task_id="t", try_number=1, seen_at=ago(-n), end_at=ago(-n))
        for n in range(2_000)
    ]
    Try.objects.bulk_create(rows)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE ingest_try")


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def test_a_key_stays_as_long_as_a_request_may_show_it(settings: object) -> None:
    settings.AIRF5_RETENTION_AUDIT_DAYS = 1  # type: ignore[attr-defined]
    world.a_try(at=NOW - 3 * DAY)
    world.a_try(at=NOW - 9 * DAY)
    assert retention.expire(NOW)["tries"] == 1


def test_the_audit_says_what_expired() -> None:
    world.an_action(ago(5))
    world.an_action(NOW - DAY)

    def said(start: datetime) -> audit.Population:
        return audit.population(Filter(start=start, end=NOW), EVERYTHING)

    assert "expired" not in said(ago(9)).sentence
    retention.expire(NOW)
    whole = said(ago(9))
    assert (whole.total, whole.expired_to) == (1, ago(5))
    assert whole.sentence.endswith(f"up to {ago(5):%Y-%m-%d %H:%M:%S} UTC, expired by retention on 2026-03-01.")
    assert said(ago(1)).expired_to is None and "expired" not in said(ago(1)).sentence


def test_housekeeping_does_it() -> None:
    now = datetime.now(UTC)
    world.an_action(now - partitions.retention("audit") - DAY)
    pipeline.housekeep(now)
    assert not UserAction.objects.exists()
