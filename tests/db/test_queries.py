"""The reads: what they find, that a walk sees each row once, and that they ask a fixed number of statements."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.utils import InternalError
from django.test.utils import CaptureQueriesContext

from airf5.accounts.roles import EVERYTHING, Scope
from dashboards.filters import Filter, FilterError
from dashboards.lists import SUBJECTS
from dashboards.queries import audit, dags, endpoints, freshness, health_events, incidents, overview, requests, tries
from dashboards.queries import now as now_queries
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


def statements(call: Callable[[], Any]) -> int:
    with CaptureQueriesContext(
        connection,
    ) as caught:
        call()
    return len(caught)


@pytest.mark.parametrize("sort", ["-queued", "queued", "-duration"])
def test_a_walk_over_tries_of_one_instant_sees_each_once(sort: str) -> None:
    made = {world.a_try().pk for _ in range(23)}
    rows = walk("tries", limit="5", sort=sort)
    assert len(rows) == 23
    assert {row.id for row in rows} == made


def test_a_walk_over_requests_sees_each_once_across_slices() -> None:
    endpoint = world.a_route()
    times = [NOW - timedelta(minutes=minutes) for minutes in (1, 1, 1, 4, 5, 6, 16, 59)]
    made = {world.a_request(endpoint, at).line_id for at in times}
    rows = walk("requests", limit="2")
    assert len(rows) == len(made)
    assert {row.line_id for row in rows} == made
    assert [row.at for row in rows] == sorted((row.at for row in rows), reverse=True)


@pytest.mark.parametrize("sort", ["dag", "-dag", "-tries", "-failed", "-p95", "-times_normal"])
def test_a_walk_over_dags_sees_each_once(sort: str) -> None:
    for number in range(7):
        world.a_try(f"dag_{number}")
    assert sorted(row.dag_id for row in walk("dags", limit="2", sort=sort)) == [f"dag_{number}" for number in range(7)]


@pytest.mark.parametrize("slug", [slug for slug in SUBJECTS if slug not in ("dags",)])
def test_a_cursor_of_something_else_is_refused(slug: str) -> None:
    world.a_feed()
    world.a_route()
    for cursor in ("x", "WyJhIl0", "W1tdXQ", "é", "WyItYXQiLCJ4IiwxXQ"):
        with pytest.raises(FilterError):
            SUBJECTS[slug].read(asked(SUBJECTS[slug].listing, after=cursor), EVERYTHING, NOW)


def test_a_try_that_began_before_the_window_and_runs_is_shown() -> None:
    running = world.a_try(at=NOW - timedelta(hours=30), end_at=None, state="running")
    ended = world.a_try(at=NOW - timedelta(hours=30), end_at=NOW - timedelta(hours=29))
    shown = {row.id for row in walk("tries")}
    assert running.pk in shown
    assert ended.pk not in shown


def test_tries_are_found_by_the_route_of_their_requests_and_of_their_verdict() -> None:
    orders, reports = world.a_route("orders"), world.a_route("reports")
    by_request, by_verdict, other = world.a_try(), world.a_try(), world.a_try()
    world.a_request(orders, of=by_request)
    world.a_request(reports, of=other)
    world.a_verdict(by_verdict, endpoint=orders, f5_pool=orders.f5_pool)
    for query in ({"f5_pool": "pool_orders"}, {"endpoint": "/Common/vs_orders"}, {"endpoint": "vs_ord*"}):
        assert {row.id for row in walk("tries", **query)} == {by_request.pk, by_verdict.pk}


def two_of_each() -> list[models.Endpoint]:
    """Two Airflows and two device groups in which everything is called the same."""
    routes = []
    for name in ("one", "two"):
        group = models.DeviceGroup.objects.create(name=name)
        device = models.Device.objects.create(name=f"{name}/bigip", group=group)
        pool = models.F5Pool.objects.create(group=group, name="/Common/pool_orders")
        member = models.Member.objects.create(f5_pool=pool, name="/Common/orders1:9000", address="10.1.0.1", port=9000)
        route = models.Endpoint.objects.create(group=group, name="/Common/vs_orders", f5_pool=pool)
        tried = world.a_try(airflow=world.an_airflow(name), state="failed")
        incident = world.an_incident(route)
        world.a_verdict(tried, endpoint=route, f5_pool=pool, incident=incident)
        world.a_request(route, of=tried, member_id=member.pk)
        world.a_minute(route, NOW - timedelta(minutes=9), [20_000], member_id=member.pk)
        models.DagRun.objects.create(airflow=tried.airflow, dag_id=tried.dag_id, run_id="r", start_at=tried.start_at)
        models.HealthEvent.objects.create(
            device=device, at=NOW - timedelta(minutes=9), kind="member", state="down", member=member, f5_pool=pool
        )
        world.an_action(source=device.name)
        routes.append(route)
    return routes


@pytest.mark.parametrize("slug", ["incidents", "tries", "dags", "endpoints", "requests", "health-events", "audit"])
@pytest.mark.parametrize(
    "more", [{}, {"endpoint": "vs_orders"}, {"f5_pool": "pool_orders"}, {"member": "orders1:9000"}]
)
def test_equal_names_of_two_device_groups_are_kept_apart(slug: str, more: dict[str, str]) -> None:
    two_of_each()
    if slug == "audit" and more:
        return
    assert (len(walk(slug, **more)), len(walk(slug, device_group="two", **more))) == (2, 1)
    assert walk(slug, device_group="t*", **more) == walk(slug, device_group="two", **more)
    assert walk(slug, device_group="three", **more) == []


def test_the_overview_shows_dags_that_ran_and_lanes_of_each_group() -> None:
    two_of_each()
    world.a_try("long_ago", at=NOW - timedelta(hours=20))
    page = overview.overview(asked("overview"), EVERYTHING, NOW)
    assert [(row.airflow, row.dag_id) for row in page.dags] == [("one", "orders_sync"), ("two", "orders_sync")]
    assert [lane.device_group for lane in page.lanes] == ["one", "two", ""]
    assert [
        lane.device_group for lane in overview.overview(asked("overview", device_group="two"), EVERYTHING, NOW).lanes
    ] == ["two", ""]


def test_requests_are_found_by_dag_and_by_airflow_pool() -> None:
    endpoint = world.a_route()
    mine = world.a_request(endpoint, of=world.a_try("mine", airflow_pool="slow"))
    world.a_request(endpoint, of=world.a_try("other"))
    world.a_request(endpoint)
    for query in ({"dag": "mine"}, {"dag": "mi*"}, {"airflow_pool": "slow"}):
        assert [row.line_id for row in walk("requests", **query)] == [mine.line_id]


def test_failed_requests_are_those_without_an_answer_or_with_5xx() -> None:
    endpoint = world.a_route()
    bad = {world.a_request(endpoint, outcome=kind).line_id for kind in (Outcome.SERVER_ERROR, Outcome.UNANSWERED)}
    world.a_request(endpoint, outcome=Outcome.CLIENT_ERROR)
    world.a_request(endpoint)
    assert {row.line_id for row in walk("requests", state="failed")} == bad


HOSTILE = ("'; drop table ingest_try; --", "%", "$_", "\\", "(", "[a", "é\u4e2d", "$1", "{1,99999}", "x" * 298)


@pytest.mark.parametrize("slug", list(SUBJECTS))
def test_hostile_values_find_nothing_and_break_nothing(slug: str) -> None:
    world.a_request(world.a_route(), of=world.a_try())
    subject = SUBJECTS[slug]
    for value in HOSTILE:
        for field in ("dag", "device_group", "f5_pool", "endpoint", "airflow_pool", "airflow"):
            for text in (value, f"*{value}*"):
                assert subject.read(asked(subject.listing, **{field: text}), EVERYTHING, NOW).rows == (), (field, text)


@pytest.mark.parametrize("slug", list(SUBJECTS))
def test_more_rows_do_not_ask_more_statements(slug: str) -> None:
    subject = SUBJECTS[slug]

    def read() -> Any:
        return subject.read(asked(subject.listing), EVERYTHING, NOW)

    _one_of_each(1)
    read()
    before = statements(read)
    _one_of_each(8)
    assert statements(read) <= before


def _one_of_each(times: int) -> None:
    for number in range(times):
        endpoint = world.a_route(f"r{number}")
        tried = world.a_try(f"dag_{number}", state="failed")
        incident = world.an_incident(endpoint)
        world.a_verdict(tried, endpoint=endpoint, incident=incident)
        world.a_request(endpoint, of=tried, outcome=Outcome.UNANSWERED)
        world.an_action()
        feed = models.Feed.objects.filter(name=f"feed{number}").first() or world.a_feed(f"feed{number}")
        batch = models.Batch.objects.create(feed=feed, at=NOW - timedelta(minutes=1), read=1, rows=0, rejected=1)
        models.Reject.objects.create(feed=feed, batch=batch, at=batch.at, reason="no time", raw="x")


def test_pages_ask_a_fixed_number_of_statements() -> None:
    calls: dict[str, Callable[[], Any]] = {
        "overview": lambda: overview.overview(asked("overview"), EVERYTHING, NOW),
        "now": lambda: now_queries.now_page(asked("now"), EVERYTHING, NOW),
        "endpoints": lambda: endpoints.pages(asked("endpoints"), EVERYTHING, NOW),
    }
    _one_of_each(2)
    before = {name: statements(call) for name, call in calls.items()}
    _one_of_each(6)
    assert {name: statements(call) for name, call in calls.items()} == before


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


def test_the_watermark_is_the_smallest_of_the_feeds_that_are_needed() -> None:
    world.a_feed()
    world.a_feed("ltm", "f5_ltm", complete_to=NOW - timedelta(minutes=10))
    world.a_feed("audit", "f5_audit", complete_to=NOW - timedelta(hours=10))
    fresh = freshness.watermark(NOW)
    assert fresh.sentence == "Log data complete to 11:50:00 UTC"
    assert (fresh.waits_for, fresh.state, fresh.behind_s) == ("ltm", "late", 600.0)


def a_capture(name: str, start: timedelta, end: timedelta) -> None:
    """The feeds of a replayed capture, so long before now."""
    airflow = models.Airflow.objects.create(name=name)
    group = models.DeviceGroup.objects.create(name=name)
    device = models.Device.objects.create(name=f"{name}/bigip", group=group)
    span = {"complete_from": NOW - start, "complete_to": NOW - end, "state": "closed", "capture": name}
    world.a_feed(f"{name}/airflow", "airflow_capture", airflow=airflow, **span)
    world.a_feed(f"{name}/request", "f5_request", device=device, **span)
    world.a_feed(f"{name}/icontrol", "f5_icontrol", device=device, state="closed", capture=name, complete_to=None)


def test_a_capture_that_has_ended_does_not_hold_live_data_back() -> None:
    a_capture("lab1", timedelta(days=2), timedelta(days=1))
    world.a_feed()
    for fresh in (freshness.watermark(NOW), freshness.watermark(NOW, asked("tries", last="7d"))):
        assert (fresh.complete_to, fresh.state) == (NOW - timedelta(seconds=4), "ok")
        assert [(s.end, s.live) for s in fresh.stretches] == [
            (NOW - timedelta(days=1), False),
            (fresh.complete_to, True),
        ]


def test_a_range_before_the_live_feeds_has_the_watermark_of_its_capture() -> None:
    a_capture("lab1", timedelta(days=3), timedelta(days=2))
    a_capture("lab2", timedelta(days=9), timedelta(days=8))
    world.a_feed()
    world.a_feed("new", "airflow_api", complete_from=None, complete_to=None, state="new")
    old = {"from": "2026-02-20T00:00:00Z", "to": "2026-02-22T00:00:00Z"}
    fresh = freshness.watermark(NOW, asked("tries", **old))
    assert (fresh.complete_to, fresh.behind_s, fresh.waits_for) == (NOW - timedelta(days=8), None, "lab2/airflow")
    assert freshness.watermark(NOW, asked("tries")).waits_for == "new"


def test_what_belongs_to_a_capture_has_the_watermark_of_its_feeds() -> None:
    a_capture("lab1", timedelta(days=2), timedelta(days=1))
    world.a_feed()
    ended = NOW - timedelta(days=1)
    assert freshness.watermark(NOW, captures=freshness.capture_of(airflow="lab1")).complete_to == ended
    assert freshness.watermark(NOW, captures=freshness.capture_of(device_group="lab1")).complete_to == ended
    assert freshness.watermark(NOW, asked("tries", airflow="lab1")).complete_to == ended
    assert freshness.watermark(NOW).known("lab1") == (NOW - timedelta(days=2), ended)


def test_a_feed_that_is_switched_off_does_not_count() -> None:
    world.a_feed()
    world.a_feed("off", "f5_ltm", enabled=False, complete_to=NOW - timedelta(days=9))
    models.Gap.objects.create(feed=models.Feed.objects.get(name="off"), start=NOW - timedelta(minutes=5), reason="off")
    fresh = freshness.freshness(NOW, asked("overview"))
    assert (fresh.complete_to, fresh.gaps) == (NOW - timedelta(seconds=4), ())
    assert fresh.covers(NOW - timedelta(minutes=1), NOW)
    assert not fresh.covers(NOW, NOW + timedelta(minutes=1))


def test_cells_of_a_capture_are_complete_only_where_it_reaches() -> None:
    a_capture("lab1", timedelta(minutes=10), timedelta(minutes=5))
    page = overview.overview(asked("overview"), EVERYTHING, NOW)
    whole = [cell.start for cell in page.lanes[-1].cells if cell.complete]
    assert (whole[0], whole[-1]) == (NOW - timedelta(minutes=10), NOW - timedelta(minutes=5, seconds=15))


def test_nothing_arrived_is_said_and_is_not_complete() -> None:
    assert freshness.watermark(NOW).state == "empty"
    world.a_feed(complete_to=None)
    assert freshness.watermark(NOW).complete_to is None


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
