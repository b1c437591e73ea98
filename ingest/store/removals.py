"""Pools, members and virtual servers that were deleted on their device: removed from then on, there again when it tells so.

Two whole lists of one device are compared, the last one and this one. What some other unit of its group still lists
stays, and so does everything where this list may not be whole (ingest/parsers/f5_listed.py). A row is never deleted:
requests, events and verdicts speak of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Q

from ingest.models import Device, Endpoint, F5Pool, Feed, HealthEvent, Listing, Member
from ingest.parsers.f5_listed import Key, Listed, gone

REMOVED, ADDED = "removed", "added"
TELLING = (Feed.Kind.F5_REST, Feed.Kind.F5_ICONTROL, Feed.Kind.F5_TELEMETRY)
Row = F5Pool | Member | Endpoint


def settle(device: Device, what: str, now: Listed | None, at: datetime, by: str, *, twice: bool = False) -> int:
    """Compare with the list before; the number of objects that were removed or are there again.

    `what`: pool or virtual. `at`: the device's time of the list. `twice`: an object has to be missing in two lists one
    after the other, for a teller that may leave out what it could not read in time.
    """
    if now is None:
        return 0
    known, _ = Listing.objects.select_for_update().get_or_create(device=device, what=what, by=by, defaults={"at": at})
    if known.at > at:
        return 0  # overtaken by a later one
    before, doubted = _keys(known.names), set(_keys(known.doubted))
    missing = gone(before, now)
    over = missing & doubted if twice else missing
    stay = {key for key in before if key not in over}
    names, left = _names(stay | now.keys), _names(missing - over)
    if (names, left) != (known.names, known.doubted) or known.at != at:
        known.names, known.doubted, known.at = names, left, at
        known.save()
    over -= _listed_elsewhere(device, known) if over else set()
    return _remove(device, over, at, by) + _return(device, now.keys, at, by)


def _keys(names: Iterable[Iterable[str]]) -> list[Key]:
    return [Key(*name) for name in names]


def _names(keys: Iterable[Key]) -> list[list[str]]:
    return sorted(list(key) for key in keys)


def _listed_elsewhere(device: Device, mine: Listing) -> set[Key]:
    """What the other lists of this device's group hold, of those that somebody still reads."""
    read = Feed.objects.filter(kind__in=TELLING, enabled=True).values("device")
    others = Listing.objects.filter(device__group=device.group_id, device__in=read, what=mine.what).exclude(pk=mine.pk)
    return {key for other in others for key in _keys(other.names)}


def _rows(device: Device, keys: Iterable[Key]) -> list[Row]:
    """The rows of these objects."""
    by_kind: dict[str, set[str]] = {}
    members: dict[str, set[str]] = {}
    for key in keys:
        by_kind.setdefault(key.kind, set()).add(key.name[:300])
        if key.kind == "member":
            members.setdefault(key.name[:300], set()).add(key.member[:300])
    mine = {"group": device.group_id}
    pools = F5Pool.objects.filter(name__in=by_kind.get("pool", ()), **mine)
    servers = Endpoint.objects.filter(name__in=by_kind.get("virtual", ()), **mine)
    named = Member.objects.filter(f5_pool__group=device.group_id, f5_pool__name__in=members).select_related("f5_pool")
    return [*pools, *(one for one in named if one.name in members[one.f5_pool.name]), *servers]


def _remove(device: Device, keys: set[Key], at: datetime, by: str) -> int:
    rows = [row for row in _rows(device, keys) if row.removed_at is None] if keys else []
    pools = [row.pk for row in rows if isinstance(row, F5Pool)]
    known = {row.pk for row in rows if isinstance(row, Member)}
    with_pool = Member.objects.filter(f5_pool__in=pools, removed_at=None).exclude(pk__in=known)
    rows += with_pool.select_related("f5_pool")
    # Somebody told of it later than this list did: a log, or the other unit
    rows = [row for row in rows if not (isinstance(row, Member) and row.since and row.since > at)]
    events = [_event(device, row, REMOVED, at, f"{by} does not tell of it any more") for row in rows]
    HealthEvent.objects.bulk_create(events, ignore_conflicts=True)
    for model in (F5Pool, Member, Endpoint):
        mine = model.objects.filter(pk__in=[row.pk for row in rows if isinstance(row, model)])
        mine.update(removed_at=at, **({"state": REMOVED, "session": "", "since": at} if model is Member else {}))
    return len(rows)


def _return(device: Device, keys: Iterable[Key], at: datetime, by: str) -> int:
    gone_by = Q(removed_at__lt=at)
    some = (
        F5Pool.objects.filter(gone_by, group=device.group_id).exists()
        or Endpoint.objects.filter(gone_by, group=device.group_id).exists()
        or Member.objects.filter(gone_by, f5_pool__group=device.group_id).exists()
    )
    rows = [row for row in _rows(device, keys) if row.removed_at and row.removed_at < at] if some else []
    HealthEvent.objects.bulk_create(
        [_event(device, row, ADDED, at, f"{by} tells of it again") for row in rows], ignore_conflicts=True
    )
    for model in (F5Pool, Member, Endpoint):
        mine = model.objects.filter(pk__in=[row.pk for row in rows if isinstance(row, model)])
        mine.update(removed_at=None, **({"state": "", "since": at} if model is Member else {}))
    return len(rows)


def _event(device: Device, row: Row, state: str, at: datetime, reason: str) -> HealthEvent:
    event = HealthEvent(device=device, at=at, state=state, reason=reason, detail={"seen_by": "list"})
    if isinstance(row, Member):
        event.kind, event.f5_pool, event.member = "member", row.f5_pool, row
        event.object, event.was = f"{row.f5_pool.name} {row.name}"[:300], row.state
    elif isinstance(row, F5Pool):
        event.kind, event.f5_pool, event.object = "pool", row, row.name
    else:
        event.kind, event.endpoint, event.object = "virtual", row, row.name
    return event
