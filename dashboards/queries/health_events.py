"""Health events: changes of members, pools and virtual servers, and what a member was believed to be over time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from airf5.accounts.roles import Scope
from dashboards.filters import Filter
from dashboards.queries import narrow, paging
from dashboards.queries.database import reading
from dashboards.queries.rows import HealthEventRow, MemberTrack, Page, RequestRow, Span
from ingest import models

KEYS = {"-at": paging.Key("at", datetime), "at": paging.Key("at", datetime, descending=False)}
RELATED = ("device", "f5_pool", "member", "endpoint")

# What a health event says about its member, in the words a track is drawn with.
TRACK = {
    "up": "up", "enabled": "up", "available": "up", "down": "down", "node_down": "down", "unavailable": "down",
    "forced_down": "disabled", "disabled": "disabled", "forced_disabled": "disabled", "user_down": "disabled",
    "session_disabled": "disabled", "session_enabled": "up", "removed": "removed",
}  # fmt: skip


@reading()
def listed(asked: Filter, scope: Scope) -> Page[HealthEventRow]:
    return paging.keyset(chosen(asked, scope).select_related(*RELATED), asked, KEYS, row)


def chosen(asked: Filter, scope: Scope) -> QuerySet[Any]:
    found = models.HealthEvent.objects.filter(at__gte=asked.start, at__lt=asked.end)
    if asked.state:
        found = found.filter(state__in=asked.values("state"))
    if narrow.about_tries(asked):
        found = found.filter(of_endpoints(narrow.used_endpoints(asked, scope)))
    if asked.device_group:
        found = found.filter(narrow.in_group(asked, "device__group__name"))
    ids = narrow.routes(asked if asked.endpoint else asked.with_(device_group=""))
    if "endpoint_id" in ids:
        found = found.filter(of_endpoints(ids["endpoint_id"]))
    if "f5_pool_id" in ids:
        found = found.filter(f5_pool_id__in=ids["f5_pool_id"])
    if "member_id" in ids:
        found = found.filter(member_id__in=ids["member_id"])
    return found


@reading()
def between(
    start: datetime, end: datetime, endpoints: Sequence[int], pools: Sequence[int], limit: int = 300
) -> tuple[HealthEventRow, ...]:
    """Events of these endpoints and pools, oldest first."""
    condition = of_endpoints(endpoints) | Q(f5_pool_id__in=pools)
    found = models.HealthEvent.objects.filter(condition, at__gte=start, at__lt=end)
    return tuple(row(one) for one in found.select_related(*RELATED).order_by("at", "id")[:limit])


def of_endpoints(endpoint_ids: Sequence[int] | set[int]) -> Q:
    """Events of virtual servers, and of the pools that are behind them."""
    pools = models.Endpoint.objects.filter(id__in=endpoint_ids, f5_pool__isnull=False).values("f5_pool_id")
    return Q(endpoint_id__in=endpoint_ids) | Q(f5_pool_id__in=pools)


@reading()
def tracks(
    pools: Sequence[int],
    start: datetime,
    end: datetime,
    requests: Sequence[RequestRow] = (),
    *,
    known: tuple[datetime | None, datetime | None] = (None, None),
) -> tuple[MemberTrack, ...]:
    """One lane a member: spans of its state between two instants, and the requests that matter at it.

    The state at the window's start is that of the last event before it, else what the first event in it says it was.
    `known` is from when to when the logs are complete: a line begins and stops there.
    """
    members = list(
        models.Member.objects.filter(Q(removed_at=None) | Q(removed_at__gt=start), f5_pool_id__in=pools)
        .select_related("f5_pool__group")
        .order_by("f5_pool__name", "name")
    )
    ids = [member.id for member in members]
    events = list(models.HealthEvent.objects.filter(member_id__in=ids, at__gte=start, at__lt=end).order_by("at", "id"))
    before = {
        event.member_id: event
        for event in models.HealthEvent.objects.filter(member_id__in=ids, at__lt=start)
        .order_by("member_id", "-at", "-id")
        .distinct("member_id")
    }
    last = min(end, known[1]) if known[1] else end
    first = max(start, known[0]) if known[0] else start
    return tuple(
        MemberTrack(
            member_id=member.id, member=member.name, f5_pool_id=member.f5_pool_id, f5_pool=member.f5_pool.name,
            state=member.state, session=member.session,
            spans=spans(
                [e for e in events if e.member_id == member.id], before.get(member.id), member.state, first, last
            ),
            requests=tuple(r for r in requests if r.member_id == member.id), device_group=member.f5_pool.group.name,
        )
        for member in members
    )  # fmt: skip


def spans(events: Sequence[Any], before: Any, now_state: str, start: datetime, end: datetime) -> tuple[Span, ...]:
    """The spans of one member. What the monitor says while a person has it disabled does not show."""
    at, event_id, reason = start, None, ""
    if before is not None:
        state, event_id, reason = said(before.state), before.id, before.reason
    elif events:
        state = said(events[0].was) if events[0].was else {"up": "down", "down": "up"}.get(said(events[0].state), "up")
    else:
        state = said(now_state)
    found: list[Span] = []
    for event in events:
        new = said(event.state)
        if (new == "unknown" and event.state != "added") or new == state:
            continue
        if event.at > at:
            found.append(Span(at, event.at, state, reason, event_id))
        at, state, reason, event_id = event.at, new, event.reason, event.id
    if end > at:
        found.append(Span(at, end, state, reason, event_id))
    return tuple(found)


def said(state: str) -> str:
    return TRACK.get(state.replace("-", "_"), "unknown")


def row(one: Any) -> HealthEventRow:
    return HealthEventRow(
        id=one.id, at=one.at, device=one.device.name, kind=one.kind, state=one.state, was=one.was,
        message_id=one.message_id,
        object=one.object, f5_pool_id=one.f5_pool_id, f5_pool=one.f5_pool.name if one.f5_pool else "",
        member_id=one.member_id, member=one.member.name if one.member else "",
        endpoint_id=one.endpoint_id, endpoint=one.endpoint.name if one.endpoint else "",
        monitor=one.monitor, reason=one.reason, lasted_s=one.lasted_s, count=one.count, raw=one.raw,
    )  # fmt: skip
