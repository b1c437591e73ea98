"""The endpoints that matter to each try of a batch, with what happened on them around the time that matters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from ingest.models import Endpoint
from ingest.rules.facts import Change, Health, Request, Route

from . import around, load
from .world import World

HISTORY = timedelta(hours=6)  # how far back the state of a member is looked up

Routes = dict[int, dict[int, Route]]  # by try, then by endpoint


class Place(NamedTuple):
    """Where and when one try called: an endpoint, and what of it the deciding request asked for ("": not known)."""

    try_id: int
    endpoint_id: int
    at: datetime
    f5_pool: str
    path: str
    task: tuple[str, str]  # dag, task

    @property
    def slot(self) -> around.Place:
        return around.slot_of(self.endpoint_id, self.at)


class Surroundings(NamedTuple):
    """What lies around all places of a batch: read once."""

    near: dict[around.Place, tuple[Request, ...]]
    usual: dict[around.Usual, tuple[Request, ...]]
    health: dict[int, list[Health]]
    changes: Sequence[Change]
    cuts: dict[int | tuple[str, str], list[tuple[datetime, float]]]  # by endpoint, and by dag and task
    crowd: around.Crowd


def routes_of(
    airflow_id: int, world: World, asked: Sequence[Place], called: Sequence[Place], changes: Sequence[Change]
) -> tuple[Routes, Routes]:
    """Each try's endpoints, as they were around its last place on them: those that it asked, and that it called in vain."""
    if not (asked or called):
        return {}, {}
    seen = _surroundings(airflow_id, world, asked, called, changes)
    out: list[Routes] = []
    for some in (asked, called):
        found: Routes = defaultdict(dict)
        for place in some:
            found[place.try_id][place.endpoint_id] = _route(world, place, seen)
        out.append(found)
    return out[0], out[1]


def _surroundings(
    airflow_id: int, world: World, asked: Sequence[Place], called: Sequence[Place], changes: Sequence[Change]
) -> Surroundings:
    wanted = [*asked, *called]
    slots = sorted({place.slot for place in wanted})
    crowd, load_rows = around.Crowd(slots, sorted({place.slot for place in called})), load.Loader(world)
    near = around.near(slots, crowd, load_rows)
    paths = ((place.endpoint_id, place.path, place.slot[1]) for place in wanted if place.path)
    usual = around.usual(paths, crowd, load_rows)
    lo, hi = min(place.at for place in wanted), max(place.at for place in wanted)
    health = load.health({e.group_id for e in world.endpoints.values()}, lo - HISTORY, hi + around.NEAR)
    cuts = _cuts(airflow_id, wanted, lo - around.USUAL, hi + around.USUAL)
    return Surroundings(near, usual, health, changes, cuts, crowd)


def _route(world: World, place: Place, seen: Surroundings) -> Route:
    endpoint = world.endpoints[place.endpoint_id]
    device, own_errors = next(iter(world.devices[endpoint.group_id]), (endpoint.group.name, False))
    if world.scope:
        device = device.removeprefix(f"{world.scope}/")  # the scope is ours, people know the device
    pool = place.f5_pool or (endpoint.f5_pool.name if endpoint.f5_pool else "")
    return Route(
        endpoint.pk, endpoint.name, pool, device, own_errors,
        world.members_at(endpoint.f5_pool_id, place.at), addresses(endpoint),
        seen.near.get(place.slot, ()), seen.usual.get((place.endpoint_id, place.path, place.slot[1]), ()),
        tuple(e for e in seen.health.get(endpoint.group_id, ()) if not e.f5_pool or e.f5_pool == pool or e.kind == "device"),
        tuple(c for c in seen.changes if is_about(c, endpoint)), _near(seen.cuts.get(endpoint.pk, ()), place.at),
        world.choosers.get(endpoint.pk, ()), world.contracts.get(endpoint.pk, ()),
        seen.crowd.counts(place.slot), tuple(sorted(endpoint.rules)), _near(seen.cuts.get(place.task, ()), place.at),
        world.homes.get(endpoint.group_id, {}), seen.crowd.spoke(place.slot),
    )  # fmt: skip


def addresses(endpoint: Endpoint) -> frozenset[str]:
    """Everything people write to reach this virtual server: host and host:port."""
    out = {str(h).lower() for h in endpoint.hosts}
    if endpoint.address:
        out.add(endpoint.address)
        out.add(f"{endpoint.address}:{endpoint.port}")
    return frozenset(out)


def is_about(change: Change, endpoint: Endpoint) -> bool:
    """The change's text names the virtual server, its pool, or an iRule or policy of it."""
    names = [endpoint.name, *endpoint.rules, *endpoint.policies]
    names += [endpoint.f5_pool.name] if endpoint.f5_pool else []
    return any(name in change.text or name.rsplit("/", 1)[-1] in change.text for name in names)


def _cuts(
    airflow_id: int, wanted: Sequence[Place], lo: datetime, hi: datetime
) -> dict[int | tuple[str, str], list[tuple[datetime, float]]]:
    endpoints, dags = {place.endpoint_id for place in wanted}, {place.task[0] for place in wanted}
    asked = {"endpoints": sorted(endpoints), "airflow": airflow_id, "dags": sorted(dags), "from": lo, "to": hi}
    out: dict[int | tuple[str, str], list[tuple[datetime, float]]] = defaultdict(list)
    for endpoint, dag, task, at, seconds in load.rows("cuts", **asked):
        out[(dag, task) if endpoint is None else endpoint].append((at, seconds))
    return out


def _near(found: Sequence[tuple[datetime, float]], at: datetime) -> tuple[float, ...]:
    """The seconds of what lies within an hour: of a place alone, whichever places it was read with."""
    return tuple(seconds for when, seconds in found if abs(when - at) <= around.USUAL)
