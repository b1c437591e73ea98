"""How far two clocks are apart, from measurements that are each an interval which holds the truth (pure).

All in milliseconds; positive: the device is ahead.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from statistics import median, quantiles
from typing import NamedTuple

# How long after its event a line is received at best: between nothing and this.
RECEIPT_MS = 1000.0
STEP_MS = 1000.0  # of a log that has whole seconds
# A worker notes its try's start, then asks for /run: median 9 ms, p95 59 ms, most 223 ms (measured on Airflow 3.3).
RUN_AFTER_MS, RUN_P95_MS, RUN_MOST_MS = 9.0, 60.0, 225.0
LEAST_PAIRS = 5
DRIFT_MS_PER_HOUR = 36.0  # a clock that nobody sets drifts by 10 ppm; an old measurement says that much less


class Measured(NamedTuple):
    """The true offset lies within `offset` ± `error`, as of so many hours ago."""

    offset: float
    error: float
    age_h: float = 0.0


class Skew(NamedTuple):
    """What a join takes: how far the device is ahead, and how wrong that can be."""

    offset: timedelta
    error: timedelta

    @property
    def shift(self) -> timedelta:
        """What to take off the device's times: nothing while the clocks may agree."""
        return self.offset if abs(self.offset) > self.error else timedelta(0)


NONE = Skew(timedelta(0), timedelta(0))


def combined(measured: Iterable[Measured]) -> tuple[float, float] | None:
    """(offset, error) of all of them: what they have in common, from the most certain on.

    One that contradicts what is known by then is left out: a path that delays every line says nothing of the clock.
    """
    low, high = float("-inf"), float("inf")
    for one in sorted(measured, key=_certainty):
        error = one.error + one.age_h * DRIFT_MS_PER_HOUR
        if max(low, one.offset - error) <= min(high, one.offset + error):
            low, high = max(low, one.offset - error), min(high, one.offset + error)
    return None if low == float("-inf") else ((low + high) / 2, (high - low) / 2)


def _certainty(one: Measured) -> float:
    return one.error + one.age_h * DRIFT_MS_PER_HOUR


def of_receipt(event_minus_receipt_ms: float, whole_seconds: bool = False) -> Measured:
    """From the line that was received soonest after its event: the device is ahead by at least what its time says."""
    room = RECEIPT_MS + (STEP_MS if whole_seconds else 0.0)
    return Measured(event_minus_receipt_ms + room / 2, room / 2)


def of_bounds(first_minus_start_ms: Sequence[float], last_minus_end_ms: Sequence[float]) -> Measured | None:
    """From tries whose own requests are known: by one clock they lie between the try's start and its end.

    One try in ten may say otherwise, as one does that somebody ended while it ran. None: too few, or they contradict.
    """
    if len(first_minus_start_ms) < LEAST_PAIRS:
        return None
    strays = len(first_minus_start_ms) // 10
    high, low = sorted(first_minus_start_ms)[strays], sorted(last_minus_end_ms)[-1 - strays]
    return Measured((low + high) / 2, max((high - low) / 2, RUN_P95_MS)) if low <= high else None


def of_pairs(run_minus_start_ms: Sequence[float]) -> Measured:
    """From tries whose first /run is known: its time by the device less the try's start by its worker."""
    middle = median(run_minus_start_ms) - RUN_AFTER_MS
    if len(run_minus_start_ms) < LEAST_PAIRS:
        return Measured(middle, RUN_MOST_MS)
    low, _, high = quantiles(run_minus_start_ms, n=4)
    return Measured(middle, RUN_P95_MS + (high - low) / 2)
