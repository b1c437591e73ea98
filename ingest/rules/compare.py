"""This member against the others of its pool, now against before: counts, and the counts in words."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import groupby
from math import comb
from operator import attrgetter
from typing import NamedTuple

from ingest.records import Outcome

from .facts import Request, Route

NEAR = timedelta(seconds=60)
WIDE = timedelta(seconds=300)
CUT = timedelta(seconds=1)  # ltm times are cut to the second: what it tells of happened up to a second later
AFTER = timedelta(seconds=30)  # good answers so soon after the last bad one still speak for the other members
CHANCE = 0.05  # a member is told from its pool only if luck alone would so seldom choose it
CHANCE_MOST = 0.01  # and where more members fail than are well
CHANCE_OFTEN, OFTEN = 0.15, 1 / 3  # the same for one that fails so often: no single bad answer among many good ones

ENOUGH = 5  # requests that went well, where a part of all fails, are no chance
SILENT = 0.01  # and so seldom is a member silent by chance


_AT, _MEMBER = attrgetter("at"), attrgetter("member")


def within(rows: Sequence[Request], lo: datetime, hi: datetime) -> Sequence[Request]:
    """Of requests in order of time those from `lo` to `hi`, both included."""
    return rows[bisect_left(rows, lo, key=_AT) : bisect_right(rows, hi, key=_AT)]


@dataclass(frozen=True)
class Spread:
    """How one kind of trouble is spread over the members that were asked."""

    bad: dict[str, int]
    asked: dict[str, int]
    known: int  # members the pool is known to have

    @cached_property
    def failing(self) -> tuple[str, ...]:
        """The members with at least half of the worst member's share."""
        worst = max((self.share(m) for m in self.asked), default=0.0)
        return tuple(sorted(m for m in self.asked if worst > 0 and self.share(m) >= 0.5 * worst))

    @cached_property
    def well(self) -> tuple[str, ...]:
        """The members that fail at less than a quarter of the worst member's share."""
        worst = max((self.share(m) for m in self.asked), default=0.0)
        return tuple(sorted(m for m in self.asked if self.share(m) < 0.25 * worst))

    def share(self, member: str) -> float:
        return self.bad.get(member, 0) / self.asked[member]

    @cached_property
    def chance(self) -> float:
        """How likely luck alone would give the failing members as many of the bad answers (hypergeometric tail)."""
        total, bad = sum(self.asked.values()), sum(self.bad.values())
        asked, here = sum(self.asked[m] for m in self.failing), sum(self.bad.get(m, 0) for m in self.failing)
        ways = sum(comb(asked, k) * comb(total - asked, bad - k) for k in range(here, min(asked, bad) + 1))
        return ways / comb(total, bad)

    @cached_property
    def some(self) -> bool:
        """Fewer fail than answer well, and not by chance: it is the member, not the service, nor one bad answer among many."""
        if not self.failing or sum(self.asked[m] for m in self.well) < 2:
            return False
        if len(self.failing) > len(self.well):
            return self.chance <= CHANCE_MOST
        often = min(self.share(m) for m in self.failing) >= OFTEN
        return self.chance <= (CHANCE_OFTEN if often else CHANCE)

    @property
    def is_thin(self) -> bool:
        """It singles members out by counts that luck might have made."""
        return self.some and self.chance > CHANCE

    @cached_property
    def sure(self) -> float:
        """What thin counts take off the confidence."""
        return 0.85 if self.chance > CHANCE else 1.0

    @cached_property
    def all_alike(self) -> bool:
        """Every member that was asked fails, and more than one was (or there is only one)."""
        return bool(self.failing) and not self.well and (len(self.asked) >= 2 or self.known <= 1)

    @cached_property
    def tells(self) -> bool:
        """Enough to say whether it is a member or all of them."""
        everybody = len(self.asked) >= self.known or sum(self.bad.values()) >= 3
        return self.some or (self.all_alike and everybody)

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
    """The spread of `bad` over members: on the same path, else on all paths if several are in trouble.

    First while the trouble lasts, then within a minute, then within five: good answers from before it began say nothing
    about who is in it. The narrowest view that tells counts, unless its counts are thin and the
    minute says otherwise; if none does, the same path's, where several members were asked.
    """
    seen: list[Spread] = []
    for view in _views(route, request, bad):
        counted = view.counted(len(route.members))
        if counted.is_thin and _told_otherwise(counted, _view(route, request, NEAR, bad)):
            continue
        if counted.tells:
            return counted
        seen.append(counted)
    return next((s for s in seen[2:] if len(s.asked) > 1), seen[2] if len(seen) > 2 else Spread({}, {}, 0))


def _told_otherwise(seen: Spread, near: View) -> bool:
    """Members that this view knows to be well fail as well, on other paths or at other moments."""
    return any(r.member in seen.well for r in near.bad)


class View(NamedTuple):
    """Some requests in order of time, and which of them went badly."""

    rows: Sequence[Request] = ()
    bad: Sequence[Request] = ()

    def of(self, path: str) -> View:
        return View([r for r in self.rows if r.path == path], [r for r in self.bad if r.path == path])

    def within(self, lo: datetime, hi: datetime) -> View:
        return View(within(self.rows, lo, hi), within(self.bad, lo, hi))

    def counted(self, known: int) -> Spread:
        return Spread(dict(Counter(map(_MEMBER, self.bad))), dict(Counter(map(_MEMBER, self.rows))), known)


def _views(route: Route, request: Request, bad: Callable[[Request], bool]) -> Iterator[View]:
    """Growing views of the same path, then of all paths if several are in trouble."""
    near = _view(route, request, NEAR, bad)
    yield from _spans(near.of(request.path))
    several = len({r.path for r in near.bad}) >= 2
    if several:
        yield from _spans(near)
    wide = _view(route, request, WIDE, bad)
    yield wide.of(request.path)
    if several:
        yield wide


def _view(route: Route, request: Request, width: timedelta, bad: Callable[[Request], bool]) -> View:
    rows = member_rows(route, request, width)
    return View(rows, [r for r in rows if bad(r)])


def _spans(view: View) -> Iterator[View]:
    """These requests from the first bad answer to the last one, to half a minute after it, and all."""
    if not view.bad:
        yield from (View(), View(), view)
        return
    first, last = view.bad[0].at, view.bad[-1].at
    for more in (timedelta(), AFTER):
        yield view.within(first, last + more)
    yield view


def member_rows(route: Route, request: Request, width: timedelta) -> list[Request]:
    """Requests around this one that a member of the same pool was asked: another pool's members are no comparison."""
    return [r for r in _of_pool(route, request, width) if r.member]


def _of_pool(route: Route, request: Request, width: timedelta) -> list[Request]:
    found = [r for r in within(route.near, request.at - width, request.at + width) if not r.suspect]
    return [r for r in found if r.f5_pool == request.f5_pool or not (r.f5_pool and request.f5_pool)]


def failed(request: Request) -> bool:
    return request.outcome in (Outcome.SERVER_ERROR, Outcome.UNANSWERED)


def is_failed(like: Request) -> Callable[[Request], bool]:
    """Whether a request failed as this one did: any failure of the server's side, or the same refusal."""
    return failed if failed(like) else lambda r: r.status == like.status


class Since(NamedTuple):
    """(failed, all) requests of an endpoint before a moment and after it; and whether the failing began with it."""

    before: tuple[int, int]
    after: tuple[int, int]
    at_once: bool

    @property
    def broke(self) -> bool:
        """Well before, mostly failing after, from the beginning, and not by chance (hypergeometric tail)."""
        (bad_before, before), (bad_after, after) = self.before, self.after
        if not self.at_once or before < 3 or not after:
            return False
        if not bad_before and bad_after >= 0.8 * after:
            return True  # from all well to nearly nothing well
        if bad_after < OFTEN * after or bad_before * after * 4 > bad_after * before:
            return False
        bad, total = bad_before + bad_after, before + after
        ways = sum(comb(after, k) * comb(before, bad - k) for k in range(bad_after, min(after, bad) + 1))
        return ways / comb(total, bad) <= CHANCE


def since(route: Route, request: Request, at: datetime, until: datetime) -> Since | None:
    """What failed as this request did before a moment, and after it until another.

    By the requests near the failure where they reach so far, else by minutes.
    """
    unanswered = request.outcome is Outcome.UNANSWERED
    near = [(r.at, r.outcome is request.outcome) for r in route.near]
    before = [bad for when, bad in near if when < at]
    since_then = [(when, bad) for when, bad in near if at <= when <= until]
    # The time of a change is cut to the second: what went well in that second may have come before it
    after = [bad for when, bad in since_then if bad or when >= at + CUT]
    if len(before) >= 3:
        return Since((sum(before), len(before)), (sum(after), len(after)), _from_the_first(after))
    minute = at.replace(second=0, microsecond=0)
    earlier = [m for m in route.minutes if minute - 2 * WIDE <= m.start < minute]
    later = [m for m in route.minutes if minute < m.start <= until]
    if not earlier or not later:
        return None
    counts = [(sum(m.unanswered if unanswered else m.errors for m in some), sum(m.requests for m in some))
              for some in (earlier, later, later[:1])]  # fmt: skip
    return Since(counts[0], counts[1], counts[2][0] >= OFTEN * counts[2][1])


def healed(route: Route, request: Request, at: datetime) -> bool:
    """All went well again for a while between this moment and the request: what failed then is not what fails now.

    For a minute, or for so many requests on end as would not go well by chance while others fail as often as they do.
    """
    unanswered, minute = request.outcome is Outcome.UNANSWERED, timedelta(minutes=1)
    between = [m for m in route.minutes if at <= m.start and m.start + minute <= request.at]
    if any(m.requests >= ENOUGH and not (m.unanswered if unanswered else m.errors) for m in between):
        return True
    bad = [r.outcome is request.outcome for r in route.near if at <= r.at <= request.at]
    if True not in bad:
        return False
    began = bad[bad.index(True) :]
    share = min(0.9, sum(began) / len(began))
    longest = max(sum(1 for _ in run) for is_bad, run in groupby(began) if not is_bad) if False in began else 0
    return len(began) * (1 - share) ** longest <= CHANCE


def _from_the_first(after: Sequence[bool]) -> bool:
    """Not so many went well before the first that failed that it was another thing that began then."""
    if not any(after):
        return False
    well = list(after).index(True)
    share = min(0.9, sum(after) / (len(after) - well))
    return bool((1 - share) ** well >= CHANCE)


def silent_member(route: Route, request: Request) -> tuple[str, str] | None:
    """(member, counts in words) if one member alone answered nothing while requests stayed without an answer.

    It answered its part before, and that so many answers meanwhile came from the others is no chance.
    """
    rows = _of_pool(route, request, NEAR)
    lost = [r.at for r in rows if r.outcome is Outcome.UNANSWERED and not r.member]
    if not lost:
        return None
    first, last = min(lost), max(lost)
    meanwhile = [r for r in rows if r.member and first <= r.at <= last]
    earlier = Counter(r.member for r in (*route.near, *route.before) if r.member and r.at < first)
    quiet = [m for m in earlier if m not in {r.member for r in meanwhile}]
    if len(quiet) != 1 or len(earlier) < 2 or any(failed(r) for r in meanwhile):
        return None
    if (1 - earlier[quiet[0]] / earlier.total()) ** len(meanwhile) > SILENT:
        return None
    return quiet[0], (
        f"{short(quiet[0])} answered nothing while {len(lost)} requests stayed without an answer; "
        f"the other members answered {len(meanwhile)} meanwhile."
    )
