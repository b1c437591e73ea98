"""The lists: what they find, that a walk sees each row once, and that they ask a fixed number of statements."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from airf5.accounts.roles import EVERYTHING
from dashboards.filters import Filter, FilterError
from dashboards.lists import SUBJECTS
from dashboards.queries import endpoints, overview
from dashboards.queries import now as now_queries
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


@pytest.mark.long
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
    _one_of_each(2)  # so that an incident's endpoint has tries beside those it hit
    before = {name: statements(call) for name, call in calls.items()}
    _one_of_each(6)
    assert {name: statements(call) for name, call in calls.items()} == before
