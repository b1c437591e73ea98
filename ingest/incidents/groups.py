"""Which findings and health events are one incident: pure grouping, by component, overlapping time and compatible cause.

Never by time alone. A route that fails is one incident however many tries it hits; a member that is out and hits nobody
is one of its own; a drained member alone is none (DESIGN section 4, issue "main job" section 4). The same items in any
order give the same groups: nothing here depends on what was there before.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from itertools import accumulate, combinations

from ingest.incidents.alike import (
    ALIKE,
    DEVICE_CAUSES,
    EXPLAINED,
    JOINS,
    LASTING,
    MEMBER_CAUSES,
    OF_DEVICE,
    OVERLAP,
    POOL_CAUSES,
    RANK,
    REOPEN,
    TOGETHER,
    WEAK,
)
from ingest.incidents.explained import marked

FOREVER = datetime.max.replace(tzinfo=UTC)
# A monitor that fails once for less is a blip: F5's default time-out is 16 s (three intervals of 5 s and one second), so
# a member that comes back within two of them has missed one or two checks.
LEAST_OUT = timedelta(seconds=30)
FLAPS = 3  # but so many times out within REOPEN of each other is a flapping monitor, however short each is
LEAST_PROVISIONAL = (
    2  # a single provisional verdict can still turn out otherwise; two that agree on a component open one
)
# How long before a monitor spoke, and after it, an unanswered request can be the doing of that member: afterwards the
# BIG-IP asks it no more.
BEFORE_OUT, AFTER_OUT = timedelta(seconds=22), TOGETHER


@dataclass(frozen=True, slots=True)
class Item:
    """One verdict, or one interval that F5's monitors tell of."""

    start: datetime
    end: datetime | None  # None: still going on
    culprit: str
    cause: str
    group: int  # device group
    place: str  # the F5 pool, else the endpoint, else the component
    endpoint_id: int | None = None
    f5_pool_id: int | None = None
    members: frozenset[str] = frozenset()
    verdict_id: int | None = None
    event_id: int | None = None  # of the health event that begins the interval
    incident_id: int | None = None  # where the verdict stands now
    final: bool = True
    line_id: int | None = None  # of the change it is blamed on, where it is a change's doing
    part_of: datetime | None = None  # since when the greater trouble lasts that explains it: see explained.py

    @property
    def over(self) -> datetime:
        return self.end or FOREVER


def _order(item: Item) -> tuple[datetime, datetime, str, str, int, int]:
    return (item.start, item.over, item.cause, item.place, item.verdict_id or 0, item.event_id or 0)


@dataclass(frozen=True)
class Group:
    """Items that are one incident, in order."""

    items: list[Item]

    @cached_property
    def first(self) -> Item:
        return self.items[0]

    @cached_property
    def start(self) -> datetime:
        """When what names it began: back from its first sign, in steps that can be one fault."""
        cause = self.cause
        named = min((i.start for i in self.items if i.cause == cause), default=self.first.start)
        for at in sorted((i.start for i in self.items if i.start < named), reverse=True):
            if named - at > OVERLAP:
                break
            named = at
        return named

    @cached_property
    def end(self) -> datetime | None:
        """When its last item was over, None while one is going on.

        A pool that has members again is well, also where one of them is still out.
        """
        speak = self.items
        if any(i.cause in POOL_CAUSES and i.verdict_id is None for i in speak):
            speak = [i for i in speak if i.verdict_id is not None or i.cause in POOL_CAUSES]
        return None if any(i.end is None for i in speak) else max(i.over for i in speak)

    @cached_property
    def members(self) -> frozenset[str]:
        return frozenset().union(*(i.members for i in self.items))

    @cached_property
    def verdicts(self) -> list[Item]:
        return [i for i in self.items if i.verdict_id is not None]

    @cached_property
    def cause(self) -> str:
        """The most frequent of its verdicts' causes; the stronger one where two are as frequent, or a pool without member."""
        strong = [i.cause for i in self.items if i.cause in POOL_CAUSES]
        if strong:
            return min(strong, key=_rank)
        said = Counter(i.cause for i in self.verdicts)
        if said:
            return min(said, key=lambda cause: (-said[cause], _rank(cause), cause))
        return "monitor_flap" if self._flaps() else min((i.cause for i in self.items), key=_rank)

    def _flaps(self) -> bool:
        times = Counter(i.members for i in self.items if i.cause == "member_down")
        return max(times.values(), default=0) >= FLAPS

    def opens(self, known_to: datetime) -> bool:
        """Whether it is an incident yet, with logs complete to this time: see the constants above."""
        if any(i.final for i in self.verdicts) or len(self.verdicts) >= LEAST_PROVISIONAL:
            return True
        health = [i for i in self.items if i.verdict_id is None]
        if any(i.cause in POOL_CAUSES for i in health):
            return True  # F5 itself says that nobody could be asked
        return self._flaps() or any((i.end or known_to) - i.start >= LEAST_OUT for i in health)


def _rank(cause: str) -> int:
    return RANK.get(cause, len(RANK))


def group(items: Iterable[Item]) -> list[Group]:
    """The incidents behind these items, in order of start."""
    places: dict[tuple[int, str], list[Item]] = defaultdict(list)
    for item in marked(sorted(items, key=_order)):
        places[item.group, item.place].append(item)
    return sequence([g for place in sorted(places) for g in _of_place(places[place])])


def merged(groups: Sequence[Group]) -> Group:
    """One of several."""
    return groups[0] if len(groups) == 1 else Group(sorted((i for g in groups for i in g.items), key=_order))


def sequence(groups: Sequence[Group]) -> list[Group]:
    return sorted(groups, key=lambda g: (g.start, g.first.group, g.first.place, g.cause, _order(g.first)))


def parents(groups: Sequence[Group]) -> list[list[int]]:
    """Which of these groups, by their place, are parts of what hit the whole device.

    Parts have the same cause on the same device group, begin within OVERLAP of the one before, and are several: of one
    pool alone the device's trouble is told by its own incident. Changes have to be the very same change. What says only
    where something failed is a part of the device's trouble that explains it.
    """
    chains: list[list[int]] = []
    order = sorted(range(len(groups)), key=lambda n: (groups[n].start, n))
    for n in order:
        if groups[n].cause not in DEVICE_CAUSES or not groups[n].first.group:
            continue
        home = next((c for c in reversed(chains) if _one_device_fault(groups[c[-1]], groups[n])), None)
        if home is None:
            chains.append([n])
        else:
            home.append(n)
    for n in order:
        home = next((c for c in chains if any(_explains(groups[part], groups[n]) for part in c)), None)
        if home is not None:
            home.append(n)
    return [c for c in chains if len(c) > 1]


def _explains(a: Group, b: Group) -> bool:
    """Whether the device's trouble that `a` tells of is the one that explains all of `b`."""
    if a.cause not in OF_DEVICE or a.first.group != b.first.group or b.cause in DEVICE_CAUSES:
        return False
    since = {i.part_of for i in b.items}
    return None not in since and bool(since & {i.start for i in a.items if i.cause in OF_DEVICE})


def _one_device_fault(a: Group, b: Group) -> bool:
    if (a.cause, a.first.group) != (b.cause, b.first.group) or abs(b.start - a.start) > OVERLAP:
        return False
    changes = [{i.line_id for i in g.items if i.line_id is not None} for g in (a, b)]
    return a.cause != "config_change" or bool(changes[0] & changes[1])


# Inside one pool


Key = tuple[str, frozenset[str], datetime | None]


class Strand:
    """The same cause of the same component, without a pause longer than `pause`: in order of start."""

    def __init__(self, items: list[Item]) -> None:
        self.items = items
        self.cause, self.members, self.part_of = items[0].cause, items[0].members, items[0].part_of
        self.starts = [i.start for i in items]
        self.overs = list(accumulate((i.over for i in items), max))  # the latest end so far

    def apart(self, start: datetime, over: datetime) -> timedelta:
        """From this interval to the nearest item."""
        before = bisect_right(self.starts, over)  # begun before it is over
        if before and self.overs[before - 1] >= start:
            return timedelta()
        gaps = [start - self.overs[before - 1]] if before else []
        gaps += [self.starts[before] - over] if before < len(self.starts) else []
        return min(gaps)

    def distance(self, other: Strand) -> timedelta:
        few, many = (self, other) if len(self.items) <= len(other.items) else (other, self)
        return min(many.apart(i.start, i.over) for i in few.items)

    def told(self) -> Strand | None:
        """Of its items those that tries met."""
        met = [i for i in self.items if i.verdict_id is not None]
        return Strand(met) if met else None


def _strands(items: Iterable[Item], pause: timedelta) -> list[Strand]:
    by: dict[Key, list[list[Item]]] = defaultdict(list)
    over: dict[Key, datetime] = {}
    for item in items:  # in order of start
        key = item.cause, item.members, item.part_of
        if by[key] and item.start - over[key] <= pause:
            by[key][-1].append(item)
            over[key] = max(over[key], item.over)
        else:
            by[key].append([item])
            over[key] = item.over
    return [Strand(run) for runs in by.values() for run in runs]


def _of_place(items: Sequence[Item]) -> list[Group]:
    named = _joined(_strands((i for i in items if i.cause != WEAK), REOPEN), _one_fault)
    groups = [[i for s in strands for i in s.items] for strands in named]
    left: list[Item] = []
    for cluster in _strands((i for i in items if i.cause == WEAK), TOGETHER):
        near = [n for n, strands in enumerate(named) if _distance(cluster, strands) is not None]
        if not near:
            left += cluster.items
        elif len(near) == 1:
            groups[near[0]] += cluster.items
        else:  # between two: each to the nearer one
            for item in cluster.items:
                groups[min(near, key=partial(_how_near, Strand([item]), named))].append(item)
    groups += [s.items for s in _strands(sorted(left, key=_order), REOPEN)]
    return [Group(sorted(g, key=_order)) for g in groups]


def _how_near(item: Strand, named: Sequence[Sequence[Strand]], n: int) -> tuple[timedelta, int]:
    apart = _distance(item, named[n])
    return (timedelta.max if apart is None else apart, n)


def _joined(strands: list[Strand], one_fault: Callable[[Strand, Strand], bool]) -> list[list[Strand]]:
    """Strands by union-find."""
    root = list(range(len(strands)))

    def find(n: int) -> int:
        while root[n] != n:
            root[n] = root[root[n]]
            n = root[n]
        return n

    for a, b in combinations(range(len(strands)), 2):
        if find(a) != find(b) and one_fault(strands[a], strands[b]):
            root[max(find(a), find(b))] = min(find(a), find(b))
    found: dict[int, list[Strand]] = defaultdict(list)
    for n, strand in enumerate(strands):
        found[find(n)].append(strand)
    return list(found.values())


def _one_fault(a: Strand, b: Strand) -> bool:
    """Same cause on the same component, not long apart; or causes that can be one fault, at the same time."""
    shared = bool(a.members & b.members)
    if a.part_of != b.part_of and (a.cause == b.cause or {a.cause, b.cause} <= EXPLAINED):
        return False
    if a.cause == b.cause:
        if shared or not a.members or not b.members:
            return a.distance(b) <= REOPEN
        return a.cause in MEMBER_CAUSES and _same_trouble(a.told(), b.told())
    alike = ALIKE.get(frozenset({a.cause, b.cause}))
    return alike is not None and (shared or not alike.same_member) and a.distance(b) <= alike.within


def _same_trouble(a: Strand | None, b: Strand | None) -> bool:
    """Two members of one pool in the same trouble, as tries met it: at the same time, or each while the other still is.

    Few requests show it by turns. Monitors alone never make two members' outages one.
    """
    if a is None or b is None:
        return False
    return a.distance(b) <= TOGETHER or _begins_within(a, b) or _begins_within(b, a)


def _begins_within(a: Strand, b: Strand) -> bool:
    """An item of `a` begins between two of `b` that are not long apart."""
    for at in a.starts:
        after = bisect_left(b.starts, at)
        if 0 < after < len(b.starts) and b.starts[after] - b.starts[after - 1] <= 2 * OVERLAP:
            return True
    return False


def _distance(cluster: Strand, strands: Sequence[Strand]) -> timedelta | None:
    """How far what nobody answered is from these, None where it is too far to belong to them."""
    near = []
    for strand in strands:
        limit = JOINS.get(strand.cause)
        if limit is None:
            continue
        met = strand.told() if strand.cause == "member_down" else strand
        near += [apart for one in (met,) if one and (apart := one.distance(cluster)) <= limit]
        if strand.cause in LASTING and _begins_within(cluster, strand):
            near.append(timedelta())
        # Of an outage that only a monitor tells of, its beginning alone can leave a request unanswered.
        outs = [i.start for i in strand.items if strand.cause == "member_down" and i.verdict_id is None]
        near += [timedelta() for at in outs if not cluster.apart(at - BEFORE_OUT, at + AFTER_OUT)]
    return min(near, default=None)
