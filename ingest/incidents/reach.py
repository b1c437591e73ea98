"""How far an incident reaches, and how many messages Airflow and F5 would have sent of it: numbers kept with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Q

from airf5 import sql
from ingest.incidents.groups import Group
from ingest.incidents.items import Hit
from ingest.models import Endpoint, HealthEvent, Member

HISTORY = 5  # earlier runs of a DAG that tell whether it uses an endpoint
LONGEST_RUN = timedelta(days=7)
SPOKE_BEFORE = timedelta(seconds=30)  # a monitor's line of an incident can stand so long before its first bad request


@dataclass(frozen=True, slots=True)
class Place:
    """Where and when one incident is."""

    group: Group
    parts: Sequence[tuple[int, int]]  # (endpoint, member or -1 for all)
    start: datetime
    end: datetime
    kind: str  # of trouble: failed | refused | denied | slow


@dataclass(slots=True)
class Reach:
    """What one incident hit, and what it could hit next."""

    dags: list[str] = field(default_factory=list)
    airflow_pools: list[str] = field(default_factory=list)
    runs: int = 0  # hit
    runs_in_flight: int = 0  # had not ended while it lasted, of DAGs that use the endpoint; those hit among them
    dags_in_flight: list[str] = field(default_factory=list)
    failed_requests: int = 0  # or slow, or refused ones, where that is the trouble
    others_failed: int = 0  # of these, made by no known try
    others_clients: int = 0  # from so many addresses
    shared_endpoints: list[str] = field(default_factory=list)  # others that ask the same members
    airflow_messages: int = 0
    f5_messages: int = 0


def reached(places: Sequence[Place], hits: Mapping[int, Hit], airflows: Sequence[int]) -> list[Reach]:
    """The reach of each of these; six statements however many."""
    found = [_hit(p, hits) for p in places]
    _others(places, found)
    _in_flight(places, found, airflows)
    _shared(places, found)
    _told(places, found)
    return found


def _hit(place: Place, hits: Mapping[int, Hit]) -> Reach:
    """Airflow's default is a message per failed try: `email_on_failure` and `email_on_retry` are both on."""
    mine = [hits[i.verdict_id] for i in place.group.verdicts if i.verdict_id in hits]
    return Reach(
        dags=sorted({h.dag_id for h in mine}), airflow_pools=sorted({h.airflow_pool for h in mine if h.airflow_pool}),
        runs=len({(h.airflow, h.dag_id, h.run_id) for h in mine}), airflow_messages=sum(not h.slow for h in mine),
    )  # fmt: skip


def _columns(places: Sequence[Place], *, members: bool) -> dict[str, list[Any]]:
    names = ("targets", "endpoints", *(("members",) if members else ()), "froms", "tos")
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for n, p in enumerate(places):
        parts = p.parts if members else sorted({(endpoint,) for endpoint, _ in p.parts})
        for part in parts:
            for column, value in zip(columns.values(), (n, *part, p.start, p.end), strict=True):
                column.append(value)
    return columns


def _rows(name: str, parameters: dict[str, Any]) -> Iterable[tuple[Any, ...]]:
    if not parameters["targets"]:
        return []
    with connection.cursor() as cursor:
        cursor.execute(sql.load(name), parameters)
        return list(cursor.fetchall())


def _others(places: Sequence[Place], found: Sequence[Reach]) -> None:
    columns = _columns(places, members=True)
    columns["kinds"] = [places[n].kind for n in columns["targets"]]
    for n, failed, others, clients in _rows("incident_others", columns):
        found[n].failed_requests, found[n].others_failed, found[n].others_clients = failed, others, clients


def _in_flight(places: Sequence[Place], found: Sequence[Reach], airflows: Sequence[int]) -> None:
    parameters = {"airflows": list(airflows), "history": HISTORY, "oldest": LONGEST_RUN}
    for n, _, dag_id, runs in _rows("incident_runs", _columns(places, members=False) | parameters):
        found[n].runs_in_flight += runs
        found[n].dags_in_flight.append(dag_id)


def _shared(places: Sequence[Place], found: Sequence[Reach]) -> None:
    """Other virtual servers behind which the same members stand: by address and port, in whatever pool."""
    pools = {i.f5_pool_id for p in places for i in p.group.items if i.f5_pool_id}
    known = Member.objects.filter(f5_pool__in=pools).values_list("f5_pool_id", "name", "address", "port")
    at: dict[int, dict[str, tuple[str, int | None]]] = defaultdict(dict)
    for pool, name, address, port in known:
        at[pool][name] = (address, port)
    addresses = {a for named in at.values() for a in named.values() if a[0]}
    behind: dict[tuple[str, int | None], dict[int, str]] = defaultdict(dict)
    alike = Endpoint.objects.filter(f5_pool__members__address__in={a for a, _ in addresses}).distinct()
    columns = ("pk", "name", "group_id", "f5_pool__members__address", "f5_pool__members__port")
    groups: dict[int, int] = {}
    for pk, name, of_group, address, port in alike.values_list(*columns):
        behind[address, port][pk] = name
        groups[pk] = of_group
    for place, reach in zip(places, found, strict=True):
        first, own = place.group.first, {endpoint for endpoint, _ in place.parts}
        named = at.get(first.f5_pool_id or 0, {})
        at_fault = [named[m] for m in sorted(place.group.members or named) if m in named]
        others = {pk: n for a in at_fault for pk, n in behind[a].items() if pk not in own and groups[pk] == first.group}
        reach.shared_endpoints = sorted(set(others.values()))


def _told(places: Sequence[Place], found: Sequence[Reach]) -> None:
    """Lines that F5 wrote about the pools and virtual servers: each is one trap or one line of an alert."""
    pools = {i.f5_pool_id for p in places for i in p.group.items if i.f5_pool_id}
    endpoints = {endpoint for p in places for endpoint, _ in p.parts}
    if not places or not (pools or endpoints):
        return
    lo, hi = min(p.start for p in places) - SPOKE_BEFORE, max(p.end for p in places)
    events = HealthEvent.objects.filter(Q(f5_pool__in=pools) | Q(endpoint__in=endpoints), at__gte=lo, at__lte=hi)
    told: dict[tuple[str, int], list[tuple[datetime, str, int]]] = defaultdict(list)
    for at, pool, endpoint, member, count in events.values_list("at", "f5_pool", "endpoint", "member__name", "count"):
        told[("pool", pool) if pool else ("endpoint", endpoint)].append((at, member or "", count))
    for place, reach in zip(places, found, strict=True):
        keys = {("pool", i.f5_pool_id) for i in place.group.items if i.f5_pool_id}
        keys |= {("endpoint", endpoint) for endpoint, _ in place.parts}
        mine = place.group.members
        reach.f5_messages = sum(
            count
            for key in keys
            for at, member, count in told.get(key, ())  # type: ignore[call-overload]
            if place.start - SPOKE_BEFORE <= at <= place.end and (not member or not mine or member in mine)
        )
