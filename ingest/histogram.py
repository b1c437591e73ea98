"""One fixed latency histogram for everything: 80 log-spaced buckets, integer counts, merged by addition.

Bucket 0 holds what took less than 1 ms, bucket 79 what took 10 minutes or more; each of the others is 19 % wider than
the one before. The bounds never change: stored histograms of any age can be added. Times are integer microseconds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

BUCKETS = 80
FIRST_US = 1_000
LAST_US = 600_000_000
BOUNDS: tuple[int, ...] = tuple(
    round(FIRST_US * (LAST_US // FIRST_US) ** (place / (BUCKETS - 2))) for place in range(BUCKETS - 1)
)


def bucket(us: int) -> int:
    """The bucket this time belongs to."""
    return bisect_right(BOUNDS, us)


def bounds(number: int) -> tuple[int, int | None]:
    """From (inclusive) and to (exclusive) of a bucket; the last one has no end."""
    low = BOUNDS[number - 1] if number else 0
    return low, BOUNDS[number] if number < BUCKETS - 1 else None


def of(times: Iterable[int]) -> list[int]:
    """The histogram of these times."""
    counts = [0] * BUCKETS
    for us in times:
        counts[bisect_right(BOUNDS, us)] += 1
    return counts


def merge(histograms: Iterable[Sequence[int]]) -> list[int]:
    """Their sum, bucket by bucket."""
    return [sum(counts) for counts in zip(*histograms, strict=True)] or [0] * BUCKETS


def quantile(histogram: Sequence[int], q: float) -> int | None:
    """The time below which the share `q` lies, evenly spread inside its bucket; None for an empty histogram.

    In the last bucket, which has no end, its beginning is the answer: "10 minutes or more".
    """
    total = sum(histogram)
    if not total:
        return None
    wanted = max(q * total, 1e-9)
    seen = 0
    for number, count in enumerate(histogram):
        if count and seen + count >= wanted:
            low, high = bounds(number)
            return low if high is None else low + round((high - low) * (wanted - seen) / count)
        seen += count
    return BOUNDS[-1]
