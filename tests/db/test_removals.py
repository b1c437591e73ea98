"""What is deleted on a device is removed from then on, and there again when it is made again; never by half an answer."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from airf5.accounts.roles import EVERYTHING
from dashboards.filters import Filter
from dashboards.queries import endpoints, health_events
from ingest import models
from ingest.correlate import world as correlate_world
from ingest.incidents import update as incidents
from ingest.models import Device, Endpoint, F5Pool, Feed, HealthEvent, Listing, Member
from ingest.parsers.f5_listed import Key, Listed
from ingest.sources.http import SourceUnavailable
from ingest.store import members, removals
from tests import world as makers
from tests.icontrol import NOW, sample
from tests.icontrol_feed import World

POOLS, VIRTUALS = "/mgmt/tm/ltm/pool", "/mgmt/tm/ltm/virtual"
LATER = 300.0
NAME = "/Common/orders1:9000"


def without_member() -> Any:
    answer = copy.deepcopy(sample("pool"))
    row = next(row for row in answer["items"] if row["fullPath"] == "/Common/pool_orders")
    row["membersReference"]["items"] = [one for one in row["membersReference"]["items"] if one["fullPath"] != NAME]
    return answer


def without(answer: Any, name: str) -> Any:
    return {**answer, "items": [row for row in answer["items"] if row["fullPath"] != name]}


def member() -> Member:
    return Member.objects.get(name=NAME)


def told() -> list[tuple[str, str, str]]:
    return list(
        HealthEvent.objects.filter(state__in=("removed", "added"))
        .order_by("at", "id")
        .values_list("kind", "state", "was")
    )


def test_a_member_is_removed_and_there_again(world: World) -> None:
    world.pull()
    assert told() == []
    world.device.answers[POOLS] = without_member()
    world.pull(LATER)
    gone = member()
    assert gone.state == "removed" and gone.removed_at is not None
    assert abs(gone.removed_at - world.device.clock() - world.device.ahead) < timedelta(seconds=2)  # the device's clock
    assert told() == [("member", "removed", "up")]
    event = HealthEvent.objects.get(state="removed")
    assert (event.member_id, event.f5_pool and event.f5_pool.name) == (gone.pk, "/Common/pool_orders")
    world.pull(30)  # its numbers are still in an answer of the statistics
    assert member().state == "removed" and len(told()) == 1
    world.device.answers[POOLS] = sample("pool")
    world.pull(LATER)
    world.pull(30)
    assert (member().removed_at, member().state) == (None, "up")
    assert told() == [("member", "removed", "up"), ("member", "added", "removed")]


def test_a_pool_goes_with_its_members_and_a_virtual_server_alone(world: World) -> None:
    world.pull()
    world.device.answers[POOLS] = without(sample("pool"), "/Common/pool_orders")
    world.device.answers[VIRTUALS] = without(sample("virtual"), "/Common/vs_orders")
    world.pull(LATER)
    assert F5Pool.objects.get(name="/Common/pool_orders").removed_at
    assert Member.objects.filter(f5_pool__name="/Common/pool_orders", removed_at=None).count() == 0
    assert Endpoint.objects.get(name="/Common/vs_orders").removed_at
    assert Endpoint.objects.filter(removed_at=None).exists() and F5Pool.objects.filter(removed_at=None).exists()
    assert sorted({kind for kind, *_ in told()}) == ["member", "pool", "virtual"] and len(told()) == 5
    world.device.answers |= {POOLS: sample("pool"), VIRTUALS: sample("virtual")}
    world.pull(LATER)
    for model in (F5Pool, Member, Endpoint):
        assert not model.objects.exclude(removed_at=None).exists()
    assert [state for _, state, _ in told()].count("added") == 5


@pytest.mark.parametrize(
    "answer",
    [
        {"kind": "tm:ltm:pool:poolcollectionstate"}, {"items": []}, {**without_member(), "totalItems": 99},
        {"items": [{"fullPath": "/Other/p"}]},
    ],
)  # fmt: skip
def test_an_answer_that_may_be_partial_removes_nothing(answer: Any, world: World) -> None:
    world.pull()
    world.device.answers[POOLS] = world.device.answers[VIRTUALS] = answer
    world.pull(LATER)
    assert told() == [] and member().removed_at is None


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_refused_answer_removes_nothing(status: int, world: World) -> None:
    world.pull()
    world.device.instead[POOLS] = world.device.instead[VIRTUALS] = (status, {"code": status, "message": "no"})
    with pytest.raises(SourceUnavailable) if status == 500 else nullcontext():
        world.pull(LATER)
    assert told() == [] and member().removed_at is None


def test_what_the_other_unit_of_the_pair_still_lists_stays(world: World) -> None:
    world.pull()
    peer = Device.objects.create(group=world.feed.device.group, name="bigip-2")
    Feed.objects.create(kind="f5_rest", name="bigip-2/rest", device=peer)
    mine = Listing.objects.get(what="pool")
    Listing.objects.create(device=peer, what="pool", by=mine.by, at=mine.at, names=mine.names)
    world.device.answers[POOLS] = without_member()
    world.pull(LATER)
    assert member().removed_at is None and told() == []
    left = Listing.objects.get(device=world.feed.device, what="pool")
    keys = frozenset(Key(*name) for name in left.names)
    later = NOW + timedelta(seconds=900)
    removals.settle(peer, "pool", Listed(keys, frozenset({"/Common/pool_orders"})), later, mine.by)  # it was synced
    assert member().removed_at == later


def test_a_log_that_tells_of_it_later_brings_it_back(world: World) -> None:
    world.pull()
    world.device.answers[POOLS] = without_member()
    world.pull(LATER)
    row = member()
    for seconds, there in ((-5, False), (5, True)):
        at = row.removed_at + timedelta(seconds=seconds)
        event = HealthEvent(device=world.feed.device, at=at, kind="member", state="up", member=row, f5_pool=row.f5_pool)
        members.follow([event])
        assert (member().removed_at is None) is there


def test_it_is_no_member_of_its_pool_from_then_on(world: World) -> None:
    world.pull()
    world.device.answers[POOLS] = without_member()
    world.pull(LATER)
    row = member()
    known = correlate_world.of(makers.an_airflow())
    before, after = (known.members_at(row.f5_pool_id, row.removed_at + timedelta(seconds=s)) for s in (-1, 1))
    assert NAME in before and NAME not in after and len(after) == len(before) - 1
    assert known.members[row.f5_pool_id, NAME] == row.pk  # verdicts may still name it


def test_pages_show_it(world: World) -> None:
    world.pull()
    world.device.answers[POOLS] = without_member()
    world.device.answers[VIRTUALS] = without(sample("virtual"), "/Common/vs_reports")
    world.pull(LATER)
    row, end = member(), world.device.clock() + timedelta(seconds=60)
    rows = {one.name: one for one in endpoints.listed(Filter(start=NOW, end=end), EVERYTHING).rows}
    assert (rows["/Common/vs_orders"].members, rows["/Common/vs_orders"].removed_at) == (2, None)
    assert rows["/Common/vs_reports"].removed_at is not None
    lanes = health_events.tracks([row.f5_pool_id], NOW, end)
    states = {lane.member: [span.state for span in lane.spans] for lane in lanes}
    assert states[NAME] == ["up", "removed"]
    later = health_events.tracks([row.f5_pool_id], row.removed_at + timedelta(hours=1), end + timedelta(hours=2))
    assert NAME not in {lane.member for lane in later}


def test_a_member_that_was_down_and_is_removed_keeps_no_incident_open() -> None:
    endpoint = makers.a_route()
    row, device = endpoint.f5_pool.members.first(), Device.objects.get()
    makers.a_feed(device=device)
    now = timezone.now()
    for state, minutes in (("down", 30), ("removed", 20)):
        HealthEvent.objects.create(
            device=device, at=now - timedelta(minutes=minutes), kind="member", state=state, f5_pool=row.f5_pool,
            member=row, object=row.name,
        )  # fmt: skip
    incidents.update("", now)
    assert models.Incident.objects.get().last_evidence_at == now - timedelta(minutes=20)
