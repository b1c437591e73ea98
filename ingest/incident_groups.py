"""Which findings and health events are one incident: pure grouping, by component, overlapping time and compatible cause.

Never by time alone. A route that fails is one incident however many tries it hits; a member that is out and hits nobody
is one of its own; a drained member alone is none (DESIGN section 4, issue "main job" section 4).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

REOPEN = timedelta(minutes=10)  # the same trouble again within ten minutes of its end is the same incident
OVERLAP = timedelta(seconds=60)
TOGETHER = timedelta(seconds=15)  # so near in time, the same trouble of two members of one pool is one fault

# Of the causes inside one group, the one that explains the others names it.
STRENGTH = (
    "api_unreachable", "failover", "config_change", "no_member", "monitor_flap", "port_exhaustion", "connection_limit",
    "tls_failure",
    "member_down", "wrong_member", "misroute", "slow_member", "member_grey", "reset_by_server", "idle_timeout", "reset_by_f5",
    "service_failing", "service_slow", "service_refused", "unanswered",
)  # fmt: skip
RANK = {cause: place for place, cause in enumerate(STRENGTH)}
MEMBER_CAUSES = frozenset({"member_down", "wrong_member", "slow_member", "member_grey", "reset_by_server"})
POOL_CAUSES = frozenset({"api_unreachable", "no_member"})


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
    incident_id: int | None = None  # where the verdict stands now
    order: int = 0

    @property
    def over(self) -> datetime:
        return self.end or datetime.max.replace(tzinfo=self.start.tzinfo)


@dataclass(slots=True)
class Group:
    """Items that are one incident."""

    items: list[Item] = field(default_factory=list)

    @property
    def start(self) -> datetime:
        return min(i.start for i in self.items)

    @property
    def end(self) -> datetime | None:
        """When its last item was over, None while one is going on."""
        return None if any(i.end is None for i in self.items) else max(i.over for i in self.items)

    @property
    def members(self) -> frozenset[str]:
        return frozenset().union(*(i.members for i in self.items))

    @property
    def cause(self) -> str:
        """The most frequent of its verdicts' causes; the stronger one where two are as frequent, or a pool without member."""
        strong = [i.cause for i in self.items if i.cause in POOL_CAUSES]
        if strong:
            return min(strong, key=lambda c: RANK.get(c, 99))
        said = [i.cause for i in self.items if i.verdict_id is not None] or [i.cause for i in self.items]
        counts = Counter(said)
        return min(counts, key=lambda c: (-counts[c], RANK.get(c, 99), c))

    @property
    def culprit(self) -> str:
        return next(i.culprit for i in self.items if i.cause == self.cause)


def group(items: Iterable[Item]) -> list[Group]:
    """The incidents behind these items, in order of start; the same items in any order give the same groups."""
    groups: list[Group] = []
    for item in sorted(items, key=lambda i: (i.start, i.over, i.cause, i.place, i.verdict_id or 0)):
        home = next((g for g in groups if belongs(item, g)), None)
        if home is None:
            groups.append(Group([item]))
        else:
            home.items.append(item)
    return _merged(groups)


def _merged(groups: list[Group]) -> list[Group]:
    """Groups that a later item showed to be one."""
    out: list[Group] = []
    for g in groups:
        home = next((o for o in out if any(belongs(i, o) for i in g.items) or _by_turns(g, o)), None)
        if home is None:
            out.append(g)
        else:
            home.items.extend(g.items)
    return out


def _by_turns(a: Group, b: Group) -> bool:
    """Two members of one pool in the same trouble, each failing while the other still does: few requests show it by turns."""
    first, other = a.items[0], b.items[0]
    same = (first.group, first.place, a.cause) == (other.group, other.place, b.cause) and a.cause in MEMBER_CAUSES
    told = all(any(i.verdict_id is not None for i in g.items) for g in (a, b))
    return same and told and (_begins_within(a, b) or _begins_within(b, a))


def _begins_within(a: Group, b: Group) -> bool:
    """An item of `a` begins between two of `b` that are not long apart."""
    starts = sorted(i.start for i in b.items)
    return any(lo <= i.start <= hi and hi - lo <= 2 * OVERLAP for i in a.items for lo, hi in pairwise(starts))


def belongs(item: Item, other: Group) -> bool:
    """The item is part of this incident."""
    first = other.items[0]
    if item.group != first.group or item.place != first.place:
        return False
    return any(_together(item, i) for i in other.items)


def _together(a: Item, b: Item) -> bool:
    """Same cause on the same component, not long apart; or causes that can be one fault, at the same time."""
    apart = max(a.start, b.start) - min(a.over, b.over) if min(a.over, b.over) < max(a.start, b.start) else timedelta()
    if a.cause == b.cause and _same_members(a, b):
        return apart <= REOPEN
    if a.cause == b.cause and a.cause in MEMBER_CAUSES and a.verdict_id is not None and b.verdict_id is not None:
        return apart <= TOGETHER
    near = (
        TOGETHER
        if "unanswered" in (a.cause, b.cause) and {a.cause, b.cause} & {"member_grey", "slow_member"}
        else OVERLAP
    )
    return apart <= near and compatible(a, b)


def _same_members(a: Item, b: Item) -> bool:
    return not a.members or not b.members or bool(a.members & b.members)


def compatible(a: Item, b: Item) -> bool:
    """Different causes that one fault can show: a dying pool, a member in several kinds of trouble, and what nobody answered."""
    causes = {a.cause, b.cause}
    if causes & POOL_CAUSES and causes <= POOL_CAUSES | {
        "member_down",
        "unanswered",
        "reset_by_server",
        "monitor_flap",
    }:
        return True
    if causes <= MEMBER_CAUSES | {"monitor_flap"}:
        return bool(a.members & b.members)
    return "unanswered" in causes and causes <= MEMBER_CAUSES | {"unanswered", "idle_timeout"}


def sequence(groups: Sequence[Group]) -> list[Group]:
    return sorted(groups, key=lambda g: (g.start, g.items[0].place, g.cause))
