"""Endpoints: the list, and one with what its monitors believed, what requests met, how fast, and who depends on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.db.models import QuerySet

from airf5.accounts.roles import Scope
from dashboards.filters import Filter
from dashboards.queries import answers, audit, dependents, devices, freshness, health_events, narrow, paging, requests
from dashboards.queries.database import reading
from dashboards.queries.dependents import Dependent
from dashboards.queries.devices import DeviceRow, Routing
from dashboards.queries.freshness import Freshness
from dashboards.queries.incident_rows import incident_rows
from dashboards.queries.rows import (
    ActionRow,
    HealthEventRow,
    IncidentRow,
    MemberAnswers,
    MemberTrack,
    Page,
    RequestRow,
    TryRow,
)
from dashboards.queries.try_rows import try_row, with_verdicts
from ingest import histogram, models


@dataclass(frozen=True, slots=True)
class EndpointRow:
    id: int
    name: str
    device_group: str
    address: str
    port: int | None
    f5_pool_id: int | None
    f5_pool: str
    hosts: tuple[str, ...]
    execution_api: bool
    sees_http: bool
    logs_requests: bool
    requests: int
    client_errors: int
    server_errors: int
    unanswered: int
    p50_us: int | None
    p95_us: int | None
    p99_us: int | None
    max_us: int
    members: int
    members_up: int
    open_incident: int | None
    tries_hit: int  # verdicts route or service in the window
    removed_at: datetime | None = None  # when its device was seen not to have it any more

    @property
    def failed(self) -> int:
        return self.server_errors + self.unanswered


@dataclass(frozen=True, slots=True)
class HeatColumn:
    """One minute (or bucket of minutes): answered requests by latency row, and how many failed."""

    start: datetime
    end: datetime
    counts: tuple[int, ...]  # one per latency row of EndpointPage.heat_rows
    failed: int


@dataclass(frozen=True, slots=True)
class EndpointPage:
    row: EndpointRow
    start: datetime
    end: datetime
    tracks: tuple[MemberTrack, ...]
    no_member: int  # requests for which no member was chosen
    answers: tuple[MemberAnswers, ...]
    heat_rows: tuple[tuple[int, int], ...]  # (from, to) in microseconds, fast first
    heat: tuple[HeatColumn, ...]
    dependents: tuple[Dependent, ...]
    incidents: tuple[IncidentRow, ...]
    events: tuple[HealthEventRow, ...]
    changes: tuple[ActionRow, ...]
    tries: tuple[TryRow, ...]  # hit in the window
    routing: Routing


HEAT_US = (0, 10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000, 600_000_000)
HEAT_COLUMNS = 120
MOST = 200


@reading()
def listed(asked: Filter, scope: Scope) -> Page[EndpointRow]:
    found = sorted(_rows(_chosen(asked, scope), asked)[0], key=lambda row: (row.device_group, row.id))
    found.sort(key=lambda row: row.name, reverse=asked.sort == "-name")
    return paging.keyset_in_memory(found, asked, lambda row: (row.name, row.device_group, row.id))


@reading()
def devices_listed(asked: Filter, scope: Scope, now: datetime) -> Page[DeviceRow]:
    """The devices that the endpoints of this question are on; all of them where it asks for nothing."""
    groups = set(
        models.DeviceGroup.objects.filter(narrow.names("name", asked.device_group)).values_list("name", flat=True)
    )
    if narrow.routes(asked) or narrow.about_tries(asked) or scope.dags is not None:
        groups &= set(_chosen(asked, scope).values_list("group__name", flat=True))
    found = sorted(devices.all_of(now, groups), key=lambda row: row.name, reverse=asked.sort == "-name")
    return paging.keyset_in_memory(found, asked, lambda row: (row.name,))


@reading()
def one(
    endpoint_id: int, asked: Filter, scope: Scope, now: datetime, fresh: Freshness | None = None
) -> EndpointPage | None:
    """`fresh`: how far its logs reach, for one who knows that already."""
    return next(iter(_pages(models.Endpoint.objects.filter(id=endpoint_id), asked, scope, now, fresh)), None)


@reading()
def pages(asked: Filter, scope: Scope, now: datetime, fresh: Freshness | None = None) -> tuple[EndpointPage, ...]:
    """Everything the page of all endpoints draws, in few queries (heat and dependents too)."""
    return _pages(_chosen(asked, scope), asked, scope, now, fresh)


def _chosen(asked: Filter, scope: Scope) -> QuerySet[Any]:
    found = models.Endpoint.objects.all()
    ids = narrow.routes(asked)
    if "endpoint_id" in ids:
        found = found.filter(id__in=ids["endpoint_id"])
    if "f5_pool_id" in ids:
        found = found.filter(f5_pool_id__in=ids["f5_pool_id"])
    if "member_id" in ids:
        found = found.filter(f5_pool__members__id__in=ids["member_id"]).distinct()
    if narrow.about_tries(asked) or scope.dags is not None:
        found = found.filter(id__in=narrow.used_endpoints(asked, scope))
    return found


def _rows(found: QuerySet[Any], asked: Filter) -> tuple[list[EndpointRow], list[Any]]:
    """The rows, and the minutes that their counts are sums of."""
    endpoints = list(found.select_related("group", "f5_pool").order_by("name", "id"))
    ids = [endpoint.id for endpoint in endpoints]
    by_endpoint: dict[int, list[Any]] = {}
    minutes = answers.minutes(ids, asked.start, asked.end)
    for minute in minutes:
        by_endpoint.setdefault(minute.endpoint_id, []).append(minute)
    members, up = Counter[int](), Counter[int]()
    pools = [endpoint.f5_pool_id for endpoint in endpoints if endpoint.f5_pool_id]
    there = models.Member.objects.filter(f5_pool_id__in=pools, removed_at=None)
    for pool, state in there.values_list("f5_pool_id", "state"):
        members[pool] += 1
        up[pool] += health_events.said(state) == "up"
    open_now = dict(
        models.Incident.objects.filter(endpoint_id__in=ids, end=None, merged_into=None)
        .order_by("start")
        .values_list("endpoint_id", "id")
    )
    hit = Counter(
        models.Verdict.objects.filter(
            endpoint_id__in=ids, culprit__in=("route", "service"), bad_at__gte=asked.start, bad_at__lt=asked.end
        ).values_list("endpoint_id", flat=True)
    )
    return [
        _row(
            one,
            answers.total(by_endpoint.get(one.id, [])),
            members[one.f5_pool_id],
            up[one.f5_pool_id],
            open_now.get(one.id),
            hit[one.id],
        )
        for one in endpoints
    ], minutes


def _row(one: Any, met: dict[str, Any], members: int, up: int, open_incident: int | None, hit: int) -> EndpointRow:
    return EndpointRow(
        id=one.id, name=one.name, device_group=one.group.name, address=one.address, port=one.port,
        f5_pool_id=one.f5_pool_id, f5_pool=one.f5_pool.name if one.f5_pool else "", hosts=tuple(one.hosts),
        execution_api=one.execution_api, sees_http=one.sees_http, logs_requests=one.logs_requests,
        requests=met["requests"], client_errors=met["client_errors"], server_errors=met["server_errors"],
        unanswered=met["unanswered"], p50_us=met["p50_us"], p95_us=met["p95_us"], p99_us=met["p99_us"],
        max_us=met["max_us"],
        members=members, members_up=up, open_incident=open_incident, tries_hit=hit, removed_at=one.removed_at,
    )  # fmt: skip


def _pages(
    found: QuerySet[Any], asked: Filter, scope: Scope, now: datetime, fresh: Freshness | None
) -> tuple[EndpointPage, ...]:
    rows, minutes = _rows(found, asked)
    ids = [row.id for row in rows]
    pools = sorted({row.f5_pool_id for row in rows if row.f5_pool_id})
    bad = requests.notable(ids, asked.start, asked.end)
    tracks = _tracks(rows, asked, bad, fresh or freshness.watermark(now))
    met = answers.by_member(minutes)
    used = dependents.of(ids, asked.start, asked.end, scope)
    touching = models.Incident.objects.filter(endpoint_id__in=ids, start__lt=asked.end, merged_into=None).exclude(
        end__lt=asked.start
    )
    incidents = incident_rows(touching.order_by("-start", "-id")[:MOST], now)
    events = health_events.between(asked.start, asked.end, ids, pools)
    changes = _changes(rows, asked)
    tries = _tries_hit(ids, asked, scope)
    routing = devices.routing(ids)
    return tuple(
        EndpointPage(
            row=row, start=asked.start, end=asked.end,
            tracks=tuple(t for t in tracks if t.f5_pool_id == row.f5_pool_id),
            no_member=sum(a.requests for a in met if a.endpoint_id == row.id and a.member_id == 0),
            answers=tuple(a for a in met if a.endpoint_id == row.id),
            heat_rows=tuple(pairwise(HEAT_US)),
            heat=_heat([m for m in minutes if m.endpoint_id == row.id], asked),
            dependents=tuple(d for d in used if d.endpoint_id == row.id),
            incidents=tuple(i for i in incidents if i.endpoint_id == row.id),
            events=tuple(e for e in events if e.endpoint_id == row.id or (e.f5_pool_id in (row.f5_pool_id or 0,))),
            changes=changes[row.device_group], routing=routing[row.id],
            tries=tuple(t for t in tries if t.verdict and t.verdict.endpoint_id == row.id),
        )
        for row in rows
    )  # fmt: skip


def _changes(rows: Sequence[EndpointRow], asked: Filter) -> dict[str, tuple[ActionRow, ...]]:
    """What people changed on the devices of each group; what no device of ours is named for counts for all."""
    groups = {row.device_group for row in rows}
    devices = dict(models.Device.objects.values_list("name", "group__name"))
    found = audit.between(asked.start, asked.end, layers=("f5",), limit=MOST)
    return {group: tuple(one for one in found if devices.get(one.source, group) == group) for group in groups}


def _tracks(
    rows: Sequence[EndpointRow], asked: Filter, bad: Sequence[RequestRow], fresh: Freshness
) -> list[MemberTrack]:
    """By device group: each has logs of its own that reach so far and no further."""
    pools: dict[str, set[int]] = {}
    for row in rows:
        if row.f5_pool_id:
            pools.setdefault(row.device_group, set()).add(row.f5_pool_id)
    return [
        track
        for group, ids in sorted(pools.items())
        for track in health_events.tracks(sorted(ids), asked.start, asked.end, bad, known=fresh.known(group))
    ]


def _tries_hit(ids: Sequence[int], asked: Filter, scope: Scope) -> list[TryRow]:
    hit = {"verdict__endpoint_id__in": ids, "verdict__culprit__in": ("route", "service")}
    when = {"verdict__bad_at__gte": asked.start, "verdict__bad_at__lt": asked.end}
    found = with_verdicts(models.Try.objects.filter(narrow.in_scope(scope), **hit, **when))
    return [try_row(one) for one in found.order_by("-verdict__bad_at", "-id")[:MOST]]


def _heat(minutes: Sequence[Any], asked: Filter) -> tuple[HeatColumn, ...]:
    """At most 120 columns of whole minutes; the histogram's buckets fall into the row their lower bound is in."""
    total_minutes = max(1, round((asked.end - asked.start).total_seconds() / 60))
    step = timedelta(minutes=-(-total_minutes // HEAT_COLUMNS))
    columns: dict[int, list[Any]] = {}
    for minute in minutes:
        columns.setdefault(max(0, (minute.start - asked.start) // step), []).append(minute)
    return tuple(_column(asked.start + step * place, step, columns[place]) for place in sorted(columns))


def _column(start: datetime, step: timedelta, minutes: Sequence[Any]) -> HeatColumn:
    counts = [0] * (len(HEAT_US) - 1)
    for number, count in enumerate(histogram.merge(minute.histogram for minute in minutes)):
        counts[ROW_OF_BUCKET[number]] += count
    return HeatColumn(start, start + step, tuple(counts), sum(m.server_errors + m.unanswered for m in minutes))


def _heat_row(number: int) -> int:
    low = histogram.bounds(number)[0]
    return max(row for row, limit in enumerate(HEAT_US[:-1]) if limit <= low)


ROW_OF_BUCKET = tuple(_heat_row(number) for number in range(histogram.BUCKETS))
