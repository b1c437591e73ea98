"""The pages of single things and of sums: what they show."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.utils import InternalError

from airf5.accounts.roles import EVERYTHING, Scope
from dashboards.filters import Filter
from dashboards.lists import SUBJECTS
from dashboards.queries import audit, dags, endpoints, health_events, incidents, overview, requests, tries
from dashboards.queries.database import reading
from ingest import models
from ingest.records import Outcome
from tests import world
from tests.world import NOW


def asked(listing: str, **query: str) -> Filter:
    return Filter.from_query(query, NOW, listing)


def walk(slug: str, **query: str) -> list[Any]:
    """All rows of a list, by its pages."""
    subject = SUBJECTS[slug]
    page_of, rows = asked(subject.listing, **query), []
    while True:
        page = subject.read(page_of, EVERYTHING, NOW)
        rows += page.rows
        if not page.next:
            return rows
        page_of = page_of.page_after(page.next)


def test_the_overview_says_how_far_the_answer_reaches() -> None:
    world.a_request(world.a_route(), of=world.a_try())
    world.a_try()
    world.a_try(end_at=None, state="running")
    page = overview.overview(asked("overview"), EVERYTHING, NOW)
    assert (page.coverage.tries, page.coverage.crossing, page.coverage.no_path, page.coverage.unknown) == (3, 1, 1, 1)
    assert page.coverage.sentence.startswith("Of 3 tries 1 cross F5 and can be judged; 1 have no path through it")


def test_the_strip_has_sixty_cells_and_a_lane_for_what_no_endpoint_is_in() -> None:
    endpoint = world.a_route()
    world.a_request(endpoint, NOW - timedelta(seconds=20), outcome=Outcome.UNANSWERED)
    world.a_verdict(world.a_try(state="failed"), culprit="task", cause="task_error")
    page = overview.overview(asked("overview"), EVERYTHING, NOW)
    lane, own = page.lanes
    assert (len(lane.cells), lane.cells[-2].failed, lane.cells[-2].requests) == (60, 1, 1)
    assert (own.endpoint_id, sum(cell.task for cell in own.cells)) == (None, 1)
    assert [one.dag_id for one in page.not_f5] == ["orders_sync"]


def test_an_incident_has_its_tries_good_requests_and_what_came_before() -> None:
    endpoint = world.a_route()
    incident = world.an_incident(endpoint)
    lost = world.a_try(state="failed", at=incident.start)
    world.a_verdict(lost, endpoint=endpoint, incident=incident)
    world.a_request(endpoint, incident.start + timedelta(seconds=1), of=lost, outcome=Outcome.UNANSWERED)
    world.a_request(endpoint, incident.start + timedelta(seconds=2), of=world.a_try(at=incident.start))
    change = world.an_action(incident.start - timedelta(minutes=5), source="bigip-1")
    for number in range(60):
        world.an_action(incident.start - timedelta(minutes=1), layer="airflow", source="prod", verb=f"trigger{number}")
    page = incidents.one(incident.pk, EVERYTHING, NOW)
    assert page is not None
    assert [row.outcome for row in page.requests] == ["unanswered", "ok"]
    assert (page.reach.hit, page.reach.lost, [row.id for row in page.tries]) == (1, 1, [lost.pk])
    assert change.pk in {action.id for action in page.preceded}
    assert incidents.one(0, EVERYTHING, NOW) is None


def sentence_of(incident: models.Incident) -> str:
    return next(row.sentence for row in walk("incidents") if row.id == incident.pk)


def test_an_incident_says_what_its_surest_verdict_says() -> None:
    endpoint = world.a_route()
    incident = world.an_incident(endpoint, tries=2)
    sure = "Route: orders1:9000 and orders2:9000 of pool_orders took the request and broke the connection off."
    for confidence, sentence in ((0.5, "Route: perhaps."), (0.95, sure), (0.9, "Route: nearly.")):
        world.a_verdict(world.a_try(), incident=incident, sentence=sentence, confidence=confidence)
    assert sentence_of(incident) == sure.removeprefix("Route: ")


def test_an_incident_that_hit_nobody_says_who_was_out_and_why() -> None:
    endpoint = world.a_route()
    start, end = NOW - timedelta(minutes=20), NOW - timedelta(minutes=20) + timedelta(seconds=57)
    member = models.Member.objects.get(name="/Common/orders1:9000")
    models.HealthEvent.objects.create(
        device=models.Device.objects.get(), at=start, kind="member", state="down", member=member, object=member.name,
        f5_pool=endpoint.f5_pool, reason="Unable to connect",
    )  # fmt: skip
    down = world.an_incident(endpoint, start, cause="member_down", end=end)
    assert sentence_of(down) == ("orders1:9000 of pool_orders was down for 57 s (Unable to connect); no try was hit.")
    empty = world.an_incident(endpoint, start, cause="no_member", members=[], component="/Common/pool_orders")
    assert sentence_of(empty).startswith("pool_orders has had no member for 20 min")
    assert sentence_of(empty).endswith("; no try was hit yet.")


@pytest.mark.parametrize(("minutes", "before", "after"), [(2, 60, 30), (30, 180, 180), (None, 200, 0)])
def test_onset_and_recovery_are_drawn(minutes: int | None, before: int, after: int) -> None:
    start = NOW - timedelta(seconds=2000)
    end = start + timedelta(minutes=minutes) if minutes else None
    page = incidents.one(world.an_incident(world.a_route(), start, end=end).pk, EVERYTHING, NOW)
    assert page is not None
    assert (page.start, page.end) == (start - timedelta(seconds=before), (end or NOW) + timedelta(seconds=after))


def test_a_member_is_what_its_last_event_before_the_window_said() -> None:
    endpoint = world.a_route(members=1)
    member = models.Member.objects.get()
    device = models.Device.objects.get()
    for minutes, state in ((90, "down"), (30, "up"), (10, "forced_disabled"), (5, "down")):
        models.HealthEvent.objects.create(
            device=device, at=NOW - timedelta(minutes=minutes), kind="member", state=state, member=member,
            f5_pool=endpoint.f5_pool, object=member.name,
        )  # fmt: skip
    (track,) = health_events.tracks([endpoint.f5_pool_id], NOW - timedelta(hours=1), NOW)
    assert [span.state for span in track.spans] == ["down", "up", "disabled", "down"]
    assert (track.spans[0].start, track.spans[-1].end) == (NOW - timedelta(hours=1), NOW)


def test_a_latency_is_that_of_the_summed_minutes() -> None:
    endpoint = world.a_route()
    for minutes in (1, 2):
        world.a_minute(endpoint, NOW - timedelta(minutes=minutes), [10_000] * 9 + [2_000_000])
    (row,) = walk("endpoints")
    assert row.requests == 20
    assert 8_000 < row.p50_us < 12_000
    assert row.p99_us > 1_500_000


def test_a_quantile_is_never_longer_than_the_longest() -> None:
    endpoint = world.a_route()
    world.a_minute(endpoint, NOW - timedelta(minutes=1), [20_000, 12_010_000, 12_010_000, 12_010_000])
    (row,) = walk("endpoints")
    assert row.max_us == row.p95_us == row.p99_us == 12_010_000
    page = endpoints.one(endpoint.pk, asked("endpoints"), EVERYTHING, NOW)
    assert page is not None
    assert [(a.p50_us <= a.p95_us <= a.max_us) for a in page.answers if a.p50_us and a.p95_us] == [True]


def test_the_time_of_a_dag_is_split_and_a_lost_try_is_lost_as_a_whole() -> None:
    endpoint = world.a_route()
    good = world.a_try(run_id="r")
    world.a_request(endpoint, of=good, response_us=1_000_000)
    bad = world.a_try(run_id="r", task_id="post", state="failed")
    world.a_verdict(bad, endpoint=endpoint)
    (row,) = walk("dags")
    assert (row.split.own, row.split.lost) == (3.0, 4.0)
    assert row.split.endpoints == {"/Common/vs_orders": 1.0}
    page = dags.one("", "orders_sync", asked("dags"), EVERYTHING)
    assert page is not None
    assert {task.task_id: task.failed for task in page.tasks} == {"get": 0, "post": 1}
    assert dags.one("", "nothing", asked("dags"), EVERYTHING) is None


def test_a_try_has_its_siblings_requests_and_evidence() -> None:
    endpoint = world.a_route()
    first = world.a_try(run_id="r", state="failed")
    second = world.a_try(run_id="r", try_number=2)
    verdict = world.a_verdict(first, endpoint=endpoint, reasons=[{"for": False, "text": "0 of 4 elsewhere"}])
    models.Evidence.objects.create(verdict=verdict, position=0, feed="f", kind="request", raw="line")
    world.a_request(endpoint, of=first)
    page = tries.one(first.pk, EVERYTHING)
    assert page is not None and page.judgement is not None
    assert [row.id for row in page.siblings] == [first.pk, second.pk]
    assert (len(page.requests), page.judgement.evidence[0].raw, page.judgement.reasons[0].supports) == (
        1,
        "line",
        False,
    )


def test_the_population_of_an_audit_names_layers_and_gaps() -> None:
    feed = world.a_feed("audit", "f5_audit")
    models.Gap.objects.create(feed=feed, start=NOW - timedelta(hours=2), end=NOW - timedelta(hours=1), reason="restart")
    world.an_action()
    world.an_action(layer="airflow", actor="ann", dag_id="x")
    whole = audit.population(asked("audit"), EVERYTHING)
    assert (whole.total, whole.layers, len(whole.gaps)) == (2, (("airflow", 1), ("f5", 1)), 1)
    assert "2 actions of people and programs" in whole.sentence
    assert [row.actor for row in walk("audit", f5_pool="/Common/pool_orders")] == ["admin"]
    assert [row.actor for row in walk("audit", dag="x")] == ["ann"]


def test_events_of_tasks_do_not_drown_what_people_did() -> None:
    world.an_action(layer="airflow", tool="rest_api", verb="trigger_dag_run", actor="ann")
    for verb in ("running", "success"):
        world.an_action(layer="airflow", tool="task", verb=verb, actor="task")
    done, life = {"trigger_dag_run"}, {"running", "success"}
    for word, shown in (("", done), ("shown", done | life), ("only", life)):
        assert {row.verb for row in walk("audit", task_events=word)} == shown
    assert audit.population(asked("audit"), EVERYTHING).hidden == 2
    assert audit.population(asked("audit", task_events="only"), EVERYTHING).total == 2


def test_a_scope_hides_other_dags() -> None:
    shown, hidden = world.a_try("mine"), world.a_try("other")
    scope = Scope("viewer", frozenset({"mine"}))
    assert [row.id for row in tries.listed(asked("tries"), scope).rows] == [shown.pk]
    assert tries.one(hidden.pk, scope) is None
    assert [row.dag_id for row in dags.listed(asked("dags"), scope).rows] == ["mine"]
    assert requests.listed(asked("requests"), scope).rows == ()


def test_the_read_side_cannot_write() -> None:
    with pytest.raises(InternalError, match="read-only"), reading():
        world.a_try()


@pytest.mark.parametrize("name", ["answers", "dependents", "strip", "strip_exact", "splits", "dag_stats", "dag_runs"])
def test_every_statement_can_be_planned(name: str) -> None:
    from airf5.sql import load

    window = {"start": NOW - timedelta(hours=1), "end": NOW, "now": NOW, "endpoints": [1], "cells": 60, "dags": ["x"],
              "airflows": [1], "by_run": True, "by_task": True, "most": 5}  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {load(name)}", window)
        assert cursor.fetchall()
