"""From when to when an incident lasted, dated from the requests of its component, each end with the row that shows it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from airf5 import sql
from ingest import histogram
from ingest.incidents import onset
from ingest.incidents.alike import MEMBER_CAUSES, REOPEN
from ingest.incidents.groups import Group
from ingest.incidents.onset import Cut, Minute
from ingest.models import Endpoint, Member
from ingest.records import SLOW_US

LOOKBACK = timedelta(hours=2)  # how far before its first sign an onset is looked for
AHEAD = timedelta(hours=6)  # how far after its last sign the component is watched
# How long the component must be seen well before it is over: three times what a client's own retry and a monitor take.
QUIET = timedelta(seconds=60)
# Without any request after it, complete logs alone say that it is over: as long as the same trouble would reopen it.
IDLE = REOPEN
MOST_BAD = 400  # bad requests looked at around each edge
EDGE = timedelta(minutes=1)
SLOW_BUCKET = histogram.bucket(SLOW_US) + 1  # PostgreSQL counts from 1
ALL = -1
WRONG = ("member_grey", "wrong_member")  # a member can fail by answering what the others do not: 404
Parameters = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Edge:
    """A request at the edge of an incident."""

    at: datetime
    line_id: int
    method: int
    status: int | None
    outcome: int
    response_us: int | None
    member_id: int | None
    path_id: int

    @property
    def over(self) -> datetime:
        return self.at + timedelta(microseconds=self.response_us or 0)


@dataclass(slots=True)
class Extent:
    """What the data say of one group."""

    start: datetime
    last: datetime
    first_bad: Edge | None = None
    last_bad: Edge | None = None
    began: Cut | None = None
    well: int = 0  # requests of the component that went well while it lasted
    good: Edge | None = None  # the first request answered well after it
    good_since: bool = False  # enough requests were answered well after it


@dataclass(slots=True)
class Target:
    """The component of one group, as requests know it, and the window it is looked at in."""

    group: Group
    endpoints: list[int]
    members: list[int]
    kind: str
    lo: datetime
    hi: datetime
    minutes: list[tuple[datetime, int, int, int, int]] = field(default_factory=list)

    @property
    def first(self) -> datetime:
        """Its first sign that requests can show: the first hit, else when the monitor spoke."""
        return min((i.start for i in self.group.verdicts), default=self.group.start)

    @property
    def last(self) -> datetime:
        return max((i.start for i in self.group.verdicts), default=self.group.start)

    def counted(self) -> list[Minute]:
        """Bad and all requests by minute, of the kind of trouble it is."""
        place = {"refused": 2, "denied": 2, "slow": 4}.get(self.kind)
        return [Minute(m[0], min(m[1], m[3] + (m[place] if place else 0)), m[1]) for m in self.minutes]

    def rates(self) -> tuple[float, float]:
        """How often its requests fail while it does, and how often otherwise."""
        return onset.rates(self.counted(), self.first, self.last)

    def before(self) -> list[Minute]:
        """Its minutes from when it was last well to its first sign."""
        return onset.before(self.counted(), self.first, self.rates())

    def after(self) -> list[Minute]:
        """Its minutes from its last sign to when it was well again."""
        return onset.after(self.counted(), self.last, self.rates())

    def parts(self) -> Iterable[tuple[int, int]]:
        return ((endpoint, member) for endpoint in self.endpoints for member in self.members)


def dated(groups: Sequence[Group], known_to: datetime) -> tuple[list[Target], list[Extent]]:
    """Each group's component, and from when to when it failed, as far as the logs are complete. Five statements."""
    at = _targets(groups, known_to)
    count(at)
    edges = _edges(at)
    found = [_extent(t, edges.get(n, ([], []))) for n, t in enumerate(at)]
    _wells(at, found)
    return at, found


Window = tuple[datetime, datetime]


def _targets(groups: Sequence[Group], known_to: datetime) -> list[Target]:
    near: dict[tuple[int, str], list[Group]] = defaultdict(list)
    for g in groups:
        near[g.first.group, g.first.place].append(g)
    return targets(groups, [_bounds(g, near[g.first.group, g.first.place], known_to) for g in groups])


def targets(groups: Sequence[Group], windows: Sequence[Window]) -> list[Target]:
    """The component of each of these groups, to be looked at in this window."""
    pools = {i.f5_pool_id for g in groups for i in g.items if i.f5_pool_id}
    of_pool: dict[int, set[int]] = defaultdict(set)
    for pool, endpoint in Endpoint.objects.filter(f5_pool__in=pools).values_list("f5_pool_id", "pk"):
        of_pool[pool or 0].add(endpoint)
    names = {name for g in groups for name in g.members}
    found = Member.objects.filter(f5_pool__in=pools, name__in=names).values_list("f5_pool_id", "name", "pk")
    members = {(pool, name): pk for pool, name, pk in found}
    return [_target(g, of_pool, members, window) for g, window in zip(groups, windows, strict=True)]


def _bounds(g: Group, near: Sequence[Group], known_to: datetime) -> Window:
    """The window of a group begins where the same place's trouble before it ended, and ends where the next begins."""
    end = g.end or known_to
    lo, hi = g.start - LOOKBACK, min(max(end, g.start) + AHEAD, max(known_to, g.start) + EDGE)
    for other in near:
        if other is g or (other.members and g.members and not other.members & g.members):
            continue
        if other.end is not None and other.end < g.start:
            lo = max(lo, other.end)
        elif other.start > end:
            hi = min(hi, other.start)
    return lo, hi


def _target(g: Group, of_pool: dict[int, set[int]], ids: dict[tuple[int | None, str], int], bounds: Window) -> Target:
    endpoints = {i.endpoint_id for i in g.items if i.endpoint_id}
    endpoints |= {e for i in g.items if i.f5_pool_id for e in of_pool.get(i.f5_pool_id, ())}
    pools = {i.f5_pool_id for i in g.items}
    cause = g.cause
    at_members = sorted(ids[pool, name] for pool in pools for name in g.members if (pool, name) in ids)
    members = at_members if cause in MEMBER_CAUSES or cause == "monitor_flap" else []
    kind = {"slow_member": "slow", "service_slow": "slow", "service_refused": "denied"}.get(cause, "failed")
    return Target(g, sorted(endpoints), members or [ALL], kind, *bounds)


def _rows(name: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql.load(name), parameters)
        return list(cursor.fetchall())


def count(targets: Sequence[Target]) -> None:
    """Each target's minutes; a member that answers wrongly shows its 4xx where none of its requests failed."""
    columns: Parameters = {name: [] for name in ("targets", "endpoints", "members", "froms", "tos")}
    for n, t in enumerate(targets):
        for endpoint, member in t.parts():
            _append(columns, (n, endpoint, member, onset.minute_of(t.lo), t.hi))
    if not columns["targets"]:
        return
    for n, *minute in _rows("incident_minutes", {**columns, "slow": SLOW_BUCKET}):
        targets[n].minutes.append((minute[0], *map(int, minute[1:])))  # type: ignore[arg-type]
    for t in targets:
        hit = [m for m in t.minutes if onset.minute_of(t.first) <= m[0] <= t.last]
        if t.group.cause in WRONG and not any(m[3] for m in hit) and any(m[2] for m in hit):
            t.kind = "refused"


def _append(columns: Parameters, row: Sequence[Any]) -> None:
    for column, value in zip(columns.values(), row, strict=True):
        column.append(value)


def _edges(targets: Sequence[Target]) -> dict[int, tuple[list[Edge], list[Edge]]]:
    """Bad requests around the minute in which each target began to fail, and around the one in which it ended."""
    columns: Parameters = {
        name: [] for name in ("targets", "endpoints", "members", "froms", "tos", "forwards", "kinds")
    }
    for n, t in enumerate(targets):
        began, ended = onset.begins(t.before()), onset.ends(t.after())
        for endpoint, member in t.parts():
            if began is not None:
                lo = max(began - EDGE, t.lo)
                _append(columns, (n, endpoint, member, lo, t.first + timedelta(microseconds=1), True, t.kind))
            if ended is not None:
                lo = max(t.last, ended - EDGE)
                _append(columns, (n, endpoint, member, lo, min(ended + 2 * EDGE, t.hi), False, t.kind))
    found: dict[int, tuple[list[Edge], list[Edge]]] = defaultdict(lambda: ([], []))
    if columns["targets"]:
        for n, forward, *row in _rows("incident_edges", {**columns, "most": MOST_BAD}):
            found[n][0 if forward else 1].append(Edge(*row))
    return found


def _extent(t: Target, edges: tuple[list[Edge], list[Edge]]) -> Extent:
    g = t.group
    out = Extent(g.start, max((i.end or i.start) for i in g.items))
    if g.end is not None:
        out.last = g.end
    began = onset.first_bad(t.before(), [e.at for e in edges[0]], t.first)
    if began is not None:
        out.began = began
        out.first_bad = next(e for e in edges[0] if e.at == began.at)
        out.start = min(out.start, began.at)
    ended = onset.last_bad(t.after(), [e.at for e in edges[1]], t.last)
    if ended is not None:
        edge = next(e for e in reversed(edges[1]) if e.at == ended.at)
        if edge.over >= out.last:
            out.last, out.last_bad = edge.over, edge
    out.well = onset.Counted(t.counted(), ()).well(out.start, out.last)
    return out


def _wells(targets: Sequence[Target], extents: Sequence[Extent]) -> None:
    """The first request that was answered well after each, from the minute that has one."""
    columns: Parameters = {
        name: [] for name in ("targets", "endpoints", "members", "froms", "tos", "forwards", "kinds")
    }
    for n, (t, extent) in enumerate(zip(targets, extents, strict=True)):
        after = [m for m in t.counted() if m.start + EDGE > extent.last and m.all > m.bad]
        goods = sum(m.all - m.bad for m in after if m.start >= extent.last)
        extent.good_since = onset.seen_well(goods, t.rates())
        for endpoint, member in t.parts() if after else ():
            lo = max(after[0].start, extent.last)
            _append(columns, (n, endpoint, member, lo, min(after[0].start + 2 * EDGE, t.hi), True, "good"))
    if columns["targets"]:
        for n, _, *row in _rows("incident_edges", {**columns, "most": 1}):
            if extents[n].good is None:
                extents[n].good = edge = Edge(*row)
                if onset.minute_of(edge.at) <= extents[n].last:  # in the minute of the last bad one: not counted above
                    rates, counted = targets[n].rates(), targets[n].counted()
                    goods = 1 + sum(m.all - m.bad for m in counted if m.start >= extents[n].last)
                    extents[n].good_since |= onset.seen_well(goods, rates)
