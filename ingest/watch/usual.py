"""What is usual of an endpoint's answers by hour of the week, from the hourly histograms of four weeks (pure).

Latency is compared by counts above fixed bounds, which are bounds of the histogram's buckets: exact integers that add up.
The usual share above each bound is the median over the weeks of that hour of the week; with few requests it is drawn
towards that hour of the day, and that towards all hours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

WEEKS = timedelta(weeks=4)
WEEK_HOURS = 168
QUANTILES = (0.25, 0.5, 0.75, 0.9, 0.99)  # of all hours together: where the bounds lie
DRAWN = 30  # with so many requests, a level counts half and the level above it half
LEAST_REQUESTS, LEAST_HOURS = 300, 6  # below, nothing is called usual
LOWEST = 0.002  # no share of failed requests is taken for lower
MOVED = 3.0  # bounds stay as they are until the odds of being above one are off by more: counts above them are kept


class Hour(NamedTuple):
    """One hour of one endpoint, all members together."""

    start: datetime
    histogram: Sequence[int]  # of the answers that have a time
    requests: int
    failed: int  # answered with 5xx, or not at all


@dataclass(frozen=True, slots=True)
class Usual:
    """Of one endpoint: the bounds (numbers of buckets), and by hour of the week the shares above each and that failed."""

    bounds: tuple[int, ...]
    shares: tuple[tuple[float, ...], ...]  # 168 times len(bounds)
    failed: tuple[float, ...]  # 168
    requests: int
    hours: int

    def at(self, minute: int) -> tuple[tuple[float, ...], float]:
        """(shares above the bounds, share that failed) in this minute since 1970, which was a Thursday."""
        place = (minute // 60 + 3 * 24) % WEEK_HOURS
        return self.shares[place], self.failed[place]

    def plain(self) -> dict[str, Any]:
        """As it is stored."""
        return asdict(self)

    @classmethod
    def of(cls, stored: dict[str, Any]) -> Usual | None:
        """What `plain` made; None where nothing is called usual yet."""
        if not stored:
            return None
        return cls(
            tuple(stored["bounds"]), tuple(map(tuple, stored["shares"])), tuple(stored["failed"]), stored["requests"],
            stored["hours"],
        )  # fmt: skip


def hour_of_week(moment: datetime) -> int:
    """Monday 00:00 UTC is 0."""
    moment = moment.astimezone(UTC)
    return moment.weekday() * 24 + moment.hour


def made_of(hours: Iterable[Hour], bounds: tuple[int, ...] = ()) -> Usual | None:
    """What is usual after these hours, without those of incidents; None where they are too few. `bounds`: those till now."""
    kept = sorted((h for h in hours if h.requests), key=lambda h: h.start)
    total = [sum(counts) for counts in zip(*(h.histogram for h in kept), strict=True)]
    if len(kept) < LEAST_HOURS or sum(total) < LEAST_REQUESTS:
        return None
    if not _still_fit(bounds, total):
        bounds = _bounds(total)
    above = [[_Part(h.start, sum(h.histogram[bound:]), sum(h.histogram)) for h in kept] for bound in bounds]
    shares = [_by_hour(parts) for parts in above]
    failed = _by_hour([_Part(h.start, h.failed, h.requests) for h in kept])
    return Usual(
        bounds, tuple(tuple(round(share[n], 5) for share in shares) for n in range(WEEK_HOURS)),
        tuple(round(max(LOWEST, share), 5) for share in failed), sum(h.requests for h in kept), len(kept),
    )  # fmt: skip


class _Part(NamedTuple):
    start: datetime
    some: int
    of: int


def _bounds(total: Sequence[int]) -> tuple[int, ...]:
    """For each quantile the bucket from which on about so many lie as it says."""
    whole, above, found = sum(total), [0] * (len(total) + 1), []
    for number in range(len(total) - 1, -1, -1):
        above[number] = above[number + 1] + total[number]
    for q in QUANTILES:
        found.append(min(range(1, len(total)), key=lambda n: (abs(above[n] / whole - (1 - q)), n)))
    return tuple(found)


def _still_fit(bounds: Sequence[int], total: Sequence[int]) -> bool:
    """Whether about so many lie above these bounds as their quantiles say."""
    if len(bounds) != len(QUANTILES):
        return False
    above = [sum(total[bound:]) for bound in bounds]
    odds = [(some + 0.5) / (sum(total) - some + 0.5) / ((1 - q) / q) for some, q in zip(above, QUANTILES, strict=True)]
    return all(1 / MOVED <= one <= MOVED for one in odds)


def _by_hour(parts: Sequence[_Part]) -> list[float]:
    of_week: dict[int, list[_Part]] = defaultdict(list)
    of_day: dict[int, list[_Part]] = defaultdict(list)
    for part in parts:
        if part.of:
            of_week[hour_of_week(part.start)].append(part)
            of_day[hour_of_week(part.start) % 24].append(part)
    level = _median([part for part in parts if part.of])
    days = [_drawn(of_day.get(hour, []), level) for hour in range(24)]
    return [_drawn(of_week.get(hour, []), days[hour % 24]) for hour in range(WEEK_HOURS)]


def _drawn(parts: Sequence[_Part], towards: float) -> float:
    known = sum(part.of for part in parts)
    if not known:
        return towards
    weight = known / (known + DRAWN)
    return weight * _median(parts) + (1 - weight) * towards


def _median(parts: Sequence[_Part]) -> float:
    """The share in the middle, hours with more requests counting for more."""
    shares = sorted((part.some / part.of, part.of) for part in parts)
    half, seen = sum(of for _, of in shares) / 2, 0
    for share, of in shares:
        seen += of
        if seen >= half:
            return share
    return 0.0
