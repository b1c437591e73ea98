"""An hour of one BIG-IP's troubles for the tests of incidents: hits, health events, requests, and what stands in the end."""

from __future__ import annotations

import itertools
import math
import time
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest

from ingest import models
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
