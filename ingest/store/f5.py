"""Save what the ltm and audit logs and iControl tell: health events, audit facts, members and virtual servers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from airf5.accounts.models import UserAction
from ingest import models, records
from ingest.models import Device, Feed, HealthEvent
from ingest.parsers import f5_audit, f5_ltm
from ingest.parsers.f5_header import split_spool
from ingest.store import members
from ingest.store.airflow import action_row
from ingest.store.feeds import Counts, Line, Rejected, note_gap

# One change is logged by every tmm, by mcpd and bigd, and by each relay, within about a second.
SAME_WITHIN = timedelta(seconds=2)

Record = records.HealthEvent | records.Action | records.Other | records.Reject


class Parsed(NamedTuple):
    line: Line
    record: Any


def save_lines(feed: Feed, lines: Sequence[Line], oldest: datetime | None, newest: datetime | None) -> Counts:
    """Save lines of an ltm or audit log; times outside of `oldest` to `newest` are rejected."""
    device = feed.device
    assert device is not None
    offset = timedelta(seconds=device.utc_offset_s)
    counts = Counts(read=len(lines))
    good: list[Parsed] = []
    for line in lines:
        record = parse(line.text, line.received_at, offset)
        at = getattr(record, "at", None)
        if isinstance(record, records.Reject):
            counts.rejects.append(Rejected(line.line_id, line.received_at, record.reason, record.raw))
        elif at and ((oldest and at < oldest) or (newest and at > newest)):
            reason = f"its time, {at:%Y-%m-%d %H:%M:%S}, is outside of what is kept"
            counts.rejects.append(Rejected(line.line_id, line.received_at, reason, record.raw))
        else:
            good.append(Parsed(line, record))
            counts.newest_at = max(filter(None, (counts.newest_at, at)), default=None)
    savers = ((save_health, records.HealthEvent), (save_actions, records.Action), (save_others, records.Other))
    for save, kind in savers:
        some = [one for one in good if isinstance(one.record, kind)]
        if some:
            fresh = save(feed, device, some)
            counts.rows += fresh
            counts.repeated += len(some) - fresh
    return counts


def parse(text: str, received_at: datetime, offset: timedelta) -> Record:
    """The record of a line of either log: devices can be told to send both to one place."""
    health = f5_ltm.parse(text, received_at, offset)
    if isinstance(health, records.HealthEvent):
        return health
    return f5_audit.parse(text, received_at, offset)  # of the two it is the one that masks secrets


def save_health(feed: Feed, device: Device, found: Sequence[Parsed]) -> int:
    """Store health events, equal ones as one with their count; the number of new ones."""
    names = _names(device, [one.record for one in found])
    times = [one.record.at for one in found]
    near = HealthEvent.objects.filter(device=device, at__gte=min(times) - SAME_WITHIN, at__lte=max(times) + SAME_WITHIN)
    known: dict[tuple[str, str], list[HealthEvent]] = {}
    for event in near.order_by("at", "id"):
        known.setdefault((event.kind, event.object), []).append(event)
    fresh: list[HealthEvent] = []
    counted: dict[int, HealthEvent] = {}
    for one in found:
        row = _health_row(feed, device, one, names)
        others = known.setdefault((row.kind, row.object), [])
        same = _equal(row, others)
        if same is None:
            others.append(row)
            others.sort(key=lambda event: event.at)
            fresh.append(row)
        else:
            same.count += row.count
            if same.pk:
                counted[same.pk] = same
    HealthEvent.objects.bulk_create(fresh, ignore_conflicts=True)
    HealthEvent.objects.bulk_update(counted.values(), ["count"])
    members.follow(fresh)
    _note_lost(feed, found)
    return len(fresh)


def _note_lost(feed: Feed, found: Sequence[Parsed]) -> None:
    for _, event in found:
        if event.state == "lost_messages":
            source = event.detail.get("process") or "the device"
            note_gap(feed, event.at - timedelta(seconds=1), event.at, f"{source} held back messages", event.count)


def _names(device: Device, found: Sequence[records.HealthEvent]) -> members.Names:
    names = members.Names(device.group_id)
    names.need_pools({event.f5_pool for event in found if event.f5_pool})
    names.need_members({(event.f5_pool, event.member) for event in found if event.f5_pool and event.member})
    names.load_endpoints({event.object for event in found if event.kind.startswith("virtual")})
    return names


def _health_row(feed: Feed, device: Device, one: Parsed, names: members.Names) -> HealthEvent:
    event: records.HealthEvent = one.record
    what = event.object or " ".join(filter(None, (event.f5_pool, event.member)))
    what = what or str(event.detail.get("process", ""))  # each daemon holds back messages of its own
    return HealthEvent(
        device=device,
        feed=feed,
        at=event.at,
        kind=event.kind[:20],
        state=event.state[:30],
        message_id=event.message_id[:12],
        object=what[:300],
        f5_pool_id=names.pools.get(event.f5_pool),
        member_id=names.members.get((event.f5_pool, event.member)),
        endpoint_id=names.endpoints.get(event.object),
        monitor=event.monitor[:300],
        reason=event.reason[:500],
        was=event.was[:30],
        lasted_s=event.lasted_s,
        count=event.count or 1,
        detail={**event.detail, **({"monitor_state": event.monitor_state} if event.monitor_state else {})},
        line_id=one.line.line_id,
        raw=event.raw,
    )


def _equal(row: HealthEvent, others: Sequence[HealthEvent]) -> HealthEvent | None:
    """The same change told before: next to it in time, with no other change of this object in between."""
    before = [event for event in others if event.at <= row.at][-1:]
    after = [event for event in others if event.at > row.at][:1]
    for event in (*before, *after):
        if event.state == row.state and abs(event.at - row.at) <= SAME_WITHIN:
            return event
    at_once = (event for event in others if event.at == row.at)
    return next((event for event in at_once if event.state == row.state and event.message_id == row.message_id), None)


def save_actions(feed: Feed, device: Device, found: Sequence[Parsed]) -> int:
    """Store audit facts, each once."""
    rows = {}
    for one in found:
        spooled = split_spool(one.record.raw)
        # Two relays bring one line with two times of receipt: they are no part of the fact.
        row = action_row(one.record, device.name, one.line.line_id, spooled.message if spooled else one.record.raw)
        rows.setdefault(row.fingerprint, row)
    known = set(UserAction.objects.filter(fingerprint__in=rows).values_list("fingerprint", flat=True))
    fresh = [row for natural, row in rows.items() if natural not in known]
    UserAction.objects.bulk_create(fresh, ignore_conflicts=True)
    return len(fresh)


def save_others(feed: Feed, device: Device, found: Sequence[Parsed]) -> int:
    """Keep lines that are F5's and of no kind we judge by."""
    models.F5Message.objects.bulk_create(
        models.F5Message(
            device=device,
            feed=feed,
            at=one.record.at or one.line.received_at,
            process=one.record.process[:60],
            message_id=one.record.message_id[:12],
            text=one.record.text,
            line_id=one.line.line_id,
        )
        for one in found
    )
    return len(found)


def save_snapshot(
    device: Device, states: Iterable[records.MemberState], servers: Iterable[records.VirtualServer], at: datetime
) -> int:
    """Pools, members and virtual servers as iControl shows them; the number of rows that are new or different."""
    states, servers = list(states), list(servers)
    names = members.Names(device.group_id)
    names.need_pools({state.f5_pool for state in states} | {server.f5_pool for server in servers if server.f5_pool})
    changed = sum(members.save_state(names.pools[state.f5_pool], state, at) for state in states)
    for pool, monitor in {state.f5_pool: state.monitor for state in states if state.monitor}.items():
        models.F5Pool.objects.filter(pk=names.pools[pool]).update(monitor=monitor[:300])
    return changed + sum(_save_server(device, server, names.pools.get(server.f5_pool)) for server in servers)


def _save_server(device: Device, server: records.VirtualServer, pool_id: int | None) -> bool:
    wanted = {
        "address": server.address[:64],
        "port": server.port,
        "f5_pool_id": pool_id,
        "sees_http": server.sees_http,
        "logs_requests": server.logs_requests,
    }
    row, created = models.Endpoint.objects.get_or_create(
        group_id=device.group_id, name=server.name[:300], defaults={**wanted, "hosts": sorted(server.hosts)}
    )
    hosts = sorted({*row.hosts, *server.hosts})
    if created or (hosts == row.hosts and all(getattr(row, name) == value for name, value in wanted.items())):
        return created
    models.Endpoint.objects.filter(pk=row.pk).update(hosts=hosts, **wanted)
    return True
