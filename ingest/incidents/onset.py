"""When a component began to fail and when it was well again: the change of its failure rate, dated from the data (pure).

A try that fails is often not the first request that failed, and with unrelated errors now and then the first bad request
is not the onset either. So a window is cut where two rates explain its requests best: the one split of binary
segmentation with a binomial likelihood. Requests between two counted minutes are taken as evenly spread.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from math import log

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Minute:
    """Requests of one component in one minute."""

    start: datetime
    bad: int
    all: int


@dataclass(frozen=True, slots=True)
class Cut:
    """Where the rate changes: [bad, all] before it and from it on."""

    at: datetime
    before: tuple[int, int]
    since: tuple[int, int]


def likelihood(bad: float, all_: float) -> float:
    """Log-likelihood of so many bad requests at their own rate."""
    good = all_ - bad
    return (bad * log(bad / all_) if bad > 0 else 0.0) + (good * log(good / all_) if good > 0 else 0.0)


def minute_of(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def begins(minutes: Sequence[Minute], last: datetime) -> datetime | None:
    """The minute, up to that of `last`, from which on requests fail at another rate than before; None without requests."""
    upto = [m for m in minutes if m.start <= last]
    if not any(m.bad for m in upto):
        return None
    cut = _best([(m.start, float(m.bad), float(m.all)) for m in upto])
    # The rate of a window that falls has no onset in it: everything in it belongs to the trouble.
    return upto[cut].start


def ends(minutes: Sequence[Minute], first: datetime) -> datetime | None:
    """The minute, from that of `first` on, up to which requests fail; None without requests."""
    rest = [m for m in minutes if m.start >= minute_of(first)][::-1]
    if not any(m.bad for m in rest):
        return None
    return rest[_best([(m.start, float(m.bad), float(m.all)) for m in rest])].start


def _best(steps: Sequence[tuple[datetime, float, float]]) -> int:
    """The step with which the other rate begins: the higher rate comes after it. The first of equals."""
    bads, alls = sum(s[1] for s in steps), sum(s[2] for s in steps)
    best, found = likelihood(bads, alls), 0
    bad = all_ = 0.0
    for n, (_, b, a) in enumerate(steps):
        if n and bad * (alls - all_) <= (bads - bad) * all_:
            value = likelihood(bad, all_) + likelihood(bads - bad, alls - all_)
            if value > best + 1e-9:
                best, found = value, n
        bad, all_ = bad + b, all_ + a
    return found


def first_bad(minutes: Sequence[Minute], bad: Sequence[datetime], last: datetime) -> Cut | None:
    """The bad request from which on the component fails, among `bad` (in order), up to `last`."""
    found = [at for at in bad if at <= last]
    if not found:
        return None
    counted = Counted([m for m in minutes if m.start <= last], bad)
    steps = [counted.before(at) for at in found]
    best = max(range(len(found)), key=lambda n: (counted.split(*steps[n]), -n))
    return counted.cut(found[best], *steps[best])


def last_bad(minutes: Sequence[Minute], bad: Sequence[datetime], first: datetime) -> Cut | None:
    """The bad request with which the trouble ends, among `bad` (in order), from `first` on; `before` is the trouble."""
    found = [at for at in bad if at >= first]
    if not found:
        return None
    counted = Counted([m for m in minutes if m.start >= minute_of(first)], bad)
    steps = [(b + 1, a + 1) for b, a in map(counted.before, found)]  # itself included
    best = max(range(len(found)), key=lambda n: (counted.split(*steps[n]), n))
    return counted.cut(found[best], *steps[best])


class Counted:
    """Minutes summed up, to be cut at any instant: within a minute bad requests are counted and good ones spread."""

    def __init__(self, minutes: Sequence[Minute], bad: Sequence[datetime]) -> None:
        self.minutes, self.at = minutes, bad
        self.starts = [m.start for m in minutes]
        self.bad = list(accumulate((m.bad for m in minutes), initial=0))
        self.all = list(accumulate((m.all for m in minutes), initial=0))

    def before(self, at: datetime) -> tuple[float, float]:
        """Bad and all requests before this instant."""
        own = minute_of(at)
        place = bisect_left(self.starts, own)
        bads, alls = float(self.bad[place]), float(self.all[place])
        if place < len(self.starts) and self.starts[place] == own:
            here = bisect_left(self.at, at) - bisect_left(self.at, own)
            minute = self.minutes[place]
            return bads + here, alls + here + (minute.all - minute.bad) * ((at - own) / MINUTE)
        return bads, alls

    def split(self, bad: float, all_: float) -> float:
        rest = max(self.bad[-1] - bad, 0.0)
        return likelihood(bad, all_) + likelihood(rest, max(self.all[-1] - all_, rest))

    def cut(self, at: datetime, bad: float, all_: float) -> Cut:
        since = (max(0, round(self.bad[-1] - bad)), max(0, round(self.all[-1] - all_)))
        return Cut(at, (round(bad), round(all_)), since)
