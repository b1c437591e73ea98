"""Save what Telemetry Streaming pushed, in the caller's transaction: requests, health events, audit facts, states.

Each line of a batch is taken once: its place in the batch says whether it is new (`models.PushBatch`). The poller's
output becomes the states of members and virtual servers, and a health event where it says something else than before
and no log has told of that change.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from airf5.failpoints import planted
from ingest import records
from ingest.models import Device, Endpoint, Feed, HealthEvent, PolledState, PushBatch
from ingest.parsers import f5_listed, f5_polled, f5_telemetry
from ingest.parsers.f5 import parse_auto
from ingest.parsers.f5_header import split_spool
from ingest.records import TORN, RequestLine
from ingest.store import f5, members, removals, requests
from ingest.store.f5 import Parsed
from ingest.store.feeds import Counts, Line, Rejected, as_line, outside

REMEMBERED = timedelta(days=2)  # a batch that comes again after so long is a new one
TOLD_BEFORE = timedelta(seconds=30)  # a log may be so much ahead of the poll before


class Told(NamedTuple):
    """One new line: as text, and the message without its head and tag."""

    line: Line
    offset: int
    message: str


class Sorted(NamedTuple):
    """The new lines of a chunk by what they are."""

    events: list[Parsed]
    polls: list[tuple[Line, dict[str, Any], list[Any]]]
    requests: list[tuple[int, bytes]]
    lines: dict[str, RequestLine]


def save_lines(
    feed: Feed,
    file_id: int,
    lines: Sequence[tuple[int, bytes]],
    now: datetime,
    oldest: datetime | None,
    newest: datetime | None,
) -> Counts:
    """Save (byte offset, line) pairs of one spool file; times outside of `oldest` to `newest` are rejected."""
    device = feed.device
    assert device is not None
    counts = Counts(read=len(lines))
    told = _new(feed, [as_line(file_id, offset, raw, now) for offset, raw in lines], lines, now, counts)
    found = _sort(device, told, counts, (oldest, newest))
    _count_events(counts, feed, device, found.events)
    for line, document, states in found.polls:
        _save_poll(feed, device, line, document, states)
        counts.rows += 1
    if found.requests:
        parsed = found.lines
        some = requests.save_lines(feed, device, file_id, found.requests, lambda text: _again(text, parsed))
        some.read = 0  # they are counted above
        counts.add(some)
    return counts


def _new(
    feed: Feed, lines: Sequence[Line], raw: Sequence[tuple[int, bytes]], now: datetime, counts: Counts
) -> list[Told]:
    """The lines that no copy of their batch has brought yet; torn ones become rejects."""
    split = []
    for line, (offset, _) in zip(lines, raw, strict=True):
        spooled = split_spool(line.text)
        message = spooled.message if spooled else line.text
        split.append((line, offset, message, f5_telemetry.pushed(message)))
    stored = _stored(feed, {tag.digest for *_, tag in split if tag})
    out = []
    for line, offset, message, tag in split:
        if tag is None:
            out.append(Told(line, offset, message))
            continue
        if tag.torn:
            reason = f"{TORN}; its sender was not told that it is stored"
            counts.rejects.append(Rejected(line.line_id, line.received_at, reason, message))  # torn again when replayed
            continue
        if tag.number < stored.get(tag.digest, 0) and not planted("pushed-twice"):
            counts.repeated += 1
            continue
        if tag.number > stored.get(tag.digest, 0):
            reason = "a line before this one was not written whole; its sender was not told that it is stored"
            counts.rejects.append(Rejected(line.line_id, line.received_at, reason, message))  # a whole copy brings it
            continue
        stored[tag.digest] = tag.number + 1
        out.append(Told(line, offset, tag.message))
    _remember(feed, stored, now)
    return out


def _stored(feed: Feed, digests: set[str]) -> dict[str, int]:
    rows = PushBatch.objects.filter(feed=feed, digest__in=digests)
    return dict(rows.values_list("digest", "stored"))


def _remember(feed: Feed, stored: dict[str, int], now: datetime) -> None:
    PushBatch.objects.bulk_create(
        [PushBatch(feed=feed, digest=digest, stored=count, at=now) for digest, count in sorted(stored.items())],
        update_conflicts=True,
        unique_fields=["feed", "digest"],
        update_fields=["stored", "at"],
    )


def forget(now: datetime) -> None:
    """Drop what is known of old batches."""
    PushBatch.objects.filter(at__lt=now - REMEMBERED).delete()


def _sort(
    device: Device, told: Sequence[Told], counts: Counts, span: tuple[datetime | None, datetime | None]
) -> Sorted:
    found = Sorted([], [], [], {})
    offset = timedelta(seconds=device.utc_offset_s)
    for one in told:
        line, message = one.line, one.message
        document, some = _parsed(message, line.received_at, offset)
        first = some[0]
        if isinstance(first, RequestLine):
            head = line.text[: line.text.find(" ", line.text.find(" ") + 1) + 1] if split_spool(line.text) else ""
            found.requests.append((one.offset, (head + message).encode("utf-8", "replace")))
            found.lines[head + message] = first
        elif isinstance(first, records.Reject):
            counts.rejects.append(Rejected(line.line_id, line.received_at, first.reason, message))
        elif isinstance(first, records.MemberState | records.VirtualServer):
            found.polls.append((line, document, some))
        elif reason := outside(first.at, *span):
            counts.rejects.append(Rejected(line.line_id, line.received_at, reason, message))
        else:
            found.events.append(Parsed(line, first))
            counts.newest_at = max(filter(None, (counts.newest_at, first.at)), default=None)
    return found


def _parsed(message: str, received: datetime, offset: timedelta) -> tuple[dict[str, Any], list[Any]]:
    """The document and its records; text that was pushed as it was is a log line like any other."""
    if message.lstrip().startswith("{"):
        try:
            document = json.loads(message)
        except (ValueError, RecursionError):
            document = {}
        return document, f5_telemetry.parse(document or message, received)
    some = parse_auto(message, received, offset)
    return {}, some if isinstance(some, list) else [some]


def _again(text: str, parsed: dict[str, RequestLine]) -> RequestLine | records.Reject:
    return parsed.get(text) or records.Reject("not a request of Telemetry Streaming", text)


def _count_events(counts: Counts, feed: Feed, device: Device, events: Sequence[Parsed]) -> None:
    for save, kind in (
        (f5.save_health, records.HealthEvent),
        (f5.save_actions, records.Action),
        (f5.save_others, records.Other),
    ):
        some = [one for one in events if isinstance(one.record, kind)]
        if some:
            fresh = save(feed, device, some)
            counts.rows += fresh
            counts.repeated += len(some) - fresh


def _save_poll(feed: Feed, device: Device, line: Line, document: dict[str, Any], states: Sequence[Any]) -> None:
    """One look of the poller: the states as they are, and an event for each that is another than at the look before."""
    at = f5_polled.at(document, line.received_at) or line.received_at
    if PolledState.objects.filter(device=device, at__gt=at).exists():
        return  # overtaken by a later one: all it says is past
    said = f5_polled.states(document)
    changed = _changed(device, said, at)
    events = [
        Parsed(line, _event(at, f5_polled.hostname(document), one, was)) for one, was in changed if was is not None
    ]
    _settle(device, document, at)
    f5.save_snapshot(device, [one for one in states if isinstance(one, records.MemberState)], (), at)
    _save_servers(device, [one for one in states if isinstance(one, records.VirtualServer)])
    if events:
        f5.save_health(feed, device, events)


def _settle(device: Device, document: dict[str, Any], at: datetime) -> None:
    """What two polls one after the other do not name any more was deleted; iControl's own lists are better where it is read."""
    kinds = (Feed.Kind.F5_REST, Feed.Kind.F5_ICONTROL)
    if Feed.objects.filter(device=device, kind__in=kinds, enabled=True).exists():
        return
    for what, told in (("pool", f5_listed.polled_pools), ("virtual", f5_listed.polled_virtuals)):
        removals.settle(device, what, told(document), at, "Telemetry Streaming", twice=True)


def _changed(
    device: Device, said: Sequence[f5_polled.State], at: datetime
) -> list[tuple[f5_polled.State, PolledState | None]]:
    """What is another state than at the poll before (None: seen for the first time) and was told by no log."""
    known = {
        (row.kind, row.object): row
        for row in PolledState.objects.filter(device=device, object__in={one.object[:610] for one in said})
    }
    fresh, changed = {}, []
    for one in said:
        was = known.get((one.kind, one.object[:610]))
        fresh[(one.kind, one.object[:610])] = one.state
        if was is not None and was.state != one.state and not _told(device, one, was.at - TOLD_BEFORE, at):
            changed.append((one, was))
    PolledState.objects.bulk_create(
        [PolledState(device=device, kind=key[0], object=key[1], state=state, at=at) for key, state in fresh.items()],
        update_conflicts=True,
        unique_fields=["device", "kind", "object"],
        update_fields=["state", "at"],
    )
    return changed


def _told(device: Device, one: f5_polled.State, since: datetime, until: datetime) -> bool:
    """Whether a log has told of this change already."""
    events = HealthEvent.objects.filter(device=device, kind=one.kind, state=one.state, at__gte=since, at__lte=until)
    if one.kind == "member":
        return events.filter(f5_pool__name=one.f5_pool[:300], member__name=one.member[:300]).exists()
    if one.kind == "pool":
        return events.filter(f5_pool__name=one.f5_pool[:300]).exists()
    return events.filter(object=one.object[:300]).exists() if one.object else events.exists()


def _event(at: datetime, hostname: str, one: f5_polled.State, was: PolledState) -> records.HealthEvent:
    raw = json.dumps({"kind": one.kind, "object": one.object, "state": one.state, "reason": one.reason})
    return records.HealthEvent(
        at,
        hostname,
        one.kind,
        one.state,
        "",
        f5_pool=one.f5_pool,
        member=one.member,
        object=one.object if one.kind == "virtual" else "",
        reason=one.reason,
        was=was.state,
        detail={"seen_by": "poller", "state_before_at": was.at.isoformat()},
        raw=raw,
    )


def _save_servers(device: Device, servers: Sequence[records.VirtualServer]) -> None:
    """Virtual servers by name, with their address and pool; what the poller cannot know of them stays as it is."""
    if not servers:
        return
    names = members.Names(device.group_id)
    names.need_pools({one.f5_pool for one in servers if one.f5_pool})
    known = {
        row.name: row for row in Endpoint.objects.filter(group_id=device.group_id, name__in=[s.name for s in servers])
    }
    for one in servers:
        told = {"address": one.address, "port": one.port, "f5_pool_id": names.pools.get(one.f5_pool)}
        row = known.get(one.name[:300])
        if row is None:
            Endpoint.objects.get_or_create(group_id=device.group_id, name=one.name[:300], defaults=told)
        elif any(value is not None and getattr(row, key) != value for key, value in told.items()):
            Endpoint.objects.filter(pk=row.pk).update(
                **{key: value for key, value in told.items() if value is not None}
            )
