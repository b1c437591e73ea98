"""This member against the others of its pool, now against before: counts, and the counts in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

from ingest.records import Outcome

from .facts import Request, Route

NEAR = timedelta(seconds=60)
WIDE = timedelta(seconds=300)


@dataclass(frozen=True, slots=True)
class Spread:
    """How one kind of trouble is spread over the members that were asked."""

    bad: dict[str, int]
    asked: dict[str, int]
    known: int  # members the pool is known to have

    @property
    def failing(self) -> tuple[str, ...]:
        """The members with at least half of the worst member's share."""
        worst = max((self.share(m) for m in self.asked), default=0.0)
        return tuple(sorted(m for m in self.asked if worst > 0 and self.share(m) >= 0.5 * worst))

    @property
    def well(self) -> tuple[str, ...]:
        """The members that fail at less than a quarter of the worst member's share."""
        worst = max((self.share(m) for m in self.asked), default=0.0)
        return tuple(sorted(m for m in self.asked if self.share(m) < 0.25 * worst))

    def share(self, member: str) -> float:
        return self.bad.get(member, 0) / self.asked[member]

    @property
    def some(self) -> bool:
        """Fewer fail than answer well: it is the member, not the service."""
        return bool(self.failing) and sum(self.asked[m] for m in self.well) >= 2

    @property
    def all_alike(self) -> bool:
        """Every member that was asked fails, and more than one was (or there is only one)."""
        return bool(self.failing) and not self.well and (len(self.asked) >= 2 or self.known <= 1)

    def words(self) -> str:
        here = sum(self.bad.get(m, 0) for m in self.failing), sum(self.asked[m] for m in self.failing)
        others = [m for m in self.asked if m not in self.failing]
        there = sum(self.bad.get(m, 0) for m in others), sum(self.asked[m] for m in others)
        names = ", ".join(short(m) for m in self.failing) or "no member"
        return f"{names}: {here[0]} of {here[1]}; the other members: {there[0]} of {there[1]}"


def short(name: str) -> str:
    """`/Common/orders2:9000` as people say it."""
    return name.rsplit("/", 1)[-1]


def spread(route: Route, request: Request, bad: Callable[[Request], bool]) -> Spread:
    """The spread of `bad` over members within a minute (five where a minute holds no other member's answer)."""
    rows = _rows(route, request, NEAR)
    if len({r.member for r in rows}) < 2:
        rows = _rows(route, request, WIDE)
    same = [r for r in rows if r.path == request.path]
    if len({r.member for r in same}) >= 2 or _only_this_path(rows, request, bad):
        rows = same
    asked = Counter(r.member for r in rows)
    failed = Counter(r.member for r in rows if bad(r))
    return Spread(dict(failed), dict(asked), len(route.members))


def _rows(route: Route, request: Request, width: timedelta) -> list[Request]:
    return [r for r in route.near if r.member and abs(r.at - request.at) <= width and not r.suspect]


def _only_this_path(rows: Iterable[Request], request: Request, bad: Callable[[Request], bool]) -> bool:
    """The member answers everything else well: the trouble is the path's, so only that path may be compared."""
    other = [r for r in rows if r.member == request.member and r.path != request.path]
    return len(other) >= 3 and not any(bad(r) for r in other)


def failed(request: Request) -> bool:
    return request.outcome in (Outcome.SERVER_ERROR, Outcome.UNANSWERED)


def usual_seconds(route: Route) -> float | None:
    """The median of what the same path took before, None with fewer than five answers."""
    times = [r.seconds for r in route.before if r.seconds is not None]
    return median(times) if len(times) >= 5 else None


def one_slow_member(route: Route, request: Request) -> tuple[str, str] | None:
    """(member, counts in words) if, in the answers around this request, one member was slow every time and no other ever.

    The span grows, first into the past, until it holds two slow answers: when the trouble began and ended is not known,
    and good answers of the same member from before or after it say nothing.
    """
    rows = _rows(route, request, NEAR + NEAR)
    for before in (15, 30, 45, 60, 90, 120):
        for after in (10, before):
            lo, hi = request.at - timedelta(seconds=before), request.at + timedelta(seconds=after)
            found = _slow_in(r for r in rows if lo <= r.at <= hi)
            if found is not None:
                return found
    return None


def _slow_in(rows: Iterable[Request]) -> tuple[str, str] | None:
    times: dict[str, list[float]] = {}
    for row in rows:
        if row.seconds is not None and row.outcome in (Outcome.OK, Outcome.SLOW):
            times.setdefault(row.member, []).append(row.seconds)
    for member, mine in sorted(times.items()):
        others = [t for other, values in times.items() if other != member for t in values]
        if len(mine) >= 2 and len(others) >= 2 and min(mine) > 2.0 and min(mine) > 5 * max(others):
            return member, (
                f"{short(member)} took {min(mine):.1f} to {max(mine):.1f} s in {len(mine)} of {len(mine)} answers; "
                f"the other members at most {max(others) * 1000:,.0f} ms in {len(others)} answers"
            )
    return None
