"""Slow answers: of one member beside quick ones of the others, of all members alike, or of a part of the requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from math import comb
from statistics import median
from typing import NamedTuple

from ingest.records import Outcome

from .compare import CHANCE_OFTEN, ENOUGH, NEAR, WIDE, Spread, failed, member_rows, short, within
from .facts import Request, Route

RUN = 5  # answers of several paths that are slow one after the other
FEW_LATER = timedelta(seconds=30)  # from the first or last slow answer to a request that got none


def usual_seconds(route: Route) -> float | None:
    """The median of what the same path took before, None with fewer than five answers."""
    times = [r.seconds for r in route.before if r.seconds is not None]
    return median(times) if len(times) >= 5 else None


def slower_than_usual(route: Route, request: Request) -> bool:
    """This answer took twice as long as its path does; without a past, as long as answers of another path that are late too.

    A path that always takes so long is no slow service: then the caller's limit is too low, or nothing can be told.
    """
    took = request.seconds or 0.0
    past = [r.seconds for r in route.before if r.seconds is not None]
    near = [r for r in member_rows(route, request, WIDE) if r.seconds is not None and not failed(r)]
    past += [r.seconds or 0.0 for r in near if r.path == request.path and r.at < request.at and not past]
    if len(past) >= 3:
        return took >= 2 * median(past)
    return len({r.path for r in near if (r.seconds or 0.0) >= 0.5 * took}) >= 2


def one_slow_member(route: Route, request: Request) -> tuple[str, str] | None:
    """(member, counts in words) if, in the answers around this request, one member was slow every time and no other ever."""
    return next((found for rows in _answers_around(route, request) if (found := _slow_in(rows, request.at))), None)


class Slow(NamedTuple):
    """The members that were slow, and the counts in words."""

    members: tuple[str, ...]
    words: str


def all_slow(route: Route, request: Request, limit: float | None) -> Slow | None:
    """What the answers around this request, of all members that gave some, say if they were too slow for it.

    Too slow is what would not have come in the client's time; or, in a longer run, three times as slow as this path
    usually is. Slow answers of one other path say nothing: that path may always take so long. Where only some paths are
    slow, as behind a third party, those of this path count, if it is known to be quicker.
    """
    usual, views = usual_seconds(route), []
    if limit is not None:
        late = max(2.0, 0.8 * limit)
        around = [*_answers_around(route, request), _slow_run(route, request, late)]
        views += [(rows, late, 3) for rows in around]
        if usual is not None and usual <= 0.5 * late:
            views += [([r for r in rows if r.path == request.path], late, 3) for rows in around]
    if usual is not None:
        views.append((_slow_run(route, request, max(2.0, 3 * usual)), max(2.0, 3 * usual), RUN))
    for rows, slow, least in views:
        times, paths = _times(rows), {r.path for r in rows}
        every = [t for values in times.values() for t in values]
        if len(every) < least or len(times) < 2 or (len(paths) == 1 and request.path not in paths):
            continue
        if min(every) > slow:
            past = f"; this path usually takes {usual:.1f} s" if usual is not None else ""
            members = tuple(sorted(times))
            of = f" to {request.path}" if len(paths) == 1 else ""
            return Slow(members, f"All {len(every)} answers{of} around it, {_from(members, every)}{past}")
    return None


def some_slow(route: Route, request: Request, limit: float) -> Slow | None:
    """The same where only a part of the requests is slow, whichever member they meet, and never was before.

    A member that is slow would stand out; a route that loses requests would not let the others come so late.
    """
    late = max(2.0, 0.8 * limit)
    past = [r.seconds for r in route.before if r.seconds is not None]
    if len(past) < ENOUGH or max(past) > late:
        return None
    rows = _good_answers(route, request)
    slow = [r for r in rows if (r.seconds or 0.0) > late]
    if len(slow) < ENOUGH or not slow[0].at - FEW_LATER <= request.at <= slow[-1].at + FEW_LATER:
        return None
    meanwhile = within(rows, slow[0].at, slow[-1].at)
    lost = [r for r in within(route.near, slow[0].at, slow[-1].at) if r.outcome is Outcome.UNANSWERED]
    members = tuple(sorted({r.member for r in slow}))
    spread = Spread(
        dict(Counter(r.member for r in slow)), dict(Counter(r.member for r in meanwhile)), len(route.members)
    )
    if len(members) < 2 or spread.well or len(lost) > len(slow):
        return None
    every = [r.seconds or 0.0 for r in slow]
    return Slow(
        members,
        f"{len(slow)} of {len(meanwhile)} answers around it, {_from(members, every)}; "
        f"none of {len(past)} earlier ones to this path took longer than {max(past):.1f} s",
    )


def _from(members: tuple[str, ...], every: list[float]) -> str:
    return f"from {', '.join(map(short, members))}, took {min(every):.1f} to {max(every):.1f} s"


def _answers_around(route: Route, request: Request) -> Iterator[Sequence[Request]]:
    """The good answers around this request, in growing spans.

    The span grows, first into the past, until it holds enough slow answers: when the trouble began and ended is not known,
    and good answers of the same member from before or after it say nothing.
    """
    good = _good_answers(route, request)
    for before in (15, 30, 45, 60, 90, 120):
        for after in (10, before):
            yield within(good, request.at - timedelta(seconds=before), request.at + timedelta(seconds=after))


def _slow_run(route: Route, request: Request, limit: float) -> list[Request]:
    """The good answers around this request that were slow without one in between that was not."""
    good = _good_answers(route, request)
    place = sum(r.at < request.at for r in good)
    before = list(takewhile(lambda r: (r.seconds or 0.0) > limit, reversed(good[:place])))
    return [*reversed(before), *takewhile(lambda r: (r.seconds or 0.0) > limit, good[place:])]


def _good_answers(route: Route, request: Request) -> list[Request]:
    return [
        r
        for r in member_rows(route, request, NEAR + NEAR)
        if r.seconds is not None and r.outcome in (Outcome.OK, Outcome.SLOW)
    ]


def _times(rows: Iterable[Request]) -> dict[str, list[float]]:
    """The seconds that these answers took, by member."""
    times: dict[str, list[float]] = {}
    for r in rows:
        times.setdefault(r.member, []).append(r.seconds or 0.0)
    return times


def _slow_in(rows: Sequence[Request], asked: datetime) -> tuple[str, str] | None:
    """Fair is only what others answered from its first slow answer to its last one, or to the request that got none."""
    for member in sorted({r.member for r in rows}):
        mine = [r for r in rows if r.member == member]
        others = [r for r in rows if r.member != member and mine[0].at <= r.at <= max(asked, mine[-1].at)]
        took, theirs = [r.seconds or 0.0 for r in mine], [r.seconds or 0.0 for r in others]
        if len(mine) < 2 or len(others) < 2 or min(took) <= 2.0 or min(took) <= 5 * max(theirs):
            continue
        if comb(len(mine) + len(others), len(mine)) >= 1 / CHANCE_OFTEN:
            return member, (
                f"{short(member)} took {min(took):.1f} to {max(took):.1f} s in {len(mine)} of {len(mine)} answers; "
                f"the other members at most {max(theirs) * 1000:,.0f} ms in {len(others)} answers meanwhile"
            )
    return None
