"""What is found before anything fails: contracts learned and broken, slow answers, errors, each written once."""

from __future__ import annotations

import math
import random
from copy import copy
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ingest import contract_actions as actions
from ingest import histogram, models, partitions
from ingest.models import RouteContract, RouteFinding, RouteWatch
from ingest.records import Outcome
from ingest.watch import learn, reading, step
from tests import world

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)  # a Monday
MINUTE = timedelta(minutes=1)
_lines = count(1_000_000)


def a_pool(endpoint: models.Endpoint, name: str) -> models.F5Pool:
    return models.F5Pool.objects.get_or_create(group=endpoint.group, name=f"/Common/{name}")[0]


def complete(upto: datetime) -> None:
    device = models.Device.objects.get(name="bigip-1")
    models.Feed.objects.update_or_create(
        name="bigip-1/request", defaults={"kind": "f5_request", "device": device, "state": "ok", "complete_to": upto}
    )


def asked(
    endpoint: models.Endpoint, at: datetime, number: int, every: timedelta, **changes: Any
) -> list[models.Request]:
    """Requests at even distances; all in one statement."""
    path = models.Path.objects.get_or_create(template=changes.pop("path", "/orders/{id}"))[0]
    agent = models.Agent.objects.get_or_create(name=changes.pop("agent", "python-requests/2.31"))[0]
    first = world.a_request(endpoint, at, path_id=path.pk, agent_id=agent.pk, **changes)
    rows = [first]
    for n in range(1, number):
        row = copy(first)
        row.ts, row.line_id = at + n * every, first.line_id if "line_id" in changes else next(_lines)
        rows.append(row)
    partitions.make({row.ts.date() for row in rows})
    models.Request.objects.bulk_create(rows[1:])
    return rows


@pytest.fixture
def learned() -> models.Endpoint:
    """An endpoint whose /orders went to pool_orders 60 times in an hour."""
    endpoint = world.a_route()
    asked(endpoint, START, 60, MINUTE)
    complete(START + timedelta(hours=1))
    step.step(START + timedelta(hours=1))
    return endpoint


def test_a_contract_is_learned_from_requests_that_went_well(learned: models.Endpoint) -> None:
    one = RouteContract.objects.get()
    assert (one.prefix, one.agent, one.host, one.source, one.state) == (
        "/orders",
        "python-requests",
        "",
        "learned",
        "on",
    )
    assert (one.count, sorted(one.pools)) == (60, ["/Common/pool_orders"])
    assert one.ready_at == START + timedelta(minutes=49), "the fiftieth came then"
    assert RouteWatch.objects.get().learned_to == START + timedelta(hours=1)
    assert not RouteFinding.objects.exists()


def test_errors_teach_nothing_and_few_requests_are_not_enough() -> None:
    endpoint = world.a_route()
    asked(endpoint, START, 200, timedelta(seconds=20), status=503, outcome=Outcome.SERVER_ERROR)
    asked(endpoint, START, learn.ENOUGH - 1, MINUTE, path="/stock")
    asked(endpoint, START, learn.ENOUGH * 2, timedelta(seconds=10), path="/brief")
    complete(START + timedelta(hours=2))
    step.step(START + timedelta(hours=2))
    assert {c.prefix: c.ready_at for c in RouteContract.objects.all()} == {"/stock": None, "/brief": None}


def test_the_first_request_that_breaks_it_is_a_finding_before_anything_fails(learned: models.Endpoint) -> None:
    other = a_pool(learned, "pool_other")
    policy = {"kind": "pool", "target": "/Common/pool_other", "rule": "moved", "when": "path starts with /orders"}
    models.RoutingPolicy.objects.create(
        device=models.Device.objects.get(), kind="policy", name="/Common/by_path", choices=[policy]
    )
    models.Endpoint.objects.filter(pk=learned.pk).update(policies=["/Common/by_path"])
    at = START + timedelta(hours=1, minutes=5)
    world.an_action(at - timedelta(minutes=2), source="bigip-1", target="ltm virtual /Common/vs_orders")
    first = asked(learned, at, 1, MINUTE, f5_pool_id=other.pk)[0]
    complete(at + timedelta(seconds=10))
    step.step(at + timedelta(seconds=12))
    found = RouteFinding.objects.get()
    assert (found.kind, found.state, found.at, found.line_id, found.count) == ("misroute", "open", at, first.line_id, 1)
    assert found.sentence == "vs_orders sent /orders to pool_other; its contract says pool_orders."
    words = " ".join(reason["text"] for reason in found.reasons)
    assert "learned from 60 requests" in words
    assert "the policy by_path sends to pool_other in its rule moved" in words
    assert "admin changed ltm virtual /Common/vs_orders" in words

    asked(learned, at + MINUTE, 3, MINUTE, f5_pool_id=other.pk)
    complete(at + timedelta(minutes=6))
    step.step(at + timedelta(minutes=6))
    found.refresh_from_db()
    assert (found.count, found.until, RouteFinding.objects.count()) == (4, at + 3 * MINUTE, 1)
    complete(at + timedelta(minutes=30))
    step.step(at + timedelta(minutes=30))
    found.refresh_from_db()
    assert found.state == "over"
    assert RouteContract.objects.get().count == 60, "what breaks it teaches nothing"


def test_another_path_or_client_and_forged_lines_break_nothing(learned: models.Endpoint) -> None:
    other, at = a_pool(learned, "pool_other"), START + timedelta(hours=1, minutes=5)
    asked(learned, at, 3, MINUTE, f5_pool_id=other.pk, path="/reports")
    asked(learned, at, 3, MINUTE, f5_pool_id=other.pk, agent="curl/8.5")
    asked(learned, at, 3, MINUTE, f5_pool_id=other.pk, link=-1)
    asked(learned, at, 3, MINUTE, f5_pool_id=None)
    complete(at + timedelta(minutes=9))
    step.step(at + timedelta(minutes=9))
    assert not RouteFinding.objects.exists()


def test_a_pool_that_went_well_for_a_day_is_expected_from_then_on(learned: models.Endpoint) -> None:
    other, day = a_pool(learned, "pool_blue"), START + timedelta(hours=2)
    for at in (day, day + timedelta(hours=12), day + timedelta(hours=24), day + timedelta(hours=25)):
        asked(learned, at, 20, timedelta(seconds=2), f5_pool_id=other.pk)
        complete(at + MINUTE)
        RouteWatch.objects.update(learned_to=at, minutes_to=at)
        step.step(at + MINUTE)
    assert RouteContract.objects.get().pools["/Common/pool_blue"]["since"]
    assert sum(f.count for f in RouteFinding.objects.all()) == 60, "the last ones broke nothing"


def test_a_contract_that_is_switched_off_is_not_broken(learned: models.Endpoint) -> None:
    contract = RouteContract.objects.get()
    actions.switch_contract(contract.pk, False, "ann")
    at = START + timedelta(hours=1, minutes=5)
    asked(learned, at, 1, MINUTE, f5_pool_id=a_pool(learned, "pool_other").pk)
    complete(at + MINUTE)
    step.step(at + MINUTE)
    assert not RouteFinding.objects.exists()


def test_a_declared_contract_beats_what_was_learned(learned: models.Endpoint) -> None:
    blue = a_pool(learned, "pool_blue")
    made = actions.declare_contract(learned.pk, "/orders", ["pool_blue"], "ann", now=START + timedelta(hours=1))
    assert list(made.pools) == ["/Common/pool_blue"]
    at = START + timedelta(hours=1, minutes=5)
    asked(learned, at, 1, MINUTE, f5_pool_id=blue.pk)
    asked(learned, at + MINUTE, 1, MINUTE)
    complete(at + 2 * MINUTE)
    step.step(at + 2 * MINUTE)
    found = RouteFinding.objects.get()
    assert found.f5_pool.name == "/Common/pool_orders"
    assert "declared by ann" in found.reasons[0]["text"]


LINE = (
    'event_source="response_logging",hostname="b",client_ip="10.0.0.7",server_ip="10.1.0.1",http_method="GET",'
    'http_uri="/orders/1",http_host="%s",virtual_name="/Common/vs_orders",http_statcode="200",'
    'event_timestamp="Mon, 02 Mar 2026 12:00:00 GMT"\n'
)


def test_of_several_hosts_each_has_its_own_contract(tmp_path: Path, learned: models.Endpoint) -> None:
    RouteContract.objects.all().delete()
    models.Endpoint.objects.filter(pk=learned.pk).update(hosts=["a.example", "b.example"])
    log = tmp_path / "request.log"
    file = models.SpoolFile.objects.create(feed=models.Feed.objects.get(), path=str(log), fingerprint="f")
    text, ids = b"", {}
    for host in ("a.example", "b.example", "c.example"):
        ids[host] = file.pk << 40 | len(text)
        text += (LINE % host.upper()).encode()
    log.write_bytes(text)
    assert reading.hosts(ids.values()) == {line: host for host, line in ids.items()}
    blue, base = a_pool(learned, "pool_blue"), START + timedelta(hours=2)
    asked(learned, base, 60, MINUTE, line_id=ids["a.example"])
    asked(learned, base, 60, MINUTE, line_id=ids["b.example"], f5_pool_id=blue.pk)
    complete(base + timedelta(hours=1))
    step.step(base + timedelta(hours=1))
    told = {c.host: sorted(c.pools) for c in RouteContract.objects.all()}
    assert told == {"a.example": ["/Common/pool_orders"], "b.example": ["/Common/pool_blue"]}
    later = base + timedelta(hours=1, minutes=1)
    asked(learned, later, 1, MINUTE, line_id=ids["c.example"], f5_pool_id=a_pool(learned, "pool_new").pk)
    complete(later + MINUTE)
    step.step(later + MINUTE)
    assert not RouteFinding.objects.exists(), "a host that is new breaks nothing"
    asked(learned, later + 2 * MINUTE, 1, MINUTE, line_id=ids["a.example"], f5_pool_id=a_pool(learned, "pool_newer").pk)
    complete(later + 4 * MINUTE)
    step.step(later + 4 * MINUTE)
    found = RouteFinding.objects.get()
    assert found.contract is not None
    assert found.contract.host == "a.example"
    assert "A.EXAMPLE" in found.raw


def test_what_one_worker_looks_at_another_leaves_alone(learned: models.Endpoint) -> None:
    complete(START + timedelta(hours=1))
    assert step.step(START + timedelta(hours=1, minutes=1)) == 0, "nothing is new"


# Minutes


def four_weeks(endpoint: models.Endpoint, upto: datetime, rng: random.Random) -> None:
    counts = histogram.of(int(20_000 * math.exp(rng.gauss(0, 0.5))) for _ in range(3000))
    models.RequestHour.objects.bulk_create(
        models.RequestHour(
            endpoint_id=endpoint.pk, start=upto - timedelta(hours=n + 1), requests=3000, histogram=counts
        )
        for n in range(24 * 28)
    )


def minutes(
    endpoint: models.Endpoint, at: datetime, number: int, rng: random.Random, factor: float = 1.0, **changes: Any
) -> None:  # fmt: skip
    rows = []
    for n in range(number):
        counts = histogram.of(int(factor * 20_000 * math.exp(rng.gauss(0, 0.5))) for _ in range(60))
        rows.append(
            models.RequestMinute(
                endpoint_id=endpoint.pk, start=at + n * MINUTE, requests=60, histogram=counts, **changes
            )
        )
    models.RequestMinute.objects.bulk_create(rows)


def test_slow_minutes_are_a_finding_and_end_with_it() -> None:
    endpoint, rng = world.a_route(), random.Random(4)
    four_weeks(endpoint, START, rng)
    minutes(endpoint, START, 80, rng)
    slow = START + 80 * MINUTE
    minutes(endpoint, slow, 8, rng, factor=2.5)
    member = models.Member.objects.get(name="/Common/orders2:9000")
    near = asked(endpoint, slow - 2 * MINUTE, 240, timedelta(seconds=1), member_id=member.pk)
    for n, row in enumerate(near):
        row.response_us = int(20_000 * math.exp(rng.gauss(0, 0.5)) * (2.5 if n >= 120 else 1))
    models.Request.objects.bulk_update(near, ["response_us"], batch_size=300)
    complete(slow + 8 * MINUTE)
    step.step(slow + 8 * MINUTE)
    found = RouteFinding.objects.get()
    assert (found.kind, found.side, found.state) == ("latency", "slow", "open")
    assert abs(found.at - slow) < timedelta(seconds=15), "dated by the requests"
    assert found.line_id is not None
    assert "times as slowly as usual" in found.sentence
    minutes(endpoint, slow + 8 * MINUTE, 10, rng)
    complete(slow + 18 * MINUTE)
    step.step(slow + 18 * MINUTE)
    found.refresh_from_db()
    assert found.state == "over"
    assert found.until <= slow + 14 * MINUTE
    assert RouteFinding.objects.count() == 1


def test_errors_beyond_what_is_usual_are_a_finding() -> None:
    endpoint, rng = world.a_route(), random.Random(5)
    four_weeks(endpoint, START, rng)
    minutes(endpoint, START, 30, rng)
    minutes(endpoint, START + 30 * MINUTE, 5, rng, server_errors=20)
    complete(START + 35 * MINUTE)
    step.step(START + 35 * MINUTE)
    found = RouteFinding.objects.get()
    assert (found.kind, found.side, found.state) == ("errors", "errors", "open")
    assert found.at == START + 30 * MINUTE


def test_a_look_reads_what_was_asked_alone_with_as_many_statements_for_many_endpoints_as_for_one() -> None:
    rng, last = random.Random(9), START + 70 * MINUTE

    def statements(routes: int, at: datetime) -> int:
        for n in range(routes):
            minutes(world.a_route(f"r{n}"), at, 1, rng)
        complete(at + MINUTE)
        with CaptureQueriesContext(connection) as caught:
            step.step(at + MINUTE)
        return len(caught)

    for n in range(3):
        four_weeks(world.a_route(f"r{n}"), START, rng)
        minutes(world.a_route(f"r{n}"), START, 70, rng)
    complete(last)
    step.step(last)
    few = statements(1, last)
    assert statements(3, last + MINUTE) == few <= 20
    looked = [b.recent[-1][0] for b in models.RouteBaseline.objects.all()]
    assert len(looked) == 3 and len(set(looked)) == 1


def test_minutes_of_an_incident_are_neither_judged_nor_learned_from() -> None:
    endpoint, rng = world.a_route(), random.Random(6)
    four_weeks(endpoint, START, rng)
    minutes(endpoint, START, 30, rng)
    world.an_incident(endpoint, START + 30 * MINUTE)
    minutes(endpoint, START + 30 * MINUTE, 12, rng, factor=3.0, server_errors=30)
    complete(START + 42 * MINUTE)
    step.step(START + 42 * MINUTE)
    assert not RouteFinding.objects.exists()
    assert all(minute[5] for minute in models.RouteBaseline.objects.get().recent[-11:])


def test_an_endpoint_of_few_requests_has_no_usual_and_no_finding() -> None:
    endpoint, rng = world.a_route(), random.Random(7)
    minutes(endpoint, START, 20, rng)
    minutes(endpoint, START + 20 * MINUTE, 10, rng, factor=9.0)
    complete(START + 30 * MINUTE)
    step.step(START + 30 * MINUTE)
    assert models.RouteBaseline.objects.get().usual == {}
    assert not RouteFinding.objects.exists()


def test_captures_are_left_alone() -> None:
    endpoint = world.a_route()
    asked(endpoint, START, 60, MINUTE)
    complete(START + timedelta(hours=1))
    models.Feed.objects.update(capture="lab1")
    assert step.step(START + timedelta(hours=1)) == 0
    assert not RouteContract.objects.exists()


def test_findings_and_unused_contracts_are_removed_when_their_time_is_over(learned: models.Endpoint) -> None:
    now = START + timedelta(days=4000)
    RouteFinding.objects.create(
        kind="misroute", endpoint=learned, at=START, until=START, noticed_at=START, sentence="old", state="over"
    )  # fmt: skip
    actions.declare_contract(learned.pk, "/kept", ["pool_orders"], "ann", now=START)
    assert step.forget(now) == 2
    assert [c.prefix for c in RouteContract.objects.all()] == ["/kept"]
