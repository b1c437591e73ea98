"""What a greater trouble explains: the doing of a device, or of a pool without members, told apart from what comes later (pure).

The same cause of the same component within ten minutes is one incident. That rule alone would tie a member's own trouble to
an outage of its whole pool some minutes before, and an outage of the Execution API to an overload of the device. So what a
greater trouble explains is marked first with the beginning of it, and only what bears the same mark is the same trouble.
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ingest.incidents.alike import EXPLAINED, OF_DEVICE, OVERLAP, POOL_CAUSES, REOPEN, SAYS_NOT_WHY

if TYPE_CHECKING:
    from ingest.incidents.groups import Item

Place = tuple[int, str]


class Stretch(NamedTuple):
    """A time in which a greater trouble shows, and since when it is the same one."""

    start: datetime
    over: datetime
    since: datetime

    def apart(self, item: Item) -> timedelta:
        return max(self.start - item.over, item.start - self.over, timedelta())

    def order(self, item: Item) -> tuple[timedelta, datetime]:
        """The nearest first, then the first."""
        return self.apart(item), self.start


def marked(items: Sequence[Item]) -> list[Item]:
    """These items, in order of start, each with the beginning of the greater trouble that explains it, if one does."""
    of_device: dict[Place, list[Item]] = defaultdict(list)  # by cause
    of_pool: dict[Place, list[Item]] = defaultdict(list)
    own: dict[Place, list[Item]] = defaultdict(list)
    for item in items:
        if item.cause in OF_DEVICE and item.group:
            of_device[item.group, item.cause].append(item)
        if item.cause in POOL_CAUSES:
            of_pool[item.group, item.place].append(item)
        if not _says_only_where(item):
            own[item.group, item.place].append(item)
    devices = {key: _stretches(found) for key, found in of_device.items()}
    pools = {place: _stretches(found) for place, found in of_pool.items()}
    named = {place: _stretches(found) for place, found in own.items()}

    def explains(item: Item) -> Stretch | None:
        place = item.group, item.place
        if item.cause in EXPLAINED:
            return _nearest(item, pools.get(place, ()))
        if _says_only_where(item) and _nearest(item, named.get(place, ())) is None:
            found = [_nearest(item, devices.get((item.group, cause), ())) for cause in OF_DEVICE]
            return min(filter(None, found), key=partial(Stretch.order, item=item), default=None)
        return None

    return [_part(item, explains(item)) for item in items]


def _says_only_where(item: Item) -> bool:
    return item.cause in SAYS_NOT_WHY and item.verdict_id is not None


def _part(item: Item, of: Stretch | None) -> Item:
    return item if of is None else dataclasses.replace(item, part_of=of.since)


def _stretches(items: Iterable[Item]) -> list[Stretch]:
    """The times of these items: those at most OVERLAP apart together, and the same trouble as long as no pause is REOPEN."""
    out: list[Stretch] = []
    for item in items:
        last = out[-1] if out else None
        if last is not None and item.start - last.over <= OVERLAP:
            out[-1] = last._replace(over=max(last.over, item.over))
        else:
            same = last is not None and item.start - last.over <= REOPEN
            out.append(Stretch(item.start, item.over, last.since if last is not None and same else item.start))
    return out


def _nearest(item: Item, by: Sequence[Stretch]) -> Stretch | None:
    """Of these stretches, which are apart from each other, the nearest that is at most OVERLAP away; the first of equals."""
    before = bisect_right(by, item.over, key=lambda stretch: stretch.start)
    first = bisect_right(by, item.start - OVERLAP, key=lambda stretch: stretch.over)
    near = [stretch for stretch in by[max(0, first - 1) : before + 1] if stretch.apart(item) <= OVERLAP]
    return min(near, key=partial(Stretch.order, item=item), default=None)
