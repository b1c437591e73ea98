"""When a component began to fail and when it was well again: the change of its failure rate, dated from the data (pure).

A try that fails is often not the first request that failed, and with unrelated errors now and then the first bad request
is not the onset either. So from the first sign back to the last stretch in which the component was well (a cumulative sum
of evidence says which) the window is cut where two rates explain its requests best: the one split of binary segmentation
with a binomial likelihood. Good requests are taken as evenly spread over their minute.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from math import log

MINUTE = timedelta(minutes=1)
PROOF = log(100)  # so much likelier has "it was well" to be
# So much likelier for an incident to be over: one good answer of what failed always, several of what failed at times.
SEEN_WELL = log(20)
EVEN = 0.5  # how often requests are taken to fail where none that failed was counted
MOST, LEAST = 0.98, 0.002  # a rate of none or all would make one single request a proof


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


def before(minutes: Sequence[Minute], first: datetime, rates: tuple[float, float]) -> list[Minute]:
    """The minutes up to that of `first`, back to the last stretch in which the component was well, which is included."""
    upto = [m for m in minutes if m.start <= first][::-1]
    return upto[: _reach(upto, rates)][::-1]


def after(minutes: Sequence[Minute], last: datetime, rates: tuple[float, float]) -> list[Minute]:
    """The minutes from that of `last` on, up to the first stretch in which the component was well again, included."""
    rest = [m for m in minutes if m.start >= minute_of(last)]
    return rest[: _reach(rest, rates)]


def rates(minutes: Sequence[Minute], first: datetime, last: datetime) -> tuple[float, float]:
    """How often requests fail while tries are hit, and how often they do otherwise (the median minute's share)."""
    hit = [m for m in minutes if minute_of(first) <= m.start <= last]
    others = sorted(m.bad / m.all for m in minutes if m.all and m not in hit)
    bad, all_ = sum(m.bad for m in hit), sum(m.all for m in hit)
    trouble = min(bad / all_, MOST) if bad else EVEN
    usual = others[len(others) // 2] if others else 0.0
    return trouble, min(max(usual, LEAST), trouble / 2)


def kept_failing(minutes: Sequence[Minute], start: datetime, end: datetime, pause: timedelta) -> bool:
    """Whether a component failed all the time between two hits: no stretch of it was well, and no pause was longer."""
    between = [m for m in minutes if minute_of(start) <= m.start <= end]
    moments = [start, *(m.start for m in between if m.bad), end]
    if any(b - a > pause for a, b in pairwise(moments)):
        return False
    hit = [m for m in between if m.start in (minute_of(start), minute_of(end))]
    return not _run(between, rates(hit, start, end))[1]


def seen_well(good: int, rates: tuple[float, float]) -> bool:
    """Whether so many requests that went well, and none that did not, say that the trouble is over."""
    trouble, usual = rates
    return good * log((1 - usual) / (1 - trouble)) >= SEEN_WELL


def _reach(minutes: Sequence[Minute], rates: tuple[float, float]) -> int:
    """How many of these minutes, going away from a sign, the trouble can reach."""
    return _run(minutes, rates)[0]


def _run(minutes: Sequence[Minute], rates: tuple[float, float]) -> tuple[int, bool]:
    """How many minutes it takes until a run of them says "well" PROOF times more likely than "failing still", and whether one
    does: a cumulative sum, reset wherever "failing" is the likelier."""
    trouble, usual = rates
    total = 0.0
    for n, m in enumerate(minutes):
        total += m.bad * log(usual / trouble) + (m.all - m.bad) * log((1 - usual) / (1 - trouble))
        total = max(0.0, total)
        if total >= PROOF:
            return n + 1, True
    return len(minutes), False


def begins(upto: Sequence[Minute]) -> datetime | None:
    """The minute from which on requests fail at another rate than before; None without a bad one."""
    return upto[_best(upto)].start if any(m.bad for m in upto) else None


def ends(rest: Sequence[Minute]) -> datetime | None:
    """The minute up to which requests fail; None without a bad one."""
    return rest[len(rest) - 1 - _best(rest[::-1])].start if any(m.bad for m in rest) else None


def _best(minutes: Sequence[Minute]) -> int:
    """The minute with which the higher rate begins. The first of equals; 0 where no cut explains more than none."""
    bads, alls = sum(m.bad for m in minutes), sum(m.all for m in minutes)
    best, found = likelihood(bads, alls), 0
    bad = all_ = 0
    for n, m in enumerate(minutes):
        if n and bad * (alls - all_) <= (bads - bad) * all_:
            value = likelihood(bad, all_) + likelihood(bads - bad, alls - all_)
            if value > best + 1e-9:
                best, found = value, n
        bad, all_ = bad + m.bad, all_ + m.all
    return found


def first_bad(minutes: Sequence[Minute], bad: Sequence[datetime], last: datetime) -> Cut | None:
    """The bad request from which on the component fails, among `bad` (in order), up to `last`; of the minutes `before`."""
    found = [at for at in bad if at <= last]
    if not found:
        return None
    counted = Counted(minutes, bad)
    steps = [counted.before(at) for at in found]
    best = max(range(len(found)), key=lambda n: (counted.split(*steps[n]), -n))
    return counted.cut(found[best], *steps[best])


def last_bad(minutes: Sequence[Minute], bad: Sequence[datetime], first: datetime) -> Cut | None:
    """The bad request with which the trouble ends, among `bad` (in order), from `first` on; of the minutes `after`.

    Of the cut, `before` is the trouble.
    """
    found = [at for at in bad if at >= first]
    if not found:
        return None
    counted = Counted(minutes, bad)
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

    def well(self, start: datetime, end: datetime) -> int:
        """Requests between these instants that were not bad."""
        (bad, all_), (first, before) = self.before(end), self.before(start)
        return max(0, round(all_ - bad - before + first))

    def split(self, bad: float, all_: float) -> float:
        rest = max(self.bad[-1] - bad, 0.0)
        return likelihood(bad, all_) + likelihood(rest, max(self.all[-1] - all_, rest))

    def cut(self, at: datetime, bad: float, all_: float) -> Cut:
        since = (max(0, round(self.bad[-1] - bad)), max(0, round(self.all[-1] - all_)))
        return Cut(at, (round(bad), round(all_)), since)
