"""Open, extend, reopen and close incidents, from the verdicts and from what F5's monitors say."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Q

from airf5.failpoints import failpoint
from ingest.incident_groups import REOPEN, Group, Item, group, sequence
from ingest.models import Endpoint, Feed, HealthEvent, Incident, Request, Verdict, request_feeds
from ingest.rules.causes import CAUSES

HORIZON = timedelta(hours=24)  # older incidents are settled
QUIET = timedelta(seconds=60)  # no evidence for so long: it is over
LOCK = 0x41495247
OUT = ("down", "node_down", "forced_down")
BACK = ("up", "available", "removed")


def update_all(now: datetime) -> int:
    """All scopes in which something can still arrive."""
    scopes = Feed.objects.exclude(state=Feed.State.CLOSED).values_list("capture", flat=True).distinct()
    return sum(update(scope, now) for scope in sorted(scopes))


def update(scope: str, now: datetime) -> int:
    """Bring the incidents of one scope (a capture's name, or "" for what is live) up to date; returns how many stand."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))", (LOCK, scope))
            if not cursor.fetchone()[0]:
                return 0
        since = None if scope else now - HORIZON
        groups = sequence(group([*_verdict_items(scope, since), *_health_items(scope, since)]))
        kept = [_save(scope, g, now) for g in groups]
        failpoint("incidents.saved")
        _forget(scope, since, {i.pk for i in kept})
        return len(kept)


# What speaks


def _verdict_items(scope: str, since: datetime | None) -> Iterable[Item]:
    """Verdicts that blame the route or the service."""
    found = Verdict.objects.filter(
        culprit__in=("route", "service"), try_row__airflow__feeds__capture=scope, bad_at__isnull=False
    )
    if since is not None:
        found = found.filter(bad_at__gte=since)
    for v in found.select_related("endpoint", "f5_pool", "member", "try_row").order_by("bad_at", "pk").distinct():
        members = frozenset({v.component}) if v.component_kind == "member" else frozenset()
        place = v.f5_pool.name if v.f5_pool else (v.endpoint.name if v.endpoint else v.component)
        over = max(v.bad_at, min(v.try_row.end_at or v.bad_at, v.bad_at + timedelta(minutes=5)))  # type: ignore[type-var]
        yield Item(
            v.bad_at, over, v.culprit, v.cause, v.endpoint.group_id if v.endpoint else 0, place,  # type: ignore[arg-type]
            v.endpoint_id, v.f5_pool_id, members, v.pk, v.incident_id,
        )  # fmt: skip


def _health_items(scope: str, since: datetime | None) -> Iterable[Item]:
    """Intervals in which a monitor held a member for down, and in which a pool had no member."""
    events = HealthEvent.objects.filter(
        f5_pool__isnull=False, device__feeds__capture=scope, kind__in=("member", "pool")
    )
    if since is not None:
        events = events.filter(at__gte=since)
    by_object: dict[tuple[int, int], list[HealthEvent]] = {}
    for e in events.select_related("f5_pool", "member").order_by("at", "pk").distinct():
        by_object.setdefault((e.f5_pool_id or 0, e.member_id or 0), []).append(e)
    api = set(Endpoint.objects.filter(execution_api=True).values_list("f5_pool_id", flat=True))
    reach = dict(Endpoint.objects.filter(f5_pool__isnull=False).order_by("-pk").values_list("f5_pool_id", "pk"))
    for (pool_id, _), found in sorted(by_object.items()):
        yield from _intervals(found, pool_id in api, reach.get(pool_id))


def _intervals(events: Sequence[HealthEvent], api: bool, endpoint_id: int | None) -> Iterable[Item]:
    began: HealthEvent | None = None
    for e in events:
        if began is None and e.state in (*OUT, "no_members"):
            began = e
        elif began is not None and e.state in (*BACK, "has_members"):
            yield _health_item(began, e.at, api, endpoint_id)
            began = None
    if began is not None:
        yield _health_item(began, None, api, endpoint_id)


def _health_item(e: HealthEvent, end: datetime | None, api: bool, endpoint_id: int | None) -> Item:
    assert e.f5_pool is not None
    pool_cause = "api_unreachable" if api else "no_member"
    return Item(
        e.at, end, "route", pool_cause if e.state == "no_members" else "member_down", e.f5_pool.group_id, e.f5_pool.name,
        endpoint_id, e.f5_pool_id, frozenset({e.member.name}) if e.member else frozenset(),
    )  # fmt: skip


# What is written


def _save(scope: str, g: Group, now: datetime) -> Incident:
    """The incident of this group: found again or opened, and brought up to date."""
    incident = _found(scope, g) or Incident(capture=scope, fingerprint=_fingerprint(scope, g))
    start, last = _extent(g)
    first = g.items[0]
    members = sorted(g.members)
    one = (
        g.cause in ("member_down", "wrong_member", "slow_member", "member_grey", "reset_by_server")
        and len(members) == 1
    )
    incident.culprit, incident.cause = CAUSES[g.cause].culprit, g.cause
    incident.component_kind = "member" if one else ("pool" if first.f5_pool_id else "virtual_server")
    incident.component = members[0] if one else first.place
    incident.device_group_id = first.group or None
    incident.endpoint_id = next((i.endpoint_id for i in g.items if i.endpoint_id), None)
    incident.f5_pool_id = next((i.f5_pool_id for i in g.items if i.f5_pool_id), None)
    incident.members = members
    incident.start, incident.last_evidence_at = start, last
    over = g.end is not None and (_closed(scope) or _watermark(scope, now) >= last + QUIET)
    incident.end = last if over else None
    verdicts = [i.verdict_id for i in g.items if i.verdict_id is not None]
    incident.tries = len(verdicts)
    incident.save()
    Verdict.objects.filter(pk__in=verdicts).exclude(incident=incident).update(incident=incident)
    return incident


def _fingerprint(scope: str, g: Group) -> str:
    first = g.items[0]
    return hashlib.sha256(f"{scope}|{g.cause}|{first.group}|{first.place}".encode()).hexdigest()[:32]


def _found(scope: str, g: Group) -> Incident | None:
    """The incident that holds these verdicts already, else one of the same fingerprint and time."""
    ids = sorted({i.incident_id for i in g.items if i.incident_id})
    if ids:
        incident = Incident.objects.filter(pk=ids[0]).first()
        if len(ids) > 1 and incident is not None:
            Incident.objects.filter(pk__in=ids[1:], start__gte=g.start - REOPEN).update(merged_into=incident, tries=0)
        if incident is not None:
            return incident
    end = g.end or datetime.max.replace(tzinfo=g.start.tzinfo)
    near = Incident.objects.filter(
        capture=scope, merged_into=None, f5_pool=g.items[0].f5_pool_id, device_group=g.items[0].group or None
    )
    near = near.filter(Q(end=None) | Q(end__gte=g.start - REOPEN)).filter(start__lte=end)
    for incident in near.order_by("pk"):
        shared = set(incident.members) & g.members
        alike = incident.fingerprint == _fingerprint(scope, g)
        if (alike and (shared or not incident.members or not g.members)) or (shared and _same_time(incident, g)):
            return incident
    return None


def _same_time(incident: Incident, g: Group) -> bool:
    end = g.end or datetime.max.replace(tzinfo=g.start.tzinfo)
    return incident.start <= end and (incident.end is None or incident.end >= g.start)


def _extent(g: Group) -> tuple[datetime, datetime]:
    """First and last evidence: the items, and before and after them the bad requests of the same component without a pause."""
    start = g.start
    last = max((i.end or i.start) for i in g.items)
    endpoint = next((i.endpoint_id for i in g.items if i.endpoint_id and i.verdict_id), None)
    if endpoint is None:
        return start, last
    bad = Request.objects.filter(endpoint_id=endpoint, outcome__gt=2, ts__gte=start - REOPEN, ts__lt=last + REOPEN)
    times = sorted(bad.values_list("ts", flat=True)[:20000])
    for at in reversed([t for t in times if t < start]):
        if start - at > QUIET:
            break
        start = at
    for at in [t for t in times if t > last]:
        if at - last > QUIET:
            break
        last = at
    return start, last


def _watermark(scope: str, now: datetime) -> datetime:
    """Up to when F5's side is known in this scope."""
    marks = request_feeds(scope).values_list("complete_to", flat=True)
    return min([m or datetime.min.replace(tzinfo=now.tzinfo) for m in marks], default=now)


def _closed(scope: str) -> bool:
    """Every feed of the scope has ended (a capture replayed to its end)."""
    return bool(scope) and not Feed.objects.filter(capture=scope).exclude(state=Feed.State.CLOSED).exists()


def _forget(scope: str, since: datetime | None, kept: set[int]) -> None:
    """Incidents whose evidence was judged otherwise: gone, unless a person has said something about them."""
    gone = Incident.objects.filter(capture=scope, merged_into=None).exclude(pk__in=kept)
    if since is not None:
        gone = gone.filter(start__gte=since)
    gone.filter(notes=None, acknowledged_at=None).delete()
    gone.update(tries=0)
