"""The latency histogram, by any times: sums are exact and quantiles stay inside their bucket."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import histogram

TIMES = st.lists(st.integers(0, 3 * histogram.LAST_US), max_size=50)


@given(st.integers(0, 10**12))
def test_a_time_lies_between_the_bounds_of_its_bucket(us: int) -> None:
    low, high = histogram.bounds(histogram.bucket(us))
    assert low <= us and (high is None or us < high)


@given(TIMES, TIMES)
def test_merging_is_counting_together(one: list[int], other: list[int]) -> None:
    assert histogram.merge([histogram.of(one), histogram.of(other)]) == histogram.of(one + other)


@given(TIMES.filter(bool), st.floats(0, 1))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(times: list[int], q: float) -> None:
    found = histogram.quantile(histogram.of(times), q)
    assert found is not None
    true = sorted(times)[max(0, -int(-q * len(times) // 1) - 1)]
    low, high = histogram.bounds(histogram.bucket(true))
    assert low <= found and (high is None or found <= high)


def test_a_quantile_is_within_a_fifth_of_the_truth() -> None:
    rng = random.Random(7)
    times = [int(rng.lognormvariate(10, 1)) + 1_000 for _ in range(5_000)]
    for q in (0.5, 0.9, 0.99):
        true = sorted(times)[int(q * len(times)) - 1]
        assert histogram.quantile(histogram.of(times), q) == pytest.approx(true, rel=0.2)
