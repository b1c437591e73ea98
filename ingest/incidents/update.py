"""The story of incidents: what speaks is grouped, dated and measured, and the rows are brought to say the same.

All of what can still change is grouped anew each time, whatever was there before: so the order in which things arrive,
and how often this runs, makes no difference in the end. Only the numbers of incidents (their addresses) depend on it:
a row is found again by the verdicts and health events it holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import Min, Q

from ingest import leases
from ingest.incidents import extent, items, reach, told
from ingest.incidents.alike import DEVICE_CAUSES, MEMBER_CAUSES, OF_DEVICE, REOPEN
from ingest.incidents.continued import continued
from ingest.incidents.groups import Group, group, parents
from ingest.incidents.rows import COLUMNS, Draft, Standing, write
from ingest.models import Airflow, DeviceGroup, Feed, Gap, Incident, Verdict, request_feeds
from ingest.models.verdicts import BLAMES
from ingest.rules.causes import CAUSES

Values = dict[str, Any]

HORIZON = timedelta(hours=24)  # older incidents are settled, unless a verdict of theirs changes
SETTLED = 2 * REOPEN  # of one that is over for so long, only changed verdicts make it be dated and measured again …
DATED_EVERY = timedelta(hours=1)  # … and once an hour all are: a row that came late can have moved an edge
KEPT = timedelta(
    days=7
)  # gaps further back are no longer asked about: an incident that old was seen well since, or is open
LOCK = 0x41495247


def update_all(now: datetime) -> int:
    """All scopes in which something can still arrive."""
    scopes = Feed.objects.exclude(state=Feed.State.CLOSED).values_list("capture", flat=True).distinct()
    whole = leases.claim_slot("incidents", now, DATED_EVERY)
    return sum(update(scope, now, whole=whole) for scope in sorted(scopes))


def update(scope: str, now: datetime, *, whole: bool = True) -> int:
    """Bring the incidents of one scope (a capture's name, or "" for what is live) up to date; returns how many stand.

    `whole`: date and measure those too that are settled.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))", (LOCK, scope))
            if not cursor.fetchone()[0]:
                return 0
        known = _known(scope, now)
        standing, asked = _standing(scope, None if scope else now - HORIZON, known.airflows)
        said, hits = items.of_verdicts(asked)
        groups = [g for g in group([*said, *items.of_monitors(asked)]) if g.opens(known.to)]
        groups = continued(groups, known.missing)
        chains = parents(groups)
        several = {n for chain in chains for n in chain}
        homes = standing.homes(groups)
        drafts = [
            Draft(None, home, g, lone=n not in several) for n, (g, home) in enumerate(zip(groups, homes, strict=True))
        ]
        _fill([d for d in drafts if whole or not _settled(d, known.to)], hits, known)
        drafts += _parents(chains, drafts, standing)
        return write(scope, drafts, standing, now)


class Known(NamedTuple):
    """The Airflows of a scope, how far F5's side is known in it, and whether nothing more can come."""

    airflows: Sequence[int]
    to: datetime
    closed: bool

    gaps: Sequence[tuple[datetime, datetime | None]]  # of the feeds that bring requests

    def missing(self, start: datetime, end: datetime) -> bool:
        """Whether some request can be missing in this time."""
        return any(lo < end and (hi is None or hi > start) for lo, hi in self.gaps)


def _known(scope: str, now: datetime) -> Known:
    closed = bool(scope) and not Feed.objects.filter(capture=scope).exclude(state=Feed.State.CLOSED).exists()
    feeds = dict(request_feeds(scope).values_list("pk", "complete_to"))
    marks = [m or datetime.min.replace(tzinfo=now.tzinfo) for m in feeds.values()]
    gaps = Gap.objects.filter(feed__in=list(feeds)).order_by("start", "pk")
    if not scope:
        gaps = gaps.filter(Q(end=None) | Q(end__gte=now - KEPT))
    airflows = list(Airflow.objects.filter(feeds__capture=scope).distinct().values_list("pk", flat=True))
    return Known(airflows, min(marks, default=now), closed, list(gaps.values_list("start", "end")))


def _standing(scope: str, since: datetime | None, airflows: Sequence[int]) -> tuple[Standing, items.Scope]:
    """The incidents that can change, and what has to be read to group them anew."""
    mine = Incident.objects.filter(capture=scope, merged_into=None)
    strayed = Verdict.objects.filter(Q(incident__isnull=False) & ~BLAMES, incident__capture=scope)
    left = dict(strayed.values_list("pk", "incident_id"))
    if left:  # they blame nobody any more
        Verdict.objects.filter(pk__in=left).update(incident=None)
    if since is None:
        return Standing(list(mine)), items.Scope(scope, None, airflows)
    lately = Verdict.objects.filter(BLAMES, judged_at__gte=since, try_row__airflow__in=airflows)
    first = min(filter(None, (since, lately.aggregate(at=Min("bad_at"))["at"])))
    judged = lately.filter(incident__isnull=False).values("incident")
    alive = Q(end=None) | Q(end__gte=first - REOPEN) | Q(pk__in=set(left.values())) | Q(pk__in=judged)
    rows = list(mine.filter(alive))
    rows += list(mine.filter(pk__in={r.parent_id for r in rows if r.parent_id} - {r.pk for r in rows}))
    pools = {r.f5_pool_id for r in rows if r.f5_pool_id}
    begun = min((r.start for r in rows), default=since)
    return Standing(rows), items.Scope(scope, since, airflows, [r.pk for r in rows], pools, min(begun, since))


def _settled(d: Draft, known_to: datetime) -> bool:
    """It is over for long, and rests on what it rested on."""
    row, g = d.home, d.group
    if row is not None and (row.component_kind == "device") != (d.lone and row.cause in OF_DEVICE):
        return False
    if row is None or g is None or row.end is None or known_to - row.end < SETTLED:
        return False
    same = row.cause == g.cause and row.tries == len(g.verdicts) and all(i.incident_id == row.pk for i in g.verdicts)
    return same and row.health_events == _events(g) and row.withdrawn_at is None


def _events(g: Group) -> list[int]:
    return sorted(i.event_id for i in g.items if i.event_id is not None)


# What an incident says


def _fill(drafts: Sequence[Draft], hits: Mapping[int, items.Hit], known: Known) -> None:
    groups = [d.group for d in drafts if d.group is not None]
    if not groups:
        return
    targets, extents = extent.dated(groups, known.to)
    over = [_over(g, x, known) for g, x in zip(groups, extents, strict=True)]
    places = [
        reach.Place(g, tuple(t.parts()), x.start, x.last, t.kind)
        for g, t, x in zip(groups, targets, extents, strict=True)
    ]
    ends = told.ends_of(groups, extents, over, closed=known.closed)
    names = dict(DeviceGroup.objects.values_list("pk", "name"))
    found = zip(drafts, groups, extents, over, ends, reach.reached(places, hits, known.airflows), strict=True)
    for d, g, x, is_over, end, reached in found:
        d.values = _said(g, names, d.lone) | _times(g, x, is_over) | {"onset": end.onset, "ending": end.ending}
        if "before" in end.onset:
            end.onset["since"] = [reached.failed_requests, reached.failed_requests + x.well]
        d.values |= {"reach": asdict(reached), "messages": reached.airflow_messages + reached.f5_messages}


def _over(g: Group, x: extent.Extent, known: Known) -> bool:
    """It is over once its component was seen well for QUIET: one good second is no recovery, and no news is none either."""
    if known.closed:
        return True
    if g.end is None or known.to < x.last + extent.QUIET:
        return False
    by_monitor = any(i.event_id is not None and i.end == x.last for i in g.items)
    if by_monitor or x.good_since:
        return True
    return known.to >= x.last + extent.IDLE and not known.missing(x.last, x.last + extent.IDLE)


def _said(g: Group, names: Mapping[int, str], lone: bool) -> Values:
    """Who fails, and how. What hit the device is named by it where no parent is."""
    cause, members, first = g.cause, sorted(g.members), g.first
    endpoint = next((i.endpoint_id for i in g.items if i.endpoint_id), None)
    pool = next((i.f5_pool_id for i in g.items if i.f5_pool_id), None)
    if lone and cause in OF_DEVICE and first.group:
        kind, component = "device", names.get(first.group, "")
    elif (cause in MEMBER_CAUSES or cause == "monitor_flap") and len(members) == 1:
        kind, component = "member", members[0]
    else:
        kind, component = ("pool" if pool else "virtual_server"), first.place
    return {
        "fingerprint": fingerprint(cause, names.get(first.group, ""), component),
        "culprit": CAUSES[cause].culprit, "cause": cause, "component_kind": kind, "component": component,
        "device_group_id": first.group or None, "endpoint_id": endpoint, "f5_pool_id": pool, "members": members,
        "tries": len(g.verdicts), "health_events": _events(g),
    }  # fmt: skip


def fingerprint(cause: str, device_group: str, component: str) -> str:
    """Cause and component: the same trouble has it again next time."""
    return hashlib.sha256(f"{cause}|{device_group}|{component}".encode()).hexdigest()[:32]


def _times(g: Group, x: extent.Extent, is_over: bool) -> Values:
    return {
        "start": x.start, "last_evidence_at": x.last, "end": x.last if is_over else None,
        "first_hit_at": min((i.start for i in g.verdicts), default=None),
        "noticed_at": min((i.start for i in g.items if i.event_id is not None), default=None),
    }  # fmt: skip


# What hit a whole device


def _parents(chains: Sequence[Sequence[int]], drafts: Sequence[Draft], standing: Standing) -> list[Draft]:
    """The parents of these, which name the device; they follow from their parts, and so are never settled."""
    found, taken = [], set[int]()
    for places in chains:
        parts = [drafts[n] for n in places]
        home = standing.home_of_parent(parts, taken)
        taken |= {home.pk} if home is not None else set()
        parent = Draft(_whole([d.values or _as_written(d.home) for d in parts]), home)
        for d in parts:
            d.parent = parent
        found.append(parent)
    return found


def _as_written(row: Incident | None) -> Values:
    assert row is not None  # only what has a row is settled
    return {name: getattr(row, name) for name in COLUMNS}


def _whole(parts: Sequence[Values]) -> Values:
    """What the parts say together."""
    first, last = min(parts, key=_started), max(parts, key=_lasted)
    device, named = _group_name(first), min((p for p in parts if p["cause"] in DEVICE_CAUSES), key=_started)
    reaches = [p["reach"] for p in parts]
    together: Values = {name: _added([r.get(name) for r in reaches]) for name in asdict(reach.Reach())}
    return {
        "fingerprint": fingerprint(named["cause"], device, device), "culprit": named["culprit"], "cause": named["cause"],
        "component_kind": "device", "component": device, "device_group_id": first["device_group_id"],
        "endpoint_id": None, "f5_pool_id": None, "members": [], "health_events": [],
        "tries": sum(p["tries"] for p in parts), "messages": sum(p["messages"] for p in parts),
        "start": first["start"], "last_evidence_at": last["last_evidence_at"],
        "end": None if any(p["end"] is None for p in parts) else max(p["end"] for p in parts),
        "first_hit_at": min(filter(None, (p["first_hit_at"] for p in parts)), default=None),
        "noticed_at": min(filter(None, (p["noticed_at"] for p in parts)), default=None),
        "onset": first["onset"], "ending": last["ending"], "reach": together,
    }  # fmt: skip


def _started(values: Values) -> tuple[datetime, str]:
    return values["start"], values["component"]


def _lasted(values: Values) -> tuple[datetime, str]:
    return values["last_evidence_at"], values["component"]


def _group_name(values: Values) -> str:
    found: str = DeviceGroup.objects.values_list("name", flat=True).get(pk=values["device_group_id"])
    return found


def _added(told: Sequence[Any]) -> Any:
    """Numbers are added, names put together."""
    if any(isinstance(one, list) for one in told):
        return sorted({name for names in told for name in names or ()})
    return sum(one or 0 for one in told)
