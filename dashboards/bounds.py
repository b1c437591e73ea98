"""How far a share of few can be off: the exact one-sided bound of Clopper and Pearson (pure)."""

from __future__ import annotations

import math

SURE = 0.95
STEPS = 50  # halvings: 1e-15 of the whole


def at_least(hits: int, of: int, sure: float = SURE) -> float | None:
    """The share that the truth is above, `sure` of the times, when `hits` of `of` were seen. None: none were seen."""
    if not of:
        return None
    low, high = 0.0, 1.0
    for _ in range(STEPS if hits else 0):
        middle = (low + high) / 2
        if chance(hits, of, middle) > 1 - sure:
            high = middle
        else:
            low = middle
    return low


def chance(hits: int, of: int, share: float) -> float:
    """How likely so many hits or more are where the true share is `share`."""
    if of - hits < hits:
        return math.fsum(_exactly(n, of, share) for n in range(hits, of + 1))
    return 1 - math.fsum(_exactly(n, of, share) for n in range(hits))


def _exactly(hits: int, of: int, share: float) -> float:
    ways = math.lgamma(of + 1) - math.lgamma(hits + 1) - math.lgamma(of - hits + 1)
    return math.exp(ways + hits * math.log(share) + (of - hits) * math.log1p(-share))
