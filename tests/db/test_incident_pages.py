"""What the page of an incident tells beside its tries: what preceded it, similar ones, its parts, and the noise it spared."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from airf5.accounts.roles import Scope
from dashboards.filters import Filter
from dashboards.queries import incidents
from dashboards.queries import now as now_queries
from dashboards.queries.preceding import CHANGES, DEPLOYED, Preceding
from ingest import actions, models
from tests import world
from tests.world import NOW

EVERYTHING = Scope("admin", None)
START = NOW - timedelta(minutes=20)


def before(**ago: float) -> datetime:
    return START - timedelta(**ago)


def an_incident(**changes: Any) -> models.Incident:
    """One that hit a try of orders_sync."""
    endpoint = world.a_route()
    found = world.an_incident(endpoint, START, **{"tries": 1, **changes})
    tried = world.a_try("orders_sync", START, state="failed", conn_id="orders_http", airflow_pool="orders_slots")
    world.a_verdict(tried, endpoint=endpoint, incident=found)
    return found


def page(incident: models.Incident, scope: Scope = EVERYTHING) -> incidents.IncidentPage:
    found = incidents.one(incident.pk, scope, NOW)
    assert found is not None
    return found


def preceded(incident: models.Incident) -> tuple[Preceding, ...]:
    return page(incident).changes


def a_version(dag_id: str, at: datetime, number: int = 2) -> models.DagVersion:
    return models.DagVersion.objects.create(
        airflow=world.an_airflow(), dag_id=dag_id, number=number, at=at, bundle="git", bundle_version="4f2c", raw="{}"
    )


def test_what_concerns_the_object_at_fault_comes_first_then_its_pool_its_dags_the_device_and_the_rest() -> None:
    incident = an_incident()
    device = models.Device.objects.get(name="bigip-1")
    world.an_action(before(minutes=1), source="bigip-1", target="ltm pool /Common/pool_other", raw="other")
    world.an_action(before(minutes=40), source="bigip-1", target="ltm node /Common/orders1", raw="cmd_data=modify")
    world.an_action(before(minutes=30), source="bigip-1", target="ltm pool /Common/pool_orders", raw="pool line")
    models.HealthEvent.objects.create(device=device, at=before(minutes=2), kind="device", state="active", raw="Active")
    a_version("orders_sync", before(hours=20))
    world.an_action(before(minutes=3), layer="airflow", source="prod", verb="patch_connection", target="orders_http")
    found = preceded(incident)
    assert [one.kind for one in found] == [
        "configuration", "configuration", "airflow", "deployment", "failover", "configuration",
    ]  # fmt: skip
    assert [one.rank for one in found] == sorted(one.rank for one in found)
    assert found[0].about == "orders1:9000, which is at fault" and found[0].raw == "cmd_data=modify"
    assert found[2].about == "orders_http, which its tries use"
    assert "version 2 of orders_sync deployed (git 4f2c)" in found[3].says


def test_what_is_too_long_ago_or_changed_nothing_or_came_later_did_not_precede_it() -> None:
    incident = an_incident()
    world.an_action(START - CHANGES - timedelta(seconds=1), source="bigip-1")
    world.an_action(START + timedelta(seconds=1, milliseconds=1), source="bigip-1")
    world.an_action(before(minutes=1), source="bigip-1", verb="login", target="")
    world.an_action(before(minutes=1), source="other-device")
    world.an_action(before(minutes=1), layer="airflow", source="prod", verb="trigger_dag_run")
    a_version("orders_sync", START - DEPLOYED - timedelta(seconds=1))
    a_version("another_dag", before(hours=2))
    assert preceded(incident) == ()


def test_one_command_that_is_logged_twice_stands_once() -> None:
    incident = an_incident()
    for raw in ("tmsh: modify ltm pool /Common/pool_orders", "mcpd: transaction /Common/pool_orders"):
        world.an_action(before(minutes=1), source="bigip-1", raw=raw)
    assert len(preceded(incident)) == 1


def test_a_change_of_the_very_second_in_which_it_began_precedes_it() -> None:
    incident = an_incident()
    world.an_action(START + timedelta(milliseconds=800), source="bigip-1")
    assert len(preceded(incident)) == 1


def test_a_deployment_of_many_dags_that_were_not_hit_is_one_row() -> None:
    incident = an_incident()
    for n in range(8):
        a_version(f"dag{n}", before(minutes=5, seconds=n))
    assert [one.says for one in preceded(incident)] == [
        "new versions of 8\u00a0other DAGs: dag0, dag1, dag2, dag3 and 4 more"
    ]


def test_certificates_that_ran_out_precede_it() -> None:
    incident = an_incident(cause="tls_failure")
    device = models.Device.objects.get(name="bigip-1")
    models.Certificate.objects.create(device=device, name="/Common/orders.crt", expires_at=before(hours=1))
    models.Certificate.objects.create(device=device, name="/Common/next_year.crt", expires_at=NOW + timedelta(days=300))
    assert [one.says for one in preceded(incident)] == ["certificate /Common/orders.crt expired"]


def test_who_may_see_some_dags_only_sees_no_deployment_of_others() -> None:
    incident = an_incident()
    a_version("secret_dag", before(minutes=5))
    a_version("orders_sync", before(minutes=5))
    found = page(incident, Scope("viewer", frozenset({"orders_sync"}))).changes
    assert [one.about for one in found] == ["orders_sync, which was hit"]


def test_similar_ones_are_told_with_why_how_they_ended_and_what_people_noted() -> None:
    endpoint = world.a_route()
    week = START - timedelta(days=7)
    facts = {"tries": 0, "end": week + timedelta(minutes=3), "ending": {"says": "orders1:9000: up"}}
    same = world.an_incident(endpoint, week, fingerprint="same", **facts)
    component = world.an_incident(endpoint, week + timedelta(days=1), cause="slow_member", **facts)
    cause = world.an_incident(endpoint, week + timedelta(days=2), component="/Common/orders2:9000", **facts)
    world.an_incident(endpoint, week, cause="no_member", component="/Common/pool_orders", component_kind="pool")
    actions.add_note(same.pk, "restarted orders1", "ann")
    found = page(an_incident(fingerprint="same")).similar
    assert [(one.row.id, one.why) for one in found] == [
        (same.pk, "same cause and component"), (component.pk, "same component"),
        (cause.pk, "same cause on the same pool"),
    ]  # fmt: skip
    assert [note.text for note in found[0].notes] == ["restarted orders1"]
    assert (found[0].row.ended_by, found[0].row.seconds) == ("orders1:9000: up", 180)


@pytest.fixture
def failover() -> tuple[models.Incident, list[models.Incident]]:
    """A parent and its two parts."""
    facts = {
        "cause": "failover",
        "component_kind": "device",
        "component": "bigip",
        "members": [],
        "tries": 2,
        "messages": 5,
    }
    parent = world.an_incident(world.a_route(), START, **facts)
    models.Incident.objects.filter(pk=parent.pk).update(endpoint=None, f5_pool=None)
    parts = []
    for name in ("orders", "reports"):
        endpoint = world.a_route(name)
        part = world.an_incident(endpoint, START, cause="failover", parent=parent, tries=1, messages=2)
        world.a_verdict(
            world.a_try(f"dag_{name}", START, state="failed"), cause="failover", endpoint=endpoint, incident=part
        )
        parts.append(part)
    return parent, parts


def listed(**asked: str) -> set[int]:
    query = {"from": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00Z", **asked}
    return {row.id for row in incidents.listed(Filter.from_query(query, NOW, "incidents"), EVERYTHING, NOW).rows}


def test_a_parent_shows_its_parts_and_their_tries(failover: tuple[models.Incident, list[models.Incident]]) -> None:
    parent, parts = failover
    found = page(parent)
    assert {row.id for row in found.parts} == {one.pk for one in parts}
    assert {one.dag_id for one in found.tries} == set(found.row.dags) == {"dag_orders", "dag_reports"}
    assert found.row.parts == 2 and found.row.sentence.startswith("Failover of bigip hit 2\u00a0routes")
    assert page(parts[0]).row.parent == parent.pk


def test_filters_find_a_parent_by_its_parts(failover: tuple[models.Incident, list[models.Incident]]) -> None:
    parent, (orders, reports) = failover
    assert listed() == {parent.pk, orders.pk, reports.pk}
    assert (
        listed(endpoint="vs_orders")
        == listed(dag="dag_orders")
        == listed(f5_pool="pool_orders")
        == {parent.pk, orders.pk}
    )
    assert listed(cause="member_grey") == set()


def test_now_tells_of_the_whole_and_of_what_it_spared(failover: tuple[models.Incident, list[models.Incident]]) -> None:
    parent, _ = failover
    asked = Filter.from_query({}, NOW, "now")
    found = now_queries.now_page(asked, EVERYTHING, NOW)
    assert found.incident is not None and found.incident.id == parent.pk and found.others == ()
    assert found.noise == "5\u00a0messages became 1"


def test_onset_and_ending_are_told_with_their_rows() -> None:
    end = START + timedelta(minutes=2)
    onset = {
        "kind": "request",
        "at": "2026-03-01T11:40:00Z",
        "says": "GET /orders was answered 503",
        "raw": "line",
        "line_id": 7,
    }
    found = page(
        an_incident(
            end=end, onset=onset | {"before": [0, 50], "since": [9, 12]}, ending={"kind": "silence", "says": "x"}
        )
    )
    assert (found.onset.raw, found.onset.before, found.onset.since) == ("line", (0, 50), (9, 12))
    assert found.ending is not None and found.ending.at is None
    assert page(an_incident()).ending is None
