"""Findings before anything failed, and contracts: which pools an endpoint's requests go to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Greatest

from airf5.accounts.roles import Scope
from dashboards.filters import Filter
from dashboards.queries import narrow, paging
from dashboards.queries.database import reading
from dashboards.queries.rows import Page
from dashboards.queries.tries import Reason
from ingest import models

KEYS = {"-at": paging.Key("at", datetime), "at": paging.Key("at", datetime, descending=False)}
CONTRACT_KEYS = {
    "-seen": paging.Key("changed_or_seen", datetime), "seen": paging.Key("changed_or_seen", datetime, descending=False)
}  # fmt: skip
RELATED = ("endpoint__group", "f5_pool", "member", "contract")
BEFORE, AFTER = timedelta(minutes=10), timedelta(hours=1)  # an incident so near it on the same endpoint is of the same
MOST = 100


@dataclass(frozen=True, slots=True)
class FindingRow:
    id: int
    kind: str  # misroute latency errors
    state: str  # open over
    endpoint_id: int
    endpoint: str
    device_group: str
    f5_pool: str
    member: str  # "" : not one alone
    at: datetime  # the onset
    until: datetime  # the last request of it
    noticed_at: datetime
    count: int  # requests that are not as they should be
    requests: int  # of so many
    sentence: str
    reasons: tuple[Reason, ...]
    line_id: int | None
    raw: str  # the first request's own lines
    contract_id: int | None
    incident_id: int | None  # the incident that opened on the same endpoint at that time

    @property
    def seconds(self) -> float:
        return (self.until - self.at).total_seconds()


@dataclass(frozen=True, slots=True)
class ContractPool:
    name: str
    count: int  # requests that went well
    since: datetime | None  # from when on it is expected; None: met, not expected


@dataclass(frozen=True, slots=True)
class ContractRow:
    id: int
    endpoint_id: int
    endpoint: str
    device_group: str
    host: str
    prefix: str
    agent: str
    source: str  # learned declared
    state: str  # on off learning
    pools: tuple[ContractPool, ...]
    count: int
    first_at: datetime | None
    last_at: datetime | None
    ready_at: datetime | None
    by: str
    changed_at: datetime | None
    note: str

    @property
    def expected(self) -> tuple[ContractPool, ...]:
        return tuple(pool for pool in self.pools if pool.since)

    @property
    def others(self) -> tuple[ContractPool, ...]:
        return tuple(pool for pool in self.pools if not pool.since)


@reading()
def listed(asked: Filter, scope: Scope) -> Page[FindingRow]:
    found = paging.keyset(chosen(asked, scope).select_related(*RELATED), asked, KEYS, lambda one: one)
    return Page(rows(found.rows), found.next, found.note)


def chosen(asked: Filter, scope: Scope) -> QuerySet[Any]:
    """Findings that touch the time range. They are of routes: a question about DAGs is about the endpoints these use."""
    found = models.RouteFinding.objects.filter(at__lt=asked.end).filter(Q(until__gte=asked.start) | Q(state="open"))
    if asked.kind:
        found = found.filter(kind__in=asked.values("kind"))
    if asked.state:
        found = found.filter(state__in=asked.values("state"))
    return _narrowed(found, asked, scope)


def _narrowed(found: QuerySet[Any], asked: Filter, scope: Scope) -> QuerySet[Any]:
    for column, ids in narrow.routes(asked).items():
        if column == "endpoint_id" or found.model is models.RouteFinding:
            found = found.filter(**{f"{column}__in": ids})
        elif column == "f5_pool_id":
            names = list(models.F5Pool.objects.filter(id__in=ids).values_list("name", flat=True))
            found = found.filter(pools__has_any_keys=names)
        else:
            found = found.filter(endpoint__f5_pool__members__id__in=ids).distinct()
    if narrow.about_tries(asked) or scope.dags is not None:
        found = found.filter(endpoint_id__in=narrow.used_endpoints(asked, scope))
    return found


def rows(found: Sequence[Any]) -> tuple[FindingRow, ...]:
    """Needs select_related(*RELATED)."""
    if not found:
        return ()
    near = models.Incident.objects.filter(
        endpoint_id__in={one.endpoint_id for one in found}, start__lte=max(one.until for one in found) + AFTER,
        merged_into=None, withdrawn_at=None,
    ).filter(Q(end=None) | Q(end__gte=min(one.at for one in found) - BEFORE))  # fmt: skip
    incidents = list(near.order_by("start", "id").values_list("id", "endpoint_id", "start", "end"))
    return tuple(_row(one, incidents) for one in found)


def _row(one: Any, incidents: Sequence[tuple[int, int, datetime, datetime | None]]) -> FindingRow:
    mine = (
        pk for pk, endpoint, start, end in incidents
        if endpoint == one.endpoint_id and start <= one.until + AFTER and (end is None or end >= one.at - BEFORE)
    )  # fmt: skip
    return FindingRow(
        id=one.id, kind=one.kind, state=one.state, endpoint_id=one.endpoint_id, endpoint=one.endpoint.name,
        device_group=one.endpoint.group.name, f5_pool=one.f5_pool.name if one.f5_pool else "",
        member=one.member.name if one.member else "", at=one.at, until=one.until, noticed_at=one.noticed_at,
        count=one.count, requests=one.requests, sentence=one.sentence,
        reasons=tuple(Reason(bool(r.get("for", True)), str(r.get("text", ""))) for r in one.reasons),
        line_id=one.line_id, raw=one.raw, contract_id=one.contract_id, incident_id=next(mine, None),
    )  # fmt: skip


@reading()
def of_endpoint(endpoint_id: int, start: datetime, end: datetime) -> tuple[FindingRow, ...]:
    """Of one endpoint, newest first."""
    found = models.RouteFinding.objects.filter(endpoint=endpoint_id, at__lt=end)
    found = found.filter(Q(until__gte=start) | Q(state="open"))
    return rows(list(found.select_related(*RELATED).order_by("-at", "-id")[:MOST]))


@reading()
def flagged(asked: Filter, scope: Scope, most: int = 5) -> tuple[FindingRow, ...]:
    """What is open now, newest first; for the first pages."""
    found = chosen(asked.with_(state="open"), scope).select_related(*RELATED)
    return rows(list(found.order_by("-at", "-id")[:most]))


# Contracts


@reading()
def contracts_listed(asked: Filter, scope: Scope) -> Page[ContractRow]:
    found = contracts_chosen(asked, scope).select_related("endpoint__group")
    return paging.keyset(found, asked, CONTRACT_KEYS, contract_row)


def contracts_chosen(asked: Filter, scope: Scope) -> QuerySet[Any]:
    """Contracts that were met in the time range, or declared or switched by a person before its end."""
    found = models.RouteContract.objects.annotate(changed_or_seen=Greatest("last_at", "changed_at"))
    found = found.filter(Q(last_at__gte=asked.start) | Q(changed_at__isnull=False), changed_or_seen__isnull=False)
    states = {"on": Q(state="on", ready_at__isnull=False), "off": Q(state="off")}
    states["learning"] = Q(state="on", ready_at=None)
    if asked.state:
        wanted = Q(pk=None)
        for state in asked.values("state"):
            wanted |= states[state]
        found = found.filter(wanted)
    return _narrowed(found, asked, scope)


def contract_row(one: Any) -> ContractRow:
    pools = (
        ContractPool(name, int(about.get("count") or 0), _moment(about.get("since")))
        for name, about in sorted(one.pools.items())
    )
    return ContractRow(
        id=one.id, endpoint_id=one.endpoint_id, endpoint=one.endpoint.name, device_group=one.endpoint.group.name,
        host=one.host, prefix=one.prefix, agent=one.agent, source=one.source,
        state="learning" if one.state == "on" and one.ready_at is None else one.state, pools=tuple(pools),
        count=one.count, first_at=one.first_at, last_at=one.last_at, ready_at=one.ready_at, by=one.by,
        changed_at=one.changed_at, note=one.note,
    )  # fmt: skip


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


@reading()
def contracts_of(endpoint_id: int) -> tuple[ContractRow, ...]:
    """All of one endpoint, declared ones first."""
    found = models.RouteContract.objects.filter(endpoint=endpoint_id).select_related("endpoint__group")
    return tuple(contract_row(one) for one in found.order_by("source", "host", "prefix", "agent")[:MOST])


@reading()
def contract(contract_id: int) -> ContractRow | None:
    found = models.RouteContract.objects.filter(pk=contract_id).select_related("endpoint__group").first()
    return contract_row(found) if found else None


@reading()
def finding(finding_id: int) -> FindingRow | None:
    return next(iter(rows(list(models.RouteFinding.objects.filter(pk=finding_id).select_related(*RELATED)))), None)


@reading()
def pools_of(endpoint_id: int) -> tuple[str, ...]:
    """The pools that a contract of this endpoint can name."""
    groups = models.Endpoint.objects.filter(pk=endpoint_id).values("group")
    found = models.F5Pool.objects.filter(group__in=groups, removed_at=None).order_by("name")
    return tuple(found.values_list("name", flat=True)[:MOST])
