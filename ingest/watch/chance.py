"""The chance of what minutes show: beta-binomial tails, the correlation of requests in one minute, the size of a shift (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import NormalDist
from typing import NamedTuple

from ingest.histogram import BOUNDS

MIDDLE = (0, 1, 2)  # places of the bounds that say how slow most answers are; those behind say it of the slowest
NORMAL = NormalDist()


@dataclass(slots=True)
class Spread:
    """By how much minutes differ more than chance makes them: the correlation of requests in one minute, as it was met."""

    KEEPS = 1 - 1 / 10_080  # a minute a week ago counts about a third
    FIRST, FIRST_TIMES, LEAST_RHO = 0.002, 12, 0.0002
    excess: float = 0.0
    base: float = 0.0
    minutes: float = 0.0

    @property
    def rho(self) -> float:
        """The correlation, drawn towards what is usual elsewhere while few minutes are known."""
        if not self.base:
            return self.FIRST
        mine = self.excess / self.base
        weight = self.minutes / (self.minutes + self.FIRST_TIMES)
        return max(self.LEAST_RHO, weight * mine + (1 - weight) * self.FIRST)

    def met(self, off: float, n: int, variance: float, each: int = 1) -> None:
        """So many minutes with n requests were off by this; `variance` is what chance gives one request."""
        if n < 2 or variance <= 0:
            return
        most = 9 * n * variance * (1 + (n - 1) * self.rho)  # what is that far off is judged, not learned from
        self.excess = self.excess * self.KEEPS + min(off * off, most) - n * variance
        self.base = self.base * self.KEEPS + n * (n - 1) * variance
        self.minutes = self.minutes * self.KEEPS + 1 / each


class Beyond(NamedTuple):
    chance: float
    sigmas: float


def variance_of(counts: Sequence[int], of_one: float, rho: float) -> float:
    """The variance of a sum over minutes: requests of one minute go together, minutes do not."""
    return of_one * sum(n * (1 + (n - 1) * rho) for n in counts if n)


def beyond(counts: Sequence[tuple[int, int]], p: float, rho: float, most: float, least: int) -> Beyond:
    """The chance of so many of so many in these minutes, none counting for more than its bound."""
    kept = 0
    for k, n in counts:
        wide = math.sqrt(n * p * (1 - p) * (1 + max(0, n - 1) * rho))
        kept += min(k, max(least, round(n * p + most * wide)))
    n = sum(of for _, of in counts)
    spread = variance_of([of for _, of in counts], p * (1 - p), rho)
    sigmas = (kept - n * p) / math.sqrt(spread)
    return Beyond(tail(kept, n, p, pooled(spread, n, p)) if sigmas > 3 else 1.0, sigmas)


def shift_of(is_now: Sequence[float], shares: Sequence[float], bounds: Sequence[int], of: int) -> tuple[float, float]:
    """(by how many standard deviations answers are slower, by what factor), were their times log-normal around these bounds."""
    low, high = BOUNDS[bounds[MIDDLE[0]] - 1], BOUNDS[bounds[MIDDLE[-1]] - 1]
    least = 0.5 / max(of, 1)
    wide = math.log(high / low) / 1.349 if high > low else 0.25
    found = (_probit(a, least) - _probit(b, least) for a, b in zip(is_now, (shares[n] for n in MIDDLE), strict=True))
    shift = sum(found) / len(MIDDLE)
    return shift, math.exp(max(-5.0, min(5.0, wide * shift)))


def moved(share: float, shift: float) -> float:
    """The share above a bound once all answers are so many standard deviations slower."""
    return NORMAL.cdf(_probit(share, 1e-9) + shift)


def _probit(share: float, least: float) -> float:
    return NORMAL.inv_cdf(min(1 - least, max(least, share)))


def pooled(spread: float, n: int, p: float) -> float:
    """The correlation of one beta-binomial over the whole window that has this variance."""
    return max(0.0, (spread / (n * p * (1 - p)) - 1) / (n - 1)) if n > 1 else 0.0


def tail(k: int, n: int, p: float, rho: float) -> float:
    """The chance of k or more of n: beta-binomial with this mean and correlation, binomial for none."""
    if k <= 0:
        return 1.0
    alike = rho > 1e-9
    a, b = (p * (1 - rho) / rho, (1 - p) * (1 - rho) / rho) if alike else (0.0, 0.0)
    lg = math.lgamma

    def log_of(i: int) -> float:
        choose = lg(n + 1) - lg(i + 1) - lg(n - i + 1)
        if alike:
            return choose + lg(i + a) + lg(n - i + b) - lg(n + a + b) + lg(a + b) - lg(a) - lg(b)
        return choose + i * math.log(p) + (n - i) * math.log1p(-p)

    total = 0.0
    for i in range(k, n + 1):
        term = math.exp(log_of(i))
        total += term
        if term < 1e-4 * total and i > k + 3:
            break
    return min(1.0, total)


def onset(calls: Sequence[tuple[datetime, float]], marks: tuple[float, float]) -> datetime | None:
    """The first of these requests (time, mark) from which on they fit what it is now better than what is usual."""
    best, found, total, middle = 0.0, None, 0.0, sum(marks) / 2
    for at, mark in sorted(calls, reverse=True):
        total += mark - middle
        if total > best:
            best, found = total, at
    return found
