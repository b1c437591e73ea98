"""Incidents over time: whatever arrives in whatever order, the same ones stand in the end, and none of them flaps."""

from __future__ import annotations

import itertools
import math
import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ingest import actions, models
from ingest.incidents.extent import IDLE, QUIET
from ingest.incidents.groups import LEAST_OUT
from ingest.incidents.update import update
from ingest.models import Incident
from ingest.records import Outcome
from tests import world
from tests.world import NOW

BEGIN = NOW - timedelta(hours=1)
MEMBER = "/Common/orders1:9000"
LINES = itertools.count(10_000_000)


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


@pytest.fixture(autouse=True)
def feeds() -> models.Feed:
    """What is live: one Airflow, one BIG-IP whose request log is complete to now."""
    world.a_route()
    device = models.Device.objects.get(name="bigip-1")
    world.a_feed("prod/api", "airflow_api", airflow=world.an_airflow(), capture="")
    world.a_feed("bigip-1/ltm", "f5_ltm", device=device, complete_to=NOW)
    return world.a_feed("bigip-1/request", device=device, complete_to=NOW)


def a_hit(seconds: float, cause: str = "member_grey", route: str = "orders", **changes: Any) -> models.Verdict:
    """A try that was failed by its route at this time."""
    endpoint = world.a_route(route)
    member = f"/Common/{route}1:9000"
    at_member = {"component_kind": "member", "component": member}
    facts = at_member if cause.startswith(("member", "slow_member", "reset_by_server")) else {}
    tried = world.a_try(f"dag_{route}", at=at(seconds), state="failed", end_at=at(seconds + 2))
    culprit = changes.pop("culprit", "service" if cause.startswith("service") else "route")
    return world.a_verdict(
        tried, culprit, cause, endpoint=endpoint, f5_pool=endpoint.f5_pool, bad_at=at(seconds), **{**facts, **changes}
    )


def an_event(seconds: float, state: str, name: str = MEMBER, pool: str = "orders", **more: Any) -> models.HealthEvent:
    f5_pool = world.a_route(pool).f5_pool
    member = models.Member.objects.get(f5_pool=f5_pool, name=name) if name else None
    device = models.Device.objects.get(name="bigip-1")
    feed = models.Feed.objects.get(name="bigip-1/ltm")
    return models.HealthEvent.objects.create(
        device=device, feed=feed, at=at(seconds), kind="member" if name else "pool", state=state, f5_pool=f5_pool,
        member=member, object=name, message_id=str(time.monotonic_ns())[-12:], raw=f"{name} {state}", **more,
    )  # fmt: skip


def asked(first: float, last: float, every: float = 5, bad: bool = False, member: str = MEMBER) -> None:
    """Requests of the member at a steady pace, with their minutes."""
    endpoint = world.a_route()
    found = models.Member.objects.get(name=member)
    sample = world.a_request(endpoint, at(first), member_id=found.pk)
    facts = {name: getattr(sample, name) for name in ("f5_pool_id", "client_id", "path_id", "agent_id", "response_us")}
    facts |= {"outcome": Outcome.SERVER_ERROR, "status": 503} if bad else {"outcome": Outcome.OK, "status": 200}
    sample.delete()
    moments = [at(first + n * every) for n in range(math.ceil((last - first) / every))]
    models.Request.objects.bulk_create(
        models.Request(line_id=next(LINES), ts=when, endpoint_id=endpoint.pk, member_id=found.pk, method=1, link=0, **facts)
        for when in moments
    )  # fmt: skip
    for minute, count in Counter(when.replace(second=0, microsecond=0) for when in moments).items():
        row, _ = models.RequestMinute.objects.get_or_create(
            endpoint_id=endpoint.pk, member_id=found.pk, start=minute, defaults={"histogram": [0] * 80}
        )
        row.requests, row.server_errors = row.requests + count, row.server_errors + bad * count
        row.save()


def standing() -> list[Incident]:
    return list(Incident.objects.filter(merged_into=None).order_by("start", "component"))


def one() -> Incident:
    (found,) = standing()
    return found


# From when to when


def test_the_onset_is_dated_from_requests_of_others_before_the_first_try() -> None:
    asked(-600, 0)
    asked(0, 300, bad=True)
    asked(300, 600)
    a_hit(200)
    update("", NOW)
    found = one()
    assert (found.start, found.first_hit_at, found.noticed_at) == (at(0), at(200), None)
    assert found.onset["kind"] == "request" and found.onset["before"][0] == 0
    assert found.onset["since"][0] == 60
    assert found.end == at(295) + timedelta(milliseconds=20)
    assert found.ending["kind"] == "request" and found.ending["at"].startswith(at(300).isoformat()[:19])
    assert found.reach["others_failed"] == 60 and found.reach["others_clients"] == 1


def test_a_monitor_notices_later_and_says_when_it_is_over() -> None:
    asked(-300, 0)
    asked(0, 20, bad=True)
    a_hit(5, "member_down")
    an_event(20, "down", reason="Unable to connect")
    an_event(80, "up")
    update("", NOW)
    found = one()
    assert (found.start, found.noticed_at, found.end) == (at(0), at(20), at(80))
    assert found.ending["says"] == "orders1:9000: up" and found.ending["raw"].endswith("up")
    assert (found.messages, found.reach["airflow_messages"], found.reach["f5_messages"]) == (3, 1, 2)


def test_an_incident_stays_open_until_its_component_was_seen_well_for_a_while() -> None:
    request = models.Feed.objects.get(name="bigip-1/request")

    def state(known: datetime) -> bool:
        request.complete_to = known
        request.save()
        update("", NOW)
        return one().end is not None

    asked(0, 30, bad=True)
    a_hit(28)
    last = at(30)  # its try ended
    assert not state(last + QUIET / 2), "no logs yet that could say so"
    assert not state(last + QUIET), "silence is no recovery"
    assert not state(last + IDLE - timedelta(seconds=1))
    assert state(last + IDLE), "nothing was asked of it for long, and nothing is missing"
    assert one().ending["kind"] == "silence"


def test_silence_over_a_gap_proves_no_recovery() -> None:
    request = models.Feed.objects.get(name="bigip-1/request")
    models.Gap.objects.create(feed=request, start=at(100), end=at(200), reason="no receiver")
    asked(0, 30, bad=True)
    a_hit(28)
    update("", NOW)
    assert one().end is None
    asked(300, 301)
    update("", NOW)
    assert one().end is not None, "but an answer does"


def test_the_same_trouble_within_ten_minutes_opens_the_same_incident_again() -> None:
    asked(0, 10, bad=True)
    asked(60, 70)
    a_hit(5)
    update("", NOW)
    was = one()
    assert was.end is not None
    a_hit(500)
    update("", NOW)
    assert (one().pk, one().tries) == (was.pk, 2)
    a_hit(1200)
    update("", NOW)
    assert len(standing()) == 2


def test_hits_an_hour_apart_are_one_incident_if_the_component_failed_others_all_the_time() -> None:
    a_hit(0)
    a_hit(1800)
    asked(-60, 1860, every=15, bad=True)
    update("", NOW)
    assert (one().tries, one().start) == (2, at(-60))


def test_hits_an_hour_apart_are_two_incidents_if_the_component_was_well_between() -> None:
    a_hit(0)
    a_hit(1800)
    asked(0, 600, every=15, bad=True)
    asked(600, 1200, every=15)
    asked(1200, 1860, every=15, bad=True)
    update("", NOW)
    assert [(i.tries, i.start) for i in standing()] == [(1, at(0)), (1, at(1200))]


# What opens one


def test_a_blip_opens_nothing_and_a_drained_member_neither() -> None:
    an_event(0, "down")
    an_event(LEAST_OUT.total_seconds() - 1, "up")
    an_event(100, "forced_disabled", "/Common/orders2:9000")
    an_event(110, "down", "/Common/orders2:9000")
    an_event(900, "up", "/Common/orders2:9000")
    update("", NOW)
    assert standing() == []


def test_a_member_that_was_drained_before_the_window_is_still_drained() -> None:
    an_event(-30 * 3600, "forced_disabled")
    an_event(0, "down")
    update("", NOW)
    assert standing() == []


def test_an_outage_that_hit_nobody_is_an_incident_that_says_so() -> None:
    an_event(0, "down")
    an_event(600, "up")
    update("", NOW)
    assert (one().tries, one().first_hit_at, one().cause) == (0, None, "member_down")
    assert one().onset["kind"] == "health_event"


# The rows


def test_a_failover_has_one_parent_and_its_parts_stay_rows() -> None:
    for n, route in enumerate(("orders", "reports", "prices")):
        a_hit(n, "failover", route)
        a_hit(n + 5, "failover", route)
    update("", NOW)
    parent = Incident.objects.get(parent=None)
    assert (parent.component_kind, parent.component, parent.tries) == ("device", "bigip", 6)
    children = list(Incident.objects.filter(parent=parent))
    assert {c.f5_pool.name for c in children if c.f5_pool} == {
        f"/Common/pool_{r}" for r in ("orders", "reports", "prices")
    }
    assert parent.messages == sum(c.messages for c in children) == 6
    assert parent.reach["dags"] == ["dag_orders", "dag_prices", "dag_reports"]
    update("", NOW)
    assert Incident.objects.get(parent=None).pk == parent.pk


def test_a_parent_that_is_left_with_one_part_goes() -> None:
    first, other = a_hit(0, "failover"), a_hit(1, "failover", "reports")
    update("", NOW)
    assert Incident.objects.count() == 3
    other.delete()
    update("", NOW)
    assert (one().parent_id, one().component_kind) == (None, "device")
    first.refresh_from_db()
    assert first.incident_id == one().pk


def test_a_verdict_that_blames_nobody_any_more_leaves_its_incident() -> None:
    kept, changed = a_hit(0), a_hit(5)
    update("", NOW)
    models.Verdict.objects.filter(pk=changed.pk).update(culprit="task", cause="task_error")
    update("", NOW)
    changed.refresh_from_db()
    assert (one().tries, changed.incident_id) == (1, None)
    models.Verdict.objects.filter(pk=kept.pk).update(culprit="unknown", cause="undecided")
    update("", NOW)
    assert standing() == []


def test_what_people_wrote_on_outlives_its_evidence_and_comes_back_with_it() -> None:
    hit = a_hit(0)
    update("", NOW)
    number = one().pk
    actions.add_note(number, "we look at orders1", "ann")
    models.Verdict.objects.filter(pk=hit.pk).update(culprit="task")
    update("", NOW)
    found = one()
    assert found.withdrawn_at is not None and found.end is not None and found.tries == 0
    models.Verdict.objects.filter(pk=hit.pk).update(culprit="route")
    update("", NOW)
    assert (one().withdrawn_at, one().tries, one().pk) == (None, 1, number)


def test_two_incidents_that_turn_out_to_be_one_leave_one_address_leading_to_the_other() -> None:
    a_hit(0)
    a_hit(1100)
    update("", NOW)
    first, last = standing()
    a_hit(550)
    update("", NOW)
    found = one()
    gone = last if found.pk == first.pk else first
    gone.refresh_from_db()
    assert (gone.merged_into_id, found.tries) == (found.pk, 3)


def test_a_late_verdict_of_yesterday_still_finds_its_incident() -> None:
    day = 26 * 3600
    a_hit(-day, judged_at=NOW - timedelta(hours=25))
    update("", at(-day + 900))
    old = one()
    a_hit(-day + 60, judged_at=NOW)
    update("", NOW)
    assert (one().pk, one().tries) == (old.pk, 2)


def test_the_fingerprint_is_the_cause_and_the_component() -> None:
    a_hit(-3000)
    a_hit(0)
    a_hit(1200, "slow_member")
    a_hit(2000, "member_grey", "reports")
    update("", NOW)
    prints = [i.fingerprint for i in standing()]
    assert prints[0] == prints[1] and len(set(prints)) == 3


def test_reach_names_pools_runs_and_who_asks_the_same_members() -> None:
    tried = a_hit(0).try_row
    models.DagRun.objects.create(airflow=tried.airflow, dag_id=tried.dag_id, run_id=tried.run_id, start_at=at(-60))
    other = models.Try.objects.create(
        airflow=tried.airflow, dag_id="reader", run_id="r1", task_id="t", try_number=1, state="running", seen_at=NOW
    )
    models.DagRun.objects.create(airflow=tried.airflow, dag_id="reader", run_id="r1", start_at=at(-30))
    models.DagRun.objects.create(airflow=tried.airflow, dag_id="elsewhere", run_id="r2", start_at=at(-30))
    world.a_request(world.a_route(), at(-20), of=other)
    shared = world.a_route("shared")  # its member has the same address and port
    update("", NOW)
    reach = one().reach
    assert (reach["dags"], reach["airflow_pools"], reach["runs"]) == (["dag_orders"], ["default_pool"], 1)
    assert (reach["runs_in_flight"], reach["dags_in_flight"]) == (2, ["dag_orders", "reader"])
    assert reach["shared_endpoints"] == [shared.name]


# Any order, any number of runs


def arrivals(rng: random.Random) -> list[Callable[[], Any]]:
    """An hour with troubles of several kinds, each row as something that arrives."""

    def hit(*facts: Any, **more: Any) -> Callable[[], Any]:
        return lambda: a_hit(*facts, **more)

    def event(*facts: Any) -> Callable[[], Any]:
        return lambda: an_event(*facts)

    found = [hit(rng.uniform(0, 300)) for _ in range(6)]
    found += [hit(rng.uniform(900, 1000), "slow_member") for _ in range(3)]
    found += [hit(rng.uniform(890, 1010), "unanswered") for _ in range(3)]
    found += [hit(rng.uniform(0, 20), "failover", route) for route in ("reports", "prices") for _ in range(2)]
    found += [hit(rng.uniform(2000, 2100), "service_failing", "reports") for _ in range(3)]
    found += [event(1500, "down"), event(1700, "up"), event(2500, "no_members", ""), event(2600, "has_members", "")]
    found += [event(1800 + 40 * n, state) for n in range(3) for state in ("down",)]
    found += [event(1810 + 40 * n, "up") for n in range(3)]
    found += [lambda: asked(-120, 0, 10), lambda: asked(0, 300, 10, bad=True), lambda: asked(300, 900, 20)]
    return found


def said() -> list[tuple[Any, ...]]:
    """What stands, without the numbers of rows."""
    columns = ("cause", "component", "start", "end", "tries", "messages", "first_hit_at", "noticed_at", "fingerprint")
    rows = Incident.objects.filter(merged_into=None).order_by("start", "component", "cause")
    return sorted([
        (*(str(getattr(i, c)) for c in columns), i.onset.get("says"), i.ending.get("says"), i.onset.get("since"),
         i.parent.component if i.parent else "", sorted(i.members))
        for i in rows
    ], key=str)  # fmt: skip


@pytest.mark.long
def test_any_order_of_arrival_and_any_number_of_runs_give_the_same_incidents() -> None:
    outcomes = []
    for seed in (None, 1, 2):
        rng = random.Random(7)
        found = arrivals(rng)
        shuffled = random.Random(seed)
        if seed is not None:
            shuffled.shuffle(found)
        for n, arrive in enumerate(found):
            arrive()
            if seed is not None and n % shuffled.choice((5, 8)) == 0:
                update("", NOW, whole=False)
        update("", NOW)
        outcomes.append(said())
        for table in (models.Verdict, models.Try, models.HealthEvent, models.RequestMinute, models.Request, Incident):
            table.objects.all().delete()
    assert len(outcomes[0]) >= 7
    assert outcomes[1] == outcomes[0]
    assert outcomes[2] == outcomes[0]


def test_running_again_changes_nothing() -> None:
    for arrive in arrivals(random.Random(3)):
        arrive()
    update("", NOW)
    before = list(Incident.objects.order_by("pk").values())
    for whole in (False, True):
        update("", NOW, whole=whole)
        assert list(Incident.objects.order_by("pk").values()) == before


# What it costs


# One try and its verdict, so many times: run, route and time differ.
STORM = """
WITH made AS (
    INSERT INTO ingest_try
    SELECT c.*
    FROM generate_series(1, %(count)s) AS n,
         LATERAL (SELECT %(begin)s::timestamptz + n %% 3000 * interval '1 s' AS at) m,
         ingest_try t,
         LATERAL jsonb_populate_record(t, jsonb_build_object(
             'id', nextval(pg_get_serial_sequence('ingest_try', 'id')), 'run_id', 'run' || n, 'dag_id', 'dag' || n %% 50,
             'queued_at', m.at, 'end_at', m.at + interval '5 s')) c
    WHERE t.id = %(try)s
    RETURNING id, queued_at
)
INSERT INTO ingest_verdict
SELECT c.*
FROM made m, ingest_endpoint e, ingest_verdict v,
     LATERAL jsonb_populate_record(v, jsonb_build_object(
         'id', nextval(pg_get_serial_sequence('ingest_verdict', 'id')), 'try_row_id', m.id, 'bad_at', m.queued_at,
         'component', '/Common/r' || m.id %% 40 || '1:9000', 'endpoint_id', e.id, 'f5_pool_id', e.f5_pool_id)) c
WHERE v.id = %(verdict)s AND e.name = '/Common/vs_r' || m.id %% 40
"""


def many_verdicts(count: int) -> None:
    """So many open verdicts of 40 routes, written at once."""
    for n in range(40):
        world.a_route(f"r{n}")
    verdict = a_hit(0, route="r0")
    with connection.cursor() as cursor:
        cursor.execute(STORM, {"try": verdict.try_row_id, "verdict": verdict.pk, "count": count, "begin": BEGIN})
        assert cursor.rowcount == count
        cursor.execute(
            "ANALYZE ingest_try, ingest_verdict"
        )  # what tests before it rolled back would mislead the planner


def statements() -> int:
    with CaptureQueriesContext(connection) as caught:
        update("", NOW, whole=False)
    return len(caught)


@pytest.mark.long
def test_its_statements_do_not_grow_with_verdicts_nor_with_incidents() -> None:
    a_hit(0)
    few = statements()
    many_verdicts(800)
    assert statements() <= few + 3, "a new incident, what is found of it, and what it holds"
    assert few <= 36
    assert statements() <= few


@pytest.mark.long
def test_ten_thousand_open_verdicts_are_brought_up_to_date_in_two_seconds() -> None:
    many_verdicts(10_000)
    update("", NOW, whole=False)
    a_hit(10)
    began = time.perf_counter()
    update("", NOW, whole=False)
    took = time.perf_counter() - began
    assert sum(i.tries for i in standing()) == 10_002
    assert took < 2 * slower()


def slower() -> float:
    """How much slower than a machine of its own this one is just now: others may be at work on it."""
    began = time.perf_counter()
    sum(n * n for n in range(1_000_000))
    return max(1.0, (time.perf_counter() - began) / 0.1)
