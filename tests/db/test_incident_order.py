"""Whatever arrives in whatever order, the same incidents stand in the end; and what bringing them up to date costs."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ingest import models
from ingest.incidents.update import update
from ingest.models import Incident
from tests import world
from tests.incident_world import BEGIN, a_hit, an_event, asked, feeds, standing  # noqa: F401
from tests.world import NOW

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
