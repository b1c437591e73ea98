"""Save what the ltm and audit logs and iControl tell: health events, audit facts, members and virtual servers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from airf5.accounts.models import UserAction
from ingest import models, records
from ingest.models import Device, Feed, HealthEvent
from ingest.parsers import f5_audit, f5_folded, f5_ltm
from ingest.store import members
from ingest.store.airflow import action_row
from ingest.store.feeds import Counts, Line, Rejected, note_gap, outside

# One change is logged by every tmm, by mcpd and bigd, and by each relay, within about a second.
SAME_WITHIN = timedelta(seconds=2)
# Each unit of a pair asks on its own, so the other one tells of the same change up to an interval or two of its monitor later.
SAME_BY_PEER = timedelta(seconds=30)

Subject = tuple[int, str, str, str]
# What F5 says of one connection is about that connection: the next one's is no repetition, however soon it comes.
OF_A_CONNECTION = ("reset_sent", "tls_failure", "limit", "port_exhaustion", "rule_error", "rule_aborted", "waf_blocked")
Record = records.HealthEvent | records.Action | records.Other | records.Reject


class Parsed(NamedTuple):
    line: Line
    record: Any
    more: Sequence[Line] = ()  # the further lines of this message

    @property
    def lines(self) -> int:
        return 1 + len(self.more)


def save_lines(feed: Feed, lines: Sequence[Line], oldest: datetime | None, newest: datetime | None) -> Counts:
    """Save lines of an ltm or audit log; times outside of `oldest` to `newest` are rejected."""
    device = feed.device
    assert device is not None
    offset = timedelta(seconds=device.utc_offset_s)
    counts = Counts(read=len(lines))
    good: list[Parsed] = []
    for one in folded(lines, offset):
        line, record = one.line, one.record
        at = getattr(record, "at", None)
        if isinstance(record, records.Reject):
            counts.rejects.append(Rejected(line.line_id, line.received_at, record.reason, record.raw))
        elif reason := outside(at, oldest, newest):
            counts.rejects.append(Rejected(line.line_id, line.received_at, reason, record.raw))
            for more in one.more:
                counts.rejects.append(
                    Rejected(more.line_id, more.received_at, f"belongs to the line before: {reason}", more.text)
                )
        else:
            good.append(one)
            counts.newest_at = max(filter(None, (counts.newest_at, at)), default=None)
    savers = ((save_health, records.HealthEvent), (save_actions, records.Action), (save_others, records.Other))
    for save, kind in savers:
        some = [one for one in good if isinstance(one.record, kind)]
        if some:
            fresh = save(feed, device, some)
            counts.rows += fresh
            counts.repeated += sum(one.lines for one in some) - fresh
    return counts


def folded(lines: Sequence[Line], offset: timedelta) -> Iterator[Parsed]:
    """The lines as records; lines that go on with the message of the line before them are one with it.

    Every line of the file is in exactly one record. A continuation whose beginning was stored with an earlier chunk is
    kept as a record of its own.
    """
    place = 0
    while place < len(lines):
        line, text, size = lines[place], lines[place].text, 1
        while place + size < len(lines):
            message = f5_folded.message_of(lines[place + size].text)
            if not f5_folded.continues(f5_folded.message_of(text), message):
                break
            text, size = f"{text}\n{message}", size + 1
        record = parse(text, line.received_at, offset)
        if size > 1 and isinstance(record, records.Reject):
            size, record = 1, parse(line.text, line.received_at, offset)
        if isinstance(record, records.Reject) and f5_folded.is_trace(f5_folded.message_of(line.text)):
            record = records.Other(line.received_at, "", "", "", "", record.raw, record.raw)
        yield Parsed(line, record, lines[place + 1 : place + size])
        place += size


def parse(text: str, received_at: datetime, offset: timedelta) -> Record:
    """The record of a line of either log: devices can be told to send both to one place."""
    health = f5_ltm.parse(text, received_at, offset)
    if isinstance(health, records.HealthEvent):
        return health
    return f5_audit.parse(text, received_at, offset)  # of the two it is the one that masks secrets


def save_health(feed: Feed, device: Device, found: Sequence[Parsed]) -> int:
    """Store health events, equal ones as one with their count; the number of lines that told something new."""
    # The units of a pair tell of the same change, and two workers may read them at once: one after the other.
    list(models.DeviceGroup.objects.select_for_update(no_key=True).filter(pk=device.group_id).values_list("pk"))
    names = _names(device, [one.record for one in found])
    known = _known(device, [one.record.at for one in found])
    fresh: list[HealthEvent] = []
    counted: dict[int, HealthEvent] = {}
    lines = 0
    for one in found:
        row = _health_row(feed, device, one, names)
        others = known.setdefault(_subject(row), [])
        same = _equal(row, others)
        if same is None:
            others.append(row)
            others.sort(key=lambda event: event.at)
            fresh.append(row)
            lines += one.lines
        else:
            _count_again(same, row, device)
            if same.pk:
                counted[same.pk] = same
    HealthEvent.objects.bulk_create(fresh, ignore_conflicts=True)
    HealthEvent.objects.bulk_update(counted.values(), ["count", "detail"])
    members.follow(fresh)
    _note_lost(feed, found)
    return lines


def _known(device: Device, times: Sequence[datetime]) -> dict[Subject, list[HealthEvent]]:
    """The stored events of this device's group around these times, by what they are about, in time order."""
    lo, hi = min(times) - SAME_BY_PEER, max(times) + SAME_BY_PEER
    near = HealthEvent.objects.filter(device__group_id=device.group_id, at__gte=lo, at__lte=hi)
    known: dict[Subject, list[HealthEvent]] = {}
    for event in near.order_by("at", "id"):
        known.setdefault(_subject(event), []).append(event)
    return known


def _subject(event: HealthEvent) -> Subject:
    """What the event is about; what a device says of itself is about that device alone."""
    return event.device_id if event.kind == "device" else 0, event.kind, event.object, event.connection


def _connection(event: records.HealthEvent) -> str:
    """The connection that the event is about, where it is about one."""
    ends = (str(event.detail.get(name, "")) for name in ("source", "target", "support_id"))
    return " ".join(filter(None, ends))[:200] if event.state in OF_A_CONNECTION else ""


def _count_again(same: HealthEvent, row: HealthEvent, device: Device) -> None:
    """One more line tells of the event; a notice of lost messages that a second relay brings loses nothing more."""
    if row.state == "lost_messages" and (row.at, row.reason) == (same.at, same.reason):
        return
    same.count += row.count
    if same.device_id != device.pk:
        also = {*same.detail.get("also_told_by", ()), device.name}
        same.detail = {**same.detail, "also_told_by": sorted(also)}


def _note_lost(feed: Feed, found: Sequence[Parsed]) -> None:
    for event in (one.record for one in found):
        if event.state == "lost_messages":
            source = event.detail.get("process") or "the device"
            note_gap(feed, event.at - timedelta(seconds=1), event.at, f"{source} held back messages", event.count)


def _names(device: Device, found: Sequence[records.HealthEvent]) -> members.Names:
    """What the events name. Pools of GSLB are other pools than those of LTM, even where they share a name."""
    names = members.Names(device.group_id)
    found = [event for event in found if not event.detail.get("gtm")]
    names.need_pools({event.f5_pool for event in found if event.f5_pool})
    names.need_members({(event.f5_pool, event.member) for event in found if event.f5_pool and event.member})
    names.load_endpoints({event.object for event in found if event.kind.startswith("virtual")})
    return names


def _health_row(feed: Feed, device: Device, one: Parsed, names: members.Names) -> HealthEvent:
    event: records.HealthEvent = one.record
    gtm = bool(event.detail.get("gtm"))
    what = ("" if gtm else event.object) or " ".join(filter(None, (event.f5_pool, event.member))) or event.object
    what = what or str(event.detail.get("process", ""))  # each daemon holds back messages of its own
    return HealthEvent(
        device=device,
        feed=feed,
        at=event.at,
        kind=event.kind[:20],
        state=event.state[:30],
        message_id=event.message_id[:12],
        object=what[:300],
        connection=_connection(event),
        f5_pool_id=None if gtm else names.pools.get(event.f5_pool),
        member_id=None if gtm else names.members.get((event.f5_pool, event.member)),
        endpoint_id=None if gtm else names.endpoints.get(event.object),
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
        within = SAME_WITHIN if event.device_id == row.device_id else SAME_BY_PEER
        if event.state == row.state and abs(event.at - row.at) <= within:
            return event
    at_once = (event for event in others if event.at == row.at)
    return next((event for event in at_once if event.state == row.state and event.message_id == row.message_id), None)


def save_actions(feed: Feed, device: Device, found: Sequence[Parsed]) -> int:
    """Store audit facts, each once; the number of lines that told something new."""
    rows = {}
    sizes: dict[str, int] = {}
    for one in found:
        # Two relays bring one line with two times of receipt: they are no part of the fact.
        row = action_row(one.record, device.name, one.line.line_id, f5_folded.message_of(one.record.raw))
        rows.setdefault(row.fingerprint, row)
        sizes.setdefault(row.fingerprint, one.lines)
    known = set(UserAction.objects.filter(fingerprint__in=rows).values_list("fingerprint", flat=True))
    fresh = [row for natural, row in rows.items() if natural not in known]
    UserAction.objects.bulk_create(fresh, ignore_conflicts=True)
    return sum(sizes[row.fingerprint] for row in fresh)


def save_others(feed: Feed, device: Device, found: Sequence[Parsed]) -> int:
    """Keep lines that are F5's and of no kind we judge by; the number of lines."""
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
    return sum(one.lines for one in found)


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
    wanted: dict[str, Any] = {
        "address": server.address[:64],
        "port": server.port,
        "f5_pool_id": pool_id,
        "sees_http": server.sees_http,
        "logs_requests": server.logs_requests,
        "enabled": server.enabled,
        "policies": list(server.policies),
        "rules": list(server.rules),
    }
    if server.profiles is not None:
        wanted["profiles"] = [list(profile) for profile in server.profiles]
    row, created = models.Endpoint.objects.get_or_create(
        group_id=device.group_id, name=server.name[:300], defaults={**wanted, "hosts": sorted(server.hosts)}
    )
    hosts = sorted({*row.hosts, *server.hosts})
    if created or (hosts == row.hosts and all(getattr(row, name) == value for name, value in wanted.items())):
        return created
    models.Endpoint.objects.filter(pk=row.pk).update(hosts=hosts, **wanted)
    return True
