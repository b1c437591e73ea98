"""What minutes have to be beyond to be slow, fast or failing: by what is usual, and by the hour before (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from .chance import MIDDLE

# A minute counts for no more than so many of its standard deviations (and so many requests): a deployment, a pause for
# two minutes is no shift, and neither are its errors. Errors are told sooner than a tail.
MOST_MIDDLE = 3.5
MOST_TAIL, MOST_ERRORS = (3.5, 3), (4.5, 4)


class Minute(NamedTuple):
    """Counts of one minute of an endpoint."""

    number: int  # since 1970
    timed: int  # answers that have a time
    over: tuple[int, ...]  # of these, above each bound
    requests: int
    failed: int
    odd: bool = False  # part of a finding or an incident: not what was before


class Before(NamedTuple):
    """The hour before: answers with a time, the share above each bound, the share that failed."""

    timed: int
    shares: tuple[float, ...]
    failed: float


def reference(side: str, now: Sequence[float], before: Sequence[float]) -> list[float]:
    """The share that an answer has to be beyond: of both the one that is nearer to it."""
    return [max(pair) if side == "slow" else min(pair) for pair in zip(now, before, strict=True)]


def score_of(shares: Sequence[float]) -> tuple[float, float]:
    """Mean and variance of how many of the middle bounds one answer is above (it is above the lower ones as well)."""
    p = sorted((shares[n] for n in MIDDLE), reverse=True)
    variance = sum(one * (1 - one) for one in p)
    variance += 2 * sum(p[j] * (1 - p[i]) for i in range(len(p)) for j in range(i + 1, len(p)))
    return sum(p), variance


class Limits(NamedTuple):
    """The shares that answers have to be beyond."""

    slow: list[float]
    fast: list[float]
    slow_score: tuple[float, float]
    fast_score: tuple[float, float]
    failed: float


def kept(window: Sequence[Minute], sign: int, mean: float, variance: float, rho: float) -> float:
    """How far the window is off, no minute counting for more than MOST_MIDDLE of its standard deviations."""
    total = 0.0
    for m in window:
        if m.timed:
            off = sign * (m.over[0] + m.over[1] + m.over[2] - m.timed * mean)
            total += min(off, MOST_MIDDLE * math.sqrt(m.timed * variance * (1 + (m.timed - 1) * rho)))
    return total
